"""Exact real numbers in plain integers, and the bits of floating-point formats: what models of floats are made of."""

from __future__ import annotations

from functools import cache, lru_cache
from math import isqrt
from typing import NamedTuple

#: More bits than any format has; a quotient or root that is longer ends in a bit that says so.
_LONG = 160


class Format(NamedTuple):
    """How numbers of a type lie in bits.

    Attributes:
        bits: of a word.
        exponent: bits of the exponent.
        mantissa: bits behind the point.
        infinite: whether there are infinities.
        nan: the word of a new NaN; -1 where there is none.
        unused: bits at the lower end of a word that are zero.
    """

    bits: int
    exponent: int
    mantissa: int
    infinite: bool = True
    nan: int = -1
    unused: int = 0

    @property
    def bias(self) -> int:
        """What the exponent of one is written as."""
        return (1 << self.exponent - 1) - 1

    @property
    def largest(self) -> int:
        """The word of the largest number, without unused bits."""
        top = (1 << self.exponent + self.mantissa) - 1
        if self.infinite:
            return (((1 << self.exponent) - 1) << self.mantissa) - 1
        return top - (self.nan >= 0)


FORMATS = {
    "f16": Format(16, 5, 10, nan=0x7FFF),
    "bf16": Format(16, 8, 7, nan=0x7FFF),
    "f32": Format(32, 8, 23, nan=0x7FFFFFFF),
    "f64": Format(64, 11, 52, nan=0xFFF8000000000000),
    "tf32": Format(32, 8, 10, nan=0x7FFFFFFF, unused=13),
    "e4m3": Format(8, 4, 3, infinite=False, nan=0x7F),
    "e5m2": Format(8, 5, 2, nan=0x7F),
    "e3m2": Format(6, 3, 2, infinite=False),
    "e2m3": Format(6, 2, 3, infinite=False),
    "e2m1": Format(4, 2, 1, infinite=False),
}


class Real:
    """A number `whole * 2**power` with a sign, an infinity, or NaN.

    Attributes:
        negative: its sign; None for a zero that a sum left, whose sign the rounding gives.
        whole: 0 or more; of an infinity 1.
        power: see above.
        kind: "number", "infinity" or "nan".
        payload: of a NaN, the word of f64 that results of f64 are; 0 if it is new.
        word: the bits that it was read from.
    """

    __slots__ = ("kind", "negative", "payload", "power", "whole", "word")

    def __init__(
        self, negative: bool | None, whole: int, power: int = 0, kind: str = "number", payload: int = 0, word: int = 0
    ) -> None:
        self.negative = negative
        self.whole = whole
        self.power = power
        self.kind = kind
        self.payload = payload
        self.word = word

    @property
    def is_nan(self) -> bool:
        return self.kind == "nan"

    def __neg__(self) -> Real:
        return Real(not self.negative, self.whole, self.power, self.kind, self.payload)

    def __abs__(self) -> Real:
        return Real(False, self.whole, self.power, self.kind, self.payload)

    def __add__(self, other: Real) -> Real:
        if self.is_nan or other.is_nan:
            return _nan(self, other)
        if "infinity" in (self.kind, other.kind):
            if self.kind == other.kind:
                return self if self.negative == other.negative else NAN
            return self if self.kind == "infinity" else other
        if not self.whole and not other.whole:
            return self if self.negative == other.negative else Real(None, 0)
        power = min(self.power, other.power)
        total = self._scaled(power) + other._scaled(power)
        return Real(total < 0 if total else None, abs(total), power)

    def _scaled(self, power: int) -> int:
        scaled = self.whole << self.power - power
        return -scaled if self.negative else scaled

    def __sub__(self, other: Real) -> Real:
        return self + (other if other.is_nan else -other)

    def __mul__(self, other: Real) -> Real:
        if self.is_nan or other.is_nan:
            return _nan(self, other)
        negative = self.negative != other.negative
        if "infinity" in (self.kind, other.kind):
            return Real(negative, 1, kind="infinity") if self.whole and other.whole else NAN
        return Real(negative, self.whole * other.whole, self.power + other.power)

    def __truediv__(self, other: Real) -> Real:
        if self.is_nan or other.is_nan:
            return _nan(self, other)
        negative = self.negative != other.negative
        if self.kind == other.kind == "infinity" or not (self.whole or other.whole):
            return NAN
        if self.kind == "infinity" or not other.whole:
            return Real(negative, 1, kind="infinity")
        if other.kind == "infinity":
            return Real(negative, 0)
        shift = _LONG + other.whole.bit_length()
        whole, rest = divmod(self.whole << shift, other.whole)
        return Real(negative, whole << 1 | (rest != 0), self.power - other.power - shift - 1)

    def __lt__(self, other: Real) -> bool:
        return order(self, other) == -1

    def __gt__(self, other: Real) -> bool:
        return order(self, other) == 1

    def __float__(self) -> float:
        """As f64, which holds every number of f32 and less."""
        if self.kind != "number":
            return float("nan") if self.is_nan else -float("inf") if self.negative else float("inf")
        value = float(self.whole) * 2.0**self.power
        return -value if self.negative else value


NAN = Real(False, 0, kind="nan")
ONE = Real(False, 1)
ZERO = Real(False, 0)


def order(a: Real, b: Real) -> int | None:
    """-1, 0 or 1 as the first is less, equal or greater; None where one is NaN."""
    if a.is_nan or b.is_nan:
        return None
    if a.kind == b.kind == "number":
        power = min(a.power, b.power)
        left, right = a._scaled(power), b._scaled(power)
        return (left > right) - (left < right)
    left, right = (0 if one.kind == "number" else -1 if one.negative else 1 for one in (a, b))
    return (left > right) - (left < right)


def _nan(*sources: Real) -> Real:
    """The first of them that is a NaN with a payload, or a new one."""
    return next((one for one in sources if one.is_nan and one.payload), NAN)


def root(a: Real) -> Real:
    """The square root."""
    if a.is_nan:
        return _nan(a)
    if a.negative and a.whole:
        return NAN
    if a.kind == "infinity" or not a.whole:
        return a
    whole, power = (a.whole << 1, a.power - 1) if a.power & 1 else (a.whole, a.power)
    found = isqrt(whole << 2 * _LONG)
    return Real(False, found << 1 | (found * found != whole << 2 * _LONG), power // 2 - _LONG - 1)


def from_whole(value: int) -> Real:
    """An integer."""
    return Real(value < 0, abs(value))


def from_float(value: float) -> Real:
    """A Python float."""
    if value != value:
        return NAN
    if value in {float("inf"), float("-inf")}:
        return Real(value < 0, 1, kind="infinity")
    whole, below = abs(value).as_integer_ratio()
    return Real(str(value)[0] == "-", whole, 1 - below.bit_length())


@lru_cache(maxsize=1 << 17)
def decode(word: int, name: str) -> Real:
    """The number that a word of a format is."""
    form = FORMATS[name]
    bits = word >> form.unused
    sign = bool(word >> form.bits - 1)
    field = bits >> form.mantissa & (1 << form.exponent) - 1
    rest = bits & (1 << form.mantissa) - 1
    magnitude = field << form.mantissa | rest
    if magnitude > form.largest:
        if form.infinite and not rest:
            return Real(sign, 1, kind="infinity", word=word)
        payload = 0x7FF8 << 48 | sign << 63 | rest << 52 - form.mantissa
        return Real(sign, 0, kind="nan", payload=payload, word=word)
    if not field:
        return Real(sign, rest, 1 - form.bias - form.mantissa, word=word)
    return Real(sign, rest | 1 << form.mantissa, field - form.bias - form.mantissa, word=word)


def encode(a: Real, name: str, mode: str = "rn", *, finite: bool = False) -> int:
    """The word of a number, rounded: "rn" to the nearest, the even one of two, "rna" away from zero then, "rz", "rm", "rp".

    Args:
        a: the number.
        name: of the format.
        mode: how it is rounded.
        finite: whether what is too large becomes the largest number (`.satfinite`).
    """
    form = _measures(name)
    bits, mantissa, largest, infinite, nan, unused, least = form
    if a.kind == "nan":
        if nan < 0:
            return largest
        return a.payload if name == "f64" and a.payload else nan
    negative = mode == "rm" if a.negative is None else a.negative
    sign = 1 << bits - 1 if negative else 0
    if a.kind == "infinity":
        return sign | (largest + (infinite and not finite)) << unused
    if not a.whole:
        return sign
    quantum = max(a.whole.bit_length() - 1 + a.power, least) - mantissa
    shift = quantum - a.power
    if shift <= 0:
        kept = a.whole << -shift
    else:
        kept = a.whole >> shift
        lost = a.whole - (kept << shift)
        if lost and _rounds_up(lost, 1 << shift - 1, kept & 1, mode, negative):
            kept += 1
    magnitude = kept + (quantum + mantissa - least << mantissa)
    if magnitude > largest:
        up = mode in {"rn", "rna"} or mode == ("rm" if negative else "rp")
        magnitude = largest + (up and infinite and not finite)
    return sign | magnitude << unused


@cache
def _measures(name: str) -> tuple[int, int, int, bool, int, int, int]:
    form = FORMATS[name]
    return form.bits, form.mantissa, form.largest, form.infinite, form.nan, form.unused, 1 - form.bias


def _rounds_up(lost: int, half: int, odd: int, mode: str, negative: bool) -> bool:
    if mode == "rn":
        return lost > half or (lost == half and bool(odd))
    if mode == "rna":
        return lost >= half
    return mode == ("rm" if negative else "rp")


def is_small(word: int, name: str) -> bool:
    """Whether a word is subnormal, or zero."""
    form = FORMATS[name]
    return not word >> form.mantissa + form.unused & (1 << form.exponent) - 1


def flushed(word: int, name: str) -> int:
    """`.ftz`: zero of the same sign for a subnormal one."""
    return word & 1 << FORMATS[name].bits - 1 if is_small(word, name) else word
