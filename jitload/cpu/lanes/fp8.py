"""Conversions of floats of 8 bits and fewer (PTX ISA sections 5.2.3 and 9.7.9.21), by tables of magnitudes."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jitload.cpu.lanes.convert import clip_finite, to_bf16
from jitload.cpu.lanes.floats import relu

if TYPE_CHECKING:
    from jitload.cpu.types import Array, Lanes


class _Format(NamedTuple):
    """Bits of the exponent and of the mantissa, the exponent's bias, and the code of the largest finite number."""

    exponent: int
    mantissa: int
    bias: int
    largest: int

    @property
    def sign(self) -> int:
        return 1 << (self.exponent + self.mantissa)


_FORMATS = {
    "e4m3": _Format(4, 3, 7, 0x7E),  # 448; above it lies NaN
    "e5m2": _Format(5, 2, 15, 0x7B),  # 57344; above it lie infinity and NaN
    "e3m2": _Format(3, 2, 3, 0x1F),  # 28; this and the next two have neither
    "e2m3": _Format(2, 3, 1, 0x1F),  # 7.5
    "e2m1": _Format(2, 1, 1, 0x07),  # 6
}
_NAN = 0x7F


@lru_cache(maxsize=8)
def _magnitudes(name: str) -> Array:
    """The finite magnitudes, by code."""
    form = _FORMATS[name]
    codes = np.arange(form.largest + 1)
    exponent, mantissa = codes >> form.mantissa, codes & ((1 << form.mantissa) - 1)
    fraction = (mantissa + ((exponent > 0) << form.mantissa)).astype(np.float64)
    return np.asarray(np.ldexp(fraction, np.maximum(exponent, 1) - form.bias - form.mantissa))


def _to_narrow(x: Lanes, name: str, relu: bool) -> Lanes:
    """f32 or f16 to the nearest code, ties to even, with `.satfinite`; as u16 lanes.

    Where the type has no NaN, NaN becomes the largest number.
    """
    form, table = _FORMATS[name], _magnitudes(name)
    size = np.abs(x.astype(np.float64))
    middles = (table[1:] + table[:-1]) / 2
    code = np.searchsorted(middles, size, side="left")
    tie = middles[np.minimum(code, len(middles) - 1)] == size
    code = code + (tie & (code % 2 == 1))
    negative = np.signbit(x)
    code = np.where(negative, 0 if relu else code | form.sign, code)
    return np.where(np.isnan(x), _NAN if form.sign == 0x80 else form.largest, code).astype(np.uint16)


def from_narrow(codes: Lanes, name: str) -> Lanes:
    """Codes (the low bits of u16 lanes) to f16 bits, exactly; NaN becomes the canonical one."""
    sign = np.uint16(_FORMATS[name].sign)
    magnitude = codes & (sign - np.uint16(1))
    table = _magnitudes(name).astype(np.float16).view(np.uint16)
    found = table[np.minimum(magnitude, np.uint16(len(table) - 1))]
    if name == "e5m2":
        found = np.where(magnitude == 0x7C, np.uint16(0x7C00), found)
    signed = np.where(codes & sign, found | np.uint16(0x8000), found)
    nan = magnitude > (0x7C if name == "e5m2" else _FORMATS[name].largest)
    return np.where(nan, np.uint16(0x7FFF), signed)


def pack_narrow(high: Lanes, low: Lanes, name: str, relu: bool) -> Lanes:
    """Two numbers to a pair of codes: in a byte for 4 bits each, else in a byte for each."""
    shift = np.uint16(4 if name == "e2m1" else 8)
    pair = (_to_narrow(high, name, relu) << shift) | _to_narrow(low, name, relu)
    return pair.astype(np.uint8) if name == "e2m1" else pair


def unpack_narrow(pair: Lanes, name: str) -> Lanes:
    """The f16x2 word of a pair of codes."""
    codes = pair.astype(np.uint16)
    high = codes >> np.uint16(4 if name == "e2m1" else 8)
    return (from_narrow(high, name).astype(np.uint32) << np.uint32(16)) | from_narrow(codes, name)


def unpack_brains(pair: Lanes, name: str, positive: bool, finite: bool) -> Lanes:
    """The bf16x2 word of a pair of codes, with `.relu` and `.satfinite` where they are asked for."""
    codes = pair.astype(np.uint16)
    word = np.uint32(0)
    for shift in (0, 4 if name == "e2m1" else 8):
        number = from_narrow(codes >> np.uint16(shift), name).view(np.float16).astype(np.float32)
        number = clip_finite(number, "bf16") if finite else number
        half = to_bf16(relu(number) if positive else number).astype(np.uint32)
        word = word | (half << np.uint32(16 if shift else 0))
    return word


def _to_scale(x: Lanes, mode: str, saturated: bool) -> Lanes:
    """The exponent of f32 lanes, as u16; the sign counts for nothing, and 255 is NaN."""
    bits = x.view(np.uint32) & np.uint32(0x7FFFFFFF)
    code = bits >> np.uint32(23)
    if mode == "rp":  # what lies above 2^-127, a subnormal f32, and is no power of two
        up = ((bits & np.uint32(0x7FFFFF)) != 0) & (bits > 0x400000) & (bits < 0x7F800000)
        code = code + up.astype(np.uint32)
    if saturated:
        code = np.where(bits <= 0x7F800000, np.minimum(code, np.uint32(0xFE)), code)
    return code.astype(np.uint16)


def pack_scales(high: Lanes, low: Lanes, mode: str, saturated: bool) -> Lanes:
    """Two f32 numbers to a pair of `ue8m0`."""
    return (_to_scale(high, mode, saturated) << np.uint16(8)) | _to_scale(low, mode, saturated)


def unpack_scales(pair: Lanes) -> Lanes:
    """The bf16x2 word of a pair of `ue8m0`: 0 is 2^-127, a subnormal, and 255 NaN."""
    word = np.uint32(0)
    for shift in (0, 8):
        code = (pair >> np.uint16(shift)).astype(np.uint32) & np.uint32(0xFF)
        number = np.where(code == 0, np.uint32(0x40), np.where(code == 0xFF, np.uint32(0x7FFF), code << np.uint32(7)))
        word = word | (number << np.uint32(2 * shift))
    return word
