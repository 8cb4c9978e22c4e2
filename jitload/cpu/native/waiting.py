"""Threads that wait when a launch is stopped: where, and for whom in vain, in the words of lanes."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.native import context as at
from jitload.cpu.native.frame import HELD, LANES, MASK, VALUE
from jitload.cpu.run.frame import Frame
from jitload.cpu.run.meet import Meetings
from jitload.cpu.types import DTYPES, TYPES

if TYPE_CHECKING:
    from jitload.cpu.code.block_code import MeetingCode
    from jitload.cpu.native.frame import Meet
    from jitload.cpu.native.kernel import NativeKernel
    from jitload.cpu.native.stopped import Stopped
    from jitload.cpu.run.batch import Batch
    from jitload.cpu.run.grid import Grid
    from jitload.cpu.types import Array


class Waiting:
    """The threads of the block that ran last.

    Args:
        grid: of the launch.
        kernel: what ran.
        words: its context.
        stopped: its threads that stopped for errands; None where there are no errands.
    """

    def __init__(self, grid: Grid, kernel: NativeKernel, words: Array, stopped: Stopped | None) -> None:
        self._grid = grid
        self._kernel = kernel
        self._words = words
        self._stopped = stopped

    def first(self) -> tuple[int, int]:
        """(number, site) of the first thread that waits."""
        states = self._states()
        thread = int(np.argmax(states > 0))
        return thread, self._site_of(int(states[thread]))

    def find_stuck(self, batch: Batch) -> None:
        """Bring the threads to their meetings once more, as lanes.

        Raises:
            CpuFault: somebody waits in vain.
        """
        states = self._states()
        meetings = self._meetings(batch, states)
        frames = self._frames()
        for state in np.unique(states[states > 0]).tolist():
            if self._kernel.meets[state - 1].errand:
                continue  # they have been brought there
            code = self._meeting_of(state)
            lanes = np.flatnonzero(states == state)
            batch.lanes, batch.count = lanes, len(lanes)
            operands = self._operands(code, self._kernel.meets[state - 1], frames[lanes])
            function = batch.grid.code.functions[self._kernel.meetings[state - 1][0]]
            frame = Frame(function, 0, None, None, 0)
            meetings.meet(frame, code, 0, lanes, operands)
        meetings.expect_nobody()

    def _meetings(self, batch: Batch, states: Array) -> Meetings:
        """Where those wait whom lanes were to bring together; else nobody, without those that have ended."""
        if self._stopped is not None and self._stopped.meetings is not None:
            return self._stopped.meetings
        meetings = Meetings(batch, lambda *_: None, None)
        ended = np.flatnonzero(states < 0)
        if len(ended):
            meetings.depart(ended)
        return meetings

    def _operands(self, code: MeetingCode, meet: Meet, frames: Array) -> tuple[Array | None, ...]:
        """What threads left at a meeting, as lanes do."""
        values = [frames[:, VALUE + number] for number in range(3)]
        if code.kind != "warp":
            return np.full(len(frames), meet.barrier, np.uint32), None, values[0] != 0 if meet.fold else None
        family, _, rest = meet.name.partition(".")
        dtype = {"vote": np.dtype(bool), "shfl": np.dtype(np.uint32)}.get(family)
        dtype = dtype or DTYPES[TYPES[rest.rpartition(".")[2]].rep] if rest else np.dtype(np.uint32)
        return frames[:, MASK].astype(np.uint32), *(one.astype(dtype) for one in values)

    def _site_of(self, state: int) -> int:
        """The site of the meeting where a thread in this state waits."""
        if self._stopped is not None and self._kernel.meets[state - 1].errand:
            return self._stopped.site_of(state)
        return self._meeting_of(state).site

    def _meeting_of(self, state: int) -> MeetingCode:
        """The meeting where a thread in this state waits."""
        function, block = self._kernel.meetings[state - 1]
        found = self._grid.code.functions[function].blocks[block].meeting
        assert found is not None
        return found

    def meeting_at(self, site: int) -> MeetingCode:
        """The meeting of a site."""
        found = (self._meeting_of(state) for state in range(1, len(self._kernel.meetings) + 1))
        return next(one for one in found if one.site == site)

    def _frames(self) -> Array:
        """Per thread, the words of its frame."""
        words = self._kernel.frame_bytes // 8
        rows = -(-self._grid.threads // LANES)
        memory = (ctypes.c_int64 * (rows * LANES * words)).from_address(int(self._words[at.FRAMES]))
        frames: Array = np.array(memory, np.int64).reshape(rows, words, LANES).swapaxes(1, 2).reshape(-1, words)
        return frames

    def _states(self) -> Array:
        start, threads = int(self._words[at.STATES]), self._grid.threads
        found = np.array((ctypes.c_int32 * threads).from_address(start), np.int32)
        return np.where(found < 0, found, found & ~HELD)
