"""How values of PTX types are held in lane arrays: the dtype of each representation (jitload/images/ptx/values.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jitload.images.ptx.values import TYPES as TYPES
from jitload.images.ptx.values import Type as Type

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
#: Representation -> zero.
ZEROS: dict[str, Lanes] = {rep: dtype.type(0) for rep, dtype in DTYPES.items()}


def unsigned_rep(bits: int) -> str:
    """The representation that shows `bits` bits as they are."""
    return "p" if bits == 1 else f"u{bits}"


#: Type -> the representation in which the register file holds a register of it.
HELD: dict[str, str] = {
    name: unsigned_rep(type_.bits) if type_.rep[0] == "s" else type_.rep for name, type_ in TYPES.items()
}
