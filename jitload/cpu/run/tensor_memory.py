"""What whole warps do with tensor memory: allocating, freeing, loading and storing (PTX ISA 9.7.16.7, 9.7.16.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.lanes.tensor_memory import PART, SHAPES, cells_of, columns_of
from jitload.cpu.memory.generic import at_generic, at_shared, of_one_space

if TYPE_CHECKING:
    from jitload.cpu.lanes.tensor_memory import TensorMove
    from jitload.cpu.run.batch import Batch
    from jitload.cpu.types import Array, Lanes

_PARTS = 4
_HALF = np.uint32(0xFFFF)


def move_tensors(batch: Batch, move: TensorMove, lanes: Array | None, values: list[Lanes], site: int) -> list[Lanes]:
    """Carry it out for the lanes of whole warps, in order.

    Args:
        batch: whose lanes these are.
        move: the instruction.
        lanes: the lanes, None for all of the batch.
        values: its operands, per lane.
        site: of the instruction.
    """
    slots = batch.slots if lanes is None else batch.slots[lanes]
    batch.lanes, batch.count = lanes, len(slots)
    name = f"tcgen05.{move.verb}"
    if len(slots) % 32 or (slots.reshape(-1, 32) & 31 != np.arange(32)).any():
        batch.fail(site, 0, f"{name} without all 32 threads of the warp")
    given = [np.ascontiguousarray(np.broadcast_to(one, slots.shape)).reshape(-1, 32) for one in values]
    common = given[:1] if move.verb in {"ld", "st"} else given
    for one in common:
        odd = one != one[:, :1]
        if odd.any():
            batch.fail(site, int(np.argmax(odd)), f"the threads of a warp do not agree on the operands of {name}:")
    if move.verb == "ld":
        return [*_load(batch, move, slots, given[0][:, 0], site)]
    if move.verb == "st":
        _store(batch, move, slots, given[0][:, 0], given[1:], site)
    else:
        _manage(batch, move, [one[:, 0] for one in given], site)
    return []


def _manage(batch: Batch, move: TensorMove, given: list[Array], site: int) -> None:
    """Allocate, free, or give up allocating, warp after warp."""
    memory = batch.tensors()
    firsts = np.arange(0, batch.count, 32)
    lanes = firsts if batch.lanes is None else batch.lanes[firsts]
    starts = np.zeros(len(firsts), np.uint32)
    for number, lane in enumerate(lanes.tolist()):
        block = int(batch.block_slot[lane])
        if move.verb == "relinquish_alloc_permit":
            memory.relinquish(block, site)
            continue
        if move.verb == "alloc":
            found = memory.allocate(block, int(given[1][number]), site, lane)
        else:
            found = memory.release(block, int(given[0][number]), int(given[1][number])) or 0
        if isinstance(found, str):
            batch.fail_lane(site, lane, found)
        starts[number] = found
    if move.verb == "alloc":
        batch.lanes, batch.count = lanes, len(lanes)
        where = at_generic(batch, given[0]) if move.generic else at_shared(batch, given[0])
        place = of_one_space(where, site, "tcgen05.alloc writes to shared memory of the block alone:")
        if place.space != "shared":
            batch.fail(site, 0, "tcgen05.alloc writes to shared memory of the block alone:")
        place.store(0, "u32", 4, site, starts)


def _cells(batch: Batch, move: TensorMove, slots: Array, addresses: Array, site: int) -> tuple[Array, Array, Array]:
    """Block, column and lane of what each register of each thread means: (warp, register, thread).

    A lane below 32 counts from where the warp's own part begins.
    """
    name = f"tcgen05.{move.verb}.{move.shape}"
    parts = (slots[::32] >> 5) % batch.grid.warps % _PARTS
    lanes, columns = (addresses >> np.uint32(16)).astype(np.int64), (addresses & _HALF).astype(np.int64)
    high = SHAPES[move.shape][1]
    wrong = (lanes % high != 0) | ((lanes >= PART) & (lanes // PART != parts))
    if wrong.any():
        warp = int(np.argmax(wrong))
        first, part = int(parts[warp]) * PART, int(parts[warp])
        steps = " or ".join(f"{first + step} ({step})" for step in range(0, PART, high))
        what = f"{name} at lane {int(lanes[warp])} by warp {part} of a warpgroup: legal is lane {steps}"
        batch.fail(site, 32 * warp, what)
    blocks = _blocks(batch)
    reached = columns[:, None] + columns_of(move)
    bad = batch.tensors().missing(blocks, reached)
    if bad is not None:
        span = f"{int(reached[bad].min())} to {int(reached[bad].max())}"
        batch.fail(site, 32 * bad, f"{name} of columns {span}, which are not all allocated (tcgen05.alloc):")
    cells = cells_of(move)
    own = parts * PART + lanes % PART
    return blocks[:, None, None], columns[:, None, None] + cells.columns, own[:, None, None] + cells.lanes


def _blocks(batch: Batch) -> Array:
    """The place in the batch of the block of each warp."""
    of_lanes = batch.block_slot if batch.lanes is None else batch.block_slot[batch.lanes]
    return np.asarray(of_lanes[::32])


def _load(batch: Batch, move: TensorMove, slots: Array, addresses: Array, site: int) -> list[Array]:
    block, column, lane = _cells(batch, move, slots, addresses, site)
    cells = batch.tensors().cells
    found = cells[block, column, lane]
    if move.packed:
        found = (found & _HALF) | cells[block, column + 1, lane] << np.uint32(16)
    return [np.ascontiguousarray(found[:, number]).reshape(-1) for number in range(move.registers)]


def _store(batch: Batch, move: TensorMove, slots: Array, addresses: Array, values: list[Array], site: int) -> None:
    block, column, lane = _cells(batch, move, slots, addresses, site)
    cells = batch.tensors().cells
    words = np.stack(values, axis=1)
    if move.packed:
        cells[block, column, lane] = words & _HALF
        cells[block, column + 1, lane] = words >> np.uint32(16)
    else:
        cells[block, column, lane] = words


def expect_freed(batch: Batch, blocks: Array) -> None:
    """Stop a launch in which one of these blocks, whose threads have all ended, has tensor memory left.

    Raises:
        CpuFault: there is one.
    """
    memory = batch.tensors()
    for block in blocks.tolist():
        held = memory.held(block)
        if held is not None:
            what = f"{held.columns} columns of tensor memory that tcgen05.dealloc never frees, allocated here"
            batch.fail_lane(held.site, held.lane, what)
