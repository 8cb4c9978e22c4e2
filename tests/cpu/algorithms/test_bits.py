"""Bit tricks and wide integers against Python's."""

from __future__ import annotations

import numpy as np

from tests.cpu.algorithms.builds import blocks, sizes

BUILDS = ("90", "75", "100")
M32, M64 = 2**32 - 1, 2**64 - 1


def words(rng, size, bits=32):
    values = rng.integers(0, 2**bits, size, dtype=np.uint64) >> rng.integers(0, bits, size).astype(np.uint64)
    values[:3] = [0, 2**bits - 1, 1][: len(values)]
    return values.astype(np.uint32 if bits == 32 else np.uint64)


def run(program, name, *arguments):
    n = len(arguments[0])
    program.run(name, blocks(n, 64), 64, *arguments, n)


@sizes(1, 200, 64)
def test_counting_bits(program, rng, size):
    x, out = words(rng, size, 64), np.zeros((size, 8), np.int32)
    run(program, "count_bits", x, out)
    for value, row in zip(x.tolist(), out.tolist(), strict=True):
        low = value & M32
        reverse, wide = int(f"{low:032b}"[::-1], 2), int(f"{value:064b}"[::-1], 2)
        want = [32 - low.bit_length(), (low & -low).bit_length(), low.bit_count(), reverse, 64 - value.bit_length()]
        want += [(value & -value).bit_length(), value.bit_count(), wide >> 32]
        assert [one & M32 for one in row] == want


@sizes(1, 200, 64)
def test_funnel_shifts_and_byte_permutation(program, rng, size):
    a, b, s = words(rng, size), words(rng, size), words(rng, size)
    s[::3] %= 40
    out = np.zeros((size, 6), np.uint32)
    run(program, "shift_words", a, b, s, out)
    for x, y, k, row in zip(a.tolist(), b.tolist(), s.tolist(), out.tolist(), strict=True):
        both, wrap, clamp = y << 32 | x, k & 31, min(k, 32)
        permuted = 0
        for place in range(4):
            selector = k >> 4 * place & 15
            byte = both >> 8 * (selector & 7) & 255
            permuted |= byte << 8 * place
        want = [both << wrap >> 32 & M32, both >> wrap & M32, both << clamp >> 32 & M32, both >> clamp & M32, permuted]
        assert row == [*want, (x << wrap | y >> wrap) & M32]


def signed(x, bits=64):
    return x - (1 << bits) if x >> bits - 1 else x


@sizes(1, 100, 64)
def test_products_and_sums_of_64_bits(program, rng, size):
    a, b = words(rng, size, 64), words(rng, size, 64)
    out = np.zeros((size, 6), np.uint64)
    run(program, "wide_integers", a, b, out)
    for x, y, row in zip(a.tolist(), b.tolist(), out.tolist(), strict=True):
        high, divisor = x * y >> 64, (y >> 33) + 1
        want = [x * y & M64, high, signed(x) * signed(y) >> 64 & M64, x + y & M64, high + (x + y >> 64) & M64]
        assert row == [*want, x // divisor ^ x % divisor]


@sizes(1, 60, 64)
def test_int128(program, rng, size):
    a, b = words(rng, size, 64), words(rng, size, 64)
    out = np.zeros((size, 6), np.uint64)
    run(program, "native_int128", a, b, out)
    for x, y, row in zip(a.tolist(), b.tolist(), out.tolist(), strict=True):
        p, s = x * y + x, signed(x) * signed(y) - signed(y)
        want = [p, p >> 64, s, s >> 64, p // (y | 1), p % (y | 1)]
        assert row == [one & M64 for one in want]


@sizes(1, 100, 64)
def test_carry_chains(program, rng, size):
    a, b = (words(rng, 4 * size).reshape(size, 4) for _ in "ab")
    total, difference, product = (
        np.zeros((size, 5), np.uint32),
        np.zeros((size, 4), np.uint32),
        np.zeros((size, 2), np.uint32),
    )
    run(program, "carry_chains", a, b, total, difference, product)

    def number(row):
        return sum(int(word) << 32 * k for k, word in enumerate(row))

    for x, y, s, d, p in zip(a, b, total, difference, product, strict=True):
        assert number(s) == number(x) + number(y)
        assert number(d) == (number(x) - number(y)) % 2**128
        assert number(p) == (int(x[0]) * int(y[0]) + int(x[1]) * int(y[1])) % 2**64


def lanes(word, bits, is_signed=False):
    found = [word >> k & (1 << bits) - 1 for k in range(0, 32, bits)]
    return [signed(one, bits) for one in found] if is_signed else found


def joined(values, bits):
    return sum((value & (1 << bits) - 1) << bits * k for k, value in enumerate(values))


@sizes(1, 150, 64)
def test_simd_in_a_word(program, rng, size):
    a, b, out = words(rng, size), words(rng, size), np.zeros((size, 8), np.uint32)
    run(program, "simd_in_a_word", a, b, out)
    for x, y, row in zip(a.tolist(), b.tolist(), out.tolist(), strict=True):
        bytes_ = list(zip(lanes(x, 8), lanes(y, 8), strict=True))
        signed_bytes = zip(lanes(x, 8, True), lanes(y, 8, True), strict=True)
        halves = zip(lanes(x, 16, True), lanes(y, 16, True), strict=True)
        assert row == [
            joined([p + q for p, q in zip(lanes(x, 16), lanes(y, 16), strict=True)], 16),
            joined([p - q for p, q in bytes_], 8),
            joined([min(max(p + q, -32768), 32767) for p, q in halves], 16),
            joined([abs(p - q) for p, q in bytes_], 8),
            joined([max(p, q) for p, q in signed_bytes], 8),
            joined([-(p > q) for p, q in bytes_], 8),
            joined([p + q + 1 >> 1 for p, q in bytes_], 8),
            sum(abs(p - q) for p, q in bytes_),
        ]


@sizes(1, 200, 64)
def test_pairs_of_halves(program, rng, size):
    a, b = rng.standard_normal((2, size, 2)).astype(np.float16)
    b[::5] = a[::5]
    total, product, fused = (np.zeros_like(a) for _ in range(3))
    dot, less = np.zeros(size, np.float16), np.zeros(size, np.uint32)
    run(program, "half_pairs", a, b, total, product, fused, dot, less)
    x, y = a.astype(float), b.astype(float)
    np.testing.assert_array_equal(total, (x + y).astype(np.float16))
    np.testing.assert_array_equal(product, (x * y).astype(np.float16))
    np.testing.assert_array_equal(fused, (x * y + [1.0, -0.5]).astype(np.float16))
    np.testing.assert_array_equal(dot, (product[:, 0].astype(float) + product[:, 1]).astype(np.float16))
    np.testing.assert_array_equal(less, (x[:, 0] < y[:, 0]) + 2 * (x == y).all(1) + 4 * (x[:, 1] >= y[:, 1]))


def to_bf16(x):
    bits = x.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def from_bf16(x):
    return (x.astype(np.uint32) << 16).view(np.float32)


@sizes(1, 200, 64)
def test_bfloats(program, rng, size):
    a, b = (to_bf16(30 * rng.standard_normal(size)) for _ in "ab")
    total, fused = np.zeros(size, np.uint16), np.zeros(size, np.uint16)
    root, near = np.zeros(size, np.float32), np.zeros(size, np.int32)
    run(program, "bfloats", a, b, total, fused, root, near)
    x, y = from_bf16(a).astype(float), from_bf16(b).astype(float)
    np.testing.assert_array_equal(total, to_bf16(x + y))
    np.testing.assert_array_equal(fused, to_bf16(x * y + x))
    np.testing.assert_allclose(root, np.sqrt(np.abs(x)), rtol=2**-8)
    np.testing.assert_array_equal(near, np.rint(y))


@sizes(1, 200, 64)
def test_codes(program, rng, size):
    x, out = words(rng, size), np.zeros((size, 4), np.uint32)
    run(program, "codes", x, out)
    for v, row in zip(x.tolist(), out.tolist(), strict=True):
        gray = v ^ v >> 1
        morton = sum((v >> k & 1) << 2 * k for k in range(16))
        start = v >> 8 | 1
        following = start + 1
        while following.bit_count() != start.bit_count() and following < start + 5000:
            following += 1
        mixed = abs(v - gray) + 7 + (signed(v, 32) * signed(gray, 32) >> 32) + (signed(v, 32) + 12345 >> 1)
        mixed += signed(v & 0xFFFFFF, 24) * 77
        assert [row[0], row[1], row[3]] == [gray, morton, mixed & M32]
        if following < start + 5000:
            assert row[2] == following
