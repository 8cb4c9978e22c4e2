"""One kernel as one function of LLVM IR: `i32 run(context, frame, where to go on)`.

It returns 0 at the thread's end, the number of a meeting where it waits, or -1. A register is an `alloca` of its bits,
which LLVM turns into values. Where to go on is 0, the number of a meeting, or behind those the place of a block among
`entries`, at which a thread goes on alone that ran beside others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.control import Branch, Exit, Jump, Meeting, Return, Table
from jitload.cpu.code.liveness import results_and_sources
from jitload.cpu.faults import Refused
from jitload.cpu.native import context
from jitload.cpu.native.errands import Errand
from jitload.cpu.native.frame import LANES, WORDS, Meet
from jitload.cpu.native.inlined import Lost
from jitload.cpu.native.operands import OperandReader
from jitload.cpu.native.reach import find_reaches
from jitload.cpu.native.text import fault_code
from jitload.cpu.native.turns import Order
from jitload.cpu.native.unsaved import find_early, find_unsaved
from jitload.cpu.text.ir import Register, Sink

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jitload.cpu.code.control import Block
    from jitload.cpu.native.operands import Resolved
    from jitload.cpu.native.reach import Reach
    from jitload.cpu.text.ir import Instruction, Operand, Place, Symbol, Written

    Emit = Callable[["KernelWriter", Instruction], None]
    Arrive = Callable[["KernelWriter", Instruction], Meet]


class KernelWriter(OperandReader):
    """Writes the function of a kernel.

    Args:
        blocks: of the kernel.
        sites: the number of each place, as faults name it.
        resolve: gives where a symbol lies.
        emit: writes one instruction, and what a thread leaves at a meeting.
        carry: the register that holds the carry flag.
        entries: blocks at which a thread may go on alone.

    Attributes:
        near: how many sites access global memory.
        meetings: the blocks that end in one, in the order of their numbers.
        meets: by those, what each of them is.
        kept: slots of registers that outlast a meeting, in a thread's frame.
    """

    def __init__(
        self,
        blocks: list[Block],
        sites: Mapping[Written, int],
        resolve: Callable[[Symbol], Resolved],
        emit: tuple[Emit, Arrive],
        carry: Register,
        entries: tuple[int, ...] = (),
    ) -> None:
        super().__init__(resolve)
        self.blocks = blocks
        self.carry = carry
        self.site = 0
        self.near = 0
        self.meetings = [block for block in blocks if isinstance(block.end, Meeting)]
        self.meets: dict[int, Meet] = {}
        self.kept: dict[int, int] = {}
        self._order = Order(blocks)
        self._sites = sites
        self._emit, self._arrive = emit
        self._entries = entries
        self._guard: str | None = None
        self._early = find_early(blocks, carry)
        self._unsaved = find_unsaved(blocks, carry, self._early)
        self._reaches: dict[int, Reach] = {}
        self._now = 0

    def write(self) -> str:
        """The text of the function.

        Raises:
            Refused: something in it has no native column.
        """
        self._declare_all()
        for block in self.blocks:
            self.line(f"b{block.number}:")
            self._write_block(block)
        body, self.lines = self.lines, []
        head = self._head()
        return "\n".join([self._signature(), *self._read_once(), *head, *body, "stopped:", "ret i32 -1", "}"])

    def _signature(self) -> str:
        return "define internal i32 @run(ptr noalias nocapture %c, ptr noalias nocapture %f, i32 %from) {"

    #: How many threads what is written now is for.
    lanes = 1

    def first_thread(self) -> str:
        """The number of the thread in its block; of the first one, where the text is for several."""
        return self.word(context.THREAD)

    def reach(self) -> Reach | None:
        """What the access that is written now is checked with."""
        return self._reaches.get(self._now)

    def keep_raw(self, operand: Operand, value: str) -> None:
        """Say of which float a register has the bits now, but for which NaN it is."""
        if isinstance(operand, Register) and operand.type.bits == 32 and self._guard is None:
            self._raws[operand.index] = value

    def _write_block(self, block: Block) -> None:
        self._raws.clear()
        self._reaches = find_reaches(block.instructions)
        for instruction in block.instructions:
            self._write_instruction(instruction)
            for register in results_and_sources(instruction)[0]:
                if self._early >> register.index & 1:
                    self._keep(register)
        self._end(block)

    def _write_instruction(self, instruction: Instruction) -> None:
        self.begin(instruction.place)
        self._now = id(instruction)
        if instruction.guard is not None:
            guard = self.value(instruction.guard, 1)
            self._guard = self.new(f"xor i1 {guard}, true") if instruction.negated else guard
        self._emit(self, instruction)

    def missing(self, instruction: Instruction, meets: bool) -> Refused | None:
        """Why an instruction, or a meeting, has no native form, or None; nothing of it is left written."""
        try:
            if meets:
                self.begin(instruction.place)
                self._arrive(self, instruction)
            else:
                self._write_instruction(instruction)
        except Refused as why:
            return Refused(why.why, why.place or instruction.place)
        finally:
            self.lines.clear()
        return None

    def _declare_all(self) -> None:
        for block in self.blocks:
            ended = [block.end.instruction] if isinstance(block.end, Errand) else []
            for instruction in (*block.instructions, *ended):
                for registers in results_and_sources(instruction):
                    for register in registers:
                        self._declare(register)
            if isinstance(block.end, Branch):
                self._declare(block.end.guard)

    def _head(self) -> list[str]:
        """Registers, all zero, and the way to where the thread goes on."""
        self._make_registers()
        targets = [block.end.target for block in self.meetings if isinstance(block.end, Meeting)] + [*self._entries]
        cases = " ".join(f"i32 {number}, label %w{number}" for number in range(1, len(targets) + 1))
        self.line(f"switch i32 %from, label %b0 [ {cases} ]")
        for number, target in enumerate(targets, 1):
            self.line(f"w{number}:")
            results = dict(self.meets[number].results) if number in self.meets else {}
            for register in self._lasting(target):
                self._write(register, self._kept(register, results.get(register)))
            self.line(f"br label %b{target}")
        head, self.lines = self.lines, []
        return head

    def _make_registers(self) -> None:
        for register in self._registers.values():
            self.line(f"%r{register.index} = alloca i{register.type.bits}")
        for register in self._registers.values():
            self._write(register, "0")

    def _read_once(self) -> list[str]:
        """The words of the context that do not change."""
        found = []
        for number, name in self._words.items():
            found += [f"{name}.at = getelementptr i64, ptr %c, i64 {number}", f"{name} = load i64, ptr {name}.at"]
        return found

    def entry(self, block: int) -> int:
        """Where a thread goes on alone at a block, as a number."""
        return 1 + len(self.meetings) + self._entries.index(block)

    def _lasting(self, target: int) -> list[Register]:
        live = self.blocks[target].live_in
        return [register for index, register in sorted(self._registers.items()) if live >> index & 1]

    # Registers, and what a thread keeps of them while it waits.

    def _write(self, register: Register, value: str) -> None:
        self.line(f"store i{register.type.bits} {value}, ptr %r{register.index}")

    def _keep(self, register: Register) -> None:
        self.leave(self._slot(register), f"i{register.type.bits}", self._read(register))

    def leave(self, word: int, type_: str, value: str) -> None:
        """Leave a value in a word of the thread's frame."""
        self.line(f"store {type_} {value}, ptr {self._frame_word(word)}")

    def _kept(self, register: Register, word: int | None = None) -> str:
        """What the frame has of a register, or in the word of a result."""
        place = self._frame_word(self._slot(register) if word is None else word)
        return self.new(f"load i{register.type.bits}, ptr {place}")

    def _frame_word(self, number: int) -> str:
        """Where a word of the frame lies: frames of a row of threads lie word by word among each other."""
        return self.single(f"getelementptr i64, ptr %f, i64 {LANES * number}")

    def _slot(self, register: Register) -> int:
        return WORDS + self.kept.setdefault(register.index, len(self.kept))

    def begin(self, place: Place) -> None:
        """Go on to the next instruction."""
        found = self._sites.get(place.written)
        if found is None:
            raise Refused("an instruction whose place is not known", place)
        self.site = found
        self._guard = None

    # What they write.

    def result(self, operand: Operand, bits: int, value: str, *, signed: bool = False) -> None:
        """Write a register; a wider one is filled by sign or zeros."""
        if isinstance(operand, Sink):
            return
        if not isinstance(operand, Register):
            raise Refused("a destination that is no register")
        self._declare(operand)
        own = operand.type.bits
        if own < bits or (own == 1) != (bits == 1):
            raise Refused(f"register {operand.name} of {own} bits cannot take {bits}")
        if own > bits:
            value = self.new(f"{'sext' if signed else 'zext'} i{bits} {value} to i{own}")
        if self._guard is not None:
            value = self.select(self._guard, f"i{own}", value, self._read(operand))
        self._raws.pop(operand.index, None)
        self._write(operand, value)

    def unguarded(self) -> None:
        """Refuse an instruction under a guard that is none of those which only give a value."""
        if self._guard is not None:
            raise Refused("a guard without a native form")

    # Where blocks end.

    def _end(self, block: Block) -> None:
        end = block.end
        if isinstance(end, Jump):
            self._go(block, end.target)
        elif isinstance(end, Branch):
            self._branch(block, end)
        elif isinstance(end, Table):
            self.begin(end.instruction.place)
            self._table(block, end)
        elif isinstance(end, Lost):
            self.begin(end.call.place)
            self.set_word(context.ADDRESS, self.value(end.callee, 64))
            fault_code(self, context.LOST, self.site)
        elif isinstance(end, Exit | Return):
            self.line("ret i32 0")
        elif isinstance(end, Meeting):
            self.begin(end.instruction.place)
            self._meet(block, end)
        else:
            raise Refused("a call without a native form", end.instruction.place)

    def _branch(self, block: Block, end: Branch) -> None:
        ways = (end.other, end.taken) if end.negated else (end.taken, end.other)
        labels = [f"b{way}" if way > block.number else self.label() for way in ways]
        self.line(f"br i1 {self.value(end.guard, 1)}, label %{labels[0]}, label %{labels[1]}")
        for label, way in zip(labels, ways, strict=True):
            if way <= block.number:
                self.line(f"{label}:")
                self._go(block, way)

    def _table(self, block: Block, end: Table) -> None:
        index, past = self.value(end.instruction.operands[0], 32), self.label()
        labels = [f"b{to}" if to > block.number else self.label() for to in end.targets]
        ways = " ".join(f"i32 {number}, label %{label}" for number, label in enumerate(labels))
        self.line(f"switch i32 {index}, label %{past} [ {ways} ]")
        for label, to in zip(labels, end.targets, strict=True):
            if to <= block.number:
                self.line(f"{label}:")
                self._go(block, to)
        self.line(f"{past}:")
        fault_code(self, context.TABLE_END, self.site)

    def _go(self, block: Block, target: int) -> None:
        """Jump; backwards, a thread looks whether it may go on."""
        if target > block.number:
            self.line(f"br label %b{target}")
            return
        left = self.new(f"sub i64 {self.word(context.FUEL)}, 1")
        self.set_word(context.FUEL, left)
        empty = self.new(f"icmp sle i64 {left}, 0")
        look, stop = self.label(), self.label()
        self.line(f"br i1 {empty}, label %{look}, label %b{target}, !prof !0")
        self.line(f"{look}:")
        self.set_word(context.SITE, self.site)
        poll = self.new(f"inttoptr i64 {self.word(context.POLL)} to ptr")
        answer = self.new(f"call i32 {poll}(ptr %c)")
        self.line(f"br i1 {self.new(f'icmp eq i32 {answer}, 0')}, label %b{target}, label %{stop}")
        self.line(f"{stop}:")
        self.line("ret i32 -1")

    def _meet(self, block: Block, end: Meeting) -> None:
        number = 1 + self.meetings.index(block)
        sent = isinstance(end, Errand)
        self.meets[number] = Meet(errand=True) if sent else self._arrive(self, end.instruction)
        if self.meets[number].name == "activemask" and not self._order.is_together(block.number):
            raise Refused("threads may come to activemask at different times", end.instruction.place)
        results = dict(self.meets[number].results)
        unsaved = self._unsaved[block.number]
        needed = dict.fromkeys([*self._lasting(end.target), *(end.code.loads if isinstance(end, Errand) else ())])
        for register in needed:
            if register not in results and unsaved >> register.index & 1:
                self._keep(register)
        self.line(f"ret i32 {number}")

    def stop(self, code: int) -> None:
        """Stop the launch here; what is written behind it is never run."""
        fault_code(self, code, self.site)
        self.line(f"{self.label()}:")
