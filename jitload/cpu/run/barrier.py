"""Barriers of thread blocks (PTX ISA section 9.7.13.1): who has arrived, and who may go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jitload.cpu.faults import describe_place

if TYPE_CHECKING:
    from jitload.cpu.code.block_code import MeetingCode
    from jitload.cpu.run.batch import Batch
    from jitload.cpu.run.frame import Frame
    from jitload.cpu.types import Array, Lanes


class Waiting(NamedTuple):
    """Lanes that stand at one barrier instruction."""

    frame: Frame
    code: MeetingCode
    target: int
    lanes: Array


class _Released(NamedTuple):
    """Lanes that go on, with the result of `bar.red` per lane if there is one."""

    waiting: Waiting
    result: Array | None


class Barrier:
    """One barrier number in all thread blocks of a batch.

    Implicit counts are of live threads. Explicit ones are in whole warps, so the last thread of a partial warp counts
    for the threads that the warp lacks.
    """

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._arrived = np.zeros(batch.blocks, np.int64)
        self._weighted = np.zeros(batch.blocks, np.int64)
        self._true = np.zeros(batch.blocks, np.int64)
        self._expected = np.full(batch.blocks, -1, np.int64)
        self.waiting: list[Waiting] = []
        threads = batch.grid.threads
        self._missing = -threads % 32

    def arrive(self, lanes: Array, count: Array | None, predicate: Lanes | None) -> int | None:
        """Count lanes in; `count` is the number that they expect, or None for all live threads.

        Returns:
            The position of a lane that expects another number than those before it, or None.
        """
        blocks = self._batch.block_slot[lanes]
        number = self._batch.blocks
        before, waited = self._expected[blocks], self._arrived[blocks] > 0
        arrived = np.bincount(blocks, minlength=number)
        self._arrived += arrived
        last = self._batch.thread[lanes] == self._batch.grid.threads - 1
        self._weighted += arrived + self._missing * np.bincount(blocks[last], minlength=number)
        if predicate is not None:
            chosen = np.broadcast_to(predicate, lanes.shape)
            self._true += np.bincount(blocks[chosen], minlength=number)
        if count is not None:
            self._expected[blocks] = count
        differs = waited & (before != (-1 if count is None else count))
        return int(np.argmax(differs)) if differs.any() else None

    @property
    def idle(self) -> bool:
        """Whether nobody has arrived since the last release."""
        return not self.waiting and not self._arrived.any()

    def release(self) -> list[_Released]:
        """Let the thread blocks go whose threads have all arrived."""
        explicit = self._expected >= 0
        enough = np.where(explicit, self._weighted >= self._expected, self._arrived >= self._batch.live_threads)
        complete = enough & (self._arrived > 0)
        if not complete.any():
            return []
        self._expect_whole_warps(complete)
        released, kept = [], []
        for waiting in self.waiting:
            chosen = complete[self._batch.block_slot[waiting.lanes]]
            if chosen.any():
                lanes = waiting.lanes[chosen]
                released.append(_Released(waiting._replace(lanes=lanes), self._result(waiting.code.name, lanes)))
            if not chosen.all():
                kept.append(waiting._replace(lanes=waiting.lanes[~chosen]))
        self.waiting = kept
        for counter in (self._arrived, self._weighted, self._true):
            counter[complete] = 0
        self._expected[complete] = -1
        return released

    def _expect_whole_warps(self, complete: Array) -> None:
        """Of a warp, all threads wait at the same `.aligned` instruction.

        Raises:
            CpuFault: they do not.
        """
        if len(self.waiting) < 2 or not any(one.code.aligned for one in self.waiting):
            return
        batch = self._batch
        first = np.full(len(batch.live_bits), -1)
        for waiting in self.waiting:
            lanes = waiting.lanes[complete[batch.block_slot[waiting.lanes]]]
            warps = batch.slots[lanes] >> 5
            other = np.flatnonzero((first[warps] >= 0) & (first[warps] != waiting.code.site))
            if len(other):
                there = batch.grid.code.places[int(first[warps[other[0]]])]
                what = f"barrier divergence: other threads of the warp wait at {describe_place(there)}; this one waits"
                batch.fail_lane(waiting.code.site, int(lanes[other[0]]), what)
            first[warps] = waiting.code.site

    def _result(self, name: str, lanes: Array) -> Array | None:
        blocks = self._batch.block_slot[lanes]
        if name == "red.popc":
            return np.asarray(self._true[blocks].astype(np.uint32))
        if name == "red.or":
            return np.asarray(self._true[blocks] > 0)
        if name == "red.and":
            return np.asarray(self._true[blocks] == self._arrived[blocks])
        return None
