"""The approximate functions: computed in f64 and rounded, so closer than the bounds that the ISA gives.

PTX ISA section 9.7.3 allows 1 ulp for rcp, 2 ulp for div, ex2 and tanh-like bounds for the others. Special values
follow its tables. Hardware results differ in the last bits; a kernel that needs them equal is not portable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.lanes.nan import canonical_nan, keep_payload, one_nan

if TYPE_CHECKING:
    from jitload.cpu.types import Lanes

_F64 = np.float64


def _through_f64(function: np.ufunc, x: Lanes) -> Lanes:
    return one_nan(function(x.astype(_F64)).astype(x.dtype))


def exp2(x: Lanes) -> Lanes:
    """`ex2.approx`."""
    return _through_f64(np.exp2, x)


def log2(x: Lanes) -> Lanes:
    """`lg2.approx`."""
    return _through_f64(np.log2, x)


def sine(x: Lanes) -> Lanes:
    """`sin.approx`."""
    return _through_f64(np.sin, x)


def cosine(x: Lanes) -> Lanes:
    """`cos.approx`."""
    return _through_f64(np.cos, x)


def tangent_h(x: Lanes) -> Lanes:
    """`tanh.approx`."""
    return _through_f64(np.tanh, x)


def square_root(x: Lanes) -> Lanes:
    """`sqrt.approx`."""
    return _through_f64(np.sqrt, x)


def reciprocal(x: Lanes) -> Lanes:
    """`rcp.approx`."""
    return _through_f64(np.reciprocal, x)


def reciprocal_root(x: Lanes) -> Lanes:
    """`rsqrt.approx`; minus infinity for -0."""
    value = _F64(1) / np.sqrt(x.astype(_F64))
    return keep_payload(value, x) if x.dtype == _F64 else one_nan(value.astype(x.dtype))


def divide_approx(a: Lanes, b: Lanes) -> Lanes:
    """`div.approx`: 0 for divisors beyond 2^126 (NaN if the dividend is infinite), as the ISA says."""
    quotient = a / b
    huge = (np.abs(b) > np.float32(2.0**126)) & np.isfinite(b)
    capped = np.where(np.isinf(a), canonical_nan(a), np.copysign(np.float32(0), quotient))
    return one_nan(np.where(huge & ~np.isnan(a), capped, quotient))


def _upper_word(x: Lanes) -> Lanes:
    """f64 cut to its upper 32 bits, to nearest."""
    bits = x.view(np.uint64)
    rounded = (bits + np.uint64(0x7FFFFFFF) + ((bits >> np.uint64(32)) & np.uint64(1))) & np.uint64(0xFFFFFFFF00000000)
    return np.where(np.isfinite(x), rounded, bits).view(_F64)


def _flush_f64(x: Lanes) -> Lanes:
    return np.where(np.abs(x) < _F64(2.0**-1022), np.copysign(_F64(0), x), x)


def reciprocal_f64(x: Lanes) -> Lanes:
    """`rcp.approx.ftz.f64`: 20 mantissa bits, the lower word is zero; this and the next know one NaN only."""
    value = _upper_word(_flush_f64(_F64(1) / _flush_f64(x)))
    return np.where(np.isnan(value), canonical_nan(x), value)


def reciprocal_root_f64(x: Lanes) -> Lanes:
    """`rsqrt.approx.ftz.f64`: 20 mantissa bits, the lower word is zero."""
    value = _F64(1) / np.sqrt(_flush_f64(x))
    return _upper_word(np.where(np.isnan(value), canonical_nan(x), value))
