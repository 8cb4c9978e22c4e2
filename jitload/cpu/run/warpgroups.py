"""Where the four warps of a warpgroup meet for a product, `wgmma.mma_async` (PTX ISA section 9.7.15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.lanes.integers import population
from jitload.cpu.lanes.warpgroup import WARPGROUP
from jitload.cpu.memory.warpgroup import multiply_groups

if TYPE_CHECKING:
    from jitload.cpu.lanes.warpgroup import GroupProduct
    from jitload.cpu.run.batch import Batch
    from jitload.cpu.types import Array, Lanes

_WARPS = WARPGROUP // 32


def group_arrived(batch: Batch, slots: Array) -> Array:
    """Per lane, whether every live thread of its warpgroup, four warps of a block in a row, is among these lanes."""
    warps = np.arange(len(batch.live_bits))
    per_block = -(-batch.grid.warps // _WARPS)
    groups = warps // batch.grid.warps * per_block + warps % batch.grid.warps // _WARPS
    living = np.bincount(groups, population(batch.live_bits))
    mine = groups[slots >> 5]
    return np.asarray((np.bincount(mine, minlength=len(living)) == living)[mine])


def multiply_in_groups(
    batch: Batch,
    product: GroupProduct,
    lanes: Array | None,
    values: list[Lanes],
    sites: Array | int,
) -> list[Lanes]:
    """Carry a product out for all that have come; what it reads of shared memory is read by these lanes.

    Args:
        batch: whose lanes these are.
        product: the instruction.
        lanes: the lanes in order, None for all of the batch.
        values: its operands, per lane.
        sites: where each lane stands.
    """
    slots = batch.slots if lanes is None else batch.slots[lanes]
    batch.lanes, batch.count = lanes, len(slots)
    everywhere = np.broadcast_to(sites, slots.shape)
    first = int(everywhere[0])
    found = slots % (batch.grid.warps * 32) & (WARPGROUP - 1)
    if len(slots) % WARPGROUP or (found.reshape(-1, WARPGROUP) != np.arange(WARPGROUP)).any():
        batch.fail(first, 0, "a product of a warpgroup without all 128 threads of it")
    odd = everywhere.reshape(-1, WARPGROUP) != everywhere[::WARPGROUP, None]
    if odd.any():
        position = int(np.argmax(odd))
        what = "the warps of a warpgroup come to different instructions for a product, this one"
        batch.fail(int(everywhere[position]), position, what)
    values = [np.ascontiguousarray(np.broadcast_to(one, slots.shape)) for one in values]
    return [*multiply_groups(batch, product, values, first)]
