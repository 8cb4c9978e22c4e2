"""What is ordered before what, as far as a race check must know.

Time is a counter that goes on at every synchronization. Of each thread it is kept until when it knows everything that
happened: in its warp, in its thread block, in the grid. That is coarser than a vector clock and errs on one side:
whatever is ordered is seen to be ordered, so a correct program is never reported.

- What a shuffle, a vote or another warp operation brings from a thread, that thread had read before it gave it: so
  its earlier reads are over. What it wrote is not ordered by that.
- A barrier of the block lets its threads know what the block did, `__syncwarp` what the warp did, and each hands on
  what the threads that meet there know already.
- A barrier of the cluster lets its threads know what each thread did before it arrived; of one that arrives `.relaxed`,
  what it did before its last fence.
- An atomic or another strong write after a fence of the same thread (or one that is a release itself) publishes
  everything up to the fence; an atomic or another strong read of that word acquires it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from jitload.cpu.isa.effects import effects_in
from jitload.cpu.lanes.warp import groups_of

if TYPE_CHECKING:
    from jitload.cpu.run.batch import Batch
    from jitload.cpu.text.ir import Place
    from jitload.cpu.types import Array, Lanes

_RELEASES = {"release", "acq_rel", "sc"}


class Strength(NamedTuple):
    """What an instruction means for order.

    Attributes:
        strong: it does not race with other strong ones.
        releases: it publishes what its thread did, without a fence.
        fence: it is one.
    """

    strong: bool
    releases: bool
    fence: bool


def strength_of(place: Place) -> Strength:
    """Read it from the text of the instruction."""
    effects, modifiers = effects_in(place.text)
    strong = "strong" in effects
    # A copy writes its data like anybody; what it then does to an mbarrier (an atomic access) publishes them.
    releases = "releases" in effects or bool(_RELEASES & {*modifiers})
    return Strength(strong, releases, "fences" in effects)


class Knowledge:
    """What each lane of a batch knows.

    Attributes:
        warp: until when it knows what its warp did.
        block: ... what its thread block did.
        block_floor: ... which holds for all of the batch.
        grid: ... what any thread of the grid did.
        fenced: the time of its last fence, or of one that a barrier told it of.
        heard: lanes of its warp, as bits, of which values came to it since the last barrier, also by way of others.
        heard_until: when the last of them came: what those lanes read until then is over.
        gatherings: what the barriers of clusters tell, where there were any.
    """

    gatherings: Gatherings | None = None

    def __init__(self, total: int) -> None:
        self.warp = np.zeros(total, np.int64)
        self.block = np.zeros(total, np.int64)
        self.block_floor = 0
        self.grid = np.zeros(total, np.int64)
        self.fenced = np.zeros(total, np.int64)
        self.heard = np.zeros(total, np.uint32)
        self.heard_until = np.zeros(total, np.int64)


class Gatherings:
    """Which arrivals at the barrier of its cluster each lane of a batch knows of.

    An arrival is known by its number in the order of phases. A thread that has waited for the last phase but one may
    meet records of threads that have arrived twice since: those arrivals count, so that none is accused wrongly.
    """

    def __init__(self, total: int, clusters: int) -> None:
        self._arrivals = np.zeros(total, np.int64)
        self._waited = np.zeros(total, np.int64)
        self._last = np.zeros(total, np.int64)  # until when the last arrival of a lane speaks for what it did
        self._before = np.zeros(total, np.int64)  # ... and the arrival before that
        self._told = {name: np.zeros(clusters, np.int64) for name in ("grid", "fenced")}

    def arrive(self, lanes: Array, clusters: Array, until: Array, known: Knowledge) -> None:
        """Lanes arrive; what they did until then, each its time, is what others learn of them."""
        self._before[lanes] = self._last[lanes]
        self._last[lanes] = until
        self._arrivals[lanes] += 1
        for name, told in self._told.items():
            np.maximum.at(told, clusters[lanes], getattr(known, name)[lanes])

    def wait(self, lanes: Array, clusters: Array, known: Knowledge) -> None:
        """Lanes go on, for all of their clusters have arrived."""
        self._waited[lanes] = self._arrivals[lanes]
        for name, told in self._told.items():
            column = getattr(known, name)
            column[lanes] = np.maximum(column[lanes], told[clusters[lanes]])

    def met(self, lanes: Array) -> Array:
        """Whether each lane has been let go once."""
        return np.asarray(self._waited[lanes] > 0)

    def know(self, lanes: Array, others: Array, times: Array) -> Array:
        """Per pair of lanes of one cluster, whether the first knows what the second did at a time."""
        waited, arrivals = self._waited[lanes], self._arrivals[others]
        until = np.where(arrivals > waited, self._before[others], self._last[others])
        # Who has not arrived although the barrier let others go has ended before.
        return np.asarray((waited > 0) & ((times <= until) | (arrivals < waited)))


class Order:
    """The order of what happens in one grid.

    Attributes:
        now: the time; what happens later has a larger one.
        published: whether any thread has published anything.
    """

    def __init__(self) -> None:
        self.now = 1
        self.published = False
        self._known: WeakKeyDictionary[Batch, Knowledge] = WeakKeyDictionary()

    def known(self, batch: Batch) -> Knowledge:
        """What the lanes of a batch know."""
        found = self._known.get(batch)
        if found is None:
            found = self._known[batch] = Knowledge(batch.lanes_total)
        return found

    def _tick(self) -> int:
        self.now += 1
        return self.now - 1

    def release(self, batch: Batch, lanes: Array | None) -> None:
        """A barrier lets lanes go."""
        known = self.known(batch)
        _share(lanes, batch.block_slot, (known.grid, known.fenced))
        known.block[slice(None) if lanes is None else lanes] = self._tick()
        known.block_floor = int(known.block.min())
        known.heard[slice(None) if lanes is None else lanes] = 0

    def gather(self, batch: Batch, lanes: Array, *, arrive: bool, fenced: bool) -> None:
        """Lanes arrive at the barrier of their cluster, or go on; `fenced`: only what their fences cover is told."""
        known = self.known(batch)
        if known.gatherings is None:
            known.gatherings = Gatherings(batch.lanes_total, batch.blocks // batch.cluster_blocks)
        clusters = batch.block_slot // batch.cluster_blocks
        now = self._tick()
        if arrive:
            until = known.fenced[lanes] if fenced else np.full(len(lanes), now)
            known.gatherings.arrive(lanes, clusters, until, known)
        else:
            known.gatherings.wait(lanes, clusters, known)

    def strangers(self, batch: Batch, lanes: Array) -> Array:
        """Positions among lanes of those that know of no other block, not even that it has begun."""
        known = self.known(batch)
        met = np.zeros(len(lanes), np.bool_) if known.gatherings is None else known.gatherings.met(lanes)
        return np.flatnonzero(~met & (known.grid[lanes] == 0))

    def meet(self, batch: Batch, lanes: Array | None) -> None:
        """`__syncwarp` of lanes."""
        known = self.known(batch)
        _share(lanes, batch.slots >> 5, (known.block, known.grid, known.fenced))
        known.warp[slice(None) if lanes is None else lanes] = self._tick()

    def hear_from(self, batch: Batch, lanes: Array | None, sources: Array) -> None:
        """A value comes to each of the lanes from the slot of another."""
        known, mine = self.known(batch), slice(None) if lanes is None else lanes
        slots = batch.slots[mine]
        table = np.zeros(batch.slot_count, np.uint32)
        table[slots] = known.heard[mine] | np.uint32(1) << (slots & 31).astype(np.uint32)
        known.heard[mine] |= table[sources]
        known.heard_until[mine] = self._tick()

    def hear_all(self, batch: Batch, lanes: Array | None, masks: Lanes) -> None:
        """Something comes to each of the lanes from all that its member mask names."""
        known, mine = self.known(batch), slice(None) if lanes is None else lanes
        groups, count = groups_of(batch.slots[mine], masks)
        together = np.zeros(count, np.uint32)
        np.bitwise_or.at(together, groups, known.heard[mine] | masks)
        known.heard[mine] = together[groups]
        known.heard_until[mine] = self._tick()

    def fence(self, batch: Batch, lanes: Array | None) -> None:
        """Lanes execute a fence."""
        self.known(batch).fenced[slice(None) if lanes is None else lanes] = self._tick()

    def publish(self, batch: Batch, lanes: Array, words: Array, released: Array, *, releases: bool) -> None:
        """A strong write of lanes to words; `released` is the shadow that keeps what is published where."""
        fenced = self.known(batch).fenced
        if releases:
            times = np.full(len(lanes), self._tick())
        else:
            times = fenced[lanes]
            if not times.any():
                return
        self.published = True
        np.maximum.at(released, words, times)

    def acquire(self, batch: Batch, lanes: Array, words: Array, released: Array) -> None:
        """A strong read of lanes from words."""
        if self.published:
            known = self.known(batch).grid
            known[lanes] = np.maximum(known[lanes], released[words])


def _share(lanes: Array | None, groups: Array, columns: tuple[Array, ...]) -> None:
    """Let all of the lanes that are in one group know what one of them knows."""
    mine = groups if lanes is None else groups[lanes]
    for column in columns:
        values = column if lanes is None else column[lanes]
        if (values == values[0]).all():
            continue
        most = np.zeros(int(mine.max()) + 1, np.int64)
        np.maximum.at(most, mine, values)
        column[slice(None) if lanes is None else lanes] = most[mine]
