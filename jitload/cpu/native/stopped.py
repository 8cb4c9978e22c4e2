"""The threads of a block that stopped for an errand: lanes do it for all that wait at it, and machine code goes on."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.code.block_code import FunctionCode
from jitload.cpu.isa.effects import effects_of
from jitload.cpu.lanes.affine import dense
from jitload.cpu.memory.views import Views
from jitload.cpu.native import context as at
from jitload.cpu.native.frame import HELD, LANES
from jitload.cpu.native.idleness import Idleness
from jitload.cpu.run.batch import Batch
from jitload.cpu.run.frame import Frame
from jitload.cpu.run.meet import Meetings
from jitload.cpu.run.standstill import expect_completion
from jitload.cpu.types import DTYPES, ZEROS
from jitload.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.code.block_code import BlockRun
    from jitload.cpu.kernel_code import KernelCode
    from jitload.cpu.memory.slab import Slab
    from jitload.cpu.native import errand_code, inlined, numbers
    from jitload.cpu.native.errand_code import ErrandCode
    from jitload.cpu.native.kernel import ErrandPlace
    from jitload.cpu.run import runtime_calls
    from jitload.cpu.run.grid import Grid
    from jitload.cpu.text.ir import Register
    from jitload.cpu.types import Array, Lanes
else:  # what not every kernel comes to
    errand_code = lazy("jitload.cpu.native.errand_code")
    inlined = lazy("jitload.cpu.native.inlined")
    numbers = lazy("jitload.cpu.native.numbers")
    runtime_calls = lazy("jitload.cpu.run.runtime_calls")

_MEMORY = frozenset({"loads", "accesses", "stores", "polls"})


class Errand:
    """One errand, ready to be done.

    Attributes:
        place: where it stands, and where its registers lie.
        code: what it is.
        run: its function.
        loads, writes: the registers that it reads and those that are read of it, each with its word of the frame.
        moves: whether it may move what lies in memory.
        waits: whether it stands in a loop that does nothing but test an mbarrier.
    """

    def __init__(self, place: ErrandPlace, code: ErrandCode, run: BlockRun | None, waits: bool) -> None:
        words = dict(place.words)
        opcode, modifiers = code.instruction.opcode, code.instruction.modifiers
        self.place = place
        self.code = code
        self.run = run
        self.waits = waits
        self.loads = [(one, words[one.index]) for one in code.loads]
        self.writes = [(one, words[one.index]) for one in code.written if one.index in words]
        self.moves = opcode == "call" or not _MEMORY.isdisjoint(effects_of(opcode, modifiers))


class Errands:
    """The errands of a kernel, written when the first launch comes to one: nothing of them is kept on disk."""

    def __init__(self, code: KernelCode, places: tuple[ErrandPlace, ...]) -> None:
        self._code = code
        self._places = places
        self._made: dict[int, Errand] = {}
        # Imported here, where no launch of a signal handler can come between.
        self._writing = inlined.read_inlined, numbers.name_numbers, errand_code.ErrandWriter
        self.function = FunctionCode(code.name, 0)

    def by_meeting(self) -> dict[int, Errand]:
        """By the numbers of their meetings."""
        if not self._made:
            read, number, write = self._writing
            code = self._code
            kernel = read(code)
            number(kernel.blocks, kernel.carry)
            sites = {place.written: site for site, place in reversed(list(enumerate(code.places)))}
            writer = write(code, kernel, sites)
            made = {}
            for place in self._places:
                errand = writer.write(kernel.blocks[place.block], place.position)
                function, block = kernel.origins[place.block]
                waits = code.functions[function].blocks[block].waits
                made[place.meeting] = Errand(place, errand, writer.make(errand), waits)
            self.function.zeros = [ZEROS[one.held] for one in kernel.registers]
            self._made = made
        return self._made


class Stopped:
    """The threads of one launch that stopped.

    Args:
        errands: of the kernel.
        grid: of the launch.
        words: its context.
        moved: what is called when allocations may have come, gone or moved.

    Attributes:
        meetings: where those of the block wait for each other whom lanes bring together.
    """

    def __init__(self, errands: Errands, grid: Grid, words: Array, moved: Callable[[], None]) -> None:
        self._grid = grid
        self._words = words
        self._moved = moved
        self._errands = errands.by_meeting()
        self._registers = {number: Frame(errands.function, 0, None, None, 0) for number in self._errands}
        self.meetings: Meetings | None = None
        self._block = -1
        self._went = False
        self._idleness = Idleness()
        threads = grid.threads
        self._states = _memory(int(words[at.STATES]), 4 * threads).view(np.int32)
        rows, frame = -(-threads // LANES), int(words[at.FRAME_BYTES]) // 8
        frames = _memory(int(words[at.FRAMES]), 8 * rows * LANES * frame)
        self._frames = frames.view(np.int64).reshape(rows, frame, LANES)

    def _begin(self) -> Meetings:
        """A block that had no errand before."""
        words, grid = self._words, self._grid
        self._block = int(words[at.BLOCK])
        batch = self.batch = Batch(grid, self._block, 1)
        _lie_at(batch.shared, int(words[at.SHARED]), 1)
        _lie_at(batch.local, int(words[at.LOCAL]), grid.threads)
        self._waiting = np.zeros(grid.threads, bool)
        self._ended = np.zeros(grid.threads, bool)
        self.meetings = Meetings(batch, self._release, None)
        self._idleness = Idleness()
        return self.meetings

    def do(self) -> bool:
        """Do what threads of the block that runs wait for; whether any of them goes on.

        Raises:
            CpuFault: one is stopped at its errand.
        """
        meetings = self.meetings
        if meetings is None or self._block != self._words[at.BLOCK]:
            meetings = self._begin()
        self._went = False
        ended = (self._states < 0) & ~self._ended
        if ended.any():
            self._ended |= ended
            meetings.depart(np.flatnonzero(ended))
        while (number := self._next()) is not None:
            lanes = np.flatnonzero((self._states == HELD | number) & ~self._waiting)
            self._do(self._errands[number], meetings, lanes)
        self._idleness.expect_end(self.batch)
        return self._went

    def expect_completion(self) -> None:
        """Nothing changes any more in the block that runs.

        Raises:
            CpuFault: threads of it wait for mbarriers.
        """
        if self.meetings is not None:
            expect_completion(self.batch)

    def _next(self) -> int | None:
        """The first errand at which somebody waits that has not brought anybody there."""
        states = self._states[~self._waiting & (self._states >= HELD)]
        found = [one for one in np.unique(states & (HELD - 1)).tolist() if one in self._errands]
        return found[0] if found else None

    def _do(self, errand: Errand, meetings: Meetings, lanes: Array) -> None:
        batch, code, frame = self.batch, errand.code, self._registers[errand.place.meeting]
        everyone = None if len(lanes) == self._grid.threads else lanes
        batch.lanes, batch.count = everyone, len(lanes)
        for register, word in errand.loads:
            frame.registers[register.index] = self._column(register, word)
        if code.call is not None:
            assert code.call.callee is not None
            runtime_calls.run_builtin(code.call.callee, batch, frame, code.call, everyone, None)
        operands = errand.run(batch, frame, everyone) if errand.run is not None else None
        self._idleness.see(errand, frame, lanes)
        if errand.moves:
            self._moved()
        if code.meeting is not None:
            self._waiting[lanes] = True
            if not meetings.meet(frame, code.meeting, errand.place.meeting, everyone, operands):
                return
        self._release(frame, errand.place.meeting, lanes)

    def _column(self, register: Register, word: int) -> Lanes:
        """What every thread has of a register."""
        words: Array = self._frames[:, word, :].reshape(-1)[: self._grid.threads]
        dtype = DTYPES[register.held]
        if dtype.kind == "b":
            found: Array = words != 0
        else:
            found = words.astype(f"u{dtype.itemsize}").view(dtype)
        return found

    def _release(self, frame: Frame, number: int, lanes: Array | None) -> None:
        """Let threads go on behind an errand, with what it gave."""
        errand = self._errands[number]
        lanes = np.arange(self._grid.threads) if lanes is None else lanes
        rows, columns = lanes // LANES, lanes % LANES
        for register, word in errand.writes:
            value = dense(frame.registers[register.index])
            one = value[lanes] if value.ndim else value
            bits = one if one.dtype.kind == "b" else one.view(f"u{one.dtype.itemsize}")
            self._frames[rows, word, columns] = bits.astype(np.uint64).view(np.int64)
        follows = errand.place.follows
        self._states[lanes] = follows | HELD if follows else number
        self._waiting[lanes] = False
        self._went = True

    def site_of(self, state: int) -> int:
        """The site of an errand, by the number of its meeting."""
        return self._errands[state].code.site


def _lie_at(slab: Slab, address: int, copies: int) -> None:
    """Let a slab be memory of the launch."""
    slab.views = Views(_memory(address, max(slab.stride * copies, 32)))


def _memory(address: int, nbytes: int) -> Array:
    found: Array = np.frombuffer(memoryview((ctypes.c_ubyte * nbytes).from_address(address)), np.uint8)
    return found
