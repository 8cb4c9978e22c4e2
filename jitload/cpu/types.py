"""PTX types, and how values of them are held in lane arrays (PTX ISA section 5.2).

A register is a container of bits. Every operand is looked at through the *representation* of the instruction's type:
the name of a NumPy dtype, or "p" for predicates. bf16, tf32 and packed types have no dtype; they stay unsigned words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    #: One value per lane, or per element of what a sentence says; one-dimensional unless said otherwise.
    Array: TypeAlias = NDArray[Any]
    #: A value of every lane: an `Array`, or a NumPy scalar where all lanes agree. Both have a `dtype`, and `ndim` tells
    #: them apart; to type checkers a scalar is an array without dimensions.
    Lanes: TypeAlias = NDArray[Any]

#: Representation -> dtype.
DTYPES: dict[str, np.dtype[Any]] = {
    "u8": np.dtype(np.uint8),
    "u16": np.dtype(np.uint16),
    "u32": np.dtype(np.uint32),
    "u64": np.dtype(np.uint64),
    "u128": np.dtype(np.complex128),  # 16 bytes that are only moved; nothing computes with them
    "s8": np.dtype(np.int8),
    "s16": np.dtype(np.int16),
    "s32": np.dtype(np.int32),
    "s64": np.dtype(np.int64),
    "f16": np.dtype(np.float16),
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
    "p": np.dtype(np.bool_),
}
BITS: dict[str, int] = {rep: 1 if rep == "p" else dtype.itemsize * 8 for rep, dtype in DTYPES.items()}


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


def unsigned_rep(bits: int) -> str:
    """The representation that shows `bits` bits as they are."""
    return "p" if bits == 1 else f"u{bits}"
