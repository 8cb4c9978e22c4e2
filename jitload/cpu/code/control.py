"""Basic blocks, and what may end one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jitload.cpu.text.ir import Instruction, Operand, Register, Variable


class Jump(NamedTuple):
    """Every lane goes on at block `target`; no instruction where one block runs into the next."""

    target: int
    instruction: Instruction | None = None


class Branch(NamedTuple):
    """Lanes whose `guard` is true (false when `negated`) go to `taken`, the others to `other`.

    There is no instruction where this leads around one that has a guard.
    """

    guard: Register
    negated: bool
    taken: int
    other: int
    instruction: Instruction | None = None


class Table(NamedTuple):
    """`brx.idx`: the operand selects a target."""

    instruction: Instruction
    targets: tuple[int, ...]


class Meeting(NamedTuple):
    """A barrier or a warp operation, then block `target`."""

    instruction: Instruction
    target: int


class Call(NamedTuple):
    """A call whose arguments and results lie in variables of the frame, then block `target`."""

    instruction: Instruction
    callee: Operand
    arguments: tuple[Variable, ...]
    results: tuple[Variable, ...]
    target: int


class Return(NamedTuple):
    """`ret`: back to the caller, or the end of the thread in a kernel; no instruction at the end of a body."""

    instruction: Instruction | None = None


class Exit(NamedTuple):
    """`exit`: the end of the thread."""

    instruction: Instruction | None = None


Terminator = Jump | Branch | Table | Meeting | Call | Return | Exit


class Block:
    """Instructions that the same lanes run from first to last.

    Attributes:
        number: its place among the blocks of its function.
        instructions: without the one that ends the block.
        end: what happens then.
        live_in: bit set of registers read before they are written, here or later.
        live_out: bit set of registers that a later block reads.
    """

    __slots__ = ("defined", "end", "instructions", "live_in", "live_out", "number", "used")

    def __init__(self, number: int) -> None:
        self.number = number
        self.instructions: list[Instruction] = []
        self.end: Terminator = Exit()
        self.live_in = self.live_out = self.used = self.defined = 0
