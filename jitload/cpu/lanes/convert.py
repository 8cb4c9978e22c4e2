"""`cvt`: conversions between numbers, with their rounding, saturation and NaN rules (PTX ISA section 9.7.9.21)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.lanes.floats import directed, narrow, to_odd, two_sum
from jitload.cpu.lanes.nan import one_nan, quieted, widened
from jitload.cpu.types import DTYPES

if TYPE_CHECKING:
    from jitload.cpu.types import Lanes

_ROUNDERS = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}


def round_integral(x: Lanes, mode: str) -> Lanes:
    """A float to an integral float."""
    value = _ROUNDERS[mode](x)
    return quieted(value) if x.dtype == np.float64 else one_nan(value)


def float_to_int(x: Lanes, rep: str, mode: str) -> Lanes:
    """A float to an integer, clamped to its range.

    NaN gives 0, but the smallest signed (the middle unsigned) value when source or destination is 64 bits wide.
    """
    dtype = DTYPES[rep]
    info = np.iinfo(dtype)
    value = _ROUNDERS[mode](x.astype(np.float64))
    low, high = np.float64(info.min), np.float64(info.max)
    inside = (value >= low) & (value <= high) if dtype.itemsize < 8 else (value >= low) & (value < high)
    safe = np.where(inside, value, np.float64(0)).astype(dtype)
    clamped = np.where(value < 0, dtype.type(info.min), dtype.type(info.max))
    nan = 1 << (dtype.itemsize * 8 - 1) if x.dtype.itemsize == 8 or dtype.itemsize == 8 else 0
    nan_value = np.array([nan], np.uint64).astype(f"u{dtype.itemsize}").view(dtype)[0]
    return np.where(inside, safe, np.where(np.isnan(x), nan_value, clamped))


def int_to_int(x: Lanes, rep: str, saturated: bool) -> Lanes:
    """An integer to another width: cut off, or clamped with `.sat`."""
    dtype = DTYPES[rep]
    if not saturated:
        return x.astype(dtype)
    source, target = np.iinfo(x.dtype), np.iinfo(dtype)
    if target.min > source.min:
        x = np.maximum(x, x.dtype.type(target.min))
    if target.max < source.max:
        x = np.minimum(x, x.dtype.type(target.max))
    return x.astype(dtype)


def int_to_float(x: Lanes, rep: str, mode: str) -> Lanes:
    """An integer to a float, rounded once."""
    dtype = DTYPES[rep]
    if mode == "rn" and rep in {"f32", "f64"}:
        return x.astype(dtype)
    if rep == "f64":
        return _directed_f64(*two_sum(*_halves(x)), mode)
    odd = int_to_odd(x)
    return narrow(odd, mode) if rep == "f32" else to_half(odd, mode)


def int_to_odd(x: Lanes) -> Lanes:
    """An integer to f64 rounded to odd: it can be rounded once more to anything narrower."""
    return to_odd(*two_sum(*_halves(x)))


def _halves(x: Lanes) -> tuple[Lanes, Lanes]:
    """An integer as the sum of two exact f64 values."""
    if x.dtype.itemsize < 8:
        return x.astype(np.float64), np.zeros(np.shape(x))[()]
    kind = x.dtype.type
    low = x & kind(0xFFFFFFFF)
    return (x - low).astype(np.float64), low.astype(np.float64)


def _directed_f64(total: Lanes, lost: Lanes, mode: str) -> Lanes:
    if mode == "rn":
        return total
    up, down = np.nextafter(total, np.inf), np.nextafter(total, -np.inf)
    lower = np.where(lost < 0, down, total)
    upper = np.where(lost > 0, up, total)
    if mode == "rz":
        return np.where(total > 0, lower, upper)
    return lower if mode == "rm" else upper


def f64_to_f32(x: Lanes, mode: str) -> Lanes:
    """f64 to f32 in a rounding mode."""
    return one_nan(narrow(x, mode))


def to_half(x: Lanes, mode: str) -> Lanes:
    """f32, or f64 that is exact or rounded to odd, to f16."""
    nearest = x.astype(np.float16)
    return one_nan(nearest if mode == "rn" else directed(x, nearest, mode))


def widen(x: Lanes, rep: str) -> Lanes:
    """A float to a wider one; NaN becomes the canonical one of f32, and keeps its payload in f64."""
    return widened(x) if rep == "f64" else one_nan(x.astype(DTYPES[rep]))


_LARGEST_BITS = {"f16": 0x477FE000, "bf16": 0x7F7F0000, "tf32": 0x7F7FE000}  # as f32


def clip_finite(x: Lanes, name: str) -> Lanes:
    """`.satfinite`: f32 brought to the finite numbers of a narrower type; NaN stays."""
    largest = np.array(_LARGEST_BITS[name], np.uint32).view(np.float32)[()]
    return np.clip(x, -largest, largest)


def odd_f32(x: Lanes) -> Lanes:
    """f64 to f32 rounded to odd."""
    cut = narrow(x, "rz")
    bits = cut.view(np.uint32)
    inexact = (cut.astype(np.float64) != x) & np.isfinite(x)
    return np.where(inexact, bits | np.uint32(1), bits).view(np.float32)


def to_bf16(x: Lanes, mode: str = "rn") -> Lanes:
    """f32 (exact or rounded to odd; f64 is brought there first) to bf16, as u16 words."""
    if x.dtype == np.float64:
        x = odd_f32(x)
    bits = x.view(np.uint32)
    half = np.uint32(16)
    if mode == "rz":
        word = bits >> half
    elif mode == "rn":
        word = (bits + np.uint32(0x7FFF) + ((bits >> half) & np.uint32(1))) >> half
    else:
        up = ((bits >> np.uint32(31)) != 0) == (mode == "rm")
        word = (bits >> half) + (up & ((bits & np.uint32(0xFFFF)) != 0)).astype(np.uint32)
    word = np.where(np.isinf(x), bits >> half, word)
    return np.where(np.isnan(x), np.uint32(0x7FFF), word).astype(np.uint16)


def from_bf16(words: Lanes) -> Lanes:
    """bf16 words to f32."""
    return (words.astype(np.uint32) << np.uint32(16)).view(np.float32)


def to_tf32(x: Lanes, mode: str) -> Lanes:
    """f32 to tf32 (10 mantissa bits) as u32 words: "rna" ties away, "rn" ties to even, "rz" cuts."""
    bits = x.view(np.uint32)
    keep = np.uint32(0xFFFFE000)
    if mode == "rna":
        bits = np.where(np.isfinite(x), bits + np.uint32(0x1000), bits)
    elif mode == "rn":
        bits = np.where(np.isfinite(x), bits + np.uint32(0xFFF) + ((bits >> np.uint32(13)) & np.uint32(1)), bits)
    return np.where(np.isnan(x), np.uint32(0x7FFFFFFF), bits & keep)


def float_class(x: Lanes, which: str) -> Lanes:
    """`testp`."""
    smallest = np.finfo(x.dtype).tiny
    if which == "finite":
        return np.isfinite(x)
    if which == "infinite":
        return np.isinf(x)
    if which == "number":
        return ~np.isnan(x)
    if which == "notanumber":
        return np.isnan(x)
    subnormal = (np.abs(x) < smallest) & (x != 0)
    return subnormal if which == "subnormal" else np.isfinite(x) & ~subnormal  # zeros are normal: section 9.7.3.1
