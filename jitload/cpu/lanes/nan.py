"""The bits of NaN (PTX ISA section 9.7.3): f16, bf16 and f32 have one that results are, f64 keeps payloads.

An operation of f64 on a NaN gives that NaN, made quiet; the ISA leaves open which of two, here it is the first operand
that is one. Where NaN is new, the bits are those of CUDART_NAN and CUDART_NAN_F.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jitload.cpu.types import Lanes

_WORDS = {2: np.uint16, 4: np.uint32, 8: np.uint64}
_NANS = {2: 0x7FFF, 4: 0x7FFFFFFF, 8: 0xFFF8000000000000}
_F64 = np.float64
_QUIET = np.uint64(1 << 51)
_MAGNITUDE, _INFINITY = np.uint16(0x7FFF), np.uint16(0x7C00)


def canonical_nan(x: Lanes) -> Lanes:
    """The NaN that an NVIDIA GPU makes, of the type of `x`."""
    size = x.dtype.itemsize
    return _WORDS[size](_NANS[size]).view(x.dtype)


def one_nan(x: Lanes) -> Lanes:
    """f16 or f32 lanes with the canonical NaN for every NaN; a fresh array is expected, and changed in place."""
    if not x.ndim:  # NaN alone differs from itself
        return x if x == x else canonical_nan(x)  # noqa: PLR0124
    if x.dtype.itemsize == 2:  # bits: NumPy compares halves one by one
        magnitudes = x.view(np.uint16) & _MAGNITUDE
        if magnitudes.max() > _INFINITY:
            x[magnitudes > _INFINITY] = canonical_nan(x)
    elif has_nan(x):
        x[np.isnan(x)] = canonical_nan(x)
    return x


def clear_outside(x: Lanes, *sources: Lanes) -> Lanes:
    """`.oob`: zero where a source is the NaN that copies of tensors fill with; of f16 lanes, or bf16 ones as f32."""
    outside: Lanes | np.bool_ = np.bool_(False)
    for source in sources:
        size = source.dtype.itemsize
        outside = outside | (source.view(_WORDS[size]) == _WORDS[size](0x7FFF if size == 2 else 0x7FFF0000))
    return np.where(outside, x.dtype.type(0), x)


def has_nan(x: Lanes) -> bool:
    """Whether any of f32 or f64 lanes is NaN; the smallest of them is then NaN too, and that is quick to find."""
    least = x.min()
    return bool(least != least)  # noqa: PLR0124


def keep_payload(x: Lanes, *operands: Lanes) -> Lanes:
    """Results of f64 lanes with the NaN that the operands give them."""
    if not has_nan(x):
        return x
    found = np.atleast_1d(np.array(x))
    places = np.isnan(found)
    bits = np.full(np.count_nonzero(places), _NANS[8], np.uint64)
    for operand in reversed(operands):
        own = np.broadcast_to(operand, found.shape)[places]
        bits = np.where(np.isnan(own), quieted(own).view(np.uint64), bits)
    found[places] = bits.view(_F64)
    return found if x.ndim else found[0]


def quieted(x: Lanes) -> Lanes:
    """f64 lanes with every NaN made quiet."""
    bits = x.view(np.uint64)
    return np.where(np.isnan(x), bits | _QUIET, bits).view(_F64)


def widened(x: Lanes) -> Lanes:
    """f16 or f32 lanes to f64; the payload of a NaN stays at the upper end of the mantissa, as IEEE 754 recommends."""
    value = x.astype(_F64)
    if not has_nan(value):
        return value
    bits = x.view(_WORDS[x.dtype.itemsize]).astype(np.uint64)
    width, mantissa = (16, 10) if x.dtype.itemsize == 2 else (32, 23)
    payload = (bits & np.uint64((1 << mantissa) - 1)) << np.uint64(52 - mantissa)
    sign = (bits >> np.uint64(width - 1)) << np.uint64(63)
    nan = np.uint64(0x7FF8000000000000) | sign | payload
    return np.where(np.isnan(x), nan, value.view(np.uint64)).view(_F64)
