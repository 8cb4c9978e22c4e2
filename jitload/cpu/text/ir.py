"""What PTX text says, as objects: registers, operands, instructions; variables and functions are of the reader."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from jitload.cpu.text.lines import NOWHERE, Lines
from jitload.cpu.types import HELD
from jitload.images.ptx.values import Function as Function
from jitload.images.ptx.values import Immediate as Immediate
from jitload.images.ptx.values import InitialValue as InitialValue
from jitload.images.ptx.values import Variable as Variable

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.images.ptx.values import Type


class Register:
    """A declared register.

    Attributes:
        index: its place in the register file of its function.
        held: how the register file holds it.
    """

    __slots__ = ("held", "index", "name", "type")

    def __init__(self, name: str, type_: Type, index: int) -> None:
        self.name = name
        self.type = type_
        self.index = index
        self.held = HELD[type_.name]


class Special(NamedTuple):
    """A special register such as `%tid.x`, named without the percent sign."""

    name: str


class Symbol(NamedTuple):
    """The address of a variable or function, or a label, plus bytes."""

    name: str
    offset: int = 0
    variable: Variable | None = None


class Memory(NamedTuple):
    """`[base + offset]`; no base is an absolute address."""

    base: Register | Symbol | None
    offset: int


class Vector(NamedTuple):
    """`{a, b, ...}`."""

    items: tuple[Operand, ...]


class Texel(NamedTuple):
    """`[object, {x, y}]`: a place in a texture."""

    handle: Register
    coordinates: Vector


class Pair(NamedTuple):
    """`a|b`, two results."""

    first: Operand
    second: Operand


class Not(NamedTuple):
    """`!p`."""

    operand: Operand


class Part(NamedTuple):
    """`a.b0`, `a.h32` or `-a`: bytes or halves of a register, as video instructions select them; perhaps negated."""

    register: Register
    selector: str
    negated: bool = False


class Sink(NamedTuple):
    """`_`, a result that nobody wants."""


class CallSyntax(NamedTuple):
    """`(results), target, (arguments), prototype`."""

    results: tuple[Operand, ...]
    target: Operand
    arguments: tuple[Operand, ...]
    prototype: str


Operand = Register | Immediate | Special | Symbol | Memory | Vector | Texel | Pair | Not | Part | Sink | CallSyntax


class Written(NamedTuple):
    """What a place says, without the excerpt: equal for the same instruction, whenever its text is read.

    Attributes:
        text: the instruction as written.
        ptx_line: its 1-based line.
        cuda_line: "file:line" of the CUDA source, or None.
        inlined_at: the lines at which the function around it was inlined, the innermost first.
    """

    text: str
    ptx_line: int
    cuda_line: str | None
    inlined_at: tuple[str, ...]


class Place:
    """Where an instruction stands, for people; few places are ever asked, so each looks its text up when it is.

    Args:
        stands: gives the instruction as written, and its 1-based line.
        lines: where it comes from.
    """

    __slots__ = ("_lines", "_stands")

    def __init__(self, stands: Callable[[], tuple[str, int]], lines: Lines = NOWHERE) -> None:
        self._stands = stands
        self._lines = lines

    @property
    def text(self) -> str:
        """The instruction as written."""
        return self._stands()[0]

    @property
    def ptx_line(self) -> int:
        """Its 1-based line."""
        return self._stands()[1]

    @property
    def cuda_line(self) -> str | None:
        """The line of the CUDA source, "file:line", or None."""
        return self._lines.line

    @property
    def inlined_at(self) -> tuple[str, ...]:
        """The lines at which the function around it was inlined, the innermost first."""
        return self._lines.inlined_at

    @property
    def excerpt(self) -> Callable[[], str] | None:
        """What gives the text of the CUDA line, with a caret, or ""."""
        return self._lines.excerpt

    @property
    def written(self) -> Written:
        """What it says."""
        return Written(*self._stands(), self._lines.line, self._lines.inlined_at)


class Instruction:
    """One instruction as written.

    Attributes:
        opcode: the first part of its name, e.g. "ld".
        modifiers: the rest, e.g. ("global", "nc", "f32").
        operands: in order, destination first.
        guard: the predicate register it runs under, or None.
        negated: whether the guard is `@!p`.
        place: where it stands.
        malformed: why its operands could not be read, or None; such an instruction is refused when it is needed.
    """

    __slots__ = ("guard", "malformed", "modifiers", "negated", "opcode", "operands", "place", "scope")

    def __init__(
        self,
        name: str,
        operands: tuple[Operand, ...],
        place: Place,
        scope: Scope,
        guard: Register | None = None,
        negated: bool = False,
        malformed: str | None = None,
    ) -> None:
        self.opcode, self.modifiers = _take_apart(name)
        self.operands = operands
        self.guard = guard
        self.negated = negated
        self.place = place
        self.malformed = malformed
        self.scope = scope


@lru_cache(maxsize=4096)
def _take_apart(name: str) -> tuple[str, tuple[str, ...]]:
    opcode, *modifiers = name.split(".")
    return opcode, tuple(modifiers)


class Label(NamedTuple):
    """A position in a body; `key` is unique in its function."""

    key: int


class Scope:
    """The names between two braces.

    Attributes:
        operands: what was read here, by its text, until more is declared.
    """

    __slots__ = ("labels", "operands", "parent", "ranges", "registers", "targets", "variables", "vectors")

    def __init__(self, parent: Scope | None) -> None:
        self.parent = parent
        self.registers: dict[str, Register] = {}
        self.ranges: dict[str, tuple[int, Type]] = {}
        self.vectors: dict[str, Vector] = {}
        self.variables: dict[str, Variable] = {}
        self.labels: dict[str, Label] = {}
        self.targets: dict[str, tuple[str, ...]] = {}
        self.operands: dict[str, Operand] = {}


class Body:
    """A function's statements, in order, and what they declare."""

    __slots__ = ("items", "registers", "scope", "variables")

    def __init__(self, registers: list[Register], scope: Scope) -> None:
        self.items: list[Instruction | Label] = []
        self.registers = registers
        self.variables: list[Variable] = []
        self.scope = scope
