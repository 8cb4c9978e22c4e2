"""Integer arithmetic and bit operations against plain Python integers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

WIDTHS = {16: np.uint16, 32: np.uint32, 64: np.uint64}


def edges(bits: int) -> list[int]:
    top = 1 << (bits - 1)
    return [
        0,
        1,
        2,
        3,
        7,
        8,
        31,
        32,
        33,
        63,
        64,
        255,
        256,
        top - 1,
        top,
        top + 1,
        2 * top - 1,
        2 * top - 2,
        0x5A5A & (2 * top - 1),
    ]


def pairs(bits: int) -> tuple[np.ndarray, np.ndarray]:
    both = list(itertools.product(edges(bits), repeat=2))
    first, second = (np.array(column, dtype=WIDTHS[bits]) for column in zip(*both, strict=True))
    return first, second


def signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def number(value: int, kind: str, bits: int) -> int:
    return signed(value, bits) if kind == "s" else value


def truncated(a: int, b: int) -> tuple[int, int]:
    quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return quotient, a - quotient * b


BINARY = {
    "add": lambda a, b, n: a + b,
    "sub": lambda a, b, n: a - b,
    "mul.lo": lambda a, b, n: a * b,
    "mul.hi": lambda a, b, n: (a * b) >> n,
    "min": lambda a, b, n: min(a, b),
    "max": lambda a, b, n: max(a, b),
}


@pytest.mark.parametrize("kind", "us")
@pytest.mark.parametrize("bits", [16, 32, 64])
@pytest.mark.parametrize("name", BINARY)
def test_two_operands(apply, name, bits, kind):
    a, b = pairs(bits)
    got = apply(f"{name}.{kind}{bits} %d, %a, %b;", WIDTHS[bits], a, b)
    want = [
        BINARY[name](number(int(x), kind, bits), number(int(y), kind, bits), bits) % (1 << bits)
        for x, y in zip(a, b, strict=False)
    ]
    np.testing.assert_array_equal(got, np.array(want, WIDTHS[bits]))


@pytest.mark.parametrize("kind", "us")
@pytest.mark.parametrize("bits", [16, 32, 64])
def test_division_truncates(apply, bits, kind):
    a, b = pairs(bits)
    keep = b != 0
    a, b = a[keep], b[keep]
    got = apply(f"div.{kind}{bits} %d, %a, %b; rem.{kind}{bits} %q, %a, %b;", (WIDTHS[bits], WIDTHS[bits]), a, b)
    want = [truncated(number(int(x), kind, bits), number(int(y), kind, bits)) for x, y in zip(a, b, strict=False)]
    for column, results in enumerate(got):
        np.testing.assert_array_equal(results, np.array([one[column] % (1 << bits) for one in want], WIDTHS[bits]))


@pytest.mark.parametrize("kind", "us")
@pytest.mark.parametrize("bits", [16, 32])
def test_wide_products(apply, bits, kind):
    a, b = pairs(bits)
    got = apply(f"mul.wide.{kind}{bits} %d, %a, %b;", WIDTHS[bits * 2], a, b)
    want = [
        number(int(x), kind, bits) * number(int(y), kind, bits) % (1 << 2 * bits) for x, y in zip(a, b, strict=False)
    ]
    np.testing.assert_array_equal(got, np.array(want, WIDTHS[bits * 2]))


@pytest.mark.parametrize("part", ["lo", "hi", "wide"])
@pytest.mark.parametrize("kind", "us")
def test_multiply_add(apply, kind, part):
    a, b = pairs(32)
    out = WIDTHS[64] if part == "wide" else WIDTHS[32]
    c = (a[::-1].astype(out) * out(3)).astype(out)
    got = apply(f"mad.{part}.{kind}32 %d, %a, %b, %c;", out, a, b, c)
    want = []
    for x, y, z in zip(a, b, c, strict=False):
        product = number(int(x), kind, 32) * number(int(y), kind, 32)
        want.append(((product >> 32 if part == "hi" else product) + int(z)) % (1 << 8 * np.dtype(out).itemsize))
    np.testing.assert_array_equal(got, np.array(want, out))


@pytest.mark.parametrize("name", ["add", "sub"])
def test_saturation(apply, name):
    a, b = pairs(32)
    got = apply(f"{name}.sat.s32 %d, %a, %b;", np.int32, a, b)
    sums = [signed(int(x), 32) + signed(int(y), 32) * (1 if name == "add" else -1) for x, y in zip(a, b, strict=False)]
    np.testing.assert_array_equal(got, np.clip(sums, -(2**31), 2**31 - 1))


def test_carry_chain_adds_and_subtracts_128_bits(apply):
    a, b = pairs(64)
    code = "add.cc.u64 %d, %a, %b; addc.u64 %q, %b, %a;"
    low, high = apply(code, (np.uint64, np.uint64), a, b)
    for x, y, lo, hi in zip(a.tolist(), b.tolist(), low.tolist(), high.tolist(), strict=False):
        assert lo | hi << 64 == (x + y + ((y + x) << 64)) % (1 << 128)
    low, high = apply("sub.cc.u64 %d, %a, %b; subc.u64 %q, %b, %a;", (np.uint64, np.uint64), a, b)
    for x, y, lo, hi in zip(a.tolist(), b.tolist(), low.tolist(), high.tolist(), strict=False):
        assert lo | hi << 64 == ((x | y << 64) - (y | x << 64)) % (1 << 128)


def test_subtraction_leaves_the_carry_of_adding_the_complement(apply):
    """What NVRTC's own division of 128-bit integers counts on: the flag says that there was no borrow."""
    a, b = pairs(32)
    code = "sub.cc.u32 %j, %a, %b; addc.u32 %d, 0, 0; sub.cc.u32 %j, %a, %b; subc.cc.u32 %j, %b, %a; addc.u32 %q, 0, 0;"
    first, second = apply(code, (np.uint32, np.uint32), a, b)
    for x, y, one, two in zip(a.tolist(), b.tolist(), first.tolist(), second.tolist(), strict=False):
        assert one == (x >= y)
        assert two == (y - x - (x < y) >= 0)


def test_carry_through_multiply_add(apply):
    a, b = pairs(32)
    low, high = apply("mad.lo.cc.u32 %d, %a, %b, %b; madc.hi.u32 %q, %a, %b, %a;", (np.uint32, np.uint32), a, b)
    for x, y, lo, hi in zip(a.tolist(), b.tolist(), low.tolist(), high.tolist(), strict=False):
        assert lo | hi << 32 == (x * y + y + (x << 32)) % (1 << 64)


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_shifts_past_the_width(apply, bits):
    a, _ = pairs(bits)
    amounts = np.array([0, 1, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 2**31, 2**32 - 1] * 30, np.uint32)[
        : len(a)
    ]
    left = apply(f"shl.b{bits} %d, %a, %b;", WIDTHS[bits], a, amounts)
    right = apply(f"shr.u{bits} %d, %a, %b;", WIDTHS[bits], a, amounts)
    arithmetic = apply(f"shr.s{bits} %d, %a, %b;", WIDTHS[bits], a, amounts)
    mask = (1 << bits) - 1
    for x, k, one, two, three in zip(
        a.tolist(), amounts.tolist(), left.tolist(), right.tolist(), arithmetic.tolist(), strict=False
    ):
        k = min(k, 70)
        assert (one, two, three) == (x << k & mask, x >> k, signed(x, bits) >> k & mask)


def test_funnel_shifts(apply):
    a, b = pairs(32)
    c = np.resize(np.array([0, 1, 16, 31, 32, 33, 63, 64, 2**32 - 1], np.uint32), len(a))
    for way, mode in itertools.product("lr", ["wrap", "clamp"]):
        got = apply(f"shf.{way}.{mode}.b32 %d, %a, %b, %c;", np.uint32, a, b, c)
        for x, y, k, result in zip(a.tolist(), b.tolist(), c.tolist(), got.tolist(), strict=False):
            k = k & 31 if mode == "wrap" else min(k, 32)
            pair = y << 32 | x
            assert result == ((pair << k) >> 32 if way == "l" else pair >> k) & 0xFFFFFFFF


@pytest.mark.parametrize("bits", [32, 64])
def test_counting_bits(apply, bits):
    a = np.array(edges(bits), WIDTHS[bits])
    count = apply(f"popc.b{bits} %d, %a;", np.uint32, a)
    zeros = apply(f"clz.b{bits} %d, %a;", np.uint32, a)
    reverse = apply(f"brev.b{bits} %d, %a;", WIDTHS[bits], a)
    for x, ones, leading, back in zip(a.tolist(), count.tolist(), zeros.tolist(), reverse.tolist(), strict=False):
        assert ones == bin(x).count("1")
        assert leading == bits - x.bit_length()
        assert back == int(f"{x:0{bits}b}"[::-1], 2)


@pytest.mark.parametrize("kind", "us")
@pytest.mark.parametrize("bits", [32, 64])
def test_bfind(apply, bits, kind):
    a = np.array(edges(bits), WIDTHS[bits])
    found, shift = apply(f"bfind.{kind}{bits} %d, %a; bfind.shiftamt.{kind}{bits} %q, %a;", (np.uint32, np.uint32), a)
    for x, position, amount in zip(a.tolist(), found.tolist(), shift.tolist(), strict=False):
        value = number(x, kind, bits)
        value = ~value if value < 0 else value
        want = value.bit_length() - 1 if value else 0xFFFFFFFF
        assert position == want
        assert amount == (want if want == 0xFFFFFFFF else bits - 1 - want)


def bfe(value: int, start: int, length: int, bits: int, kind: str) -> int:
    """The loop of the ISA's own description."""
    start, length = start & 255, length & 255
    top = bits - 1
    sign = 0 if kind == "u" or length == 0 else value >> min(start + length - 1, top) & 1
    result = 0
    for k in range(bits):
        bit = value >> (start + k) & 1 if k < length and start + k <= top else sign
        result |= bit << k
    return result


@pytest.mark.parametrize("kind", "us")
@pytest.mark.parametrize("bits", [32, 64])
def test_bit_fields(apply, bits, kind):
    grid = list(itertools.product(edges(bits)[8:], [0, 1, 5, 31, 32, 63, 64, 255, 256], [0, 1, 8, 31, 32, 33, 64, 255]))
    a, b, c = (
        np.array(column, dtype)
        for column, dtype in zip(zip(*grid, strict=False), (WIDTHS[bits], np.uint32, np.uint32), strict=False)
    )
    got = apply(f"bfe.{kind}{bits} %d, %a, %b, %c;", WIDTHS[bits], a, b, c)
    want = [bfe(*one, bits, kind) for one in zip(a.tolist(), b.tolist(), c.tolist(), strict=False)]
    np.testing.assert_array_equal(got, np.array(want, WIDTHS[bits]))


@pytest.mark.parametrize("bits", [32, 64])
def test_bit_field_insertion(apply, bits):
    grid = list(
        itertools.product(
            edges(bits)[10:], edges(bits)[:3], [0, 1, 5, 31, 32, 63, 255, 256], [0, 1, 8, 31, 32, 33, 64, 255]
        )
    )
    types = (WIDTHS[bits], WIDTHS[bits], np.uint32, np.uint32)
    a, b, c, e = (np.array(column, dtype) for column, dtype in zip(zip(*grid, strict=False), types, strict=False))
    got = apply(f"bfi.b{bits} %d, %a, %b, %c, %e;", WIDTHS[bits], a, b, c, e)
    for x, y, start, length, result in zip(a.tolist(), b.tolist(), c.tolist(), e.tolist(), got.tolist(), strict=False):
        want = y
        for k in range(min(length & 255, max(bits - (start & 255), 0))):
            place = (start & 255) + k
            want = want & ~(1 << place) | (x >> k & 1) << place
        assert result == want


PRMT = {
    "f4e": lambda c: [c, c + 1, c + 2, c + 3],
    "b4e": lambda c: [c, (c + 7) % 8, (c + 6) % 8, (c + 5) % 8],
    "rc8": lambda c: [c] * 4,
    "ecl": lambda c: [max(c, k) for k in range(4)],
    "ecr": lambda c: [min(c, k) for k in range(4)],
    "rc16": lambda c: [0, 1, 0, 1] if c % 2 == 0 else [2, 3, 2, 3],
}


@pytest.mark.parametrize("mode", ["", *PRMT])
def test_byte_permutation(apply, mode):
    a = np.full(64, 0x83726150, np.uint32)
    b = np.full(64, 0xF7E6D594, np.uint32)
    c = np.random.default_rng(1).integers(0, 1 << 16, 64).astype(np.uint32)
    got = apply(f"prmt.b32{'.' + mode if mode else ''} %d, %a, %b, %c;", np.uint32, a, b, c)
    source = (0xF7E6D594 << 32 | 0x83726150).to_bytes(8, "little")
    for selector, result in zip(c.tolist(), got.tolist(), strict=False):
        if mode:
            want = bytes(source[k] for k in PRMT[mode](selector & 3))
        else:
            nibbles = [selector >> 4 * k & 15 for k in range(4)]
            want = bytes(source[n & 7] if n < 8 else 255 * (source[n & 7] >> 7) for n in nibbles)
        assert result == int.from_bytes(want, "little")


@settings(max_examples=20)
@given(table=st.integers(0, 255), words=st.lists(st.tuples(*[st.integers(0, 2**32 - 1)] * 3), min_size=1, max_size=8))
def test_any_function_of_three_bits(apply, table, words):
    a, b, c = (np.array(column, np.uint32) for column in zip(*words, strict=True))
    got = apply(f"lop3.b32 %d, %a, %b, %c, {table};", np.uint32, a, b, c)
    for (x, y, z), result in zip(words, got.tolist(), strict=True):
        want = sum((table >> ((x >> k & 1) * 4 + (y >> k & 1) * 2 + (z >> k & 1)) & 1) << k for k in range(32))
        assert result == want


@settings(max_examples=20)
@given(words=st.lists(st.tuples(*[st.integers(0, 2**64 - 1)] * 2), min_size=1, max_size=16))
def test_64_bit_products(apply, words):
    a, b = (np.array(column, np.uint64) for column in zip(*words, strict=True))
    low, high = apply("mul.lo.u64 %d, %a, %b; mul.hi.s64 %q, %a, %b;", (np.uint64, np.uint64), a, b)
    for (x, y), lo, hi in zip(words, low.tolist(), high.tolist(), strict=True):
        assert lo == x * y % 2**64
        assert hi == (signed(x, 64) * signed(y, 64) >> 64) % 2**64


def test_dot_products_of_bytes(apply):
    a, b = pairs(32)
    c = b[::-1].copy()
    for first, second in itertools.product("us", repeat=2):
        got = apply(f"dp4a.{first}32.{second}32 %d, %a, %b, %c;", np.uint32, a, b, c)
        for x, y, z, result in zip(a.tolist(), b.tolist(), c.tolist(), got.tolist(), strict=False):
            want = z + sum(number(x >> 8 * k & 255, first, 8) * number(y >> 8 * k & 255, second, 8) for k in range(4))
            assert result == want % 2**32


def test_absolute_value_negation_and_difference(apply):
    a, b = pairs(32)
    got = apply("abs.s32 %d, %a; neg.s32 %q, %a;", (np.int32, np.int32), a)
    np.testing.assert_array_equal(got[0], [signed(abs(signed(int(x), 32)), 32) for x in a])
    np.testing.assert_array_equal(got[1], [signed(-int(x), 32) for x in a])
    got = apply("sad.s32 %d, %a, %b, %a; sad.u32 %q, %a, %b, %a;", (np.uint32, np.uint32), a, b)
    for x, y, one, two in zip(a.tolist(), b.tolist(), *(column.tolist() for column in got), strict=False):
        assert one == (abs(signed(x, 32) - signed(y, 32)) + x) % 2**32
        assert two == (abs(x - y) + x) % 2**32


def test_predicated_instruction_keeps_the_old_value(apply):
    a = np.arange(64, dtype=np.uint32)
    got = apply("mov.u32 %d, 7; setp.lt.u32 %p, %a, 10; @%p add.u32 %d, %a, 100; @!%p shl.b32 %d, %d, 2;", np.uint32, a)
    np.testing.assert_array_equal(got, np.where(a < 10, a + 100, 28))


@pytest.mark.parametrize("name", ["max.s32.relu", "max.relu.s32", "min.s32.relu"])
def test_relu_of_integers_in_either_spelling(apply, name):
    """NVRTC writes the modifier behind the type, the ISA before it."""
    a, b = np.array([-5, 7, -3, 2], np.int32), np.array([-9, -1, 4, 9], np.int32)
    plain = np.maximum(a, b) if name.startswith("max") else np.minimum(a, b)
    np.testing.assert_array_equal(apply(f"{name} %d, %a, %b;", np.int32, a, b), np.maximum(plain, 0))
