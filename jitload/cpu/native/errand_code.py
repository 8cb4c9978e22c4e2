"""What lanes do for machine code, as Python: one instruction, one meeting, or one call of the runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jitload.cpu.code.block_code import CallCode
from jitload.cpu.code.block_text import BlockMaker
from jitload.cpu.code.control import Block, Call, Meeting
from jitload.cpu.code.function_writer import FunctionWriter
from jitload.cpu.code.instruction import emit
from jitload.cpu.code.liveness import carries, results_and_sources
from jitload.cpu.code.namespace import make_namespace
from jitload.cpu.code.writer import BlockWriter
from jitload.cpu.emit.meeting import emit_meeting
from jitload.cpu.faults import Refused
from jitload.cpu.native.symbols import resolver
from jitload.cpu.text.ir import Instruction, Sink, Symbol, Vector

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jitload.cpu.code.block_code import BlockRun, MeetingCode
    from jitload.cpu.code.block_text import BlockText
    from jitload.cpu.kernel_code import KernelCode
    from jitload.cpu.native.inlined import Inlined
    from jitload.cpu.text.ir import Place, Register, Variable, Written

#: In place of a position in a block: what ends it.
END = -1
_MOST_BITS = 64  # of a word of the frame


class ErrandCode(NamedTuple):
    """One errand.

    Attributes:
        instruction: what is done.
        loads: the registers that are read for it.
        written: those that it writes.
        site: for faults.
        text: the code that does it, or gives the operands of its meeting; None for none.
        meeting: of threads that wait for each other.
        call: of a function of the runtime.
    """

    instruction: Instruction
    loads: tuple[Register, ...]
    written: tuple[Register, ...]
    site: int
    text: BlockText | None = None
    meeting: MeetingCode | None = None
    call: CallCode | None = None

    def stand_in(self) -> Instruction:
        """An instruction that reads and writes the same registers, and does nothing else."""
        target = Vector(self.written) if self.written else Sink()
        return Instruction("mov.b32", (target, Vector(self.loads)), self.instruction.place, self.instruction.scope)


class _Function(FunctionWriter):
    """A function whose places have numbers already."""

    sites: Mapping[Written, int]

    def site(self, place: Place) -> int:
        """The number of the place of an instruction."""
        found = self.sites.get(place.written)
        if found is None:
            raise Refused("an instruction whose place is not known", place)
        return found


class ErrandWriter:
    """Writes errands of one kernel.

    Args:
        code: the kernel.
        inlined: the same, with what it calls.
        sites: the number of each place, as faults name it.
    """

    def __init__(self, code: KernelCode, inlined: Inlined, sites: Mapping[Written, int]) -> None:
        variables: list[Variable] = []
        self._linker = code.linker
        self._variables = variables
        self._resolve = resolver(inlined, variables)
        self._carry = inlined.carry
        self._namespace = make_namespace()
        self._function = _Function(code.name, self._namespace, code.places, self._address, True, inlined.carry, set())
        self._function.sites = sites
        self._written = 0

    def _address(self, symbol: Symbol) -> tuple[str, int]:
        """(space, address) of a symbol, as generated code of lanes has it."""
        found = self._resolve(symbol)
        if found.variable < 0:
            return found.space, found.offset
        return found.space, self._linker.address(self._variables[found.variable]) + found.offset

    def write(self, block: Block, position: int) -> ErrandCode:
        """The errand for an instruction of a block, or for what ends it.

        Raises:
            Refused: lanes cannot do that alone.
        """
        self._written += 1
        writer = BlockWriter(self._function, Block(self._written))
        end = block.end
        done = block.instructions[position] if position != END else getattr(end, "instruction", None)
        if done is not None and done.opcode == "tcgen05":
            raise Refused("tensor memory, which blocks of lanes alone have", done.place)
        if position != END:
            found = _instruction(writer, block.instructions[position])
        elif isinstance(end, Meeting):
            found = _meeting(writer, end.instruction)
        else:
            assert isinstance(end, Call)
            found = self._call(writer, end)
        if any(one.type.bits > _MOST_BITS for one in (*found.loads, *found.written)):
            raise Refused("a register that no frame holds", found.instruction.place)
        return found

    def _call(self, writer: BlockWriter, end: Call) -> ErrandCode:
        assert isinstance(end.callee, Symbol)
        writer.begin(end.instruction)
        places = [tuple((self._place(one), one.size) for one in group) for group in (end.arguments, end.results)]
        call = CallCode(end.callee.name, places[0], places[1], end.target, writer.site)
        return ErrandCode(end.instruction, (), (), writer.site, call=call)

    def _place(self, variable: Variable) -> int:
        return self._resolve(Symbol(variable.name, 0, variable)).offset

    def make(self, errand: ErrandCode) -> BlockRun | None:
        """The function of an errand, ready to run."""
        if errand.text is None or not errand.text.body:
            return None
        return BlockMaker(self._namespace, "<ptx errand>").make(errand.text)


def _instruction(writer: BlockWriter, instruction: Instruction) -> ErrandCode:
    if any(carries(instruction)):
        raise Refused("a carry flag that lanes would have to take over", instruction.place)
    emit(writer, instruction)
    written = results_and_sources(instruction)[0]
    text = writer.text("None", written)
    return ErrandCode(instruction, tuple(writer.loads), tuple(written), writer.site, text)


def _meeting(writer: BlockWriter, instruction: Instruction) -> ErrandCode:
    code, returned, written = emit_meeting(writer, instruction)
    if code.kind == "warp" and not code.masked:
        raise Refused(f"{instruction.opcode} without a member mask has no native form", instruction.place)
    text = writer.text(returned, [])
    return ErrandCode(instruction, tuple(writer.loads), tuple(written), writer.site, text, code)
