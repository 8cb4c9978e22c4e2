"""What `cvt.rs` makes of a number: a model in fractions."""

from __future__ import annotations

import bisect
import math
from fractions import Fraction
from functools import cache

#: Type -> bits of the exponent and of the mantissa, the code of the largest finite number, bits that are added.
FORMATS = {
    "f16": (5, 10, 0x7BFF, 13), "bf16": (8, 7, 0x7F7F, 16), "e4m3": (4, 3, 0x7E, 16), "e5m2": (5, 2, 0x7B, 16),
    "e3m2": (3, 2, 0x1F, 16), "e2m3": (2, 3, 0x1F, 16), "e2m1": (2, 1, 0x07, 8),
}  # fmt: skip
HAS_NAN = {"f16": 0x7FFF, "bf16": 0x7FFF, "e4m3": 0x7F, "e5m2": 0x7F}


@cache
def magnitudes(name: str) -> list[float]:
    """The numbers of codes from 0 on, with one more that follows the largest."""
    exponent, mantissa, largest, _ = FORMATS[name]
    bias = 2 ** (exponent - 1) - 1
    found = []
    for code in range(largest + 2):
        high, low = code >> mantissa, code % (1 << mantissa)
        found.append(math.ldexp(low + ((high > 0) << mantissa), max(high, 1) - bias - mantissa))
    return found


def code_of(x: float, random: int, name: str, *, saturated: bool = True, relu: bool = False) -> int:
    """The code of x: of its two neighbours the farther from zero, as often as x lies near it."""
    exponent, mantissa, largest, bits = FORMATS[name]
    if math.isnan(x):
        return HAS_NAN.get(name, largest)
    negative, size = math.copysign(1, x) < 0, abs(x)
    table = magnitudes(name)
    code = bisect.bisect_right(table, size) - 1
    if code <= largest:
        place = (Fraction(size) - Fraction(table[code])) / (Fraction(table[code + 1]) - Fraction(table[code]))
        code += math.floor(place * 2**bits) + random % 2**bits >= 2**bits
    code = min(code, largest if saturated else largest + 1)
    return code if not negative else 0 if relu else code | 1 << (exponent + mantissa)
