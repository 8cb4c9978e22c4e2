"""`cvt.rs`: stochastic rounding of f32 with random bits that are given (PTX ISA section 9.7.9.22).

The random bits are added to the uppermost of the bits of the mantissa that are cut off; the carry out of that sum
rounds away from zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cpu.types import Lanes

_U32, _U64 = np.uint32, np.uint64


class _Format(NamedTuple):
    """A floating type to round to.

    Attributes:
        mantissa: bits behind the point.
        least: the exponent of the smallest normal number.
        largest: code of the largest finite number.
        overflow: code of what is above it without `.satfinite`.
        nan: code that NaN becomes.
        sign: code of the sign.
        random: bits that are added.
    """

    mantissa: int
    least: int
    largest: int
    overflow: int
    nan: int
    sign: int
    random: int


_FORMATS = {
    "f16": _Format(10, -14, 0x7BFF, 0x7C00, 0x7FFF, 0x8000, 13),
    "bf16": _Format(7, -126, 0x7F7F, 0x7F80, 0x7FFF, 0x8000, 16),
    "e4m3": _Format(3, -6, 0x7E, 0x7E, 0x7F, 0x80, 16),
    "e5m2": _Format(2, -14, 0x7B, 0x7B, 0x7F, 0x80, 16),
    "e3m2": _Format(2, -2, 0x1F, 0x1F, 0x1F, 0x20, 16),
    "e2m3": _Format(3, 0, 0x1F, 0x1F, 0x1F, 0x20, 16),
    "e2m1": _Format(1, 0, 0x07, 0x07, 0x07, 0x08, 8),
}


def _round(x: Lanes, random: Lanes, name: str, saturated: bool, relu: bool) -> Lanes:
    """f32 to codes of a type, as u32; of the random bits the lowest count."""
    form = _FORMATS[name]
    bits = x.view(_U32)
    exponent = (bits >> _U32(23)) & _U32(0xFF)
    fraction = (bits & _U32(0x7FFFFF) | ((exponent != 0).astype(_U32) << _U32(23))).astype(_U64)
    exponent = np.maximum(exponent, _U32(1)).astype(np.int64) - 127
    below = np.maximum(form.least - exponent, 0)
    cut = np.minimum(23 - form.mantissa + below, 62).astype(_U64)
    lost = fraction & ((_U64(1) << cut) - _U64(1))
    added = (lost >> (cut - _U64(form.random))) + (random & _U32((1 << form.random) - 1)).astype(_U64)
    code = (np.maximum(exponent - form.least, 0) << form.mantissa).astype(_U64)
    code = code + (fraction >> cut) + (added >> _U64(form.random))
    code = np.where(code > form.largest, _U64(form.largest if saturated else form.overflow), code).astype(_U32)
    code = np.where(bits >> _U32(31), _U32(0) if relu else code | _U32(form.sign), code)
    return np.where(np.isnan(x), _U32(form.nan), code)


def round_pair(high: Lanes, low: Lanes, random: Lanes, name: str, saturated: bool, relu: bool) -> Lanes:
    """The f16x2 or bf16x2 word of two f32: each has a half of the random bits, its own."""
    upper = _round(high, random >> _U32(16), name, saturated, relu)
    return upper << _U32(16) | _round(low, random, name, saturated, relu)


def round_four(numbers: Sequence[Lanes], random: Lanes, name: str, relu: bool) -> Lanes:
    """Four f32 in a word of bytes, for e2m1 in one of 4 bits each; the first stands at the top.

    The first two of 8 and of 6 bits share the upper half of the random bits, the others the lower one. Of 4 bits the
    first two have the upper byte of each half, the others the lower one.
    """
    places, width = ((24, 8, 16, 0), 4) if name == "e2m1" else ((16, 16, 0, 0), 8)
    word = _U32(0)
    for number, place in zip(numbers, places, strict=True):
        word = word << _U32(width) | _round(number, random >> _U32(place), name, saturated=True, relu=relu)
    return word.astype(np.uint16) if name == "e2m1" else word
