"""Who takes part in a warp operation, and who should: what the ISA leaves undefined is a fault (PTX ISA 9.7.9, 9.7.13).

A thread names itself in its member mask, and threads that name each other name the same mask. It may also name threads
that left, or that a partial warp never had. What a shuffle brings from outside the mask is no more than a value that is
undefined, see `undefined`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.lanes.integers import population

if TYPE_CHECKING:
    from jitload.cpu.code.block_code import MeetingCode
    from jitload.cpu.run.batch import Batch
    from jitload.cpu.types import Array, Lanes

_FULL_WARP = np.uint32(0xFFFFFFFF)
_ONE = np.uint32(1)


def one_mask(masks: Lanes) -> Lanes:
    """Member masks as a scalar where all lanes have the same."""
    return masks[0] if masks.ndim and (masks == masks[0]).all() else masks


def is_full(masks: Lanes) -> bool:
    """Whether every mask names the whole warp."""
    return not masks.ndim and masks == _FULL_WARP


def check_own_bits(batch: Batch, code: MeetingCode, slots: Array, masks: Lanes) -> None:
    """Fail for a lane whose member mask leaves itself out; `slots` are those of the lanes that run now.

    Raises:
        CpuFault: there is one.
    """
    outside = (masks >> (slots & 31).astype(np.uint32)) & _ONE == 0
    if outside.any():
        position = int(np.argmax(outside))
        mask = int(masks[position] if masks.ndim else masks)
        batch.fail(code.site, position, f"the thread is not in the member mask {mask:#010x} that it gives:")


def agree(batch: Batch, slots: Array, masks: Lanes) -> bool:
    """Whether all live threads that the lanes of whole warps name have the same mask as who names them."""
    named = masks & batch.live_bits[slots >> 5]
    lowest = named & (~named + _ONE)
    leaders = (slots & ~31) + np.frexp(lowest.astype(np.float64))[1] - 1
    table = np.zeros(batch.slot_count, np.uint32)
    table[slots] = named
    members = np.bincount(leaders, minlength=batch.slot_count)
    return bool((table[leaders] == named).all() and (members[leaders] == population(named)).all())
