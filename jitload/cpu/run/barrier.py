"""Barriers of thread blocks (PTX ISA section 9.7.13.1): who has arrived, and who may go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jitload.cpu.code.block_code import BARRIERS
from jitload.cpu.faults import describe_place
from jitload.cpu.run.frame import write_register

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.code.block_code import MeetingCode
    from jitload.cpu.run.batch import Batch
    from jitload.cpu.run.frame import Frame
    from jitload.cpu.run.observer import Observer
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

    def turns(self, lanes: Array, count: Array | None) -> list[slice | Array]:
        """Who comes to the barrier when: all at once, or warp after warp where it expects fewer than come now."""
        if count is None:
            return [slice(None)]
        blocks = self._batch.block_slot[lanes]
        expected = np.zeros(self._batch.blocks, np.int64)
        expected[blocks] = count
        coming = np.bincount(blocks, minlength=self._batch.blocks)
        if not ((coming > 0) & (self._weighted + coming > expected)).any():
            return [slice(None)]
        warps = self._batch.slots[lanes] >> 5
        return [np.flatnonzero(warps == warp) for warp in np.unique(warps)]

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
        self._expect_one_use(complete)
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

    def _expect_one_use(self, complete: Array) -> None:
        """Either all threads come to a barrier with a predicate (`bar.red`), or none.

        Raises:
            CpuFault: both kinds meet.
        """
        if len({one.code.name.startswith("red") for one in self.waiting}) < 2:
            return
        batch = self._batch
        reduce = np.zeros(batch.blocks, np.bool_)
        for waiting in self.waiting:
            if waiting.code.name.startswith("red"):
                reduce[batch.block_slot[waiting.lanes]] = True
        for waiting in self.waiting:
            mixed = np.flatnonzero((reduce & complete)[batch.block_slot[waiting.lanes]])
            if len(mixed) and not waiting.code.name.startswith("red"):
                what = "bar.sync at a barrier where other threads of the block wait by bar.red:"
                batch.fail_lane(waiting.code.site, int(waiting.lanes[mixed[0]]), what)

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


class Barriers:
    """All barriers of the blocks of a batch.

    Args:
        batch: the batch.
        push: makes lanes runnable: (frame, block, lanes).
        observer: who watches.
    """

    def __init__(
        self, batch: Batch, push: Callable[[Frame, int, Array | None], None], observer: Observer | None
    ) -> None:
        self._batch = batch
        self._push = push
        self._observer = observer
        self._barriers: dict[int, Barrier] = {}

    @property
    def idle(self) -> bool:
        """Whether nobody has arrived at any."""
        return not self._barriers

    @property
    def waiting(self) -> list[Waiting]:
        """Who waits."""
        return [one for barrier in self._barriers.values() for one in barrier.waiting]

    def meet(self, coming: Waiting, operands: tuple[Lanes, Lanes | None, Lanes | None]) -> None:
        """Lanes come to barriers, each to its own; operands are their numbers, counts and predicates."""
        site, everyone = coming.code.site, coming.lanes
        numbers = np.broadcast_to(operands[0], everyone.shape)
        for number in np.unique(numbers).tolist():
            if number >= BARRIERS:
                self._batch.fail(site, 0, f"barrier {number}, there are {BARRIERS}")
            chosen = numbers == number
            count, predicate = (
                None if one is None else np.broadcast_to(one, everyone.shape)[chosen] for one in operands[1:]
            )
            if count is not None and (count % 32).any():
                self._batch.fail(site, 0, "a barrier's thread count must be a multiple of 32")
            barrier = self._barriers.setdefault(number, Barrier(self._batch))
            lanes = everyone[chosen]
            for turn in barrier.turns(lanes, count):
                counts, predicates = (None if one is None else one[turn] for one in (count, predicate))
                self._arrive(barrier, number, coming._replace(lanes=lanes[turn]), counts, predicates)
        self._forget_idle()

    def depart(self) -> None:
        """Threads ended: nobody waits for them any longer."""
        for barrier in self._barriers.values():
            self._release(barrier)
        self._forget_idle()

    def _arrive(
        self, barrier: Barrier, number: int, coming: Waiting, count: Array | None, predicate: Array | None
    ) -> None:
        """Count lanes in at a barrier, let them wait or go on, and let go who is complete."""
        lanes = coming.lanes
        odd = barrier.arrive(lanes, count, predicate)
        if odd is not None:
            what = f"barrier divergence: threads of the block expect different numbers at barrier {number}:"
            self._batch.fail_lane(coming.code.site, int(lanes[odd]), what)
        if coming.code.kind == "arrive":
            self._push(coming.frame, coming.target, lanes if len(lanes) < self._batch.lanes_total else None)
        else:
            barrier.waiting.append(coming)
        self._release(barrier)

    def _forget_idle(self) -> None:
        for key in [key for key, one in self._barriers.items() if one.idle]:
            del self._barriers[key]

    def _release(self, barrier: Barrier) -> None:
        released = barrier.release()
        if released and self._observer is not None:
            self._observer.released(self._batch, np.concatenate([waiting.lanes for waiting, _ in released]))
        for waiting, result in released:
            lanes = waiting.lanes if len(waiting.lanes) < self._batch.lanes_total else None
            wanted = waiting.code.results[0] if waiting.code.results else None
            if wanted is not None and result is not None:
                write_register(self._batch, waiting.frame, wanted[0], wanted[1], lanes, result)
            self._push(waiting.frame, waiting.target, lanes)
