"""Integer arithmetic and bit operations on lanes, as the PTX ISA defines them (sections 9.7.1 and 9.7.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.types import DTYPES

if TYPE_CHECKING:
    from jitload.cpu.types import Lanes

_LOW32 = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_SWAPS = (
    (1, 0x5555555555555555),
    (2, 0x3333333333333333),
    (4, 0x0F0F0F0F0F0F0F0F),
    (8, 0x00FF00FF00FF00FF),
    (16, 0x0000FFFF0000FFFF),
    (32, 0x00000000FFFFFFFF),
)


def mul_wide(a: Lanes, b: Lanes) -> Lanes:
    """The full product, twice as wide as the factors, with their signedness."""
    dtype = DTYPES[f"{'s' if a.dtype.kind == 'i' else 'u'}{a.dtype.itemsize * 16}"]
    return a.astype(dtype) * b.astype(dtype)


def mul_hi(a: Lanes, b: Lanes) -> Lanes:
    """The upper half of the full product."""
    bits = a.dtype.itemsize * 8
    if bits < 64:
        wide = mul_wide(a, b)
        return (wide >> wide.dtype.type(bits)).astype(a.dtype)
    high = _mul_hi_u64(a.view(np.uint64), b.view(np.uint64))
    if a.dtype.kind == "i":
        zero = np.uint64(0)
        high = high - np.where(a < 0, b.view(np.uint64), zero) - np.where(b < 0, a.view(np.uint64), zero)
    return high.view(a.dtype)


def _mul_hi_u64(a: Lanes, b: Lanes) -> Lanes:
    a_low, a_high, b_low, b_high = a & _LOW32, a >> _32, b & _LOW32, b >> _32
    low, cross = a_low * b_low, a_high * b_low
    middle = (low >> _32) + (cross & _LOW32) + a_low * b_high
    return a_high * b_high + (cross >> _32) + (middle >> _32)


def magnitude(a: Lanes) -> Lanes:
    """|a| as unsigned lanes; exact also for the smallest integer."""
    if a.dtype.kind == "u":
        return a
    bits = a.view(f"u{a.dtype.itemsize}")
    return np.where(a < 0, -bits, bits)


def divide(a: Lanes, b: Lanes) -> Lanes:
    """Quotient truncated toward zero; all ones for a zero divisor, as NVIDIA GPUs answer (the ISA leaves it open)."""
    ua, ub = magnitude(a), magnitude(b)
    quotient = np.where(ub == 0, ~ub, ua // ub)
    if a.dtype.kind == "i":
        quotient = np.where(((a < 0) != (b < 0)) & (ub != 0), -quotient, quotient)
    return quotient.view(a.dtype)


def remainder(a: Lanes, b: Lanes) -> Lanes:
    """Remainder with the sign of the dividend; the dividend itself for a zero divisor."""
    ua, ub = magnitude(a), magnitude(b)
    rest = np.where(ub == 0, ua, ua % ub)
    if a.dtype.kind == "i":
        rest = np.where(a < 0, -rest, rest)
    return rest.view(a.dtype)


def absolute(a: Lanes) -> Lanes:
    """|a|; the smallest integer stays."""
    return magnitude(a).view(a.dtype)


def add_saturated(a: Lanes, b: Lanes) -> Lanes:
    """`add.sat` of signed lanes."""
    total = a + b
    overflow = ((a ^ total) & (b ^ total)) < 0
    info = np.iinfo(a.dtype)
    return np.where(overflow, np.where(a < 0, a.dtype.type(info.min), a.dtype.type(info.max)), total)


def sub_saturated(a: Lanes, b: Lanes) -> Lanes:
    """`sub.sat` of signed lanes."""
    total = a - b
    overflow = ((a ^ b) & (a ^ total)) < 0
    info = np.iinfo(a.dtype)
    return np.where(overflow, np.where(a < 0, a.dtype.type(info.min), a.dtype.type(info.max)), total)


def absolute_difference(a: Lanes, b: Lanes) -> Lanes:
    """|a - b|, modulo the width."""
    return np.where(a < b, b - a, a - b)


def mul24(a: Lanes, b: Lanes, high: bool) -> Lanes:
    """Product of the low 24 bits: its low 32 bits, or bits 47..16."""
    shift = a.dtype.type(8)
    wide = mul_wide((a << shift) >> shift, (b << shift) >> shift)
    return (wide >> wide.dtype.type(16 if high else 0)).astype(a.dtype)


def population(a: Lanes) -> Lanes:
    """`popc`: how many bits are set, as u32."""
    if hasattr(np, "bitwise_count"):
        return np.bitwise_count(a).astype(np.uint32)
    words = a.astype(np.uint64)
    c1, c2, c4 = (np.uint64(mask) for _, mask in _SWAPS[:3])
    words = words - ((words >> np.uint64(1)) & c1)
    words = (words & c2) + ((words >> np.uint64(2)) & c2)
    words = (words + (words >> np.uint64(4))) & c4
    return ((words * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.uint32)


def _highest_bit(a: Lanes) -> Lanes:
    """Position of the most significant set bit of unsigned lanes as u32, all ones when there is none."""
    if a.dtype.itemsize == 8:
        high = (a >> _32).astype(np.uint32)
        low = _highest_bit(a.astype(np.uint32))
        return np.where(high != 0, _highest_bit(high) + np.uint32(32), low)
    exponent = (a.astype(np.float64).view(np.uint64) >> np.uint64(52)).astype(np.uint32) - np.uint32(1023)
    return np.where(a == 0, np.uint32(0xFFFFFFFF), exponent)


def leading_zeros(a: Lanes) -> Lanes:
    """`clz`, as u32; the width for 0."""
    return np.uint32(a.dtype.itemsize * 8 - 1) - _highest_bit(a)


def find_bit(a: Lanes, shift_amount: bool) -> Lanes:
    """`bfind`: the most significant bit that is not a sign bit, or the shift that brings it to the top."""
    bits = a.dtype.itemsize * 8
    unsigned = np.where(a < 0, ~a, a).view(f"u{a.dtype.itemsize}") if a.dtype.kind == "i" else a
    found = _highest_bit(unsigned)
    if not shift_amount:
        return found
    return np.where(found == np.uint32(0xFFFFFFFF), found, np.uint32(bits - 1) - found)


def reverse_bits(a: Lanes) -> Lanes:
    """`brev`."""
    kind = a.dtype.type
    bits = a.dtype.itemsize * 8
    for shift, mask in _SWAPS:
        if shift >= bits:
            break
        low = kind(mask & ((1 << bits) - 1))
        a = ((a >> kind(shift)) & low) | ((a & low) << kind(shift))
    return a


def shift_left(a: Lanes, amount: Lanes) -> Lanes:
    """`shl`: amounts past the width give 0. Amounts are u32."""
    bits = a.dtype.itemsize * 8
    return np.where(amount < bits, a << np.minimum(amount, np.uint32(bits - 1)).astype(a.dtype), a.dtype.type(0))


def shift_right(a: Lanes, amount: Lanes) -> Lanes:
    """`shr`: amounts past the width give 0, or copies of the sign bit."""
    bits = a.dtype.itemsize * 8
    if a.dtype.kind == "i":
        return a >> np.minimum(amount, np.uint32(bits - 1)).astype(a.dtype)
    return np.where(amount < bits, a >> np.minimum(amount, np.uint32(bits - 1)).astype(a.dtype), a.dtype.type(0))


def funnel(low: Lanes, high: Lanes, amount: Lanes, left: bool, wrap: bool) -> Lanes:
    """`shf`: shift the 64-bit pair, keep the upper (left) or lower (right) word."""
    count = amount & np.uint32(31) if wrap else np.minimum(amount, np.uint32(32))
    pair = (high.astype(np.uint64) << _32) | low.astype(np.uint64)
    count = count.astype(np.uint64)
    return ((pair << count) >> _32 if left else pair >> count).astype(np.uint32)


def extract_field(a: Lanes, start: Lanes, length: Lanes) -> Lanes:
    """`bfe`: a bit field, sign-extended for signed lanes (the sign bit past the width is the top bit)."""
    bits = a.dtype.itemsize * 8
    unsigned = np.dtype(f"u{a.dtype.itemsize}").type
    start = start & np.uint32(255)
    length = length & np.uint32(255)
    field = shift_right(a, start)
    keep = np.minimum(length, np.uint32(bits)).astype(np.uint32)
    mask = ~shift_left(np.broadcast_to(unsigned(2**bits - 1), np.shape(keep))[()], keep)
    found = field.view(unsigned) & mask
    if a.dtype.kind != "i":
        return found
    top = np.minimum(start + length - np.uint32(1), np.uint32(bits - 1))
    sign = (a.view(unsigned) >> top.astype(unsigned)) & unsigned(1)
    extended = np.where((sign != 0) & (length != 0), found | ~mask, found)
    return np.where(length == 0, unsigned(0), extended).view(a.dtype)


def insert_field(a: Lanes, b: Lanes, start: Lanes, length: Lanes) -> Lanes:
    """`bfi`: the low bits of `a` over a field of `b`."""
    unsigned = a.dtype.type
    bits = a.dtype.itemsize * 8
    start = start & np.uint32(255)
    length = length & np.uint32(255)
    ones = np.broadcast_to(unsigned(2**bits - 1), np.shape(length))[()]
    mask = shift_left(~shift_left(ones, length), start)
    return (b & ~mask) | (shift_left(a, start) & mask)


def bit_mask(start: Lanes, length: Lanes, wrap: bool) -> Lanes:
    """`bmsk`: `length` ones from bit `start`."""
    limit = np.uint32(31 if wrap else 32)
    start = start & limit if wrap else np.minimum(start, limit)
    length = length & limit if wrap else np.minimum(length, limit)
    ones = np.broadcast_to(np.uint32(0xFFFFFFFF), np.shape(length))[()]
    return shift_left(~shift_left(ones, length), start)


def extend_field(a: Lanes, position: Lanes, wrap: bool) -> Lanes:
    """`szext`: keep the low `position` bits and extend them by sign or zero."""
    position = position & np.uint32(31) if wrap else position
    zero = np.zeros(np.shape(position), np.uint32)[()]
    return extract_field(a, zero, np.minimum(position, np.uint32(32)))


def logic3(a: Lanes, b: Lanes, c: Lanes, table: int) -> Lanes:
    """`lop3`: any function of three bits, by its truth table (0xF0, 0xCC, 0xAA are a, b, c)."""
    result = a & a.dtype.type(0) | (b & b.dtype.type(0)) | (c & c.dtype.type(0))
    for row in range(8):
        if table >> row & 1:
            result = result | ((a if row & 4 else ~a) & (b if row & 2 else ~b) & (c if row & 1 else ~c))
    return result


def add_carry(a: Lanes, b: Lanes, carry: Lanes) -> tuple[Lanes, Lanes]:
    """(sum, carry out) of unsigned lanes and a carry."""
    partial = a + b
    total = partial + carry.astype(a.dtype)
    return total, (partial < a) | (total < partial)


def sub_carry(a: Lanes, b: Lanes, carry: Lanes) -> tuple[Lanes, Lanes]:
    """(difference, carry out) of unsigned lanes: a + ~b + carry, so the flag is set when there is no borrow.

    The ISA speaks of a borrow and leaves open what `addc` reads after `subc.cc`. Hardware has one carry flag: NVRTC's
    own division of 128-bit integers asks with `addc.u32 %r, 0, 0` whether a subtraction did not borrow.
    """
    return add_carry(a, ~b, carry)


def nth_set(mask: Lanes, base: Lanes, offset: Lanes) -> Lanes:
    """`fns`: the position of the n-th set bit from `base`, or all ones."""
    mask, base, offset = np.broadcast_arrays(mask, base, offset.view(np.int32))
    return np.array(
        [_nth_set(int(m), int(b), int(n)) for m, b, n in zip(mask.flat, base.flat, offset.flat, strict=True)], np.uint32
    ).reshape(mask.shape)[()]


def _nth_set(mask: int, base: int, offset: int) -> int:
    if offset == 0:
        return base if mask >> base & 1 else 0xFFFFFFFF
    step, count, position = (1, offset - 1, base) if offset > 0 else (-1, -offset - 1, base)
    while 0 <= position < 32:
        if mask >> position & 1:
            if count == 0:
                return position
            count -= 1
        position += step
    return 0xFFFFFFFF
