"""Floating-point arithmetic on lanes: IEEE results where the ISA asks for them (PTX ISA sections 9.7.3 to 9.7.5).

f32 is computed through f64. That is exact for products, and a sum of f64 rounded once more to f32 is wrong only on ties
that the first rounding made up; where one may hide, the f64 sum is *rounded to odd*: its last bit then remembers that
something was lost, and the second rounding is right in every mode (Boldo and Melquiond, 2008).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.lanes.nan import canonical_nan, one_nan
from jitload.lazy import lazy

if TYPE_CHECKING:
    from jitload.cpu.lanes import exact
    from jitload.cpu.types import Lanes
else:
    exact = lazy("jitload.cpu.lanes.exact")  # with fractions, for few lanes of f64

_F32 = np.float32
_F64 = np.float64
_U64 = np.uint64
_TIE_MASK = np.uint64(0x1FFFFFFF)
_TIE = np.uint64(0x10000000)
_TINY = np.float32(2.0**-125)
_ONE = np.uint64(1)
_QUIET = {2: np.float16, 4: np.float32, 8: np.float64}
_WORDS = {2: np.uint16, 4: np.uint32, 8: np.uint64}
_EXPONENTS = {2: 0x7C00, 4: 0x7F800000, 8: 0x7FF0000000000000}
_SIGNS = {2: 0x8000, 4: 0x80000000, 8: 0x8000000000000000}


def flush(x: Lanes) -> Lanes:
    """`.ftz`: subnormals become zero and keep their sign."""
    size = x.dtype.itemsize
    word = _WORDS[size]
    bits = x.view(word)
    small = (bits & word(_EXPONENTS[size])) == 0
    if not small.any():
        return x
    return np.where(small, bits & word(_SIGNS[size]), bits).view(x.dtype)


def saturate(x: Lanes) -> Lanes:
    """`.sat`: to [0, 1]; NaN and -0 become +0."""
    kind = x.dtype.type
    return np.where(x > kind(0), np.minimum(x, kind(1)), kind(0))


def relu(x: Lanes) -> Lanes:
    """`.relu`: negative values become +0, NaN stays NaN."""
    kind = x.dtype.type
    return np.where(x > kind(0), x, np.where(np.isnan(x), canonical_nan(x), kind(0)))


def minimum(a: Lanes, b: Lanes) -> Lanes:
    """`min`: a number wins over NaN, -0 is below +0."""
    word = _WORDS[a.dtype.itemsize]
    least = np.where((a < b) | np.isnan(b), a, b)  # and no `fmin`, which takes a signalling NaN in some lanes
    least = np.where(a == b, (a.view(word) | b.view(word)).view(a.dtype), least)
    return np.where(np.isnan(least), canonical_nan(a), least)


def maximum(a: Lanes, b: Lanes) -> Lanes:
    """`max`: a number wins over NaN, +0 is above -0."""
    word = _WORDS[a.dtype.itemsize]
    most = np.where((a > b) | np.isnan(b), a, b)
    most = np.where(a == b, (a.view(word) & b.view(word)).view(a.dtype), most)
    return np.where(np.isnan(most), canonical_nan(a), most)


def propagate_nan(a: Lanes, b: Lanes, value: Lanes) -> Lanes:
    """`.NaN`: a NaN operand makes the result NaN."""
    return np.where(np.isnan(a) | np.isnan(b), canonical_nan(a), value)


def sign_by_xor(a: Lanes, b: Lanes, value: Lanes) -> Lanes:
    """`.xorsign.abs`: the sign of the result is the exclusive or of the operands' signs; NaN keeps its own."""
    size = a.dtype.itemsize
    word = _WORDS[size]
    sign = (a.view(word) ^ b.view(word)) & word(_SIGNS[size])
    signed = ((value.view(word) & ~word(_SIGNS[size])) | sign).view(a.dtype)
    return np.where(np.isnan(value), value, signed)


def negate(x: Lanes) -> Lanes:
    """The sign flipped, also of NaN."""
    size = x.dtype.itemsize
    return (x.view(_WORDS[size]) ^ _WORDS[size](_SIGNS[size])).view(x.dtype)


def copy_sign(sign: Lanes, x: Lanes) -> Lanes:
    """`copysign`: `x` with the sign of `sign`."""
    size = x.dtype.itemsize
    word = _WORDS[size]
    mark = word(_SIGNS[size])
    return ((x.view(word) & ~mark) | (sign.view(word) & mark)).view(x.dtype)


def two_sum(a: Lanes, b: Lanes) -> tuple[Lanes, Lanes]:
    """(rounded sum, what rounding lost), exactly (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def to_odd(total: Lanes, lost: Lanes) -> Lanes:
    """A rounded sum and its error, rounded to odd instead: inexact values get an odd last bit."""
    return _finite_to_odd(total, lost, (lost != 0) & np.isfinite(total) & np.isfinite(lost))


def _finite_to_odd(total: Lanes, lost: Lanes, inexact: Lanes) -> Lanes:
    """The same where it is known what is finite and inexact."""
    bits = total.view(_U64)
    away = (lost > 0) == (total > 0)  # the true value is farther from zero than `total`
    odd = np.where(away, bits, bits - _ONE) | _ONE  # `total` is even here, or already odd and then kept
    return np.where(inexact & ((bits & _ONE) == 0), odd, bits).view(_F64)


def fma_f32(a: Lanes, b: Lanes, c: Lanes) -> Lanes:
    """A * b + c rounded once, to nearest even; NaN is the canonical one."""
    total = np.multiply(a, b, dtype=_F64)
    total = np.add(total, c, out=total) if total.ndim else total + c
    result = total.astype(_F32)
    if not result.ndim:
        return one_nan(to_odd(*two_sum(np.multiply(a, b, dtype=_F64), c.astype(_F64))).astype(_F32))
    tie = (total.view(_U64) & _TIE_MASK) == _TIE
    large = np.abs(result) > _TINY
    ties, others = np.count_nonzero(tie), large.size - np.count_nonzero(large)  # the others are tiny, or NaN
    if others:
        tie |= ~large & (total != 0)  # a sum of zero is exact
    if ties or others:
        _round_again(result, np.flatnonzero(tie), total, (a, b, c))
    return one_nan(result) if others else result


def fma_pairs(a: Lanes, b: Lanes, c: Lanes) -> Lanes:
    """`fma_f32` of rows of two."""
    a, b, c = np.broadcast_arrays(a, b, c)
    return fma_f32(*(np.ascontiguousarray(one).reshape(-1) for one in (a, b, c))).reshape(a.shape)


def _round_again(result: Lanes, lanes: Lanes, total: Lanes, operands: tuple[Lanes, Lanes, Lanes]) -> None:
    """Correct the lanes of `result` where `total` had been rounded already; most ties are exact sums."""
    total = total[lanes]
    a, b, c = (one[lanes] if one.ndim else one for one in operands)
    product, term = np.multiply(a, b, dtype=_F64), c.astype(_F64)
    # The larger one leaves exactly the rounded other; so both differences are right if and only if nothing was lost.
    inexact = np.flatnonzero((total - product != term) | (total - term != product))
    if len(inexact):
        product, term = np.broadcast_to(product, total.shape)[inexact], np.broadcast_to(term, total.shape)[inexact]
        result[lanes[inexact]] = to_odd(*two_sum(product, term)).astype(_F32)


def fma_odd(a: Lanes, b: Lanes, c: Lanes) -> Lanes:
    """A * b + c of f16 or f32 lanes in f64, rounded to odd: ready for any second rounding."""
    return to_odd(*two_sum(np.multiply(a, b, dtype=_F64), c.astype(_F64)))


def fma_f16(a: Lanes, b: Lanes, c: Lanes) -> Lanes:
    """A * b + c of f16 lanes, rounded once."""
    return fma_odd(a, b, c).astype(np.float16)


def _add_odd(a: Lanes, b: Lanes) -> Lanes:
    """A + b of f32 lanes in f64, rounded to odd."""
    return to_odd(*two_sum(a.astype(_F64), b.astype(_F64)))


def _quotient_odd(a: Lanes, b: Lanes) -> Lanes:
    """A / b of f32 lanes in f64, rounded to odd."""
    wide_a, wide_b = a.astype(_F64), b.astype(_F64)
    quotient = wide_a / wide_b
    # 53 bits times 24 bits does not fit f64: split the quotient, then both products are exact.
    high = (quotient.view(_U64) & ~_TIE_MASK).view(_F64)
    rest = (wide_a - high * wide_b) - (quotient - high) * wide_b
    lost = np.where(np.isfinite(rest), rest, _F64(0)) * np.where(wide_b < 0, _F64(-1), _F64(1))
    return to_odd(quotient, lost)


def _root_odd(a: Lanes) -> Lanes:
    """Square root of f32 lanes in f64, rounded to odd."""
    wide = a.astype(_F64)
    root = np.sqrt(wide)
    high = (root.view(_U64) & ~_TIE_MASK).view(_F64)
    low = root - high
    rest = ((wide - high * high) - _F64(2) * high * low) - low * low
    return to_odd(root, np.where(np.isfinite(rest), rest, _F64(0)))


def narrow(x: Lanes, mode: str) -> Lanes:
    """f64 that is exact or rounded to odd, to f32 in a rounding mode: "rn", "rz", "rm" or "rp"."""
    nearest = x.astype(_F32)
    if mode == "rn":
        return nearest
    return directed(x, nearest, mode)


def directed(x: Lanes, nearest: Lanes, mode: str) -> Lanes:
    """`nearest` (of a narrower type) corrected so that it lies on the right side of `x`."""
    back = nearest.astype(x.dtype)
    kind = nearest.dtype.type
    up, down = np.nextafter(nearest, kind(np.inf)), np.nextafter(nearest, kind(-np.inf))
    lower = np.where(back > x, down, nearest)
    upper = np.where(back < x, up, nearest)
    if mode == "rm":
        chosen = lower
    elif mode == "rp":
        chosen = upper
    else:
        chosen = np.where(x > 0, lower, upper)
    signed = np.copysign(chosen, x).astype(nearest.dtype)  # a zero keeps the sign of what was rounded
    return np.where(np.isnan(x) | np.isinf(x), nearest, signed)


def add_f32(a: Lanes, b: Lanes, mode: str) -> Lanes:
    """A + b in a directed mode."""
    return narrow(_signed_zero(_add_odd(a, b), a, b, mode), mode)


def fma_f32_directed(a: Lanes, b: Lanes, c: Lanes, mode: str) -> Lanes:
    """A * b + c in a directed mode."""
    product = np.multiply(a, b, dtype=_F64)
    total = to_odd(*two_sum(product, c.astype(_F64)))
    return narrow(_signed_zero(total, product, c, mode), mode)


def _signed_zero(total: Lanes, a: Lanes, b: Lanes, mode: str) -> Lanes:
    """A sum that cancels is -0 when rounding toward minus infinity (IEEE 754, section 6.3)."""
    if mode != "rm":
        return total
    return np.where((total == 0) & (np.signbit(a) != np.signbit(b)), _F64(-0.0), total)


def mul_f32(a: Lanes, b: Lanes, mode: str) -> Lanes:
    """A * b in a directed mode."""
    return narrow(np.multiply(a, b, dtype=_F64), mode)


def div_f32(a: Lanes, b: Lanes, mode: str) -> Lanes:
    """A / b in a directed mode."""
    return narrow(_quotient_odd(a, b), mode)


def sqrt_f32(a: Lanes, mode: str) -> Lanes:
    """Square root in a directed mode."""
    return narrow(_root_odd(a), mode)


def _two_product(a: Lanes, b: Lanes) -> tuple[Lanes, Lanes]:
    """(rounded product, what rounding lost), exact while nothing over- or underflows (Dekker, Veltkamp)."""
    product = a * b
    splitter = _F64(134217729.0)
    high_a, high_b = splitter * a, splitter * b
    high_a, high_b = high_a - (high_a - a), high_b - (high_b - b)
    low_a, low_b = a - high_a, b - high_b
    return product, ((high_a * high_b - product) + high_a * low_b + low_a * high_b) + low_a * low_b


def fma_f64(a: Lanes, b: Lanes, c: Lanes) -> Lanes:
    """A * b + c of f64 lanes, rounded once to nearest even (Boldo and Melquiond's emulation)."""
    product, low = _two_product(a, b)
    high_c, low_c = two_sum(c, low)
    high, middle = two_sum(product, high_c)
    total, lost = two_sum(low_c, middle)
    result = np.asarray(high + _finite_to_odd(total, lost, lost != 0))
    sizes = np.abs(product)
    # Nearly always no exponent is extreme: what overflows on the way leaves no number, or one beyond the bound.
    if sizes.size and sizes.min() >= 1e-250 and np.add(np.abs(result), sizes).max() <= 1e280:
        return result[()]
    plain = np.where(np.isinf(c) & np.isfinite(a) & np.isfinite(b), c, product + c)  # a finite product never meets it
    # Zero and non-finite cases follow the plain arithmetic; extreme exponents break the error terms.
    simple = (a == 0) | (b == 0) | ~np.isfinite(a) | ~np.isfinite(b) | ~np.isfinite(c)
    result = np.where(simple, plain, result)
    big = (sizes > 1e280) | (np.abs(a) > 1e280) | (np.abs(b) > 1e280) | (np.abs(c) > 1e290)
    extreme = ~simple & (big | (sizes < 1e-250))
    if extreme.any():
        return exact.patch(result, extreme, "fma", (a, b, c), "rn")
    return result[()]


def arithmetic_f64(name: str, operands: tuple[Lanes, ...], mode: str) -> Lanes:
    """add, mul, div, sqrt or fma of f64 lanes in a directed mode: exact rational arithmetic, lane by lane."""
    shape = np.broadcast_shapes(*(np.shape(one) for one in operands))
    result = np.zeros(shape, _F64)
    return exact.patch(result, np.ones(shape, np.bool_), name, operands, mode)
