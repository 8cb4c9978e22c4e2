"""A function where it is called: its instructions over registers and variables of their own."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple

from jitload.cpu.code.control import Branch, Call, Meeting, Table
from jitload.cpu.text.ir import Memory, Not, Pair, Part, Register, Symbol, Texel, Vector

if TYPE_CHECKING:
    from jitload.cpu.code.control import Terminator
    from jitload.cpu.code.draft import Draft
    from jitload.cpu.text.ir import Instruction, Operand, Variable

_PARAMETERS = frozenset({"param", "param::entry", "param::func"})


class Copy(NamedTuple):
    """A function where it is called.

    Attributes:
        base: of its frame in a thread's local memory.
        registers: its own, by the numbers that they have in the function.
        variables: its own, by the identity of the function's.
        path: what is called in one another here, the kernel first.
    """

    draft: Draft
    base: int
    registers: list[Register]
    variables: dict[int, Variable]
    path: tuple[str, ...]

    @property
    def behind(self) -> int:
        """Where the frame of what it calls begins."""
        return self.base + self.draft.frame_bytes

    def variable(self, one: Variable) -> Variable:
        """Its own of a variable of the function."""
        return self.variables.get(id(one), one)

    def formal(self, one: Variable) -> Variable:
        """Where a parameter or a result of the function lies."""
        return self.variable(self.draft.flow.formal_slots.get(one.name, one))

    def read_first(self) -> list[Register]:
        """Registers that may be read before they are written: they are zero."""
        live = self.draft.blocks[0].live_in
        return [own for index, own in enumerate(self.registers) if live >> index & 1]

    def instruction(self, one: Instruction) -> Instruction:
        """Its own of an instruction; the kernel's are those of the text."""
        if len(self.path) == 1:
            return one
        own = copy.copy(one)
        own.operands = tuple(self.operand(operand) for operand in one.operands)
        if any(isinstance(operand, Memory) and not isinstance(operand.base, Symbol) for operand in one.operands):
            # A function's own parameters lie in its frame; only by their names those of kernels are told apart.
            own.modifiers = tuple("local" if part in _PARAMETERS else part for part in one.modifiers)
        own.guard = None if one.guard is None else self.registers[one.guard.index]
        return own

    def operand(self, one: Operand) -> Operand:
        """Its own of an operand."""
        if isinstance(one, Register):
            return self.registers[one.index]
        if isinstance(one, Symbol):
            return one if one.variable is None else one._replace(variable=self.variable(one.variable))
        if isinstance(one, Memory):
            base = None if one.base is None else self.operand(one.base)
            assert base is None or isinstance(base, Register | Symbol)
            return Memory(base, one.offset)
        if isinstance(one, Vector):
            return Vector(tuple(self.operand(item) for item in one.items))
        if isinstance(one, Texel):
            coordinates = self.operand(one.coordinates)
            assert isinstance(coordinates, Vector)
            return Texel(self.registers[one.handle.index], coordinates)
        if isinstance(one, Pair):
            return Pair(self.operand(one.first), self.operand(one.second))
        if isinstance(one, Not):
            return Not(self.operand(one.operand))
        return one._replace(register=self.registers[one.register.index]) if isinstance(one, Part) else one

    def end_of(self, end: Terminator) -> Terminator:
        """Its own of what ends a block."""
        if len(self.path) == 1:
            return end
        if isinstance(end, Branch):
            return Branch(self.registers[end.guard.index], end.negated, end.taken, end.other, end.instruction)
        if isinstance(end, Call):
            arguments, results = (tuple(map(self.variable, group)) for group in (end.arguments, end.results))
            return Call(end.instruction, end.callee, arguments, results, end.target)
        if isinstance(end, Table):
            return Table(self.instruction(end.instruction), end.targets)
        return Meeting(self.instruction(end.instruction), end.target) if isinstance(end, Meeting) else end
