"""What integer instructions compute, in plain Python integers: what tests hold the executor to.

A model takes the bits of its type and the numbers of its sources, as signed ones where the row reads them so, and gives
a number that is cut to the width of the result.
"""

from __future__ import annotations


def clamp(value: int, bits: int) -> int:
    """The nearest signed number of so many bits."""
    return max(-(1 << bits - 1), min(value, (1 << bits - 1) - 1))


def quotient(a: int, b: int) -> int:
    """Division that cuts towards zero."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def reversed_bits(value: int, bits: int) -> int:
    """The lowest bit as the highest."""
    return int(f"{value:0{bits}b}"[::-1], 2)


def field(value: int, start: int, length: int, bits: int, *, signed: bool) -> int:
    """`bfe`: some bits of a number; beyond its end there is its sign, or there are zeros."""
    start, length = start & 255, length & 255
    value &= (1 << bits) - 1
    last = min(start + length - 1, bits - 1)
    sign = (value >> last) & 1 if signed and length else 0
    found = (value >> start) & ((1 << length) - 1) if length else 0
    known = max(0, min(length, bits - start))
    return found | (-sign << known)


def inserted(value: int, into: int, start: int, length: int, bits: int) -> int:
    """`bfi`: the lowest bits of one number in the place of some of another."""
    start, length = start & 255, length & 255
    mask = (((1 << length) - 1) << start) & ((1 << bits) - 1)
    return (into & ~mask) | ((value << start) & mask)


def found_bit(value: int, bits: int, *, shift: bool) -> int:
    """`bfind`: the highest bit that differs from the sign."""
    value = ~value if value < 0 else value
    if value == 0:
        return 0xFFFFFFFF
    return bits - value.bit_length() if shift else value.bit_length() - 1


def funnel(low: int, high: int, amount: int, *, left: bool, wrap: bool) -> int:
    """`shf`: 32 bits of 64 that are shifted."""
    amount = amount & 31 if wrap else min(amount, 32)
    both = high << 32 | low
    return (both << amount >> 32) if left else both >> amount


def product24(a: int, b: int, *, high: bool, signed: bool) -> int:
    """`mul24`: 32 bits of the 48 of a product of 24."""

    def cut(value: int) -> int:
        value &= 0xFFFFFF
        return value - (1 << 24) if signed and value >> 23 else value

    return cut(a) * cut(b) >> (16 if high else 0)
