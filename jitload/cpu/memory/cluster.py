"""Shared memory of the thread blocks of a cluster: what its addresses mean (PTX ISA section 5.1.7).

A shared address has 32 bits: the lower 24 say where in a block's shared memory, those above whose. 0 is the block that
uses the address, n + 1 the one of rank n in its cluster, so what `mapa` gives means the same to every block there. A
generic address is the same in the window of shared memory. An index may lead a little below a block's first byte: the
upper half of the 24 bits stands below zero.

All blocks of a cluster run in one batch, side by side, so the memory of another is another slab of the same buffer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.memory.access import SlabAddresses
from jitload.cpu.memory.arena import SHARED_WINDOW, WINDOW_BYTES

if TYPE_CHECKING:
    from jitload.cpu.memory.access import RunningLanes
    from jitload.cpu.memory.slab import Slab
    from jitload.cpu.types import Array, Lanes

_RANK_BITS = 24
#: Where the addresses of the block itself end; below it they need no second look.
OWN_BYTES = 1 << (_RANK_BITS - 1)
_PLACE = np.uint64((1 << _RANK_BITS) - 1)


def cluster_address(batch: RunningLanes, address: Lanes, rank: Lanes, generic: bool, site: int) -> Lanes:
    """`mapa`: the address of the same place in the shared memory of the block of a rank, in the type of `address`.

    Args:
        batch: whose lanes these are.
        address: u32 or u64 per lane, or a scalar; of any block of the cluster.
        rank: u32.
        generic: whether `address` is generic, and not one in shared memory.
        site: the instruction.
    """
    count = batch.cluster_blocks
    bad = np.flatnonzero(rank >= count)
    if len(bad):
        number, many = int(np.atleast_1d(rank)[bad[0]]), f"{count} blocks" if count > 1 else "one block"
        batch.fail(site, int(bad[0]), f"thread block {number} of a cluster that has {many}")
    wide = in_window(batch, address, generic, site)
    # Alone a block has no other address than its own.
    whose = np.uint64(0) if count == 1 else (rank.astype(np.uint64) + np.uint64(1)) << np.uint64(_RANK_BITS)
    found = (wide & _PLACE) + whose + np.uint64(SHARED_WINDOW if generic else 0)
    return found.astype(address.dtype)


def rank_of_address(batch: RunningLanes, address: Lanes, generic: bool, site: int) -> Lanes:
    """`getctarank`: the rank in the cluster of the block in whose shared memory an address lies."""
    wide = np.atleast_1d(in_window(batch, address, generic, site)).astype(np.int64)
    whose, _ = _split(wide)
    bad = np.flatnonzero((whose < 0) | (whose > batch.cluster_blocks))
    if len(bad):
        batch.fail(site, int(bad[0]), f"{int(wide[bad[0]]):#x} is no shared memory of this cluster:")
    own = _own_slots(batch, None) % batch.cluster_blocks
    found = np.where(whose == 0, own, whose - 1).astype(np.uint32)
    return found if len(found) > 1 else found[0]


def is_own(batch: RunningLanes, offsets: Lanes) -> Lanes:
    """Whether shared addresses lie in the shared memory of each lane's own block; u64, perhaps beyond it."""
    whose, _ = _split(offsets.astype(np.int64))
    return (whose == 0) | (whose == _own_slots(batch, None) % batch.cluster_blocks + 1)


def in_window(batch: RunningLanes, address: Lanes, generic: bool, site: int) -> Lanes:
    """Shared addresses as u64."""
    wide = address.astype(np.uint64)
    if not generic:
        return wide
    wide = wide - np.uint64(SHARED_WINDOW)
    bad = np.flatnonzero(wide >= np.uint64(WINDOW_BYTES))
    if len(bad):
        number = int(np.atleast_1d(address)[bad[0]])
        batch.fail(site, int(bad[0]), f"{number:#x} is no address of shared memory:", number)
    return wide


def _split(offsets: Lanes) -> tuple[Lanes, Lanes]:
    """(whose, place there) of shared addresses."""
    whose = (offsets + OWN_BYTES) >> _RANK_BITS
    return whose, offsets - (whose << _RANK_BITS)


def _own_slots(batch: RunningLanes, positions: Array | None) -> Array:
    """The places in the batch of the blocks of lanes."""
    slots = batch.block_slot if batch.lanes is None else batch.block_slot[batch.lanes]
    return slots if positions is None else slots[positions]


class ClusterAddresses(SlabAddresses):
    """Shared addresses of which some may lie in other blocks of the cluster.

    Args:
        batch: whose lanes these are.
        offsets: per lane, the place in the shared memory of its target.
        slots: per lane, the place in the batch of the block whose memory is meant.
        positions: which of the current lanes these are, or None for all.

    Attributes:
        slots: as given.
        others: whether any lane means another block than its own.
    """

    __slots__ = ("_first", "_places", "_targets", "others", "slots")

    def __init__(self, batch: RunningLanes, offsets: Array, slots: Array, positions: Array | None = None) -> None:
        super().__init__(batch, batch.shared, offsets, slots * batch.shared.stride, positions)
        self.slots = slots
        self._places = offsets
        foreign = np.flatnonzero(slots != _own_slots(batch, positions))
        self.others = bool(len(foreign))
        self._targets, first = np.unique(slots[foreign], return_index=True)
        self._first = foreign[first]

    def check(self, offset: int, size: int, site: int, write: bool = False) -> None:
        """Check against the size of a block's shared memory, and that the blocks are still there."""
        super().check(offset, size, site, write)
        if self.others:
            first = self._first if self.positions is None else self.positions[self._first]
            self.batch.uses_others(self._targets, first, site)

    def part(self, chosen: Array) -> SlabAddresses:
        """The addresses of some of the current lanes."""
        return self.batch.cluster_addresses(self._places[chosen], self.slots[chosen], chosen)

    def fail(self, position: int, offset: int, size: int, site: int, what: str) -> None:
        """Raise the fault of the lane at `position`, and say whose memory it is."""
        lane = position if self.positions is None else int(self.positions[position])
        where = f"of {size} bytes at shared address {offset % (1 << 32):#x}"
        whose, _ = _split(np.array([offset]))
        nearest = self.describe_nearest(offset, size)
        if 0 < whose[0] <= self.batch.cluster_blocks:
            nearest = (
                f"the thread block of rank {int(whose[0]) - 1} in the cluster, whose shared memory .shared::cluster "
                f"and generic addresses reach; .shared is the block's own"
            )
        elif self.others:
            owner = self.batch.block_at(int(self.slots[position]))
            what, nearest = f"{what} of the shared memory of block {owner}", f"{nearest}, in block {owner}"
        self.batch.fail(site, lane, f"{what}: access {where}", offset % (1 << 32), nearest)


def in_cluster(
    batch: RunningLanes, slab: Slab, offsets: Array | int, slabs: Array | int, positions: Array | None, own: bool
) -> SlabAddresses:
    """Shared addresses of the lanes, each with the block that it names.

    Args:
        batch: whose lanes these are.
        slab: shared memory.
        offsets: the addresses, with a sign.
        slabs: where the shared memory of each lane's own block starts.
        positions: which of the current lanes these are, or None for all.
        own: whether only the lane's own block may be meant.
    """
    found = batch.slab_addresses(batch, slab, offsets, slabs, positions)
    if found.lo >= -OWN_BYTES and found.hi < OWN_BYTES:
        return found
    mine = _own_slots(batch, positions)
    addresses = np.broadcast_to(offsets, mine.shape)
    whose, places = _split(addresses)
    first = mine - mine % batch.cluster_blocks
    slots = np.where(whose == 0, mine, first + whose - 1)
    bad = (whose < 0) | (whose > batch.cluster_blocks)
    if own:
        bad |= slots != mine
    if bad.any():  # what lies nowhere is left as it is: far out of bounds
        slots, places = np.where(bad, mine, slots), np.where(bad, addresses, places)
    return batch.cluster_addresses(places, slots, positions)
