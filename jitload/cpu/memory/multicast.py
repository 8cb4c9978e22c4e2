"""Copies to several thread blocks of a cluster: to one place in the shared memory of each (PTX ISA section 9.7.9.25).

The mbarrier at the same place in each of these blocks is told.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.memory.cluster import cluster_address, in_window, rank_of_address
from jitload.cpu.memory.copies import copy_bulk
from jitload.cpu.memory.generic import at_cluster, at_global
from jitload.cpu.memory.mbarrier import mbarrier_arrive, mbarrier_transact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jitload.cpu.memory.access import RunningLanes
    from jitload.cpu.types import Array, Lanes

#: The blocks of even rank, as bits.
_FIRST_OF_PAIRS = 0x5555


@contextmanager
def as_lanes(batch: RunningLanes, positions: Array) -> Iterator[None]:
    """Let the current lanes be those at positions, which may be there several times."""
    lanes, count = batch.lanes, batch.count
    batch.lanes, batch.count = (positions if lanes is None else lanes[positions]), len(positions)
    try:
        yield
    finally:
        batch.lanes, batch.count = lanes, count


def destinations(batch: RunningLanes, address: Lanes, mask: Lanes | None, site: int) -> Iterator[tuple[Array, Array]]:
    """For each block that copies go to: the positions of the lanes that copy there, and each lane's address there.

    Args:
        batch: whose lanes these are.
        address: shared addresses, as u64.
        mask: the ranks of the blocks, as bits; None for the block that the address names.
        site: of the instruction.
    """
    addresses = np.broadcast_to(address, (batch.count,))
    if mask is None:
        yield np.arange(batch.count), addresses
        return
    masks = np.broadcast_to(mask, (batch.count,))
    bad = np.flatnonzero(masks >> batch.cluster_blocks)
    if len(bad):
        many = f"{batch.cluster_blocks} blocks" if batch.cluster_blocks > 1 else "one block"
        what = f"a copy to the blocks {int(masks[bad[0]]):#x}, as bits, of a cluster that has {many}"
        batch.fail(site, int(bad[0]), what)
    for rank in range(batch.cluster_blocks):
        lanes = np.flatnonzero(masks >> rank & 1)
        if len(lanes):
            yield lanes, cluster_address(batch, addresses, np.uint32(rank), False, site)


def copy_multicast(
    batch: RunningLanes, target: Lanes, source: Lanes, size: Lanes, mask: Lanes, barrier: Lanes, site: int
) -> None:
    """`cp.async.bulk` with `.multicast::cluster`: `size` bytes per lane."""
    sizes, sources = np.broadcast_to(size, (batch.count,)), np.broadcast_to(source, (batch.count,))
    for lanes, places in destinations(batch, target, mask, site):
        with as_lanes(batch, lanes):
            into, out = at_cluster(batch, places[lanes]), at_global(batch, sources[lanes])
            copy_bulk(batch, into, 0, out, 0, sizes[lanes], site)
    complete_multicast(batch, barrier, mask, sizes, site)


def answer_all(batch: RunningLanes, target: Lanes, barrier: Lanes, site: int) -> None:
    """16 bytes of zeros for every block of the cluster, of which the mbarrier at the same place there is told."""
    everyone = np.full(batch.count, (1 << batch.cluster_blocks) - 1, np.uint32)
    for lanes, places in destinations(batch, target, everyone, site):
        with as_lanes(batch, lanes):
            at_cluster(batch, places[lanes]).store_vector(0, "u64", 8, site, [np.uint64(0)] * 2)
    complete_multicast(batch, barrier, everyone, np.full(batch.count, 16, np.uint32), site)


def complete_in_pairs(batch: RunningLanes, barrier: Lanes, mask: Lanes, size: Lanes, site: int) -> None:
    """`.cta_group::2`: what comes to a block tells that one of its pair that is even or odd as `barrier`'s is."""
    masks = np.broadcast_to(mask, (batch.count,)).astype(np.uint32)
    odd = np.broadcast_to(rank_of_address(batch, barrier, False, site), (batch.count,)).astype(np.uint32) & np.uint32(1)
    for half in (np.uint32(0), np.uint32(1)):
        complete_multicast(batch, barrier, (masks >> half & np.uint32(_FIRST_OF_PAIRS)) << odd, size, site)


def complete_multicast(batch: RunningLanes, barrier: Lanes, mask: Lanes, size: Lanes, site: int) -> None:
    """Tell the mbarriers of the blocks that `size` bytes per lane have come."""
    for lanes, places in destinations(batch, barrier, mask, site):
        with as_lanes(batch, lanes):
            mbarrier_transact(batch, at_cluster(batch, places[lanes]), 0, site, size[lanes], -1)


def arrive_multicast(batch: RunningLanes, barrier: Lanes, mask: Lanes, site: int, *, generic: bool) -> None:
    """`tcgen05.commit` with `.multicast::cluster`: an arrival at the mbarrier of each of the blocks."""
    for lanes, places in destinations(batch, in_window(batch, barrier, generic, site), mask, site):
        with as_lanes(batch, lanes):
            mbarrier_arrive(batch, at_cluster(batch, places[lanes]), 0, site, np.uint32(1), False)
