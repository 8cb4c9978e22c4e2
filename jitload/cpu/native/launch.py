"""A launch of machine code: its context, what stops it, and how that is worded.

Everything that a launch is stopped for is found by the generated code and worded by the lanes executor: the access, or
the threads that wait, are given to the same checks once more.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from jitload.cpu.faults import run_fault
from jitload.cpu.memory.arena import ARENA_WINDOW
from jitload.cpu.memory.generic import at_generic, at_global, at_local, at_param, at_shared
from jitload.cpu.native import context as at
from jitload.cpu.native.room import address_of, take_room
from jitload.cpu.native.watchdog import Watchdog
from jitload.cpu.run.batch import Batch
from jitload.lazy import lazy

if TYPE_CHECKING:
    from jitload.cpu.native import places, stopped, waiting
    from jitload.cpu.native.kernel import NativeKernel
    from jitload.cpu.native.loaded import MachineCode
    from jitload.cpu.native.operands import Resolved
    from jitload.cpu.native.stopped import Errands, Stopped
    from jitload.cpu.run import members
    from jitload.cpu.run.grid import Grid
    from jitload.cpu.types import Array
else:  # what most launches come never to
    members = lazy("jitload.cpu.run.members")
    places = lazy("jitload.cpu.native.places")
    stopped = lazy("jitload.cpu.native.stopped")
    waiting = lazy("jitload.cpu.native.waiting")

_AT = {"global": at_global, "shared": at_shared, "local": at_local, "param": at_param, "generic": at_generic}


class NativeLaunch:
    """One launch of one kernel; nothing of it is shared with others."""

    def __init__(self, kernel: NativeKernel, machine: MachineCode, errands: Errands | None, grid: Grid) -> None:
        self._kernel = kernel
        self._errands = errands
        self._stopped: Stopped | None = None
        self._watchdog: Watchdog | None = None
        self._machine = machine
        self._grid = grid
        self._room = take_room(machine.rooms, kernel, grid)
        self._words, self._table = self._room.words, self._room.table
        self._memory: list[Array] = []  # what addresses in the context point to
        self._overlap = False

    def run(self) -> bool:
        """Run every block; False, and nothing has run, where arrays overlap: what is read there depends on the order.

        Raises:
            CpuFault: the kernel was stopped.
        """
        if self._kernel.variables:
            self._words[at.VARIABLES] = self._variables()
        self._fill_table()
        if not self._overlap:
            self._call()
        self._room.keep(self._machine.rooms)
        return not self._overlap

    def _call(self) -> None:
        turn = self._room.hooks.turn
        turn.launch = self
        if self._errands is not None:
            self._stopped = stopped.Stopped(self._errands, self._grid, self._words, self._look_again)
        try:
            failed = self._machine.launch(self._room.address, 0, self._grid.blocks)
            if turn.error is not None:
                raise turn.error
            if failed:
                with np.errstate(all="ignore"):
                    self._fail()
        finally:
            turn.launch = turn.error = None
            self._stopped = None  # it holds this

    def look(self) -> int:
        """As in `Called`: who runs for too long is stopped."""
        if self._watchdog is None:
            self._watchdog = Watchdog(self._grid, self._words, lambda: self._table)
        return int(self._watchdog.look())

    def shield(self) -> int:
        """As in `Called`: what must not be written goes to a copy from now on, also what is read."""
        self._grid.arena.move_in_at(int(self._words[at.ADDRESS]))
        self._look_again()
        return 0

    def do_errand(self) -> int:
        """As in `Called`: 2 where nobody goes on."""
        assert self._stopped is not None
        with np.errstate(all="ignore"):
            return 0 if self._stopped.do() else 2

    def _look_again(self) -> None:
        """Read the table of allocations again: some have come, gone or moved."""
        rows = self._grid.arena.rows(self._pointers())
        if self._table.reshape(-1)[: at.ROW_WORDS * int(self._words[at.ALLOCATIONS])].tolist() != rows:
            self._write_table(rows)
            self._words[at.NEAR :] = 0

    def _variables(self) -> int:
        """The table of addresses of the module's variables."""
        table = np.array([self._grid.code.linker.address(one) for one in self._kernel.variables], np.int64)
        self._memory.append(table)
        return address_of(table)

    def _fill_table(self) -> None:
        """The allocations that the kernel may reach, those of other launches left out."""
        pointers = self._pointers()
        rows = self._grid.arena.rows(pointers)
        self._write_table(rows)
        self._overlap = self._finds_overlap(rows, pointers)
        if self._kernel.places and not self._overlap:
            self._overlap = self._finds_one_place(rows[:: at.ROW_WORDS])

    def _pointers(self) -> list[int]:
        """All parameters that may be addresses, in order."""
        return sorted(set(self._grid.params.views["u64"].tolist()))

    def _write_table(self, rows: list[int]) -> None:
        count = len(rows) // at.ROW_WORDS
        if count > len(self._table):
            self._table = np.zeros((2 * count, at.ROW_WORDS), np.int64)
            self._memory.append(self._table)
            self._words[at.TABLE] = address_of(self._table)
        struct.pack_into(f"={len(rows)}q", self._table.data, 0, *rows)
        self._words[at.ALLOCATIONS] = count

    def _finds_overlap(self, rows: list[int], pointers: list[int]) -> bool:
        """Whether several pointers are in one array of the host that is written: arrays that overlap are one row."""
        arena = self._grid.arena.host - ARENA_WINDOW
        for place in range(0, len(rows), at.ROW_WORDS):
            start, end, distance, written = rows[place : place + at.ROW_WORDS]
            if written and distance != arena and bisect_right(pointers, end) - bisect_left(pointers, start) > 1:
                return True
        return False

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

    def _fail(self) -> NoReturn:
        words, grid = self._words, self._grid
        code, site, thread = (int(words[number]) for number in (at.CODE, at.SITE, at.THREAD))
        batch = Batch(grid, int(words[at.BLOCK]), 1)
        threads = waiting.Waiting(grid, self._kernel, words, self._stopped)
        if code == at.STUCK:
            threads.find_stuck(batch)
        met = site < 0
        if met:  # between meetings
            thread, site = threads.first()
        batch.lanes, batch.count = np.array([thread]), 1
        if code == at.OUTSIDE:
            mask = np.array([words[at.ADDRESS]]).astype(np.uint32)
            members.check_own_bits(batch, threads.meeting_at(site), batch.slots[batch.lanes], mask)
        if code == at.STOPPED:
            batch.fail(site, 0, grid.code.places[site].text.rstrip(";").split()[0])
        if code == at.LOST:
            callee = int(words[at.ADDRESS].view(np.uint64))
            batch.fail(site, 0, f"call of {callee:#x}, which is no function that can run here", callee)
        if code == at.TABLE_END:
            batch.fail(site, 0, "brx.idx past the end of its table")
        if code == at.ENDLESS:
            stands = self._watchdog is not None and self._watchdog.stands
            if stands and self._stopped is not None:
                self._stopped.expect_completion()
            who, where = batch.thread_at(thread)
            turns = (at.MOST_ROUNDS if met else at.FUEL_EDGES * at.ENDLESS_LOOKS) // 1_000_000
            what = f"still running after {turns} million turns, an endless loop"
            if stands:
                what = "going round in an endless loop: all threads of the block meet, and nothing has changed since"
            raise run_fault(grid.code.name, grid.code.places[site], what, thread=who, block=where)
        space, write = places.SPACES[int(words[at.WRITES]) >> 1], bool(words[at.WRITES] & 1)
        address = np.array([words[at.ADDRESS]]).view(np.uint64)
        addresses = _AT[space](batch, address)
        size = int(words[at.NBYTES])
        if hasattr(addresses, "locate"):
            addresses.locate(0, size, site, write)
        raise AssertionError(f"machine code stopped at an access that is good: {grid.code.places[site].text}")
