"""Models of conversions between numbers, and of integers that are parts of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.types import TYPES
from tests.cpu.isa import integers
from tests.cpu.isa.reals import NAN, Real
from tests.cpu.isa.stochastic import code_of
from tests.cpu.isa.words import Word, picked

if TYPE_CHECKING:
    from jitload.cpu.isa.registry import Name


def integral(name: Name, a: Real) -> Real:
    """A number without what stands behind the point, in a rounding mode for integers; a zero keeps the sign."""
    if a.kind != "number" or a.power >= 0 or not picked(name, "IRND"):
        return a
    whole, below = a.whole >> -a.power, a.whole & (1 << -a.power) - 1
    half = 1 << -a.power - 1
    up = {
        "rni": below > half or (below == half and whole & 1),
        "rzi": False,
        "rmi": below and a.negative,
        "rpi": below and not a.negative,
    }[picked(name, "IRND")]
    return Real(a.negative, whole + bool(up))


def to_whole(name: Name, a: Real) -> int:
    """A float as an integer of the first type, the nearest where there is none; NaN is 0, or the top bit of 64."""
    type_, other = TYPES[name.types[0]], TYPES[name.types[1]]
    if a.is_nan:
        return 1 << type_.bits - 1 if 64 in {type_.bits, other.bits} else 0
    if a.kind == "infinity":
        value = -(1 << 80) if a.negative else 1 << 80
    else:
        rounded = integral(name, a)
        value = (rounded.whole << rounded.power) * (-1 if rounded.negative else 1) if rounded.whole else 0
    return integers.limited(value, type_.bits, signed=type_.kind == "s")


def scale(name: Name, a: Real) -> Word:
    """`ue8m0`: the exponent alone, of a power of two that is not below (`.rp`) or not above (`.rz`) the magnitude."""
    if a.is_nan:
        return Word(255)
    if a.kind == "infinity":
        return Word(254 if name.has("satfinite") else 255)
    if not a.whole:
        return Word(0)
    top = a.whole.bit_length() - 1
    power = top + a.power + (name.has("rp") and a.whole != 1 << top)
    code = max(power + 127, 0)
    return Word(min(code, 254) if name.has("satfinite") else min(code, 255))


def stochastic(name: Name, a: Real, random: int) -> Word:
    """`cvt.rs` of one number, with its own random bits lowest."""
    target = name.types[0][:-2]
    return Word(code_of(float(a), random, target, saturated=name.has("satfinite"), relu=name.has("relu")))


def widened_brain(name: Name, a: Real) -> Word | Real:
    """bf16 as f32 is a shift, so that a NaN stays what it is; with `.relu` and the like it is a number like any."""
    return Word(a.word << 16) if a.is_nan else a


def packed(name: Name, a: int, b: int, c: int) -> int:
    """`cvt.pack`: two numbers, limited to so many bits, and above them the lower part of a word."""
    word = name.types[0]
    return integers.limited_pair(a, b, c, int(word[1:]), signed=word[0] == "s")


def unscaled(code: int) -> Real:
    """The number that a `ue8m0` is."""
    return NAN if code == 255 else Real(False, 1, code - 127)
