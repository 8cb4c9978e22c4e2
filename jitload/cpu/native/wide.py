"""One kernel for eight neighbouring threads: `i32 wide(context, frame of the first, where to go on)`.

The threads of a row run as vectors of LLVM as long as they take the same way; what they have in common is computed
once. Where they part, what each holds goes into its frame, and each goes on alone to its next meeting. Columns write
what they write for one thread; what of it has no form over vectors is written for one thread after the other.

It returns what `run` does where all eight came to the same, and PARTED where the states of the threads say where.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.control import Branch, Exit, Jump, Meeting, Return, Table
from jitload.cpu.code.liveness import registers_of, results_and_sources
from jitload.cpu.isa.effects import acts
from jitload.cpu.native import context
from jitload.cpu.native.errands import Errand
from jitload.cpu.native.frame import LANES
from jitload.cpu.native.inlined import Lost
from jitload.cpu.native.row_writer import RowWriter
from jitload.cpu.native.short import find_short
from jitload.cpu.native.text import Text
from jitload.cpu.native.widen import Unwidened, row_of, vector_of
from jitload.cpu.text.ir import Immediate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jitload.cpu.code.control import Block
    from jitload.cpu.native.operands import Resolved
    from jitload.cpu.native.shapes import Shapes
    from jitload.cpu.native.writer import Arrive, Emit
    from jitload.cpu.text.ir import Instruction, Register, Symbol, Written


class Varies(Exception):  # noqa: N818 - what is known of registers is made anew with it
    """A register differs between threads that was not expected to."""

    def __init__(self, register: int) -> None:
        super().__init__(register)
        self.register = register


class WideWriter(RowWriter):
    """Writes the function for a row of threads.

    Args:
        blocks: of the kernel.
        sites: the number of each place, as faults name it.
        resolve: gives where a symbol lies.
        emit: writes one instruction, and what a thread leaves at a meeting.
        carry: the register that holds the carry flag.
        shapes: how registers differ between threads.
        kept: slots of registers in a frame, which those of one thread have in common with these.
    """

    def __init__(
        self,
        blocks: list[Block],
        sites: Mapping[Written, int],
        resolve: Callable[[Symbol], Resolved],
        emit: tuple[Emit, Arrive],
        carry: Register,
        shapes: Shapes,
        kept: dict[int, int],
    ) -> None:
        super().__init__(blocks, sites, resolve, emit, carry, find_entries(blocks, shapes))
        self.shapes = shapes
        self._short = find_short(blocks, shapes)
        self.kept = kept
        self._own = False  # whether threads have registers for themselves that else are all the same

    def _signature(self) -> str:
        # Where threads part, the frames are read by other functions.
        return "define internal i32 @wide(ptr %c, ptr %f, i32 %from) {"

    # Instructions.

    def _write_block(self, block: Block) -> None:
        if block.number in self._entries and not _ends_together(block, self.shapes):
            self._part(row_of("i32", self.entry(block.number)))
            if isinstance(block.end, Meeting):
                self._note(block, block.end)
            return
        super()._write_block(block)

    def _note(self, block: Block, end: Meeting) -> None:
        """What threads of a row find behind a meeting to which they come alone."""
        lines, self._lane, self.lanes = len(self.lines), 0, 1
        self.begin(end.instruction.place)
        self._meet(block, end)
        del self.lines[lines:]
        self._lane, self.lanes = None, LANES

    def _write_instruction(self, instruction: Instruction) -> None:
        lines, near = len(self.lines), self.near
        try:
            super()._write_instruction(instruction)
        except Unwidened:
            del self.lines[lines:]
            reach = self._reaches.pop(id(instruction), None)
            if reach is not None:
                reach.found = None
            self.near = near
            self._write_for_each(instruction)

    def _write_for_each(self, instruction: Instruction) -> None:
        """For one thread after the other; once where it gives all of them the same."""
        results, sources = results_and_sources(instruction)
        alone = acts(instruction.opcode, instruction.modifiers) or any(
            one.index in self.shapes.varying for one in (*results, *sources)
        )
        for _ in self._turns(LANES if alone else 1):
            super()._write_instruction(instruction)

    def _turns(self, count: int) -> Iterator[int]:
        """Write for one thread after the other."""
        thread, near = self.common_word(context.THREAD), self.near
        for lane in range(count):
            self.lanes, self._lane, self.near = 1, lane, near  # what one found, the next one looks for
            self.set_word(context.THREAD, Text.new(self, f"add i64 {thread}, {lane}"))
            yield lane
        self.lanes, self._lane = LANES, None
        self.set_word(context.THREAD, thread)

    # Registers.

    def _type(self, register: Register) -> str:
        scalar = f"i{register.type.bits}"
        return vector_of(scalar) if register.index in self.shapes.varying else scalar

    def _make_registers(self) -> None:
        for register in self._registers.values():
            self.act(f"%r{register.index} = alloca {self._type(register)}")
        for register in self._registers.values():
            self._write(register, "0")
        self.act("%states = alloca <8 x i32>")
        self.act(f"%rows = alloca {vector_of('i64')}")

    def _read(self, register: Register) -> str:
        scalar = f"i{register.type.bits}"
        if register.index not in self.shapes.varying:
            return super()._read(register)
        found = self.vector(f"load {vector_of(scalar)}, ptr %r{register.index}", scalar)
        return found if self._lane is None else self.element(scalar, found, self._lane)

    def _write(self, register: Register, value: str) -> None:
        scalar, vector = f"i{register.type.bits}", self._type(register)
        if register.index not in self.shapes.varying:
            if value in self._rows or (self._lane not in {None, 0} and not self._own):
                raise Varies(register.index)
        elif self._lane is not None:
            old = Text.new(self, f"load {vector}, ptr %r{register.index}")
            value = Text.new(self, f"insertelement {vector} {old}, {scalar} {value}, i32 {self._lane}")
        else:
            value = self.row(scalar, value)
        self.act(f"store {vector} {value}, ptr %r{register.index}")

    def _keep(self, register: Register) -> None:
        self.leave(self._slot(register), f"i{register.type.bits}", self._read(register))

    def leave(self, word: int, type_: str, value: str) -> None:
        """Leave a value in a word of each thread's frame."""
        words, value = vector_of("i64"), self.row(type_, value)
        if type_ != "i64":
            value = self.single(f"zext {vector_of(type_)} {value} to {words}")
        self.act(f"store {words} {value}, ptr {self._frame_word(word)}, align 8")

    def _kept(self, register: Register, word: int | None = None) -> str:
        if register.index not in self.shapes.varying:  # the driver has seen that all have the same
            return super()._kept(register, word)
        scalar, words = f"i{register.type.bits}", vector_of("i64")
        place = self._frame_word(self._slot(register) if word is None else word)
        found = self.vector(f"load {words}, ptr {place}, align 8", "i64")
        return found if scalar == "i64" else self.vector(f"trunc {words} {found} to {vector_of(scalar)}", scalar)

    # Ways.

    def _branch(self, block: Block, end: Branch) -> None:
        if end.guard.index not in self.shapes.varying:
            super()._branch(block, end)
            return
        yes, no = (end.other, end.taken) if end.negated else (end.taken, end.other)
        guard = self._read(end.guard)
        bits = self.single(f"bitcast <8 x i1> {guard} to i8")
        taken, other, parted = self.label(), self.label(), self.label()
        self.act(f"switch i8 {bits}, label %{parted} [ i8 -1, label %{taken} i8 0, label %{other} ]")
        for label, way in ((taken, yes), (other, no)):
            self.act(f"{label}:")
            self._go(block, way)
        self.act(f"{parted}:")
        ways = self._short.get(block.number)
        if ways is not None:
            self._take_turns(guard, *((ways.other, ways.taken) if end.negated else (ways.taken, ways.other)))
            self._go(block, ways.join)
            return
        states = [row_of("i32", self.entry(way)) for way in (yes, no)]
        self._part(self.single(f"select <8 x i1> {guard}, <8 x i32> {states[0]}, <8 x i32> {states[1]}"))

    def _take_turns(self, guard: str, yes: Block | None, no: Block | None) -> None:
        """Let one thread after the other run its way."""
        self._own = True
        for lane in self._turns(LANES):
            bit = Text.new(self, f"extractelement <8 x i1> {guard}, i32 {lane}")
            done = self.label()
            labels = [done if way is None else self.label() for way in (yes, no)]
            self.act(f"br i1 {bit}, label %{labels[0]}, label %{labels[1]}")
            for way, label in zip((yes, no), labels, strict=True):
                if way is not None:
                    self.act(f"{label}:")
                    for instruction in way.instructions:
                        super()._write_instruction(instruction)
                    self.act(f"br label %{done}")
            self.act(f"{done}:")
        self._own = False

    def _part(self, states: str) -> None:
        """Let every thread go on alone, at these."""
        self.act(f"store <8 x i32> {states}, ptr %states")
        self.act("br label %part")

    def _go(self, block: Block, target: int) -> None:
        lane, self._lane = self._lane, 0  # the counter of turns is of the whole row
        super()._go(block, target)
        self._lane = lane

    def write(self) -> str:
        """The text of the function, with where its threads part."""
        for number in (context.THREAD, context.STATES):  # read where the function starts
            self.common_word(number)
        text = super().write().removesuffix("}")
        self.lines = []
        if self._entries:
            self._write_parting()
        return "\n".join([text, *self.lines, "}"])

    def _write_parting(self) -> None:
        self.act("part:")
        lasting = {one.index: one for block in self._entries for one in self._lasting(block)}
        for register in lasting.values():
            self._keep(register)
        self.act("%parted = load <8 x i32>, ptr %states")
        thread = self.common_word(context.THREAD)
        states = self.single(f"inttoptr i64 {self.common_word(context.STATES)} to ptr")
        here = self.single(f"getelementptr i32, ptr {states}, i64 {thread}")
        self.act(f"store <8 x i32> %parted, ptr {here}, align 4")
        self.act(f"ret i32 {self.single('call i32 @part(ptr %c)')}")

    def common(self) -> list[list[int]]:
        """By the number of a meeting, from 1: the slots of what a row is taken to have in common behind it."""
        targets = [block.end.target for block in self.meetings if isinstance(block.end, Meeting)]
        varying = self.shapes.varying
        return [[self._slot(one) for one in self._lasting(to) if one.index not in varying] for to in targets]


#: Ends of blocks that threads of a row reach together or not at all.
_TOGETHER = (Jump, Branch, Exit, Return, Meeting)


def _ends_together(block: Block, shapes: Shapes) -> bool:
    """Whether threads of a row may come to the end of a block as one; who names others by a register, says so alone."""
    end = block.end
    if isinstance(end, Errand):
        return True
    if isinstance(end, Table):
        return all(one.index not in shapes.varying for one in registers_of(end.instruction.operands[0]))
    if isinstance(end, Lost):
        return False
    if not isinstance(end, Meeting) or end.instruction.opcode == "activemask" or not end.instruction.operands:
        return isinstance(end, _TOGETHER)
    return isinstance(end.instruction.operands[-1], Immediate) or "red" in end.instruction.modifiers


def find_entries(blocks: list[Block], shapes: Shapes) -> tuple[int, ...]:
    """Where threads may have to go on alone: behind branches on what differs, and at ends that have no wide form."""
    found = {block.number for block in blocks if not _ends_together(block, shapes)}
    short = find_short(blocks, shapes)
    for block in blocks:
        if isinstance(block.end, Branch) and block.end.guard.index in shapes.varying and block.number not in short:
            found |= {block.end.taken, block.end.other}
    return tuple(sorted(found))
