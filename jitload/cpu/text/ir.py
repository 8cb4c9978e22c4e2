"""What PTX text says, as objects: registers, operands, instructions, variables, functions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jitload.cpu.types import Type


class Register:
    """A declared register; `index` is its place in the register file of its function."""

    __slots__ = ("index", "name", "type")

    def __init__(self, name: str, type_: Type, index: int) -> None:
        self.name = name
        self.type = type_
        self.index = index


class Immediate(NamedTuple):
    """A literal. `float_width` is 0 for an integer, 32 or 64 for exact bits, 1 for a decimal float."""

    value: int | float
    float_width: int = 0


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


Operand = Register | Immediate | Special | Symbol | Memory | Vector | Pair | Not | Part | Sink | CallSyntax


class Place(NamedTuple):
    """Where an instruction stands, for people.

    Attributes:
        text: the instruction as written.
        ptx_line: its 1-based line.
        cuda_line: "file:line" of the CUDA source, or None.
        inlined_at: the lines at which the function around it was inlined, the innermost first.
    """

    text: str
    ptx_line: int
    cuda_line: str | None
    inlined_at: tuple[str, ...] = ()


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

    def __init__(self, name: str, operands: tuple[Operand, ...], place: Place, scope: Scope) -> None:
        parts = name.split(".")
        self.opcode = parts[0]
        self.modifiers = tuple(parts[1:])
        self.operands = operands
        self.guard: Register | None = None
        self.negated = False
        self.place = place
        self.malformed: str | None = None
        self.scope = scope


class Label(NamedTuple):
    """A position in a body; `key` is unique in its function."""

    key: int


@dataclass(eq=False)
class Variable:
    """A variable of any state space but registers.

    Attributes:
        name: its name.
        space: "global", "const", "shared", "local" or "param".
        type: of one element.
        count: elements; None for an `extern` array whose size the launch gives.
        alignment: bytes.
        initial: the initialiser, flattened, or ().
        external: declared here, defined elsewhere.
    """

    name: str
    space: str
    type: Type
    count: int | None
    alignment: int
    initial: tuple[InitialValue, ...] = ()
    external: bool = False

    @property
    def size(self) -> int:
        """Bytes; 0 when the launch gives the size."""
        return self.type.size * (self.count or 0)


class InitialValue(NamedTuple):
    """One element of an initialiser: a number, or (part of) the address of a symbol."""

    number: int | float
    float_width: int = 0
    symbol: str = ""
    mask: int = 0


@dataclass
class Scope:
    """The names between two braces."""

    parent: Scope | None
    registers: dict[str, Register] = field(default_factory=dict)
    ranges: dict[str, tuple[int, Type]] = field(default_factory=dict)
    vectors: dict[str, Vector] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)
    targets: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass
class Body:
    """A function's statements, in order, and what they declare."""

    items: list[Instruction | Label]
    registers: list[Register]
    variables: list[Variable]
    scope: Scope


@dataclass(eq=False)
class Function:
    """An `.entry` or `.func`.

    Attributes:
        name: its symbol.
        entry: whether it is a kernel.
        parameters: formal parameters, in order; their `space` is "param" or "reg".
        results: formal results of a `.func`.
        span: the tokens of its body (first after the opening brace, the closing brace), or None for a declaration.
        max_threads: from `.maxntid`.
        required_block: from `.reqntid`.
        pointers: positions of the parameters declared `.ptr`.
        cluster_blocks: from `.reqnctapercluster`.
    """

    name: str
    entry: bool
    parameters: list[Variable]
    results: list[Variable]
    span: tuple[int, int] | None = None
    max_threads: int | None = None
    required_block: tuple[int, int, int] | None = None
    pointers: frozenset[int] = frozenset()
    cluster_blocks: int = 1
