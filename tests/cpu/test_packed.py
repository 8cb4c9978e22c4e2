"""SIMD in a word against a loop over its elements."""

from __future__ import annotations

import numpy as np
import pytest

MODELS = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "absdiff": lambda x, y: abs(x - y),
    "min": min,
    "max": max,
}


def element(word: int, bits: int, place: int, kind: str) -> int:
    value = word >> bits * place & (1 << bits) - 1
    return value - (1 << bits) if kind == "s" and value >> bits - 1 else value


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("name", MODELS)
def test_elements_side_by_side(apply, name, count):
    rng = np.random.default_rng(count)
    a, b, c = (rng.integers(0, 2**32, 64).astype(np.uint32) for _ in range(3))
    bits = 32 // count
    for kind in "us":
        plain = apply(f"v{name}{count}.{kind}32.{kind}32.{kind}32 %d, %a, %b, %c;", np.uint32, a, b, c)
        saturated = apply(f"v{name}{count}.{kind}32.{kind}32.{kind}32.sat %d, %a, %b, %c;", np.uint32, a, b, c)
        total = apply(f"v{name}{count}.u32.{kind}32.{kind}32.add %d, %a, %b, %c;", np.uint32, a, b, c)
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if kind == "s" else (0, (1 << bits) - 1)
        for k, (x, y, z) in enumerate(zip(a.tolist(), b.tolist(), c.tolist(), strict=True)):
            values = [MODELS[name](element(x, bits, p, kind), element(y, bits, p, kind)) for p in range(count)]
            fields = [v % (1 << bits) for v in values]
            assert plain[k] == sum(v << bits * p for p, v in enumerate(fields))
            clipped = [min(max(v, low), high) % (1 << bits) for v in values]
            assert saturated[k] == sum(v << bits * p for p, v in enumerate(clipped))
            assert total[k] == (z + sum(values)) % 2**32  # the sums are not cut to elements first: so ptxas too


def test_comparison_of_bytes(apply):
    a, b = np.array([0x01020304, 0xFF00FF00], np.uint32), np.array([0x01000305, 0xFF01FE00], np.uint32)
    got = apply("vset4.u32.u32.eq %d, %a, %b, %a;", np.uint32, a, b)
    np.testing.assert_array_equal(got, [0x01000100, 0x01000001])


def test_set_of_packed_halves(apply):
    a, b = np.array([1, 2, np.nan, 4], np.float16), np.array([1, 3, np.nan, -4], np.float16)
    words = [one.view(np.uint32) for one in (a, b)]
    got = apply("set.eq.f16x2.f16x2 %d, %a, %b; set.gtu.u32.f16x2 %q, %a, %b;", (np.uint32, np.uint32), *words)
    np.testing.assert_array_equal(got[0].view(np.float16), [1, 0, 0, 0])
    np.testing.assert_array_equal(got[1], [0, 0xFFFFFFFF])


@pytest.mark.parametrize("flush", ["", ".ftz"])
@pytest.mark.parametrize("mode", ["rn", "rz", "rm", "rp"])
def test_pairs_of_floats_are_two_floats(apply, mode, flush):
    """`.f32x2` against the same instruction on each half."""
    rng = np.random.default_rng(2)
    pairs = [rng.integers(0, 2**32, 400).astype(np.uint32).view(np.float32) for _ in range(3)]
    for one in pairs:
        one[::2] = rng.standard_normal(200) * 2.0 ** rng.integers(-140, 100, 200)
    wide = [one.view(np.uint64) for one in pairs]
    for name, count in (("add", 2), ("sub", 2), ("mul", 2), ("fma", 3)):
        sources = ", ".join(["%a", "%b", "%c"][:count])
        whole = apply(f"{name}.{mode}{flush}.f32x2 %d, {sources};", np.uint64, *wide[:count])
        single = apply(f"{name}.{mode}{flush}.f32 %d, {sources};", np.float32, *pairs[:count])
        np.testing.assert_array_equal(whole.view(np.uint32), single.view(np.uint32))


def test_integers_packed_into_fields(apply):
    rng = np.random.default_rng(3)
    a, b = (rng.integers(-(2**31), 2**31, 200) >> rng.integers(0, 31, 200) for _ in "ab")
    c = rng.integers(0, 2**32, 200).astype(np.uint32)
    for kind, bits in [(kind, bits) for kind in "us" for bits in (2, 4, 8, 16)]:
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if kind == "s" else (0, (1 << bits) - 1)
        form, more = (".b32", ", %c") if bits < 16 else ("", "")
        words = a.astype(np.int32), b.astype(np.int32), c
        got = apply(f"cvt.pack.sat.{kind}{bits}.s32{form} %d, %a, %b{more};", np.uint32, *words)
        for x, y, z, found in zip(a.tolist(), b.tolist(), c.tolist(), got.tolist(), strict=True):
            fields = [min(max(one, low), high) % (1 << bits) for one in (y, x)]
            assert found == (fields[0] | fields[1] << bits | (z << 2 * bits if bits < 16 else 0)) % 2**32
