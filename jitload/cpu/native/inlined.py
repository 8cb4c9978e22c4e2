"""A kernel with the functions that it calls as one: the code of a function stands wherever that is called.

Each copy has registers of its own, and variables where lanes have them: behind the frame of its caller. Arguments and
results are moved between frames as lanes move them. A call through a register compares it with every function whose
address the module gives out, one after the other.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple

from jitload.cpu.code.control import Block, Branch, Call, Exit, Jump, Meeting, Return, moved
from jitload.cpu.code.draft import BUILTINS, Reader
from jitload.cpu.code.liveness import find_liveness
from jitload.cpu.faults import Refused
from jitload.cpu.native.copied import Copy
from jitload.cpu.text.ir import Immediate, Instruction, Memory, Register, Symbol
from jitload.cpu.types import TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jitload.cpu.code.draft import Draft
    from jitload.cpu.code.link import Linker
    from jitload.cpu.kernel_code import KernelCode
    from jitload.cpu.text.ir import Function, Operand, Variable

#: Of a kernel with calls in it, copies counted each; so many take half a minute to compile.
_MOST_INSTRUCTIONS = 10_000


class Lost(Exit):
    """What is called is no function: the thread stops. `callee` holds the address."""

    __slots__ = ("call", "callee")

    def __init__(self, call: Instruction, callee: Register) -> None:
        super().__init__(call)
        self.call = call
        self.callee = callee


class Inlined(NamedTuple):
    """A kernel without calls but those of the runtime.

    Attributes:
        function: as it is declared.
        linker: gives the addresses of functions.
        blocks: the kernel's, with those of what it calls between them.
        carry: the register that holds the carry flag.
        registers: of all copies, by number.
        offsets: of variables in a thread's local memory, by their identity.
        variables: whose identities those are.
        symbols: that instructions of any function name.
        origins: of each block, (function, number there).
    """

    function: Function
    linker: Linker
    blocks: list[Block]
    carry: Register
    registers: list[Register]
    offsets: dict[int, int]
    variables: list[Variable]
    symbols: list[Symbol]
    origins: list[tuple[str, int]]

    @property
    def calls(self) -> bool:
        """Whether something was called."""
        return any(name != self.function.name for name, _ in self.origins)


def read_inlined(code: KernelCode) -> Inlined:
    """Read a kernel again, and what it calls.

    Raises:
        Refused: something that it calls cannot stand in its place.
    """
    drafts = Reader(code.linker, code.name).read_all(code.entry)
    for draft in drafts.values():
        draft.lay_out(entry=draft.function is code.entry)
    return inline(drafts, code.linker, code.name, set(code.functions), code.local_bytes)


def inline(drafts: dict[str, Draft], linker: Linker, name: str, functions: set[str], room: int) -> Inlined:
    """Put copies of functions in the place of their calls.

    Args:
        drafts: the kernel and what it reaches.
        linker: gives the addresses of functions.
        name: the kernel.
        functions: those that can run.
        room: bytes of local memory per thread.
    """
    writer, draft = _Inliner(drafts, linker, name, functions, room), drafts[name]
    own = Copy(draft, 0, draft.body.registers, {}, (name,))
    writer.offsets.update(draft.offsets)
    writer.variables += draft.framed
    writer.write(own)
    find_liveness(writer.blocks, draft.carry)
    symbols = [symbol for one in drafts.values() for symbol in one.symbols]
    return Inlined(
        draft.function, linker, writer.blocks, draft.carry, writer.registers, writer.offsets, writer.variables, symbols,
        writer.origins,
    )  # fmt: skip


class _Inliner:
    """Writes the blocks."""

    def __init__(self, drafts: dict[str, Draft], linker: Linker, name: str, functions: set[str], room: int) -> None:
        self._drafts = drafts
        self._linker = linker
        self._name = name
        self._functions = functions
        self._room = room
        self._instructions = 0
        self.blocks: list[Block] = []
        self.origins: list[tuple[str, int]] = []
        self.registers = list(drafts[name].body.registers)
        self.offsets: dict[int, int] = {}
        self.variables: list[Variable] = []

    def write(self, own: Copy) -> list[Block]:
        """Write a copy; gives the blocks that end in its returns, which lead nowhere yet."""
        returns: list[Block] = []
        starts: list[int] = []
        ends: list[Block] = []
        for block in own.draft.blocks:
            made = self._begin(own, block.number)
            starts.append(made.number)
            _expect_order(own, block)
            self._append(made, [own.instruction(one) for one in block.instructions])
            made.end = block.end
            if isinstance(block.end, Call) and not _is_builtin(block.end):
                self._call(own, made, block.end)
            elif isinstance(block.end, Return) and len(own.path) > 1:
                returns.append(made)
            else:
                ends.append(made)
        for made in ends:
            made.end = own.end_of(moved(made.end, starts))
        return returns

    def _call(self, own: Copy, block: Block, call: Call) -> None:
        """Write what a block of a copy calls, behind it; where that returns, the next block begins."""
        if own.draft.blocks[call.target].live_in >> own.draft.carry.index & 1:
            raise Refused("a carry flag that outlasts a call has no native form", call.instruction.place)
        if isinstance(call.callee, Symbol):
            returns = self._enter(own, block, call, call.callee.name)
        else:
            callee = own.operand(call.callee)
            assert isinstance(callee, Register)
            returns = self._choose(own, block, call, callee)
        for one in returns:
            one.end = Jump(len(self.blocks))

    def _choose(self, own: Copy, block: Block, call: Call, callee: Register) -> list[Block]:
        """Call whichever function has the address that a register holds."""
        returns: list[Block] = []
        block.end = Jump(len(self.blocks))
        for name in self._given_out(call):
            test, equal = self._begin(own, call.target - 1), self._register("pred")
            address = Immediate(self._linker.function_address(name))
            self._append(test, [_instruction(call, "setp.eq.u64", equal, callee, address)])
            into = self._begin(own, call.target - 1)
            returns += self._enter(own, into, call, name)
            test.end = Branch(equal, True, len(self.blocks), into.number)
        nowhere, address_of = self._begin(own, call.target - 1), self._register("b64")
        self._append(nowhere, [_instruction(call, "mov.b64", address_of, callee)])
        nowhere.end = Lost(call.instruction, address_of)
        return returns

    def _given_out(self, call: Call) -> list[str]:
        """The functions that a register may hold the address of."""
        symbols = [symbol for draft in self._drafts.values() for symbol in draft.symbols]
        found = self._linker.functions_given_out() | self._linker.functions_named(symbols)
        if not found.isdisjoint({self._name, *BUILTINS}):
            raise Refused(
                "a call of a kernel, or of the runtime, by its address has no native form", call.instruction.place
            )
        return sorted(found & self._functions)

    def _enter(self, own: Copy, block: Block, call: Call, name: str) -> list[Block]:
        """Move arguments, write a copy of a function, and move its results where it returns."""
        draft, place = self._drafts[name], call.instruction.place
        if name in own.path:
            raise Refused(f"function {name[:80]} calls itself, which has no native form", place)
        if draft.blocks[0].live_in >> draft.carry.index & 1:
            raise Refused("a carry flag that nobody has set has no native form", place)
        copied = self._copy(own, draft, name)
        if copied.behind > self._room:
            raise Refused("calls in one another that no stack has room for", place)
        formals, results = draft.function.parameters, draft.function.results
        for variable, formal in zip(call.arguments, formals, strict=False):
            self._append(block, self._moves(call, own.variable(variable), copied.formal(formal)))
        self._append(block, [_zero(call, one) for one in copied.read_first()])
        block.end = Jump(len(self.blocks))
        returns = self.write(copied)
        for one in returns:
            for variable, formal in zip(call.results, results, strict=False):
                self._append(one, self._moves(call, copied.formal(formal), own.variable(variable)))
        return returns

    def _copy(self, own: Copy, draft: Draft, name: str) -> Copy:
        base, variables = own.behind, {}
        for variable in draft.framed:
            mine = variables[id(variable)] = copy.copy(variable)
            self.variables.append(mine)
            self.offsets[id(mine)] = base + draft.offsets[id(variable)]
        registers = [self._register(one.type.name, one.name) for one in draft.body.registers[:-1]]
        registers.append(self.registers[self._drafts[self._name].carry.index])
        return Copy(draft, base, registers, variables, (*own.path, name))

    def _register(self, type_name: str, name: str = "") -> Register:
        made = Register(name or f"call{len(self.registers)}", TYPES[type_name], len(self.registers))
        self.registers.append(made)
        return made

    def _moves(self, call: Call, source: Variable, target: Variable) -> Iterator[Instruction]:
        """Instructions that move the bytes of one variable to another."""
        start, end, nbytes = self.offsets[id(source)], self.offsets[id(target)], min(source.size, target.size)
        at = 0
        while at < nbytes:
            step = next(one for one in (8, 4, 2, 1) if one <= nbytes - at and not (start + at) % one | (end + at) % one)
            register = self._register(f"b{max(8 * step, 16)}")
            for name, operands in (("ld", (register, _at(source, at))), ("st", (_at(target, at), register))):
                yield _instruction(call, f"{name}.local.b{8 * step}", *operands)
            at += step

    def _begin(self, own: Copy, number: int) -> Block:
        made = Block(len(self.blocks))
        self.blocks.append(made)
        self.origins.append((own.path[-1], number))
        return made

    def _append(self, block: Block, instructions: Iterable[Instruction]) -> None:
        before = len(block.instructions)
        block.instructions += instructions
        self._instructions += len(block.instructions) - before
        if self._instructions > _MOST_INSTRUCTIONS and len(self._drafts) > 1:
            raise Refused(f"with the functions that it calls it has more than {_MOST_INSTRUCTIONS} instructions")


def _expect_order(own: Copy, block: Block) -> None:
    """Refuse to ask in a function who is there: on lanes those come to it first who are deepest in calls."""
    end = block.end
    if len(own.path) > 1 and isinstance(end, Meeting) and end.instruction.opcode == "activemask":
        raise Refused("activemask in a function that is called", end.instruction.place)


def _is_builtin(call: Call) -> bool:
    return isinstance(call.callee, Symbol) and call.callee.name in BUILTINS


def _at(variable: Variable, offset: int) -> Memory:
    return Memory(Symbol(variable.name, 0, variable), offset)


def _zero(call: Call, register: Register) -> Instruction:
    type_ = "pred" if register.type.bits == 1 else f"b{register.type.bits}"
    return _instruction(call, f"mov.{type_}", register, Immediate(0))


def _instruction(call: Call, name: str, *operands: Operand) -> Instruction:
    """One that stands for a part of a call."""
    return Instruction(name, operands, call.instruction.place, call.instruction.scope)
