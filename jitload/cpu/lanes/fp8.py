"""Conversions of 8-bit floats, e4m3 and e5m2 (PTX ISA sections 5.2.3 and 9.7.9.21), by tables of magnitudes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

Lanes = Any

_LARGEST = {"e4m3": 0x7E, "e5m2": 0x7B}  # codes of 448 and 57344; above them lie infinity (e5m2) and NaN
_NAN = 0x7F


@lru_cache(maxsize=2)
def _magnitudes(name: str) -> np.ndarray[Any, Any]:
    """The finite magnitudes, by code."""
    codes = np.arange(_LARGEST[name] + 1)
    mantissa_bits, bias = (3, 7) if name == "e4m3" else (2, 15)
    exponent, mantissa = codes >> mantissa_bits, codes & ((1 << mantissa_bits) - 1)
    fraction = (mantissa + ((exponent > 0) << mantissa_bits)).astype(np.float64)
    return np.asarray(np.ldexp(fraction, np.maximum(exponent, 1) - bias - mantissa_bits))


def to_fp8(x: Lanes, name: str, relu: bool) -> Lanes:
    """f32 or f16 to the nearest code, ties to even, with `.satfinite`; as u16 lanes."""
    table = _magnitudes(name)
    size = np.abs(x.astype(np.float64))
    middles = (table[1:] + table[:-1]) / 2
    code = np.searchsorted(middles, size, side="left")
    tie = middles[np.minimum(code, len(middles) - 1)] == size
    code = code + (tie & (code % 2 == 1))
    negative = np.signbit(x)
    code = np.where(negative, 0 if relu else code | 0x80, code)
    return np.where(np.isnan(x), _NAN, code).astype(np.uint16)


def from_fp8(codes: Lanes, name: str) -> Lanes:
    """Codes (the low byte of u16 lanes) to f16 bits, exactly; NaN becomes the canonical one."""
    magnitude = codes & np.uint16(0x7F)
    table = _magnitudes(name).astype(np.float16).view(np.uint16)
    found = table[np.minimum(magnitude, np.uint16(len(table) - 1))]
    if name == "e5m2":
        found = np.where(magnitude == 0x7C, np.uint16(0x7C00), found)
    signed = found | ((codes & np.uint16(0x80)) << np.uint16(8))
    nan = magnitude > (0x7C if name == "e5m2" else _LARGEST[name])
    return np.where(nan, np.uint16(0x7FFF), signed)


def pack_fp8(high: Lanes, low: Lanes, name: str, relu: bool) -> Lanes:
    """Two numbers to a pair of codes."""
    return (to_fp8(high, name, relu) << np.uint16(8)) | to_fp8(low, name, relu)
