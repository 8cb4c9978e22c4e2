"""What PTX declares, as objects: types, literals, variables, and functions with what their heads say.

A register is a container of bits. Every operand is looked at through the *representation* of the instruction's type
(PTX ISA section 5.2): the name of a NumPy dtype, or "p" for predicates. bf16, tf32 and packed types have no dtype; they
stay unsigned words.
"""

from __future__ import annotations

from typing import NamedTuple


class Type(NamedTuple):
    """A fundamental or packed PTX type.

    Attributes:
        name: as written, without the dot.
        bits: its width; 1 for predicates.
        rep: the representation of its values.
        kind: "u", "s", "b", "f" (IEEE), "bf", "tf", "x2" (two packed halves) or "p".
    """

    name: str
    bits: int
    rep: str
    kind: str

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return max(self.bits // 8, 1)

    @property
    def is_integer(self) -> bool:
        """Whether arithmetic on it is integer arithmetic; untyped bits count as unsigned."""
        return self.kind in {"u", "s", "b"}


def _plain_types() -> dict[str, Type]:
    table = {
        f"{kind}{bits}": Type(f"{kind}{bits}", bits, f"{kind}{bits}", kind) for kind in "us" for bits in (8, 16, 32, 64)
    }
    table |= {f"b{bits}": Type(f"b{bits}", bits, f"u{bits}", "b") for bits in (8, 16, 32, 64, 128)}
    table |= {f"f{bits}": Type(f"f{bits}", bits, f"f{bits}", "f") for bits in (16, 32, 64)}
    return table


TYPES: dict[str, Type] = {
    **_plain_types(),
    "bf16": Type("bf16", 16, "u16", "bf"),
    "tf32": Type("tf32", 32, "u32", "tf"),
    "f16x2": Type("f16x2", 32, "u32", "x2"),
    "bf16x2": Type("bf16x2", 32, "u32", "x2"),
    "u16x2": Type("u16x2", 32, "u32", "x2"),
    "s16x2": Type("s16x2", 32, "u32", "x2"),
    "f32x2": Type("f32x2", 64, "u64", "x2"),
    "pred": Type("pred", 1, "p", "p"),
}


class Immediate(NamedTuple):
    """A literal. `float_width` is 0 for an integer, 32 or 64 for exact bits, 1 for a decimal float."""

    value: int | float
    float_width: int = 0


class InitialValue(NamedTuple):
    """One element of an initialiser: a number, or (part of) the address of a symbol."""

    number: int | float
    float_width: int = 0
    symbol: str = ""
    mask: int = 0


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

    __slots__ = ("alignment", "count", "external", "initial", "name", "space", "type")

    def __init__(
        self,
        name: str,
        space: str,
        type_: Type,
        count: int | None,
        alignment: int,
        initial: tuple[InitialValue, ...] = (),
    ) -> None:
        self.name = name
        self.space = space
        self.type = type_
        self.count = count
        self.alignment = alignment
        self.initial = initial
        self.external = False

    @property
    def size(self) -> int:
        """Bytes; 0 when the launch gives the size."""
        return self.type.size * (self.count or 0)


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
        cluster: from `.reqnctapercluster`.
        explicit_cluster: from `.explicitcluster`: a launch must say how large clusters are, or `cluster` does.
        max_cluster_blocks: from `.maxclusterrank`.
        blocks_are_clusters: from `.blocksareclusters`: a launch counts clusters, not blocks.
    """

    __slots__ = (
        "blocks_are_clusters", "cluster", "entry", "explicit_cluster", "max_cluster_blocks", "max_threads", "name",
        "parameters", "pointers", "required_block", "results", "span",
    )  # fmt: skip

    def __init__(
        self, name: str, entry: bool, parameters: list[Variable], results: list[Variable], pointers: frozenset[int]
    ) -> None:
        self.name = name
        self.entry = entry
        self.parameters = parameters
        self.results = results
        self.pointers = pointers
        self.span: tuple[int, int] | None = None
        self.max_threads: int | None = None
        self.required_block: tuple[int, int, int] | None = None
        self.cluster: tuple[int, int, int] | None = None
        self.explicit_cluster = False
        self.max_cluster_blocks: int | None = None
        self.blocks_are_clusters = False

    def renamed(self, name: str) -> Function:
        """The same under another name."""
        found = Function.__new__(Function)
        for field in self.__slots__:
            setattr(found, field, getattr(self, field))
        found.name = name
        return found
