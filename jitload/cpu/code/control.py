"""Basic blocks, and what may end one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jitload.cpu.text.ir import Instruction, Operand, Register, Variable


class Jump:
    """Every lane goes on at block `target`; no instruction where one block runs into the next."""

    __slots__ = ("instruction", "target")

    def __init__(self, target: int, instruction: Instruction | None = None) -> None:
        self.target = target
        self.instruction = instruction


class Branch:
    """Lanes whose `guard` is true (false when `negated`) go to `taken`, the others to `other`.

    There is no instruction where this leads around one that has a guard.
    """

    __slots__ = ("guard", "instruction", "negated", "other", "taken")

    def __init__(
        self, guard: Register, negated: bool, taken: int, other: int, instruction: Instruction | None = None
    ) -> None:
        self.guard = guard
        self.negated = negated
        self.taken = taken
        self.other = other
        self.instruction = instruction


class Table:
    """`brx.idx`: the operand selects a target."""

    __slots__ = ("instruction", "targets")

    def __init__(self, instruction: Instruction, targets: tuple[int, ...]) -> None:
        self.instruction = instruction
        self.targets = targets


class Meeting:
    """A barrier or a warp operation, then block `target`."""

    __slots__ = ("instruction", "target")

    def __init__(self, instruction: Instruction, target: int) -> None:
        self.instruction = instruction
        self.target = target


class Call:
    """A call whose arguments and results lie in variables of the frame, then block `target`."""

    __slots__ = ("arguments", "callee", "instruction", "results", "target")

    def __init__(
        self,
        instruction: Instruction,
        callee: Operand,
        arguments: tuple[Variable, ...],
        results: tuple[Variable, ...],
        target: int,
    ) -> None:
        self.instruction = instruction
        self.callee = callee
        self.arguments = arguments
        self.results = results
        self.target = target


class Return:
    """`ret`: back to the caller, or the end of the thread in a kernel; no instruction at the end of a body."""

    __slots__ = ("instruction",)

    def __init__(self, instruction: Instruction | None = None) -> None:
        self.instruction = instruction


class Exit:
    """`exit`: the end of the thread."""

    __slots__ = ("instruction",)

    def __init__(self, instruction: Instruction | None = None) -> None:
        self.instruction = instruction


Terminator = Jump | Branch | Table | Meeting | Call | Return | Exit


class Block:
    """Instructions that the same lanes run from first to last.

    Attributes:
        number: its place among the blocks of its function.
        instructions: without the one that ends the block.
        end: what happens then.
        live_in: bit set of registers read before they are written, here or later.
        live_out: bit set of registers that a later block reads.
        used: those that it reads before it writes them.
        defined: those that it writes.
        given: the latter in order, without the carry flag.
    """

    __slots__ = ("defined", "end", "given", "instructions", "live_in", "live_out", "number", "used")

    def __init__(self, number: int) -> None:
        self.number = number
        self.instructions: list[Instruction] = []
        self.end: Terminator = Exit()
        self.live_in = self.live_out = self.used = self.defined = 0
        self.given: tuple[Register, ...] = ()


def moved(end: Terminator, starts: list[int]) -> Terminator:
    """The end of a block, with the new numbers of others."""
    if isinstance(end, Jump):
        return Jump(starts[end.target], end.instruction)
    if isinstance(end, Branch):
        return Branch(end.guard, end.negated, starts[end.taken], starts[end.other], end.instruction)
    if isinstance(end, Table):
        return Table(end.instruction, tuple(starts[one] for one in end.targets))
    if isinstance(end, Meeting):
        return Meeting(end.instruction, starts[end.target])
    if isinstance(end, Call):
        return Call(end.instruction, end.callee, end.arguments, end.results, starts[end.target])
    return end
