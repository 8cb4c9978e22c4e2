"""`mma` of floats of 8 bits and fewer, and with scales of blocks, against fractions; and an nvfp4 GEMM in CUDA C++."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from jitload.errors import CpuFault
from tests.cpu.families import decide
from tests.cpu.fragments import columns_of_b, deal, decode_small, lanes, multiply, numbers_of, pack, rows_of_a, sums
from tests.cpu.test_matrix_sparse import ALL, code_width, in_container, keep_some

FEW = ["e4m3", "e5m2", "e3m2", "e2m3", "e2m1"]


def exact(a, b, c):
    """The rounded sums of exact products."""
    rows = [[Fraction(float(x)) for x in row] for row in a]
    columns = [[Fraction(float(x)) for x in column] for column in b.T]
    return np.array(
        [
            [float(sum((x * y for x, y in zip(r, s, strict=True)), Fraction(float(start)))) for s, start in zip(columns, line, strict=True)]
            for r, line in zip(rows, c, strict=True)
        ]
    ).astype(np.float32)  # fmt: skip


def fragments(a, b, a_codes, b_codes, kind):
    """Registers of both factors."""
    return {
        letter: pack(deal(in_container(codes, name, kind), places(codes.shape[axis], width)), width)
        for letter, name, codes, places, axis in (("a", a, a_codes, rows_of_a, 1), ("b", b, b_codes, columns_of_b, 0))
        for width in [code_width(name, kind)]
    }


@pytest.mark.parametrize("d", ["f32", "f16"])
@pytest.mark.parametrize("number", range(5))
def test_floats_of_few_bits_stand_in_bytes(ptx, number, d):
    """Those of 6 bits at their lower end, those of 4 in their middle."""
    a, b = FEW[number], FEW[(number + 2) % 5]
    rng = np.random.default_rng(number)
    left, codes = numbers_of(a, (16, 32), rng)
    right, right_codes = numbers_of(b, (32, 8), rng)
    start = rng.integers(-4, 5, (16, 8)).astype(np.float16 if d == "f16" else np.float32)
    parts = fragments(a, b, codes, right_codes, True) | {"c": deal(start, sums).view(np.uint32)}
    name = f"sync.aligned.m16n8k32.row.col.kind::f8f6f4.{d}.{a}.{b}.{d}"
    want = deal(exact(left, right, start).astype(start.dtype), sums).view(np.uint32)
    np.testing.assert_array_equal(multiply(ptx, name, parts, 2 if d == "f16" else 4), want)


def scale_of(code, name):
    return decode_small(int(code) & 0x7F, "e4m3") if name == "ue4m3" else math.ldexp(1, int(code) - 127)


#: kind, k, types of A and B, type of the scales, how many a row has, as written.
SCALED = [
    *(("mxf8f6f4", 32, a, b, "ue8m0", 1, vector) for a, b, vector in (
        ("e4m3", "e4m3", ".scale_vec::1X"), ("e5m2", "e2m1", ""), ("e2m3", "e3m2", ""), ("e2m1", "e4m3", ".scale_vec::1X"))),
    ("mxf4", 64, "e2m1", "e2m1", "ue8m0", 2, ".scale_vec::2X"), ("mxf4", 64, "e2m1", "e2m1", "ue8m0", 2, ""),
    ("mxf4nvf4", 64, "e2m1", "e2m1", "ue8m0", 2, ".scale_vec::2X"), ("mxf4nvf4", 64, "e2m1", "e2m1", "ue8m0", 4, ".scale_vec::4X"),
    ("mxf4nvf4", 64, "e2m1", "e2m1", "ue4m3", 4, ".scale_vec::4X"),
]  # fmt: skip
SELECTORS = {
    1: [(0, 0, 0, 0), (1, 1, 2, 3), (3, 0, 1, 2)],
    2: [(0, 1, 2, 1), (2, 0, 0, 3)],
    4: [(0, 0, 0, 0), (0, 1, 0, 2)],
}


def scale_words(codes_a, codes_b, chosen, rng):
    """Registers with the scales of rows and columns where the selectors say, and anything elsewhere."""
    byte_a, threads_a, byte_b, thread_b = chosen
    words = rng.integers(0, 256, (2, 32, 4)).astype(np.uint8)
    for lane, g, t in lanes():
        count = codes_a.shape[1]
        if t // 2 == threads_a:
            words[0, lane, byte_a : byte_a + count] = codes_a[g + 8 * (t % 2)]
        if t == thread_b:
            words[1, lane, byte_b : byte_b + count] = codes_b[g]
    return {"s": words[0].view(np.uint32), "t": words[1].view(np.uint32)}


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("form", SCALED, ids=lambda form: f"{'.'.join(map(str, form[:6]))}{form[6]}")
def test_blocks_of_rows_and_columns_are_scaled(ptx, form, sparse):
    kind, k, a, b, scale, count, vector = form
    rng = np.random.default_rng(k + count)
    in_bytes, k = kind == "mxf8f6f4", k * (1 + sparse)
    for chosen in SELECTORS[count]:
        kept, metadata = keep_some((16, k), "s4" if not in_bytes else a, rng, ordered=True)
        kept = kept if sparse else np.tile(np.arange(k), (16, 1))
        values, codes = numbers_of(a, kept.shape, rng)
        left = np.zeros((16, k))
        np.put_along_axis(left, kept, values, 1)
        right, right_codes = numbers_of(b, (k, 8), rng)
        low, high = (0x20, 0x50) if scale == "ue4m3" else (120, 135)
        of_a, of_b = (rng.integers(low, high, (rows, count)) for rows in (16, 8))
        wide = [np.repeat(np.vectorize(scale_of)(one, scale), k // count, axis=1) for one in (of_a, of_b)]
        start = rng.integers(-4, 5, (16, 8)).astype(np.float32)
        parts = fragments(a, b, codes, right_codes, in_bytes) | {"c": deal(start, sums).view(np.uint32)}
        parts |= scale_words(of_a, of_b, chosen, rng)
        if sparse:
            words = np.zeros((32, 1), np.uint32)
            for row, numbers in enumerate(metadata):
                for chunk, number in enumerate(numbers):
                    lane, bit = ALL(row, chunk, 0)
                    words[lane] |= np.uint32(number << bit)
            parts["e"] = words
        name = f"{'sp::ordered_metadata.' * sparse}sync.aligned.m16n8k{k}.row.col.kind::{kind}.block_scale{vector}"
        more = f"{', %e0, 0' * sparse}, %s0, {{{chosen[0]}, {chosen[1]}}}, {{%t0}}, {{{chosen[2]}, {chosen[3]}}}"
        got = multiply(ptx, f"{name}.f32.{a}.{b}.f32.{scale}", parts, 4, more)
        want = deal(exact(left * wide[0], right * wide[1].T, start), sums)
        np.testing.assert_array_equal(got.view(np.float32), want)


def ones(scale=0x38383838, other=None):
    """2 times 2, of e2m1, with all scales 1, or those of A and those of B."""
    return {
        "a": np.full((32, 4), 0x44444444, np.uint32), "b": np.full((32, 2), 0x44444444, np.uint32),
        "c": np.zeros((32, 4), np.uint32), "s": np.full((32, 1), scale, np.uint32), "t": np.full((32, 1), scale if other is None else other, np.uint32),
    }  # fmt: skip


NVFP4 = "sync.aligned.m16n8k64.row.col.kind::mxf4nvf4.block_scale.scale_vec::4X.f32.e2m1.e2m1.f32.ue4m3"
MXFP4 = "sync.aligned.m16n8k64.row.col.kind::mxf4.block_scale.scale_vec::2X.f32.e2m1.e2m1.f32.ue8m0"


@pytest.mark.parametrize(
    ("name", "scale", "want"),
    [
        (NVFP4, 0x38383838, 256.0), (NVFP4, 0x38383839, 256 + 2 * 64 / 8 + 1), (NVFP4, 0xB8B8B8B8, 256.0), (NVFP4, 0x7F383838, math.nan),
        (MXFP4, 0x7F7F7F7F, 256.0), (MXFP4, 0x7F7F7F00, 128 + 128 * 2.0**-254), (MXFP4, 0xFFFF0101, 256 * 2.0**-252), (MXFP4, 0x7F7F80FF, math.nan),
    ],
)  # fmt: skip
def test_scales_worked_out_by_hand(ptx, name, scale, want):
    """ue4m3 0x39 is 9/8, its uppermost bit counts for nothing; ue8m0 0 is 2^-127 and 255 NaN."""
    got = multiply(ptx, name, ones(scale), 4, ", %s0, {0, 0}, %t0, {0, 0}").view(np.float32)
    np.testing.assert_array_equal(got, np.full((32, 4), want, np.float32))


def test_the_uppermost_bit_of_a_scale_counts_for_nothing(ptx):
    """A scale of ue4m3 has no sign."""
    got = multiply(ptx, NVFP4, ones(0xB8B8B8B8, 0x38383838), 4, ", %s0, {0, 0}, %t0, {0, 0}")
    assert (got.view(np.float32) == 256).all()


def test_selectors_in_registers(ptx):
    words = {**ones(), "x": np.zeros((32, 1), np.uint32)}
    narrow = ".reg .b16 %h; cvt.u16.u32 %h, %x0; mma."
    for value, outcome in ((0, "multiplies"), (1, "is a fault")):
        words["x"][:] = value
        text = NVFP4, words, 4, ", %s0, {%h, 0}, %t0, {0, %h}"
        if outcome == "multiplies":
            assert (multiply(_narrowing(ptx, narrow), *text).view(np.float32) == 256).all()
        else:
            with pytest.raises(CpuFault, match="byte-id-a is 1: legal is 0"):
                multiply(_narrowing(ptx, narrow), *text)


def _narrowing(ptx, narrow):
    return lambda text: ptx(text.replace("mma.", narrow, 1))


@pytest.mark.parametrize(
    ("tail", "why"),
    [
        ("%r1, {0, 2}, %r2, {0, 0}", "thread-id-a is 2: legal is 0, 1"),
        ("%r1, {1, 0}, %r2, {0, 0}", "byte-id-a is 1: legal is 0"),
        ("%r1, {0, 0}, %r2, {0, 4}", "thread-id-b is 4: legal is 0, 1, 2, 3"),
        ("%r1, {0, %r3}, %r2, {0, 0}", "thread-id-a is a literal or a register of 16 bits"),
        ("%r1, 0, %r2, 0", "scales are a register each, with the numbers of a byte and of a thread in braces"),
    ],
)
def test_selectors_that_select_nothing_are_refused(tail, why):
    registers = "{%f1, %f2, %f3, %f4}, {%r1, %r2, %r3, %r4}, {%r1, %r2}, {%f1, %f2, %f3, %f4}"
    assert why in decide(f"mma.{NVFP4} {registers}, {tail}")


SOURCE = r"""
// Quantizes blocks of 16 of each row to e2m1 with a scale of ue4m3: the largest of them becomes 6.
extern "C" __global__ void quantize(const float4 *x, unsigned short *packed, unsigned char *scales, int blocks) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= blocks) return;
    float largest = 0;
    for (int q = 0; q < 4; ++q) {
        float4 v = x[4 * i + q];
        largest = fmaxf(largest, fmaxf(fmaxf(fabsf(v.x), fabsf(v.y)), fmaxf(fabsf(v.z), fabsf(v.w))));
    }
    unsigned short code, wide;
    unsigned both;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(code) : "f"(0.f), "f"(largest / 6));
    asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(both) : "h"(code));
    wide = both & 0xFFFF;
    float scale;
    asm("cvt.f32.f16 %0, %1;" : "=f"(scale) : "h"(wide));
    scales[i] = code & 0xFF;
    for (int q = 0; q < 4; ++q) {
        float4 v = x[4 * i + q];
        float s = scale > 0 ? 1 / scale : 0;
        asm("{.reg .b8 low, high; cvt.rn.satfinite.e2m1x2.f32 low, %2, %1; cvt.rn.satfinite.e2m1x2.f32 high, %4, %3; mov.b16 %0, {low, high};}"
            : "=h"(packed[4 * i + q]) : "f"(v.x * s), "f"(v.y * s), "f"(v.z * s), "f"(v.w * s));
    }
}
// A warp per 16 x 8 of C, B by columns; 64 along k have four scales, a register of each row of A and column of B.
extern "C" __global__ void multiply(const unsigned *a, const unsigned *scales_a, const unsigned *b, const unsigned *scales_b, float *c, int n, int k) {
    int lane = threadIdx.x, g = lane / 4, t = lane % 4, row = blockIdx.y * 16 + g, column = blockIdx.x * 8 + g;
    float d[4] = {};
    for (int step = 0; step < k / 64; ++step) {
        const unsigned *upper = a + row * (k / 8) + step * 8, *lower = upper + k, *right = b + column * (k / 8) + step * 8;
        unsigned of_a = scales_a[(row + 8 * (t & 1)) * (k / 64) + step], of_b = scales_b[column * (k / 64) + step];
        asm("mma.sync.aligned.m16n8k64.row.col.kind::mxf4nvf4.block_scale.scale_vec::4X.f32.e2m1.e2m1.f32.ue4m3 "
            "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3}, %10, {0, 0}, %11, {0, 0};"
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(upper[t]), "r"(lower[t]), "r"(upper[t + 4]), "r"(lower[t + 4]),
              "r"(right[t]), "r"(right[t + 4]), "r"(of_a), "r"(of_b));
    }
    float *out = c + row * n + blockIdx.x * 8 + 2 * t;
    out[0] = d[0], out[1] = d[1], out[8 * n] = d[2], out[8 * n + 1] = d[3];
}"""


def dequantize(packed, scales):
    codes = (packed[..., None] >> np.arange(0, 16, 4, dtype=np.uint16) & 15).reshape(*scales.shape, 16)
    table = np.array([decode_small(code, "e2m1") for code in range(16)])
    factor = np.array([decode_small(code, "e4m3") for code in range(128)])
    return (table[codes] * factor[scales][..., None]).reshape(len(scales), -1)


def test_an_nvfp4_gemm(cuda, needs_nvrtc, checked_too):
    """Exact products of what was quantized, whose sums are rounded once a step; and near to those of the numbers."""
    needs_nvrtc("12.9")
    m, n, k = 32, 16, 192
    rng = np.random.default_rng(4)
    device = cuda(SOURCE, arch="compute_120a")
    numbers, found = [], []
    for rows in (m, n):
        x = (rng.standard_normal((rows, k)) * 2.0 ** rng.integers(-3, 4, (rows, 1))).astype(np.float32)
        packed, scales = np.zeros((rows, k // 4), np.uint16), np.zeros((rows, k // 16), np.uint8)
        device.run("quantize", -(-rows * k // 16 // 64), 64, x, packed, scales, rows * k // 16)
        numbers.append(x)
        found.append((packed, scales, dequantize(packed, scales)))
    c = np.zeros((m, n), np.float32)
    (a, of_a, left), (b, of_b, right) = found
    device.run("multiply", (n // 8, m // 16), 32, a, of_a, b, of_b, c, n, k)
    want = np.zeros((m, n), np.float32)
    for first in range(0, k, 64):
        want = exact(left[:, first : first + 64], right[:, first : first + 64].T, want)
    np.testing.assert_array_equal(c, want)
    errors = np.linalg.norm(c - numbers[0] @ numbers[1].T) / np.linalg.norm(numbers[0] @ numbers[1].T)
    assert errors < 0.2
