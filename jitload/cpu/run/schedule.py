"""Which lanes run next.

Lanes wait at (frame, block); the deepest call and then the lowest block go first, so lanes that parted meet again
where the code of a compiler joins. That alone would starve a thread that others spin for, so now and then whoever has
waited longest runs for a few steps. A launch that takes too many steps is stopped.
"""

from __future__ import annotations

import heapq
from collections import Counter
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from jitload.cpu.code.draft import BUILTINS
from jitload.cpu.faults import run_fault
from jitload.cpu.run.frame import Frame, copy_local
from jitload.cpu.run.meet import Meetings
from jitload.cpu.run.standstill import Standstill, expect_completion, fail_standing
from jitload.images.ptx.limits import CALLS
from jitload.lazy import lazy

if TYPE_CHECKING:
    from jitload.cpu.code.block_code import BlockCode, CallCode
    from jitload.cpu.run import runtime_calls, undefined
    from jitload.cpu.run.batch import Batch
    from jitload.cpu.run.observer import Observer
    from jitload.cpu.types import Array, Lanes
else:
    undefined = lazy("jitload.cpu.run.undefined")
    runtime_calls = lazy("jitload.cpu.run.runtime_calls")

#: Steps (one block of some lanes each; 3 to 10 us for few lanes) without a batch that ends: then a launch is endless.
STEP_LIMIT = 2_000_000
_FAIR_STEPS = 4096  # how long anybody may wait where a loop may depend on other threads ...
_FAIR_STEPS_IN_SPINS = 8  # ... while a loop runs that waits for other threads
_TURN_STEPS = 16  # how long the one that waited longest may run then
_SAMPLE_STEPS = 1024
#: Steps of nothing but tests of mbarriers after which nobody completes one any more; some loops count to give up.
_IDLE_STEPS = 1 << 12

Key = tuple[int, int, int]


class Scheduler:
    """Runs one batch, in slices.

    Args:
        batch: what to run.
        observer: who watches.

    Attributes:
        spun: whether a loop that waits for other threads ran in the last slice.
        standstill: whether anything still changes.
    """

    def __init__(self, batch: Batch, observer: Observer | None) -> None:
        self.batch = batch
        self._observer = observer
        code = batch.grid.code
        self.root = Frame(code.functions[code.name], 0, None, None, 0)
        self.root.lanes_inside = batch.lanes_total
        self.meetings = Meetings(batch, self.push, observer)
        self.spun = False
        self.standstill = Standstill(code.places)
        self._heap: list[Key] = []
        self._ready: dict[Key, list[Array | None]] = {}
        self._since: dict[Key, int] = {}
        self._frames: dict[int, Frame] = {0: self.root}
        self._serial = 0
        self._steps = 0
        self._spin_until = 0
        self._waits = self._idle = 0
        self._samples: Counter[int] = Counter()
        self.push(self.root, 0, None)

    def push(self, frame: Frame, block: int, lanes: Array | None) -> None:
        """Let lanes wait for their turn at a block."""
        key = (-frame.depth, frame.serial, block)
        waiting = self._ready.get(key)
        if waiting is None:
            self._ready[key] = [lanes]
            self._since[key] = self._steps
            heapq.heappush(self._heap, key)
        else:
            waiting.append(lanes)

    def run(self, budget: int) -> bool:
        """Run for about `budget` steps; whether the batch is finished.

        Raises:
            CpuFault: a lane faulted, or nobody can go on.
        """
        end = self._steps + budget
        depends = self.batch.grid.code.depends_on_others
        self.spun = False
        turn_end = 0
        last_fair = self._steps
        while self._heap:
            if self._steps >= end:
                if not self.standstill.looks:
                    self.batch.held = None
                if self._steps - self.standstill.since >= _SAMPLE_STEPS:
                    self.standstill.look(self._steps, _SAMPLE_STEPS, self._frames.values(), self._ready)
                return False
            # Where nobody can be waited for, lanes that left a loop early stay for the others, as on a GPU.
            wait = _FAIR_STEPS_IN_SPINS if self._steps < self._spin_until else _FAIR_STEPS
            fair = depends and self._steps - last_fair >= wait
            if fair and len(self._heap) > 1:
                key = min(self._ready, key=self._since.__getitem__)
                turn_end = self._steps + _TURN_STEPS
                self._heap.remove(key)
                heapq.heapify(self._heap)
            else:
                key = heapq.heappop(self._heap)
            if fair:
                last_fair = self._steps
            lanes = self._merge(self._ready.pop(key))
            del self._since[key]
            self._run_lanes(self._frames[key[1]], key[2], lanes, min(end, last_fair + _FAIR_STEPS), turn_end)
        self.meetings.expect_nobody()
        self.batch.grid.steps = 0
        return True

    def _merge(self, parts: list[Array | None]) -> Array | None:
        if len(parts) == 1:
            return parts[0]
        total = sum(self.batch.lanes_total if part is None else len(part) for part in parts)
        if total == self.batch.lanes_total:
            return None
        merged = np.concatenate([part for part in parts if part is not None])
        merged.sort()
        return merged

    def _run_lanes(self, frame: Frame, number: int, lanes: Array | None, end: int, turn_end: int) -> None:
        """Run lanes from block to block for as long as nobody else should go first."""
        batch, heap, observer, residence = self.batch, self._heap, self._observer, self.batch.residence
        place, standstill = (-frame.depth, frame.serial), self.standstill
        while True:
            block = frame.code.blocks[number]
            batch.lanes = lanes
            batch.count = batch.lanes_total if lanes is None else len(lanes)
            if observer is not None:
                observer.runs(batch, frame, block, lanes)
            if frame.undefined:
                undefined.follow(batch, frame, block, lanes)
            value = block.run(batch, frame, lanes) if residence is None else residence.run(frame, block, lanes)
            self._steps += 1
            standstill.since = self._spin(block) if block.spins else self._steps
            if not self._steps % _SAMPLE_STEPS:
                self._sample(block)
            kind = block.kind
            if kind == "jump":
                number = block.targets[0]
            elif kind == "branch":
                following = self._branch(frame, block, lanes, value)
                if following is None:
                    return
                number = following
            elif kind == "meeting":
                assert block.meeting is not None
                if not self.meetings.meet(frame, block.meeting, block.targets[0], lanes, value):
                    return
                number = block.targets[0]
            else:
                self._leave(frame, block, lanes, value)
                return
            steps = self._steps
            behind = heap and steps >= turn_end and (steps < self._spin_until or heap[0] <= (*place, number))
            if behind or steps >= end:
                self.push(frame, number, lanes)
                return

    def _branch(self, frame: Frame, block: BlockCode, lanes: Array | None, taken: Lanes) -> int | None:
        """Part the lanes; the next block if they all go the same way."""
        first, second = block.targets
        if self._observer is not None:
            self._observer.branched(self.batch, block, lanes, taken)
        if not taken.ndim:
            return first if taken else second
        count = np.count_nonzero(taken)
        if count == len(taken):
            return first
        if not count:
            return second
        if lanes is None:
            self.push(frame, first, np.flatnonzero(taken))
            self.push(frame, second, np.flatnonzero(~taken))
        else:
            self.push(frame, first, lanes[taken])
            self.push(frame, second, lanes[~taken])
        return None

    def _leave(self, frame: Frame, block: BlockCode, lanes: Array | None, value: Lanes) -> None:
        if block.kind == "exit":
            self._exit(frame, lanes)
        elif block.kind == "return":
            self._return(frame, lanes)
        elif block.kind == "table":
            self._table(frame, block, lanes, value)
        else:
            assert block.call is not None
            self._call(frame, block.call, lanes, value)

    def _exit(self, frame: Frame, lanes: Array | None) -> None:
        count = self.batch.lanes_total if lanes is None else len(lanes)
        node: Frame | None = frame
        while node is not None:
            self._forget(node, count)
            node = node.parent
        self.meetings.depart(lanes)

    def _forget(self, frame: Frame, count: int) -> None:
        """Count lanes out of a frame, and drop it when nobody is left."""
        frame.lanes_inside -= count
        if not frame.lanes_inside and frame.parent is not None and frame.call is not None:
            del self._frames[frame.serial]
            del frame.parent.children[frame.call.site, frame.code.name]

    def _table(self, frame: Frame, block: BlockCode, lanes: Array | None, index: Lanes) -> None:
        if self._observer is not None:
            self._observer.branched(self.batch, block, lanes, index)
        everyone = self._lane_array(lanes)
        chosen = np.broadcast_to(index, everyone.shape)
        for number, target in enumerate(block.targets):
            mine = everyone[chosen == number]
            if len(mine):
                self.push(frame, target, None if len(mine) == self.batch.lanes_total else mine)
        if (chosen >= len(block.targets)).any():
            position = int(np.flatnonzero(chosen >= len(block.targets))[0])
            self.batch.fail(block.site, position, "brx.idx past the end of its table")

    def _lane_array(self, lanes: Array | None) -> Array:
        return np.arange(self.batch.lanes_total) if lanes is None else lanes

    def _call(self, frame: Frame, call: CallCode, lanes: Array | None, target: Lanes) -> None:
        if call.callee is not None:
            self._enter(frame, call, call.callee, lanes)
            return
        everyone = self._lane_array(lanes)
        addresses = np.broadcast_to(target, everyone.shape)
        linker = self.batch.grid.code.linker
        for address in np.unique(addresses):
            chosen = addresses == address
            name = linker.function_at(int(address))
            if name is None or (name not in self.batch.grid.code.functions and name not in BUILTINS):
                position = int(np.flatnonzero(chosen)[0])
                what = f"call of {int(address):#x}, which is no function that can run here"
                self.batch.fail(call.site, position, what, int(address))
            mine = everyone[chosen]
            self._enter(frame, call, name, None if len(mine) == self.batch.lanes_total else mine)

    def _enter(self, frame: Frame, call: CallCode, name: str, lanes: Array | None) -> None:
        batch = self.batch
        if name in BUILTINS:
            runtime_calls.run_builtin(name, batch, frame, call, lanes, self._observer)
            self.push(frame, call.target, lanes)
            return
        code = batch.grid.code.functions[name]
        child = frame.children.get((call.site, name))
        if child is None:
            if frame.depth >= CALLS:
                batch.fail(call.site, 0, f"stack overflow, {CALLS} calls in one another are possible")
            base = frame.base + frame.code.frame_bytes
            if base + code.frame_bytes > batch.local.nbytes:
                batch.fail(call.site, 0, f"stack overflow, {batch.local.nbytes} bytes per thread are there")
            self._serial += 1
            child = frame.children[call.site, name] = Frame(code, base, frame, call, self._serial)
            self._frames[self._serial] = child
        child.lanes_inside += batch.lanes_total if lanes is None else len(lanes)
        for (source, size), (formal, room) in zip(call.arguments, code.formals, strict=False):
            self._copy(lanes, frame.base + source, child.base + formal, min(size, room))
        self.push(child, 0, lanes)

    def _copy(self, lanes: Array | None, source: int, target: int, nbytes: int) -> None:
        """Move an argument or a result of a call within local memory."""
        if not nbytes:
            return
        if self._observer is not None:
            self._observer.copied(self.batch, lanes, source, target, nbytes)
        copy_local(self.batch, lanes, source, target, nbytes)

    def _return(self, frame: Frame, lanes: Array | None) -> None:
        parent, call = frame.parent, frame.call
        assert parent is not None
        assert call is not None
        for (target, room), (source, size) in zip(call.results, frame.code.results, strict=False):
            self._copy(lanes, frame.base + source, parent.base + target, min(size, room))
        self.push(parent, call.target, lanes)
        self._forget(frame, self.batch.lanes_total if lanes is None else len(lanes))

    def _spin(self, block: BlockCode) -> int:
        """A block ran of a loop that waits for other threads; the last step at which something changed."""
        self.spun = True
        self._spin_until = self._steps + _FAIR_STEPS_IN_SPINS
        self._waits += block.waits
        return self._steps if self.standstill.disturbs(block, self.batch) else self.standstill.since

    def fail_standing(self) -> NoReturn:
        """Stop a launch in which nobody will ever do what the threads that are left wait for.

        Raises:
            CpuFault: always.
        """
        key = min(self._ready)
        lane = int(self._lane_array(self._ready[key][0])[0])
        fail_standing(self.batch, self._frames[key[1]].code.blocks[key[2]].site, lane)

    def _sample(self, block: BlockCode) -> None:
        grid = self.batch.grid
        grid.steps += _SAMPLE_STEPS
        self._samples[block.site] += 1
        self._idle = self._idle + self._waits if self._waits == _SAMPLE_STEPS else 0
        self._waits = 0
        if not self._idle:
            self.batch.unmet.clear()  # they may have been met since
        if self._idle >= _IDLE_STEPS:
            expect_completion(self.batch)
        if grid.steps > STEP_LIMIT:
            site = self._samples.most_common(1)[0][0]
            thread, where = self.batch.thread_at(self.batch.lane_at(0))
            what = f"still running after {grid.steps} scheduler steps, an endless loop"
            raise run_fault(grid.code.name, grid.code.places[site], what, thread=thread, block=where)
