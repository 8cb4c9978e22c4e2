"""The barrier of a cluster (PTX ISA section 9.7.13.4): threads arrive, and wait for all to arrive, in two steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.faults import describe_place

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.code.block_code import MeetingCode
    from jitload.cpu.run.barrier import Waiting
    from jitload.cpu.run.batch import Batch
    from jitload.cpu.run.frame import Frame
    from jitload.cpu.run.observer import Observer
    from jitload.cpu.types import Array

_AWAY, _ARRIVED, _COMPLETE = 0, 1, 2


class ClusterBarrier:
    """The barriers of all clusters of a batch.

    Args:
        batch: the batch.
        push: makes lanes runnable: (frame, block, lanes).
        observer: who watches.

    Attributes:
        waiting: lanes that wait for others.
    """

    def __init__(
        self, batch: Batch, push: Callable[[Frame, int, Array | None], None], observer: Observer | None
    ) -> None:
        self._batch = batch
        self._push = push
        self._observer = observer
        self._cluster = batch.block_slot // batch.cluster_blocks
        self._states = np.zeros(batch.lanes_total, np.int8)
        self._lacking = self._live()  # threads that have neither arrived in this phase nor ended
        self._arrived = np.zeros(len(self._lacking), np.int64)
        warps = len(batch.live_bits)
        self._sites = {"arrive": np.full(warps, -1), "wait": np.full(warps, -1)}
        self.waiting: list[Waiting] = []

    def _live(self) -> Array:
        return np.asarray(self._batch.live_threads.reshape(-1, self._batch.cluster_blocks).sum(axis=1))

    def meet(self, waiting: Waiting) -> bool:
        """Let lanes arrive at the barrier, or wait there; whether all can go straight on."""
        code, lanes = waiting.code, waiting.lanes
        if code.name.startswith("arrive"):
            self._tell(code, lanes)
            self._arrive(code, lanes)
            self._release()
            return True
        through = self._wait(waiting)
        if through.any():
            self._tell(code, lanes[through])
            if not through.all():
                self._push(waiting.frame, waiting.target, lanes[through])
        return bool(through.all())

    def depart(self, lanes: Array) -> None:
        """Threads ended: the barrier does not wait for them."""
        away = lanes[self._states[lanes] != _ARRIVED]
        self._lacking -= np.bincount(self._cluster[away], minlength=len(self._lacking))
        self._release()

    def _tell(self, code: MeetingCode, lanes: Array) -> None:
        if self._observer is not None:
            self._observer.gathered(self._batch, code, lanes)

    def _arrive(self, code: MeetingCode, lanes: Array) -> None:
        """Count lanes in.

        Raises:
            CpuFault: one has arrived already and not waited since, or its warp does not arrive together.
        """
        again = np.flatnonzero(self._states[lanes] != _AWAY)
        if len(again):
            what = "barrier.cluster.arrive for the second time without a barrier.cluster.wait in between"
            self._batch.fail_lane(code.site, int(lanes[again[0]]), what)
        self._expect_whole_warps(code, lanes, "arrive")
        self._sites["wait"][self._batch.slots[lanes] >> 5] = -1
        self._states[lanes] = _ARRIVED
        counts = np.bincount(self._cluster[lanes], minlength=len(self._lacking))
        self._lacking -= counts
        self._arrived += counts

    def _wait(self, waiting: Waiting) -> Array:
        """Let lanes wait; per lane, whether it need not.

        Raises:
            CpuFault: one has not arrived, or its warp does not wait together.
        """
        code, lanes = waiting.code, waiting.lanes
        states = self._states[lanes]
        never = np.flatnonzero(states == _AWAY)
        if len(never):
            what = "barrier.cluster.wait without a barrier.cluster.arrive before it"
            self._batch.fail_lane(code.site, int(lanes[never[0]]), what)
        self._expect_whole_warps(code, lanes, "wait")
        through = states == _COMPLETE
        self._states[lanes[through]] = _AWAY
        if not through.all():
            self.waiting.append(waiting._replace(lanes=lanes[~through]))
        return np.asarray(through)

    def _release(self) -> None:
        """Begin the next phase of clusters whose threads have all arrived, and let them go that wait."""
        complete = (self._lacking == 0) & (self._arrived > 0)
        if not complete.any():
            return
        batch = self._batch
        mine = complete[self._cluster]
        self._states[mine & (self._states == _ARRIVED)] = _COMPLETE
        self._lacking[complete] = self._live()[complete]
        self._arrived[complete] = 0
        blocks = np.repeat(complete, batch.cluster_blocks)
        self._sites["arrive"][np.repeat(blocks, batch.grid.warps)] = -1
        if batch.residence is not None:
            batch.residence.gathered(np.flatnonzero(blocks))
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            chosen = mine[one.lanes]
            if not chosen.all():
                self.waiting.append(one._replace(lanes=one.lanes[~chosen]))
            if chosen.any():
                lanes = one.lanes[chosen]
                self._states[lanes] = _AWAY
                self._tell(one.code, lanes)
                self._push(one.frame, one.target, lanes if len(lanes) < batch.lanes_total else None)

    def _expect_whole_warps(self, code: MeetingCode, lanes: Array, verb: str) -> None:
        """Of a warp, all threads execute the same `.aligned` instruction."""
        if not code.aligned:
            return
        batch, sites = self._batch, self._sites[verb]
        warps = batch.slots[lanes] >> 5
        other = np.flatnonzero((sites[warps] >= 0) & (sites[warps] != code.site))
        if len(other):
            there = batch.grid.code.places[int(sites[warps[other[0]]])]
            what = f"barrier divergence: other threads of the warp {verb} at {describe_place(there)}; this one does"
            batch.fail_lane(code.site, int(lanes[other[0]]), what)
        sites[warps] = code.site
