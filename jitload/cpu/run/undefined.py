"""Values that a shuffle left undefined, followed to where they are stored.

What a shuffle brings from a lane that is not in its member mask, or that has left, is undefined; a program may throw
it away afterwards, by a selection or a branch. So nothing is said at the shuffle: those lanes of its result are
remembered, sums and moves hand them on, and a store of one to memory that others see stops the launch. All else that is
done with the value ends the following: what is right is not accused. Lanes that a partial warp never had are left out:
what lies beyond the end is nearly always stored and never looked at. The check `memory` tells of every such shuffle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.code.liveness import registers_of, results_and_sources
from jitload.cpu.faults import describe_place
from jitload.cpu.isa.effects import effects_of, profile_class
from jitload.cpu.lanes.warp import shuffle_sources
from jitload.cpu.run.members import is_full
from jitload.cpu.text.ir import Memory, Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cpu.code.block_code import BlockCode, MeetingCode
    from jitload.cpu.run.batch import Batch
    from jitload.cpu.run.frame import Frame
    from jitload.cpu.text.ir import Instruction
    from jitload.cpu.types import Array, Lanes

_ONE = np.uint32(1)
_STORES = {"store", "atomic"}
_OWN = {"local", "param", "param::func"}

#: Register -> (per lane of the batch the lane of the warp that its value came from, or -1; the site of the shuffle).
Undefined = dict[int, "tuple[Array, int]"]


def undefined_sources(
    batch: Batch, code: MeetingCode, slots: Array, masks: Lanes, values: Sequence[Lanes]
) -> Array | None:
    """Per lane of a shuffle, the lane that it reads although that takes no part, or -1; None where there is none."""
    full = is_full(masks)
    if full and len(slots) in {batch.slot_count, batch.lanes_total}:
        return None
    sources, _ = shuffle_sources(code.name.partition(".")[2], slots, values)
    present = np.zeros(batch.slot_count, np.bool_)
    present[slots] = True
    here = present[sources]
    if not full:
        here &= (masks >> (sources & 31).astype(np.uint32)) & _ONE == 1
    bad = ~here & (sources % (batch.grid.warps * 32) < batch.grid.threads)
    return np.where(bad, sources & 31, -1).astype(np.int8) if bad.any() else None


def remember(batch: Batch, frame: Frame, register: int, lanes: Array | None, found: Array | None, site: int) -> None:
    """A register was written: `found` are its undefined lanes as `undefined_sources` has them, None if none is."""
    if found is None and not frame.undefined:
        return
    known: Undefined = frame.undefined if frame.undefined is not None else {}
    frame.undefined = known
    if found is not None and lanes is not None:
        whole = np.full(batch.lanes_total, -1, np.int8)
        whole[lanes] = found
        found = whole
    _assign(batch, known, register, lanes, found, site)


def _assign(batch: Batch, known: Undefined, register: int, lanes: Array | None, found: Array | None, site: int) -> None:
    old = known.get(register)
    if found is None and old is None:
        return
    array = np.full(batch.lanes_total, -1, np.int8) if old is None else old[0].copy()
    where = slice(None) if lanes is None else lanes
    array[where] = -1 if found is None else found[where]
    if (array >= 0).any():
        known[register] = array, site
    else:
        known.pop(register, None)


def follow(batch: Batch, frame: Frame, block: BlockCode, lanes: Array | None) -> None:
    """Lanes are about to run a block: go along with what is undefined.

    Raises:
        CpuFault: it would be stored where others see it.
    """
    known = frame.undefined
    assert known is not None
    for step in block.steps:
        if not known:
            return
        results, sources = results_and_sources(step)
        if known.keys().isdisjoint(one.index for one in (*results, *sources)):
            continue
        if profile_class(step.opcode, step.modifiers) in _STORES:
            _check_store(batch, known, step, lanes)
        found, site = _outcome(known, step)
        for one in results:
            _assign(batch, known, one.index, lanes, found, site)
    for index in [index for index in known if not block.live_out >> index & 1]:
        del known[index]


def _outcome(known: Undefined, step: Instruction) -> tuple[Array | None, int]:
    """What of the results of an instruction is undefined, and by which shuffle."""
    if "hands_on" not in effects_of(step.opcode, step.modifiers):
        return None, 0
    parts = [known[one.index] for operand in step.operands[1:] for one in registers_of(operand) if one.index in known]
    if not parts:
        return None, 0
    arrays = [array for array, _ in parts]
    if isinstance(step.operands[1], Vector):  # halves of a wider value: all of them, or it is not followed
        found = np.minimum.reduce(arrays) if len(parts) == len(step.operands[1].items) else None
    else:
        found = np.maximum.reduce(arrays)
    if found is not None and step.guard is not None:  # lanes that keep what they had may be defined
        old = [known[one.index][0] for one in registers_of(step.operands[0]) if one.index in known]
        found = np.minimum(found, old[0]) if old else None
    return found, parts[0][1]


def _check_store(batch: Batch, known: Undefined, step: Instruction, lanes: Array | None) -> None:
    if _OWN & set(step.modifiers):
        return
    results, _ = results_and_sources(step)
    # By place, not by register: one may be the address and the value of a store.
    given = step.operands[1 if results else 0 :]
    for one in (register for operand in given if not isinstance(operand, Memory) for register in registers_of(operand)):
        array, site = known.get(one.index, (None, 0))
        if array is None:
            continue
        found = array if lanes is None else array[lanes]
        bad = np.flatnonzero(found >= 0)
        if len(bad):
            lane = int(bad[0]) if lanes is None else int(lanes[bad[0]])
            what = (
                f"shuffle from lane {int(array[lane])} of the warp, which is not in the member mask or has left: its "
                f"value is undefined, and {describe_place(step.place)} stores what came of it. The shuffle is"
            )
            batch.fail_lane(site, lane, what)
