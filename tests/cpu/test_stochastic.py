"""`cvt.rs`: stochastic rounding against a model in fractions, with numbers worked out by hand, and in a kernel."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from tests.cpu.isa.stochastic import FORMATS, code_of, magnitudes

FOURS = [name for name in FORMATS if name[0] == "e"]


def numbers(count=1024):
    """Of every size, near the numbers of the types, and what is special."""
    rng = np.random.default_rng(11)
    x = (rng.standard_normal(count) * 2.0 ** rng.integers(-20, 20, count)).astype(np.float32)
    x[:300] = np.arange(-150, 150) / 16
    x[300:500] = rng.integers(0, 2**32, 200).astype(np.uint32).view(np.float32)
    x[500:600] = (rng.integers(0, 2**16, 100).astype(np.uint32) << 16).view(np.float32)
    special = [
        0,
        1 << 31,
        0x7F800000,
        0xFF800000,
        0x7FC00001,
        0xFFC00000,
        0x7F7FFFFF,
        1,
        0x477FE000,
        0x477FEFFF,
        0x47800000,
    ]
    x[600 : 600 + len(special)] = np.array(special, np.uint32).view(np.float32)
    x[620:700] = [one for name in FOURS for one in (magnitudes(name) * 16)[-16:]]
    return x


def bits(count=1024):
    rng = np.random.default_rng(12)
    found = rng.integers(0, 2**32, count).astype(np.uint32)
    found[::7], found[1::7] = 0, 0xFFFFFFFF
    return found


@pytest.mark.parametrize("flags", ["", ".satfinite", ".relu", ".relu.satfinite"])
@pytest.mark.parametrize("name", ["f16", "bf16"])
def test_pairs_use_a_half_of_the_bits_each(apply, name, flags):
    x, random = numbers(), bits()
    got = apply(f"cvt.rs{flags}.{name}x2.f32 %d, %a, %b, %c;", np.uint32, x, x[::-1].copy(), random).tolist()
    how = {"saturated": "satfinite" in flags, "relu": "relu" in flags}
    for one, high, low, r in zip(got, x.tolist(), x[::-1].tolist(), random.tolist(), strict=True):
        assert one == code_of(high, r >> 16, name, **how) << 16 | code_of(low, r, name, **how), (high, low, hex(r))


@pytest.mark.parametrize("relu", ["", ".relu"])
@pytest.mark.parametrize("name", FOURS)
def test_fours_share_the_bits(apply, name, relu):
    """The first two have the upper half, the others the lower one; of 4 bits each has a byte of its own."""
    x, y, random = numbers(), numbers()[::-1].copy(), bits()
    small = name == "e2m1"
    line = f"cvt.rs.satfinite{relu}.{name}x4.f32 {'%h' if small else '%d'}, {{%a, %b, %b, %a}}, %c;"
    got = apply(line + (" cvt.u32.u16 %d, %h;" if small else ""), np.uint32, x, y, random).tolist()
    places = (24, 8, 16, 0) if small else (16, 16, 0, 0)
    for one, a, b, r in zip(got, x.tolist(), y.tolist(), random.tolist(), strict=True):
        want = 0
        for value, place in zip((a, b, b, a), places, strict=True):
            want = want << (4 if small else 8) | code_of(value, r >> place, name, relu=bool(relu))
        assert one == want, (a, b, hex(r))


def test_numbers_worked_out_by_hand(apply):
    """1 + 2^-11 lies in the middle between two halves, so 0x1000 of 13 bits carry and 0xFFF do not; likewise 5 of 4 bits."""
    x = np.full(6, 1 + 2**-11, np.float32)
    random = np.array([0, 0xFFF, 0x1000, 0xE000, 0x1FFF0000, 0x1000_1000], np.uint32)
    got = apply("cvt.rs.f16x2.f32 %d, %a, %a, %b;", np.uint32, x, random)
    assert [hex(one) for one in got] == [
        "0x3c003c00", "0x3c003c00", "0x3c003c01", "0x3c003c00", "0x3c013c00", "0x3c013c01",
    ]  # fmt: skip
    five = np.full(6, 5, np.float32)
    random = np.array([0, 0x7F7F7F7F, 0x80000000, 0x00800000, 0x8000, 0x80], np.uint32)
    line = "cvt.rs.satfinite.e2m1x4.f32 %h, {%a, %a, %a, %a}, %b; cvt.u32.u16 %d, %h;"
    got = apply(line, np.uint32, five, random)
    assert [hex(one) for one in got] == ["0x6666", "0x6666", "0x7666", "0x6676", "0x6766", "0x6667"]


def test_numbers_go_up_as_often_as_they_lie_near_the_upper_neighbour(apply):
    """1.3 is between 1.25 and 1.375 of e4m3, two fifths of the way: of all 65536 bits so many carry."""
    random = np.arange(2**16, dtype=np.uint32)
    x = np.full(2**16, 1.3, np.float32)
    got = apply("cvt.rs.satfinite.e4m3x4.f32 %d, {%a, %a, %a, %a}, %b;", np.uint32, x, random) & 0xFF
    ups = math.floor((Fraction(float(x[0])) - Fraction(5, 4)) * 8 * 2**16)
    assert sorted({*got.tolist()}) == [0x3A, 0x3B]
    assert int((got == 0x3B).sum()) == ups


SOURCE = r"""
__device__ unsigned hash(unsigned x) {
    x = (x ^ (x >> 16)) * 0x7feb352dU;
    x = (x ^ (x >> 15)) * 0x846ca68bU;
    return x ^ (x >> 16);
}
extern "C" __global__ void quantize(const float4 *x, unsigned short *o, float scale, unsigned seed, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float4 v = x[i];
    asm("cvt.rs.satfinite.e2m1x4.f32 %0, {%1, %2, %3, %4}, %5;" : "=h"(o[i])
        : "f"(v.w * scale), "f"(v.z * scale), "f"(v.y * scale), "f"(v.x * scale), "r"(hash(seed + i)));
}"""


def test_a_quantization_without_bias(cuda, needs_nvrtc, checked_too):
    """The mean of what is rounded is that of the numbers, where rounding to the nearest would lose all of them."""
    needs_nvrtc("12.9")
    count = 4096
    x = np.full((count, 4), 0.05, np.float32)
    packed = np.zeros(count, np.uint16)
    device = cuda(SOURCE, arch="compute_100a")
    device.run("quantize", 32, 128, x, packed, np.float32(2), 7, count)
    codes = (packed[:, None] >> np.arange(0, 16, 4)) & 15
    values = np.array(magnitudes("e2m1")[:8])[codes] / 2
    assert {*values.ravel().tolist()} == {0, 0.25}
    assert abs(values.mean() - 0.05) < 4 * 0.1 / math.sqrt(values.size)
