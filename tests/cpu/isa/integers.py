"""What integer instructions compute, in plain Python integers: words of the models of rows (models.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Reduction -> what is in memory afterwards, of what was there and what comes to it.
REDUCTIONS: dict[str, Callable[[int, int], int]] = {
    "inc": lambda old, most: 0 if old >= most else old + 1, "dec": lambda old, most: old - 1 if 0 < old <= most else most,
    "min": min, "max": max, "add": int.__add__, "and": int.__and__, "or": int.__or__, "xor": int.__xor__,
}  # fmt: skip


def clamp(value: int, bits: int) -> int:
    """The nearest signed number of so many bits."""
    return max(-(1 << bits - 1), min(value, (1 << bits - 1) - 1))


def as_signed(word: int, bits: int) -> int:
    """A word as the signed number that it is."""
    return word - (1 << bits) if word >> bits - 1 & 1 else word


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


def limited(value: int, bits: int, *, signed: bool) -> int:
    """The nearest number of a type."""
    return clamp(value, bits) if signed else max(0, min(value, (1 << bits) - 1))


def logic(a: int, b: int, c: int, table: int) -> int:
    """`lop3`: bit by bit, the place in the table that three bits name."""
    return sum((table >> (a >> k & 1) * 4 + (b >> k & 1) * 2 + (c >> k & 1) & 1) << k for k in range(32))


def nth_set(mask: int, base: int, offset: int) -> int:
    """`fns`: where the bit is that is so many set ones away from the base, or all ones."""
    if base > 31:
        return 0xFFFFFFFF  # the base is a place in the word
    if offset == 0:
        return base if mask >> base & 1 else 0xFFFFFFFF
    places = range(base, 32) if offset > 0 else range(base, -1, -1)
    found = [place for place in places if mask >> place & 1]
    return found[abs(offset) - 1] if len(found) >= abs(offset) else 0xFFFFFFFF


def extended(value: int, width: int, *, wrap: bool, signed: bool) -> int:
    """`szext`: so many bits of a number, with their sign or zeros in front."""
    width = width & 31 if wrap else min(width, 32)
    kept = value & (1 << width) - 1
    return kept - (1 << width) if signed and width and kept >> width - 1 else kept


def mask(start: int, length: int, *, wrap: bool) -> int:
    """`bmsk`: so many ones from a place on."""
    if wrap:
        return ((1 << (length & 31)) - 1) << (start & 31)
    return ((1 << min(length, 32)) - 1) << start if start < 32 else 0


#: Mode of `prmt` -> for each place of the result, lowest first, the byte of eight, by the selector.
_PICKS: dict[str, Callable[[int, int], int]] = {
    "f4e": lambda place, s: s + place,
    "b4e": lambda place, s: (s - place) % 8,
    "rc8": lambda _, s: s,
    "ecl": max,
    "ecr": min,
    "rc16": lambda place, s: place % 2 + 2 * (s % 2),
}


def permuted(a: int, b: int, selector: int, mode: str) -> int:
    """`prmt`: four of eight bytes; in the mode without a name a bit says that the sign alone is wanted."""
    source = [*a.to_bytes(4, "little"), *b.to_bytes(4, "little")]
    word = 0
    for place in range(4):
        if mode:
            byte = source[_PICKS[mode](place, selector & 3)]
        else:
            nibble = selector >> 4 * place & 15
            byte = source[nibble & 7]
            byte = 0xFF * (byte >> 7) if nibble > 7 else byte
        word |= byte << 8 * place
    return word


def parts(word: int, bits: int, *, signed: bool, total: int = 32) -> list[int]:
    """The elements of a word, the lowest first."""
    found = [word >> place & (1 << bits) - 1 for place in range(0, total, bits)]
    return [one - (1 << bits) if signed and one >> bits - 1 else one for one in found]


def dot4(a: int, b: int, c: int, types: tuple[str, ...]) -> int:
    """`dp4a`."""
    left, right = parts(a, 8, signed=types[0] == "s32"), parts(b, 8, signed=types[1] == "s32")
    return c + sum(x * y for x, y in zip(left, right, strict=True))


def dot2(a: int, b: int, c: int, types: tuple[str, ...], *, high: bool) -> int:
    """`dp2a`: two halves times the lower or the upper two bytes."""
    left, right = parts(a, 16, signed=types[0] == "s32"), parts(b, 8, signed=types[1] == "s32")
    return c + sum(x * y for x, y in zip(left, right[2:] if high else right[:2], strict=True))


def limited_pair(a: int, b: int, c: int, bits: int, *, signed: bool) -> int:
    """`cvt.pack`: two numbers, limited to so many bits, and above them the lower part of a word."""
    fields = [limited(one, bits, signed=signed) & (1 << bits) - 1 for one in (b, a)]
    return fields[0] | fields[1] << bits | (c << 2 * bits if bits < 16 else 0)


def wrapped(value: int, bits: int) -> int:
    """The lower bits, as a signed number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value
