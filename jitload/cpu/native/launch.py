"""A launch of machine code: its context, what stops it, and how that is worded.

Everything that a launch is stopped for is found by the generated code and worded by the lanes executor: the access, or
the threads that wait, are given to the same checks once more.
"""

from __future__ import annotations

import ctypes
import itertools
from bisect import bisect_right
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from jitload.cpu.faults import run_fault
from jitload.cpu.memory.arena import ARENA_WINDOW
from jitload.cpu.memory.generic import at_generic, at_global, at_local, at_param, at_shared
from jitload.cpu.memory.slab import unset_bytes
from jitload.cpu.native import context as at
from jitload.cpu.native.frame import HELD, LANES, MASK, VALUE
from jitload.cpu.native.loops import loops
from jitload.cpu.native.places import SPACES
from jitload.cpu.native.standstill import Standstill
from jitload.cpu.run.batch import Batch
from jitload.cpu.run.frame import Frame
from jitload.cpu.run.meet import Meetings
from jitload.cpu.run.members import check_own_bits
from jitload.cpu.types import DTYPES, TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jitload.cpu.code.block_code import MeetingCode
    from jitload.cpu.native.frame import Meet
    from jitload.cpu.native.kernel import NativeKernel
    from jitload.cpu.native.machine import MachineCode
    from jitload.cpu.native.operands import Resolved
    from jitload.cpu.run.grid import Grid
    from jitload.cpu.types import Array

_LAUNCH = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int32)
_ROOM = 64  # of allocations that a table has at least room for
_AT = {"global": at_global, "shared": at_shared, "local": at_local, "param": at_param, "generic": at_generic}


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


class NativeLaunch:
    """One launch of one kernel; nothing of it is shared with others."""

    def __init__(self, kernel: NativeKernel, machine: MachineCode, grid: Grid) -> None:
        self._kernel = kernel
        self._machine = machine
        self._grid = grid
        self._error: BaseException | None = None
        self._words = np.zeros(at.NEAR + at.NEAR_WORDS * kernel.near + 1, np.int64)
        self._memory: list[Array] = []  # what addresses in the context point to
        self._overlap = False
        self._stands = False

    def run(self) -> bool:
        """Run every block; False, and nothing has run, where arrays overlap: what is read there depends on the order.

        Raises:
            CpuFault: the kernel was stopped.
        """
        self._fill()
        if self._overlap:
            return False
        # Bound methods of generators: what a signal handler raises comes out of their bytecode. They stand at a `yield`
        # within `try` from the beginning, and go round within it: what came out of them would end them, and machine
        # code would never hear of it.
        polls, shields = self._poll(), self._shield()
        next(polls)
        next(shields)
        poll, shield = _CALLBACK(polls.__next__), _CALLBACK(shields.__next__)
        words = self._words
        words[at.POLL] = ctypes.c_int64.from_buffer(poll).value
        words[at.SHIELD] = ctypes.c_int64.from_buffer(shield).value
        stopped = _LAUNCH(self._machine.address)(_address(words), 0, self._grid.blocks)
        if self._error is not None:
            raise self._error
        if stopped:
            self._fail()
        return True

    def _buffers(self, *sizes: int) -> list[int]:
        """Memory for this launch, each at least of 16 bytes, aligned to 32."""
        rooms = [-(-nbytes // 32) * 32 + 32 for nbytes in sizes]
        memory = np.zeros(sum(rooms) + 32, np.uint8)
        self._memory.append(memory)
        start = -(-_address(memory) // 32) * 32
        return [start, *(start + behind for behind in itertools.accumulate(rooms[:-1]))]

    def _fill(self) -> None:
        grid, words, code, threads = self._grid, self._words, self._grid.code, self._grid.threads
        self._fill_table()
        stride = -(-code.local_bytes // 32) * 32
        shared, frame = code.shared_bytes(grid.shared_bytes), self._kernel.frame_bytes
        frames = frame * -(-threads // LANES) * LANES
        buffers = self._buffers(shared, stride * threads, frames, 4 * threads)
        params = _address(grid.params.views["u8"])
        words[at.FUEL] = at.FUEL_EDGES
        words[at.PARAMS : at.THREADS + 1] = (
            params, grid.params.nbytes, buffers[0], shared, buffers[1], stride, code.local_bytes,
            unset_bytes(stride, threads), buffers[2], frame, buffers[3], threads,
        )  # fmt: skip
        words[at.NTID : at.VARIABLES + 1] = (
            *grid.block_shape, 0, 0, 0, *grid.shape, grid.warps, grid.shared_bytes, self._variables(),
        )  # fmt: skip
        words[at.FUNCTIONS] = _address(loops())

    def _variables(self) -> int:
        """The table of addresses of the module's variables."""
        if not self._kernel.variables:
            return 0
        table = np.array([self._grid.code.linker.address(one) for one in self._kernel.variables], np.int64)
        self._memory.append(table)
        return _address(table)

    def _fill_table(self) -> None:
        """The allocations that the kernel may reach, those of other launches left out."""
        params = self._grid.params.views["u64"]
        rows = self._grid.arena.rows(params)
        table = np.zeros((max(len(rows), _ROOM), at.ROW_WORDS), np.int64)
        if rows:
            table[: len(rows)] = rows
        overlap = self._finds_overlap(rows, set(params.tolist()))
        self._overlap = overlap or self._finds_one_place([row[0] for row in rows])
        self._memory.append(table)
        self._words[at.TABLE] = _address(table)
        self._words[at.ALLOCATIONS] = len(rows)
        self._table = table

    def _finds_overlap(self, rows: list[tuple[int, int, int, int]], pointers: set[int]) -> bool:
        """Whether several pointers are in one array of the host that is written: arrays that overlap are one row."""
        arena = self._grid.arena.host - ARENA_WINDOW
        return any(
            distance != arena and written and sum(start <= one <= end for one in pointers) > 1
            for start, end, distance, written in rows
        )

    def _finds_one_place(self, starts: list[int]) -> bool:
        """Whether what the compiler took for different places of atomics is in one allocation."""
        seen: set[int] = set()
        for place in self._kernel.places:
            found = {bisect_right(starts, self._address(one)) for one in place}
            if seen & found:
                return True
            seen |= found
        return False

    def _address(self, root: Resolved) -> int:
        """Where a parameter points, or a variable of the module lies."""
        if root.space == "param":
            return int(self._grid.params.views["u64"][root.offset // 8])
        return self._grid.code.linker.address(self._kernel.variables[root.variable])

    def _poll(self) -> Iterator[int]:
        """Look whether to go on: signals are dealt with here, and who runs for too long is stopped."""
        words, before, turns, endless = self._words, (-1, -1, -1), 0, False
        standstill = Standstill(self._grid, words, self._table)
        try:
            while True:
                yield int(self._stands or endless)
                words[at.FUEL] = at.FUEL_EDGES
                now = (int(words[at.BLOCK]), int(words[at.THREAD]), int(words[at.ROUNDS]))
                turns = turns + 1 if now == before else 1
                before = now
                met = words[at.SITE] == at.ALL_MET
                self._stands = met and standstill.look()
                rounds = max(now[2] if met else 0, int(words[at.WARP_TURNS]))
                endless = turns > at.ENDLESS_LOOKS or rounds > at.MOST_ROUNDS
                words[at.WARP_TURNS] = 0
                if self._stands or endless:
                    words[at.CODE] = at.ENDLESS
        except GeneratorExit:
            return
        except BaseException as error:  # noqa: BLE001 - it is raised when the machine code has returned
            self._error = error
            yield 1

    def _shield(self) -> Iterator[int]:
        """Before a write to what must not be written: it goes to a copy from now on, also what is read."""
        words = self._words
        try:
            while True:
                yield 0
                self._grid.arena.move_in_at(int(words[at.ADDRESS]))
                rows = self._grid.arena.rows(self._grid.params.views["u64"])
                self._table[: len(rows)] = rows
                words[at.NEAR :] = 0
        except GeneratorExit:
            return
        except BaseException as error:  # noqa: BLE001 - it is raised when the machine code has returned
            self._error = error
            yield 1

    def _fail(self) -> NoReturn:
        words, grid = self._words, self._grid
        code, site, thread = (int(words[number]) for number in (at.CODE, at.SITE, at.THREAD))
        batch = Batch(grid, int(words[at.BLOCK]), 1)
        if code == at.STUCK:
            self._find_stuck(batch)
        met = site < 0
        if met:  # between meetings
            thread = int(np.argmax(self._states() > 0))
            site = self._meeting_of(int(self._states()[thread])).site
        batch.lanes, batch.count = np.array([thread]), 1
        if code == at.OUTSIDE:
            mask = np.array([words[at.ADDRESS]]).astype(np.uint32)
            check_own_bits(batch, self._meeting_at(site), batch.slots[batch.lanes], mask)
        if code == at.STOPPED:
            batch.fail(site, 0, grid.code.places[site].text.rstrip(";").split()[0])
        if code == at.ENDLESS:
            who, where = batch.thread_at(thread)
            turns = (at.MOST_ROUNDS if met else at.FUEL_EDGES * at.ENDLESS_LOOKS) // 1_000_000
            what = f"still running after {turns} million turns, an endless loop"
            if self._stands:
                what = "going round in an endless loop: all threads of the block meet, and nothing has changed since"
            raise run_fault(grid.code.name, grid.code.places[site], what, thread=who, block=where)
        space, write = SPACES[int(words[at.WRITES]) >> 1], bool(words[at.WRITES] & 1)
        address = np.array([words[at.ADDRESS]]).view(np.uint64)
        addresses = _AT[space](batch, address)
        size = int(words[at.NBYTES])
        if hasattr(addresses, "locate"):
            addresses.locate(0, size, site, write)
        raise AssertionError(f"machine code stopped at an access that is good: {grid.code.places[site].text}")

    def _find_stuck(self, batch: Batch) -> None:
        """Bring the threads to their meetings once more, as lanes."""
        function = batch.grid.code.functions[batch.grid.code.name]
        states = self._states()
        meetings = Meetings(batch, lambda *_: None, None)
        ended = np.flatnonzero(states < 0)
        if len(ended):
            meetings.depart(ended)
        frame = Frame(function, 0, None, None, 0)
        frames = self._frames()
        for state in np.unique(states[states > 0]).tolist():
            code = self._meeting_of(state)
            lanes = np.flatnonzero(states == state)
            batch.lanes, batch.count = lanes, len(lanes)
            operands = self._operands(code, self._kernel.meets[state - 1], frames[lanes])
            meetings.meet(frame, code, 0, lanes, operands)
        meetings.expect_nobody()

    def _operands(self, code: MeetingCode, meet: Meet, frames: Array) -> tuple[Array | None, ...]:
        """What threads left at a meeting, as lanes do."""
        values = [frames[:, VALUE + number] for number in range(3)]
        if code.kind != "warp":
            return np.full(len(frames), meet.barrier, np.uint32), None, values[0] != 0 if meet.fold else None
        family, _, rest = meet.name.partition(".")
        dtype = {"vote": np.dtype(bool), "shfl": np.dtype(np.uint32)}.get(family)
        dtype = dtype or DTYPES[TYPES[rest.rpartition(".")[2]].rep] if rest else np.dtype(np.uint32)
        return frames[:, MASK].astype(np.uint32), *(one.astype(dtype) for one in values)

    def _meeting_of(self, state: int) -> MeetingCode:
        """The meeting where a thread in this state waits."""
        code = self._grid.code
        found = code.functions[code.name].blocks[self._kernel.meetings[state - 1]].meeting
        assert found is not None
        return found

    def _meeting_at(self, site: int) -> MeetingCode:
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
