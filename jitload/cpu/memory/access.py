"""Addresses of many lanes at once, in one state space, checked before anything is touched.

A kernel uses one address register with several constant offsets. So the smallest and the largest address, and the OR
of all of them, are found once per register; each access then checks three integers, and its gather is one NumPy call
on a view of the memory that starts at the offset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Protocol

import numpy as np

from jitload.cpu.memory.arena import ARENA_WINDOW, NULL_PAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cpu.memory.arena import Allocation, Arena
    from jitload.cpu.memory.slab import Slab
    from jitload.cpu.memory.tensor_memory import TensorMemory
    from jitload.cpu.types import Array, Lanes
    from jitload.launch.device import Dim3


class RunningLanes(Protocol):
    """What memory must know of the lanes that use it; a `Batch` is that.

    Attributes:
        lanes_total: how many lanes there are.
        lanes: the numbers of those that run now; None for all of them.
        count: how many run now.
        slots: of every lane, 32 times its warp plus its place in the warp.
        block_slot: of every lane, the place of its thread block in the batch.
        cluster_blocks: thread blocks per cluster; those of one stand side by side in the batch, in the order of ranks.
        arena: global memory.
        last_used: the allocation of it that was used last.
        unmet: tests of mbarriers that failed, by site: the last lane, and the object.
        altered: whether memory may have been changed by an atomic since this was last set to False.
        held: the last atomic that found `altered` False and changed nothing: site, addresses, offset, lanes.
        shared: the shared memory of every thread block.
        local: the local memory of every lane.
        params: the parameter block.
        watched: whether accesses are reported.
        global_addresses: the class of addresses in the arena, and `slab_addresses` in the other spaces.
    """

    lanes_total: int
    lanes: Array | None
    count: int
    slots: Array
    block_slot: Array
    cluster_blocks: int
    arena: Arena
    last_used: Allocation
    unmet: dict[int, tuple[int, int]]
    altered: bool
    held: tuple[int, Addresses, int, Array | None] | None
    shared: Slab
    local: Slab
    params: Slab
    watched: bool
    global_addresses: type[GlobalAddresses]
    slab_addresses: type[SlabAddresses]

    def tensors(self) -> TensorMemory:
        """The tensor memory of every thread block."""

    def lane_slabs(self, space: str) -> Array | int:
        """Where the current lanes' slabs start."""

    def slab_strides(self, slab: Slab) -> tuple[int, ...]:
        """What each coordinate adds to where a lane's slab starts."""

    def block_at(self, slot: int) -> Dim3:
        """The coordinates in the grid of the block at a place in the batch."""

    def cluster_addresses(self, offsets: Array, slots: Array, positions: Array | None) -> SlabAddresses:
        """Shared addresses of the lanes, in blocks of their clusters.

        Args:
            offsets: per lane, the place in the shared memory of a block.
            slots: per lane, the place of that block in the batch.
            positions: which of the current lanes these are, or None for all.
        """

    def uses_others(self, targets: Array, positions: Array, site: int) -> None:
        """Lanes access shared memory of other blocks.

        Args:
            targets: places in the batch of those blocks.
            positions: of one lane each, among the current ones, that uses it.
            site: the instruction.
        """

    def report(
        self, addresses: Addresses, offset: int, nbytes: int, site: int, how: str, values: Sequence[Lanes] = ()
    ) -> None:
        """Tell whoever watches of an access."""

    def fail(
        self, site: int, position: int, what: str, address: int | None = None, nearest: str | None = None
    ) -> NoReturn:
        """Stop the kernel because of one of the current lanes."""

    def fail_lane(
        self, site: int, lane: int, what: str, address: int | None = None, nearest: str | None = None
    ) -> NoReturn:
        """Stop the kernel because of a lane."""


class Addresses:
    """The addresses that the current lanes hold in one register, as offsets into one state space.

    Args:
        batch: whose lanes these are.
        offsets: int64 per lane, or an int when all lanes agree.
        slabs: what to add per lane to get from its own space to the buffer (0 for the arena).
        positions: which of the current lanes these are, or None for all.
    """

    __slots__ = ("_indices", "batch", "bits", "hi", "lo", "offsets", "positions", "slabs")
    space: str
    window: int
    #: What `views` leave out before their first byte; known once an access was checked.
    origin = 0

    def __init__(
        self, batch: RunningLanes, offsets: Array | int, slabs: Array | int, positions: Array | None = None
    ) -> None:
        self.batch = batch
        self.offsets = offsets
        self.slabs = slabs
        self.positions = positions
        self._indices: dict[int, Array | int] = {}
        if isinstance(offsets, int):
            self.lo = self.hi = self.bits = offsets
        else:
            self.lo = int(offsets.min())
            self.hi = int(offsets.max())
            self.bits = int(np.bitwise_or.reduce(offsets))

    @property
    def views(self) -> dict[str, Array]:
        """The buffer behind the space, as an array of each representation."""
        raise NotImplementedError

    def check(self, offset: int, size: int, site: int, write: bool = False) -> None:
        """Check an access of `size` bytes at `offset` from every address; `views` are for it until the next.

        Raises:
            CpuFault: a lane's access is out of bounds or misaligned.
        """
        raise NotImplementedError

    def locate(self, offset: int, size: int, site: int, write: bool = False) -> tuple[int, Array | int]:
        """Check, and give (start, index) so that element `start + index` of a view of that element size is meant."""
        if (self.bits | offset) & (size - 1) or self.lo < 0:
            return self._locate_by_sum(offset, size, site, write)
        self.check(offset, size, site, write)
        origin = self.origin
        if self.lo < origin:
            return self._locate_by_sum(offset, size, site, write)
        shift = size.bit_length() - 1
        index = self._indices.get(origin | shift)  # allocations start at multiples of more than any shift
        if index is None:
            sums: Array | int = self.offsets - origin if origin else self.offsets + self.slabs
            index = self._indices[origin | shift] = sums >> shift
        return offset >> shift, index

    def load(self, offset: int, rep: str, size: int, site: int) -> Lanes:
        """What the lanes read; a scalar when they all read one place."""
        start, index = self.locate(offset, size, site)
        view = self.views[rep]
        if isinstance(index, int):
            return view[start + index]
        return view[start:].take(index) if start >= 0 else view.take(index + start)

    def store(self, offset: int, rep: str, size: int, site: int, value: Lanes) -> None:
        """Write a value per lane; where lanes meet in one place the last lane wins."""
        start, index = self.locate(offset, size, site, write=True)
        view = self.views[rep]
        if isinstance(index, int):
            view[start + index] = value[-1] if value.ndim else value
        elif start >= 0:
            view[start:][index] = value
        else:
            view[index + start] = value

    def load_vector(self, offset: int, rep: str, size: int, count: int, site: int) -> Sequence[Lanes]:
        """`count` elements per lane (PTX ISA section 9.7.9.8: the whole vector must be aligned)."""
        start, index = self.locate(offset, size * count, site)
        rows = _rows(self.views[rep], count)
        if isinstance(index, int):
            return list(rows[start + index])
        return list(np.ascontiguousarray(rows.take(index + start, axis=0).T))

    def store_vector(self, offset: int, rep: str, size: int, site: int, values: Sequence[Lanes]) -> None:
        """Write a vector per lane."""
        start, index = self.locate(offset, size * len(values), site, write=True)
        rows = _rows(self.views[rep], len(values))
        if isinstance(index, int):
            rows[start + index] = [value[-1] if value.ndim else value for value in values]
            return
        stacked = np.empty((len(index), len(values)), rows.dtype)
        for column, value in enumerate(values):
            stacked[:, column] = value
        rows[index + start] = stacked

    def elements(self, offset: int, rep: str, size: int, site: int) -> tuple[Array, Array]:
        """(view, index per lane) for a read-modify-write."""
        start, index = self.locate(offset, size, site, write=True)
        count = self.batch.count if self.positions is None else len(self.positions)
        indices = np.full(count, start + index) if isinstance(index, int) else index + start
        return self.views[rep], indices

    def _locate_by_sum(self, offset: int, size: int, site: int, write: bool) -> tuple[int, Array | int]:
        """Base or offset is misaligned or below zero alone; what counts is the sum."""
        sums: Array | int = self.offsets + offset
        bad = np.flatnonzero(np.atleast_1d(np.asarray(sums)) & (size - 1))
        if len(bad):
            address = int(np.atleast_1d(np.asarray(sums))[bad[0]])
            self.fail(int(bad[0]), address, size, site, "misaligned")
        self.check(offset, size, site, write)
        places: Array | int = sums - self.origin if self.origin else sums + self.slabs
        return 0, places >> (size.bit_length() - 1)

    def fail(self, position: int, offset: int, size: int, site: int, what: str) -> None:
        """Raise the fault of the lane at `position`."""
        if self.positions is not None:
            position = int(self.positions[position])
        address = (offset + self.window) % (1 << (32 if self.window == 0 else 64))
        where = f"of {size} bytes at {self.space} address {address:#x}"
        self.batch.fail(site, position, f"{what}: access {where}", address, self.describe_nearest(offset, size))

    def describe_nearest(self, offset: int, size: int) -> str | None:
        """The allocation nearest to a bad access."""
        raise NotImplementedError


class GlobalAddresses(Addresses):
    """Addresses in the arena."""

    __slots__ = ("origin", "views")
    space = "global"
    window = ARENA_WINDOW

    views: dict[str, Array]
    origin: int

    def check(self, offset: int, size: int, site: int, write: bool = False) -> None:
        """Check against the allocation that was used last, then against the one below, then lane by lane."""
        lo, hi = self.lo + offset, self.hi + offset + size
        batch = self.batch
        last = batch.last_used
        if lo < last.start or last.end < hi:
            found = batch.arena.find(lo)
            if found is None or lo < found.start or found.end < hi:
                self._check_lanes(offset, size, site)
                self.views, self.origin = batch.arena.views, 0
                return
            last = batch.last_used = found
        if write and last.guest is not None and not last.guest.written:
            batch.arena.move_in(last)
        self.views, self.origin = last.views, last.origin

    def _check_lanes(self, offset: int, size: int, site: int) -> None:
        """Check lanes that reach several allocations; all of them lie in the arena then."""
        arena = self.batch.arena
        offsets = np.atleast_1d(np.asarray(self.offsets)).astype(np.int64) + offset
        bounds = arena.bounds()
        holding = bounds.holding(offsets, size)
        bad = np.flatnonzero(holding < 0)
        if len(bad):
            bad_offset = int(offsets[bad[0]])
            null = 0 <= bad_offset + ARENA_WINDOW < NULL_PAGE_BYTES
            outside = "out of bounds" if arena.freed(bad_offset) is None else "use after free, out of bounds"
            self.fail(int(bad[0]), bad_offset, size, site, "null pointer" if null else outside)
        if bounds.guests.any():
            for number in np.unique(holding[bounds.guests[holding]]).tolist():
                found = arena.find(int(bounds.starts[number]))
                if found is not None:
                    arena.move_in(found)

    def describe_nearest(self, offset: int, size: int) -> str | None:
        """The closest allocation of the arena."""
        return self.batch.arena.nearest(offset, size)


class SlabAddresses(Addresses):
    """Addresses in a space of which each lane, each thread block or the launch has its own slab."""

    __slots__ = ("slab", "space", "window")

    def __init__(
        self, batch: RunningLanes, slab: Slab, offsets: Array | int, slabs: Array | int, positions: Array | None = None
    ) -> None:
        super().__init__(batch, offsets, slabs, positions)
        self.slab = slab
        self.space = slab.space
        self.window = 0

    @property
    def views(self) -> dict[str, Array]:
        """The slabs, one after the other."""
        return self.slab.views

    def check(self, offset: int, size: int, site: int, write: bool = False) -> None:  # noqa: ARG002
        """Check against the size of one slab."""
        limit = self.slab.nbytes
        if self.lo + offset < 0 or self.hi + offset + size > limit:
            offsets = np.atleast_1d(np.asarray(self.offsets)) + offset
            bad = np.flatnonzero((offsets < 0) | (offsets + size > limit))
            self.fail(int(bad[0]), int(offsets[bad[0]]), size, site, "out of bounds")

    def describe_nearest(self, offset: int, size: int) -> str | None:
        """The variable that lies there, or the size of the slab."""
        return self.slab.describe(offset, size)


def _rows(view: Array, count: int) -> Array:
    """A view as vectors of `count` elements; what is left over at its end is none, and no aligned access reaches it."""
    return view[: len(view) // count * count].reshape(-1, count)


def lanes_of(addresses: Addresses) -> Array:
    """The lanes that addresses belong to, one per address (all current lanes where the addresses are one int)."""
    batch = addresses.batch
    lanes = np.arange(batch.lanes_total) if batch.lanes is None else batch.lanes
    return lanes if addresses.positions is None else lanes[addresses.positions]
