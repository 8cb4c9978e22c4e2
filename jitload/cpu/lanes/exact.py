"""Exact arithmetic for the few f64 lanes where no sequence of rounded operations is right: slow, and never wrong."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jitload.cpu.types import Lanes

_MIN_EXPONENT = -1074
_MAX = Fraction(np.finfo(np.float64).max)


def patch(result: Lanes, where: Lanes, name: str, operands: tuple[Lanes, ...], mode: str) -> Lanes:
    """`result` with the lanes in `where` computed exactly."""
    result = np.array(result)
    wide = [np.broadcast_to(operand, result.shape) for operand in operands]
    for position in np.argwhere(where):
        index = tuple(position)
        result[index] = compute(name, tuple(float(one[index]) for one in wide), mode)
    return result[()]


def compute(name: str, operands: tuple[float, ...], mode: str) -> float:
    """One operation, rounded once."""
    special = _special(name, operands, mode)
    if special is not None:
        return special
    if name == "sqrt":
        return _round_root(Fraction(operands[0]), mode)
    a, b = Fraction(operands[0]), Fraction(operands[1])
    value = {
        "add": lambda: a + b,
        "mul": lambda: a * b,
        "div": lambda: a / b,
        "fma": lambda: a * b + Fraction(operands[2]),
    }[name]()
    return _round_fraction(value, mode)


def _special(name: str, operands: tuple[float, ...], mode: str) -> float | None:
    """The answer when it is not a matter of rounding: NaN, infinities, zeros and their signs."""
    if name in {"add", "fma"} and all(math.isfinite(one) for one in operands):
        return _exact_zero(operands, mode)
    a, b = np.float64(operands[0]), np.float64(operands[-1])
    with np.errstate(all="ignore"):
        if name == "fma":
            finite = math.isfinite(a) and math.isfinite(operands[1])  # then an infinite term wins, even over overflow
            plain = b if finite else a * np.float64(operands[1]) + b
        elif name == "sqrt":
            plain = np.sqrt(a)
        else:
            plain = {"add": a + b, "mul": a * b, "div": a / b}[name]
    simple = a == 0 or (b == 0 and name != "fma") or math.isnan(plain)
    return float(plain) if simple or not all(math.isfinite(one) for one in operands) else None


def _exact_zero(operands: tuple[float, ...], mode: str) -> float | None:
    """A sum that is exactly zero keeps a common sign, else it is -0 only toward minus infinity (IEEE 754, 6.3)."""
    *factors, term = operands
    if math.prod(map(Fraction, factors)) + Fraction(term) != 0:
        return None
    sign = math.prod(math.copysign(1, one) for one in factors)
    if sign == math.copysign(1, term):
        return math.copysign(0.0, sign)
    return -0.0 if mode == "rm" else 0.0


def _round_fraction(value: Fraction, mode: str) -> float:
    """A non-zero rational to f64."""
    negative = value < 0
    size = -value if negative else value
    exponent = max(size.numerator.bit_length() - size.denominator.bit_length() - 53, _MIN_EXPONENT)
    if size / Fraction(2) ** exponent >= 2**53:
        exponent += 1
    scaled = size / Fraction(2) ** exponent
    whole = scaled.numerator // scaled.denominator
    rest = scaled - whole
    if _rounds_up(whole, rest, mode, negative):
        whole += 1
    if Fraction(whole) * Fraction(2) ** exponent > _MAX:
        away = mode == "rn" or (mode == "rp" and not negative) or (mode == "rm" and negative)
        found = math.inf if away else float(_MAX)
    else:
        found = math.ldexp(whole, exponent)
    return -found if negative else found


def _rounds_up(whole: int, rest: Fraction, mode: str, negative: bool) -> bool:
    if not rest:
        return False
    if mode == "rn":
        return rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1)
    return mode == ("rm" if negative else "rp")


def _round_root(value: Fraction, mode: str) -> float:
    nearest = math.sqrt(value)  # correctly rounded: IEEE 754 requires it
    square = Fraction(nearest) ** 2
    if square > value and mode in {"rz", "rm"}:
        return math.nextafter(nearest, 0.0)
    if square < value and mode == "rp":
        return math.nextafter(nearest, math.inf)
    return nearest
