"""What an instruction that multiplies matrices says."""

from __future__ import annotations

from typing import NamedTuple

#: Input and accumulator types: bits per element.
ELEMENT_BITS = {
    "b1": 1,
    "e2m1": 4,
    "e2m1 in bytes": 8,
    "e2m3": 8,
    "e3m2": 8,
    "e4m3": 8,
    "e5m2": 8,
    "f16": 16,
    "bf16": 16,
    "tf32": 32,
    "f32": 32,
    "f64": 64,
    "s8": 8,
    "u8": 8,
    "s4": 4,
    "u4": 4,
    "s32": 32,
}


class Product(NamedTuple):
    """One instruction.

    `opaque` is for `wmma`; `counts` are the registers of each fragment; `operation` is `xor` or `and` for bits; `quads`
    is how A and B are laid out ("row.col") where each pair of quads has a product of its own. `sparse` is "sp" or
    "sp::ordered_metadata", with the `selector` of the threads that hold the metadata; `scale` is the type of the
    scales, of which `scales` belong to a row of A and to a column of B.
    """

    opaque: bool
    m: int
    n: int
    k: int
    d: str
    a: str
    b: str
    c: str
    saturate: bool
    counts: tuple[int, int, int]
    operation: str = ""
    quads: str = ""
    sparse: str = ""
    selector: int = 0
    scale: str = ""
    scales: int = 0

    @property
    def stored(self) -> int:
        """Elements of a row of A that registers hold."""
        return self.k // 2 if self.sparse else self.k

    @property
    def registers_d(self) -> int:
        """Registers of the result: as many as the accumulator's, but that one of them may be half as wide."""
        return self.counts[2] * ELEMENT_BITS[self.d] // ELEMENT_BITS[self.c]
