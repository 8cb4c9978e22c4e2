"""Races: two accesses of the same bytes by different threads, one of them a plain write, and nothing orders them.

Each word of shared and global memory and of surfaces remembers its last writer and two of its last readers, each as one
number: the event (an instruction that some lanes executed), the lane, and which of the four bytes. An access is
compared with what its words remember, so of three threads that race with each other two are named.

Not reported: what only atomic, volatile or otherwise strong accesses do; a store that writes what is there already, or
what another lane of the same instruction writes (several threads that set one flag); and in global memory a plain read
beside strong writes, the first look of many a correct algorithm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from jitload.cpu.checks.order import Order, Strength, strength_of
from jitload.cpu.checks.shadow import Shadow, byte_positions, writes_what_is_there
from jitload.cpu.faults import describe_place, run_fault
from jitload.cpu.lanes.warp import shuffle_sources
from jitload.cpu.memory.access import lanes_of
from jitload.cpu.memory.arena import ARENA_WINDOW
from jitload.cpu.memory.cluster import ClusterAddresses
from jitload.cpu.memory.surfaces import SurfaceAddresses
from jitload.cpu.run.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jitload.cpu.code.block_code import BlockCode, MeetingCode
    from jitload.cpu.memory.access import Addresses
    from jitload.cpu.memory.texels import Texels
    from jitload.cpu.run.batch import Batch
    from jitload.cpu.run.frame import Frame
    from jitload.cpu.run.grid import Grid
    from jitload.cpu.types import Array, Lanes

_MASK_BITS = 4
_EVENT_SHIFT = 24
_LANE_MASK = (1 << (_EVENT_SHIFT - _MASK_BITS)) - 1
_RECORDS = dict.fromkeys(("writer", "reader", "other_reader", "released"), np.int64)
_VERBS = {"load": "reads", "store": "writes", "atomic": "updates"}


class _Events:
    """Instructions that some lanes executed, by number; 0 is none."""

    def __init__(self) -> None:
        self.count = 1
        self.times = np.zeros(1024, np.int64)
        self.sites = np.zeros(1024, np.int64)
        self.first_blocks = np.full(1024, -1)
        self.strong = np.zeros(1024, np.bool_)
        self.how = np.zeros(1024, np.int8)

    def add(self, time: int, site: int, first_block: int, strong: bool, how: str) -> int:
        """The number of a new event."""
        number = self.count
        if number == len(self.times):
            for name in ("times", "sites", "first_blocks", "strong", "how"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.zeros_like(old)]))
        self.times[number], self.sites[number], self.first_blocks[number] = time, site, first_block
        self.strong[number], self.how[number] = strong, list(_VERBS).index(how)
        self.count += 1
        return number


class _Access:
    """One access of some lanes, as it is compared and recorded; see `Observer.accessed`."""

    def __init__(
        self, batch: Batch, addresses: Addresses, offset: int, nbytes: int, site: int, how: str, strong: bool
    ) -> None:
        self.batch = batch
        self.addresses = addresses
        self.offset = offset
        self.nbytes = nbytes
        self.site = site
        self.how = how
        self.strong = strong
        self.lanes = lanes_of(addresses)
        self.shared = addresses.space == "shared"
        places = byte_positions(addresses, offset)
        if isinstance(places, int):
            if how == "load":  # for whoever writes later, the first and the last reader are enough
                self.lanes = self.lanes[[0, -1]] if len(self.lanes) > 1 else self.lanes
            places = np.full(len(self.lanes), places)
        self.places = places

    def columns(self) -> Iterator[tuple[Array, Array | int]]:
        """(word per lane, the bytes of it as bits) for each word that a lane touches."""
        first = self.places >> 2
        if self.nbytes >= 4:
            for number in range(self.nbytes // 4):
                yield first + number, 15
        else:
            yield first, np.left_shift((1 << self.nbytes) - 1, self.places & 3)


class RaceCheck(Observer):
    """Finds races within one launch."""

    def __init__(self) -> None:
        self._order = Order()
        self._events = _Events()
        self._strengths: dict[int, Strength] = {}
        self._fences: dict[BlockCode, list[int]] = {}
        self._due: list[int] = []
        self._running: tuple[Batch, Array | None] | None = None
        self._shared: WeakKeyDictionary[Batch, Shadow] = WeakKeyDictionary()
        self._global = Shadow(_RECORDS, 0)
        self._surfaces: WeakKeyDictionary[Texels, Shadow] = WeakKeyDictionary()

    def launched(self, grid: Grid) -> None:
        """A launch begins."""
        self._strengths = {site: strength_of(place) for site, place in enumerate(grid.code.places)}
        self._global = Shadow(_RECORDS, grid.arena.extent // 4)
        self._surfaces.clear()

    def runs(self, batch: Batch, frame: Frame, block: BlockCode, lanes: Array | None) -> None:  # noqa: ARG002
        """Lanes are about to run a basic block: its fences take effect between the accesses around them."""
        self._pass_fences()
        fences = self._fences.get(block)
        if fences is None:
            fences = self._fences[block] = [site for site in block.sites if self._strengths[site].fence]
        self._due = list(fences)
        self._running = batch, lanes

    def _pass_fences(self, site: int | None = None) -> None:
        """Execute the fences of the running block, up to a site."""
        while self._due and (site is None or self._due[0] < site):
            del self._due[0]
            assert self._running is not None
            self._order.fence(*self._running)

    def released(self, batch: Batch, lanes: Array | None) -> None:
        """A barrier of thread blocks lets these lanes go."""
        self._pass_fences()
        self._order.release(batch, lanes)

    def gathered(self, batch: Batch, code: MeetingCode, lanes: Array) -> None:
        """Lanes arrive at the barrier of their cluster, or go on."""
        self._pass_fences()
        relaxed = code.name.endswith("relaxed")
        self._order.gather(batch, lanes, arrive=code.name.startswith("arrive"), fenced=relaxed)

    def met(self, batch: Batch, code: MeetingCode, lanes: Array | None, masks: Lanes, values: Sequence[Lanes]) -> None:
        """Of all warp operations only `__syncwarp` orders memory; what others bring was read before."""
        if code.name == "sync":
            self._pass_fences()
            self._order.meet(batch, lanes)
        elif code.name.startswith("shfl"):
            slots = batch.slots if lanes is None else batch.slots[lanes]
            sources, _ = shuffle_sources(code.name.partition(".")[2], slots, values)
            self._order.hear_from(batch, lanes, sources)
        elif code.name != "activemask":  # which waits for nobody and brings nothing
            self._order.hear_all(batch, lanes, masks)

    def allocated(self, batch: Batch, lane: int, site: int, address: int, nbytes: int) -> None:  # noqa: ARG002
        """What was there before belongs to nobody."""
        first = (address - ARENA_WINDOW) >> 2
        arrays = self._global.grown_to(first + (nbytes + 3) // 4)
        for array in arrays.values():
            array[first : first + (nbytes + 3) // 4] = 0

    def accessed(
        self,
        batch: Batch,
        addresses: Addresses,
        offset: int,
        nbytes: int,
        site: int,
        how: str,
        values: Sequence[Lanes] = (),
    ) -> None:
        """Compare an access with those before it, and remember it."""
        if addresses.space not in {"shared", "global", "surface"}:
            return
        self._pass_fences(site)
        strong, releases, _ = self._strengths[site]
        strong = strong or how == "atomic"
        access = _Access(batch, addresses, offset, nbytes, site, how, strong)
        arrays = self._arrays(access)
        if isinstance(addresses, ClusterAddresses) and addresses.others:
            self._expect_started(access, addresses)
        for number, (words, bits) in enumerate(access.columns()):
            if strong:
                self._synchronize(access, words, arrays["released"], releases)
            self._compare(access, arrays, number, words, bits, values)
        event = self._events.add(self._order.now, site, access.batch.first, strong, how)
        for number, (words, bits) in enumerate(access.columns()):
            records = (event << _EVENT_SHIFT) | (access.lanes << _MASK_BITS) | bits
            if how == "load":
                _remember_readers(arrays, words, records)
            else:
                self._remember_writers(access, arrays, number, words, records, values)

    def _expect_started(self, access: _Access, addresses: ClusterAddresses) -> None:
        """Other blocks of a cluster have shared memory once they have begun, and something must say that."""
        strangers = self._order.strangers(access.batch, access.lanes)
        foreign = strangers[addresses.slots[strangers] != access.batch.block_slot[access.lanes[strangers]]]
        if len(foreign):
            block = access.batch.block_at(int(addresses.slots[foreign[0]]))
            what = (
                f"race: it {_VERBS[access.how]} shared memory of block {block}, and nothing says that the block has "
                f"begun (cluster.sync() before the first such access does). The access is"
            )
            access.batch.fail_lane(access.site, int(access.lanes[foreign[0]]), what)

    def _synchronize(self, access: _Access, words: Array, released: Array, releases: bool) -> None:
        """What a strong access publishes and acquires; of the lanes of one atomic, each may follow any other."""
        if access.how != "load":
            self._order.publish(access.batch, access.lanes, words, released, releases=releases)
        if access.how != "store":
            self._order.acquire(access.batch, access.lanes, words, released)

    def _arrays(self, access: _Access) -> dict[str, Array]:
        if not access.shared:
            shadow = self._global
            if isinstance(access.addresses, SurfaceAddresses):
                texels = access.addresses.texels
                shadow = self._surfaces.get(texels) or self._surfaces.setdefault(texels, Shadow(_RECORDS, 0))
            return shadow.grown_to((int(access.places.max()) + access.nbytes + 3) // 4)
        found = self._shared.get(access.batch)
        if found is None:
            slab = access.batch.shared
            found = self._shared[access.batch] = Shadow(_RECORDS, slab.stride * access.batch.blocks // 4)
        return found.arrays

    def _compare(
        self,
        access: _Access,
        arrays: dict[str, Array],
        number: int,
        words: Array,
        bits: Array | int,
        values: Sequence[Lanes],
    ) -> None:
        """Fail if something that the words remember is not ordered before the access."""
        self._compare_with(access, arrays["writer"][words], bits, number, values)
        if access.how != "load":
            for name in ("reader", "other_reader"):
                self._compare_with(access, arrays[name][words], bits, number, values)

    def _compare_with(
        self, access: _Access, records: Array, bits: Array | int, number: int, values: Sequence[Lanes]
    ) -> None:
        newest = int(records.max())
        if not newest:
            return
        known = self._order.known(access.batch)
        alone = access.shared and access.batch.cluster_blocks == 1
        if alone and self._events.times[newest >> _EVENT_SHIFT] <= known.block_floor:
            return  # most often: a barrier came in between
        own = (records >> _MASK_BITS) & _LANE_MASK == access.lanes
        if not access.shared:
            own &= self._events.first_blocks[records >> _EVENT_SHIFT] == access.batch.first
        chosen = np.flatnonzero((records & bits != 0) & ~own)
        if len(chosen):
            chosen = chosen[self._conflicts(access, records[chosen], access.lanes[chosen])]
        if len(chosen) and access.how == "store" and values:
            chosen = chosen[~writes_what_is_there(access.addresses, access.offset, values, chosen)]
        if len(chosen):
            self._fail(access, int(chosen[0]), int(records[chosen[0]]), number)

    def _conflicts(self, access: _Access, records: Array, lanes: Array) -> Array:
        """Per lane, whether its access races with what its record says of another thread."""
        batch, events, known = access.batch, self._events, self._order.known(access.batch)
        number, other = records >> _EVENT_SHIFT, (records >> _MASK_BITS) & _LANE_MASK
        times, strong, reads = events.times[number], events.strong[number], events.how[number] == 0
        racing = times > known.grid[lanes]
        if access.strong:
            racing &= ~strong
        if not access.shared and access.how == "load" and not access.strong:
            racing &= ~strong
        if not access.shared and access.strong:
            racing &= ~reads
        here = events.first_blocks[number] == batch.first
        block = here & (other // batch.grid.threads == batch.block_slot[lanes])
        warp = block & (other % batch.grid.threads >> 5 == batch.thread[lanes] >> 5)
        racing &= ~(block & (times <= known.block[lanes]))
        racing &= ~(warp & (times <= known.warp[lanes]))
        if known.gatherings is not None:
            size = batch.cluster_blocks
            cluster = here & (other // batch.grid.threads // size == batch.block_slot[lanes] // size)
            together = np.flatnonzero(racing & cluster)
            racing[together] = ~known.gatherings.know(lanes[together], other[together], times[together])
        heard = known.heard[lanes] >> (other % batch.grid.threads & 31).astype(np.uint32) & np.uint32(1) == 1
        racing &= ~(warp & reads & heard & (times <= known.heard_until[lanes]))
        return np.asarray(racing)

    def _remember_writers(
        self,
        access: _Access,
        arrays: dict[str, Array],
        number: int,
        words: Array,
        records: Array,
        values: Sequence[Lanes],
    ) -> None:
        arrays["writer"][words] = records
        arrays["reader"][words] = 0
        arrays["other_reader"][words] = 0
        winners = arrays["writer"][words]
        if access.strong or not (winners != records).any():
            return
        lost = np.flatnonzero((winners != records) & (winners & records & 15 != 0))
        if not values and access.how == "store":  # as another type, which says nothing of the bits
            return
        positions = np.searchsorted(access.lanes, (winners[lost] >> _MASK_BITS) & _LANE_MASK)
        differ = np.zeros(len(lost), np.bool_)
        for value in values:
            if value.ndim:
                bits = value.view(f"u{value.dtype.itemsize}")
                differ |= bits[lost] != bits[positions]
        if differ.any():
            first = int(lost[np.argmax(differ)])
            self._fail(access, first, int(winners[first]), number)

    def _fail(self, access: _Access, position: int, record: int, number: int) -> None:
        """Report the access of one lane, and the one that its record tells of."""
        batch, addresses, events = access.batch, access.addresses, self._events
        grid, event = batch.grid, record >> _EVENT_SHIFT
        lane = (record >> _MASK_BITS) & _LANE_MASK
        lane += (int(events.first_blocks[event]) - batch.first) * grid.threads
        offsets = addresses.offsets
        offset = (offsets if isinstance(offsets, int) else int(offsets[position])) + access.offset
        address = offset + addresses.window + 4 * number
        places, name = grid.code.places, grid.code.name
        verbs = list(_VERBS.values())
        where = f"{access.nbytes} bytes at {addresses.space} address {address:#x}"
        thread, block = batch.thread_at(lane)
        their_place, their_verb = places[int(events.sites[event])], verbs[events.how[event]]
        nearest = addresses.describe_nearest(offset, access.nbytes)
        other = run_fault(name, their_place, f"{their_verb} {where}", thread=thread, block=block, address=address)
        what = (
            f"race: it {_VERBS[access.how]} {where}, which thread {thread} of block {block} {their_verb} "
            f"at {describe_place(their_place)}, and nothing orders the two. The access is"
        )
        mine, my_block = batch.thread_at(int(access.lanes[position]))
        raise run_fault(
            name,
            places[access.site],
            what,
            thread=mine,
            block=my_block,
            address=address,
            nearest=nearest,
            other=other,
        )


def _remember_readers(arrays: dict[str, Array], words: Array, records: Array) -> None:
    """Keep the last reader, and the last one that is another thread."""
    reader, other = arrays["reader"], arrays["other_reader"]
    lane = _LANE_MASK << _MASK_BITS
    before = reader[words]
    moved = np.flatnonzero((before != 0) & ((before ^ records) & lane != 0))
    other[words[moved]] = before[moved]
    reader[words] = records
    lost = np.flatnonzero(reader[words] != records)
    other[words[lost]] = records[lost]
