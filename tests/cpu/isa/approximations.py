"""Models of what is approximate, and of the functions of which only a part is specified."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tests.cpu.isa.reals import NAN, Real, encode, from_float, order
from tests.cpu.isa.words import Near, Word

if TYPE_CHECKING:
    from collections.abc import Callable


def near(function: Callable[[float], float], a: Real, **special: Real | None) -> Near | Real:
    """What a function of Python's gives for a float."""
    if a.is_nan:
        return NAN
    try:
        return Near(from_float(function(float(a))))
    except (ValueError, OverflowError, ZeroDivisionError):
        return special.get("otherwise") or NAN


def sine(a: Real) -> Near | Real:
    return near(math.sin, a)


def cosine(a: Real) -> Near | Real:
    return near(math.cos, a)


def tangent_h(a: Real) -> Near | Real:
    return near(math.tanh, a)


def exp2(a: Real) -> Near | Real:
    infinity = Real(False, 1, kind="infinity")
    return near(lambda x: 2.0**x, a, otherwise=infinity)


def log2(a: Real) -> Near | Real:
    if not a.whole and not a.is_nan:
        return Real(True, 1, kind="infinity")
    return near(math.log2, a)


def upper(a: Real) -> Word:
    """`rcp.approx.ftz.f64`: the upper half of a word of f64, rounded; there is one NaN."""
    word = encode(Real(a.negative, a.whole, a.power, a.kind), "f64")
    return Word(_upper(word) if a.kind == "number" else word)


def _upper(word: int) -> int:
    if not word >> 52 & 2047:
        return word & 1 << 63
    return (word + 0x7FFFFFFF + (word >> 32 & 1)) >> 32 << 32


def quotient_approx(a: Real, b: Real) -> Near | Real:
    """`div.approx`: 0 beyond 2**126, where the reciprocal is subnormal."""
    if b.kind == "number" and order(abs(b), Real(False, 1, 126)) == 1 and not a.is_nan:
        return NAN if a.kind == "infinity" else Real(a.negative != b.negative, 0)
    return Near(a / b)
