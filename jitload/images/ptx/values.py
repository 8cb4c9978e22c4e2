"""What PTX declares, as objects: literals, variables, and functions with what their heads say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jitload.images.ptx.types import Type


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
