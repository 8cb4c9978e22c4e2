"""The types of PTX (PTX ISA section 5.2), and the representation in which values of them are looked at.

A register is a container of bits. Every operand is looked at through the *representation* of the instruction's type:
the name of a NumPy dtype, or "p" for predicates. bf16, tf32 and packed types have no dtype; they stay unsigned words.
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
