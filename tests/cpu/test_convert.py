"""Conversions against exact arithmetic, and the NaN and range rules of the ISA."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

TYPES = {
    f"{kind}{bits}": np.dtype(f"{'u' if kind == 'u' else 'i'}{bits // 8}") for kind in "us" for bits in (8, 16, 32, 64)
}
FLOATS = {"f16": np.float16, "f32": np.float32, "f64": np.float64}
VALUES = [0.0, -0.0, 0.5, 1.5, 2.5, -0.5, -1.5, 0.99, -0.99, 127.5, 128.0, 255.5, -128.5, 32767.5, 65504.0, -7.0]
WIDE = [*VALUES, 2147483520.0, 2147483648.0, 4294967040.0, 9.2e18, 1.9e19, -9.3e18, 3e38, math.inf, -math.inf, math.nan]


def nearest_even(value: Fraction) -> int:
    return round(value)


ROUNDERS = {"rni": nearest_even, "rzi": math.trunc, "rmi": math.floor, "rpi": math.ceil}


@pytest.mark.parametrize("mode", ROUNDERS)
@pytest.mark.parametrize("source", FLOATS)
@pytest.mark.parametrize("target", ["s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64"])
def test_float_to_integer_clamps(apply, target, source, mode):
    values = np.array(VALUES if source == "f16" else WIDE, FLOATS[source])
    # Narrow results come back in a wider register, extended.
    container = TYPES[target] if TYPES[target].itemsize > 1 else np.dtype(target[0].replace("s", "i") + "2")
    got = apply(f"cvt.{mode}.{target}.{source} %d, %a;", container, values)
    info = np.iinfo(TYPES[target])
    for x, result in zip(values.tolist(), got.tolist(), strict=True):
        if math.isnan(x):
            want = 0 if source != "f64" and info.bits < 64 else 1 << (info.bits - 1)
            want = want - (1 << info.bits) if want > info.max else want
        elif math.isinf(x):
            want = info.max if x > 0 else info.min
        else:
            want = min(max(ROUNDERS[mode](Fraction(x)), info.min), info.max)
        assert result == want, (x, result, want)


@pytest.mark.parametrize("mode", ["rn", "rz", "rm", "rp"])
def test_integer_to_bf16_rounds_once(apply, mode):
    """At a tie (257 and 259 lie between neighbours), and just beside one in a number that f64 cannot hold."""
    tie = 0x101 << 54
    a = np.array([0, 1, -1, 257, -257, 259, -259, tie, tie + 1, tie - 1, -tie, -tie - 1, -tie + 1, -(2**63)], np.int64)
    got = (apply(f"cvt.{mode}.bf16.s64 %d, %a;", np.uint16, a).astype(np.uint32) << 16).view(np.float32)
    for value, result in zip(a.tolist(), got.tolist(), strict=True):
        step = 1 << max(abs(value).bit_length() - 8, 0)
        down = value // step
        rest = Fraction(value, step) - down
        up = {"rn": rest > Fraction(1, 2) or (rest == Fraction(1, 2) and down % 2 == 1), "rp": rest > 0, "rm": False}
        up["rz"] = rest > 0 and value < 0
        assert result == (down + up[mode]) * step, value


@pytest.mark.parametrize("source", ["s16", "u16", "s32", "u32", "s64", "u64"])
@pytest.mark.parametrize("target", FLOATS)
@pytest.mark.parametrize("mode", ["rn", "rz", "rm", "rp"])
def test_integer_to_float_rounds_once(apply, source, target, mode):
    info = np.iinfo(TYPES[source])
    values = [0, 1, 7, 100, info.max, info.min, info.max - 1, info.max // 2, info.max // 3, 2049, 4097]
    values += [
        v
        for v in (2**24 + 1, 2**24 + 3, -(2**24) - 1, 2**53 + 1, 2**53 + 3, 2**63 - 512, 2**63 - 513)
        if info.min <= v <= info.max
    ]
    a = np.array(values, TYPES[source])
    got = apply(f"cvt.{mode}.{target}.{source} %d, %a;", FLOATS[target], a)
    dtype = FLOATS[target]
    for value, result in zip(values, got, strict=True):
        largest = Fraction(float(np.finfo(dtype).max))
        if abs(value) > largest:
            assert abs(float(result)) >= largest
            continue
        exact = Fraction(float(result))
        below, above = (
            Fraction(float(x)) if np.isfinite(x) else None
            for x in (np.nextafter(result, dtype(-np.inf)), np.nextafter(result, dtype(np.inf)))
        )
        if mode == "rm" or (mode == "rz" and value >= 0):
            assert exact <= value
            assert above is None or value < above
        elif mode == "rp" or mode == "rz":
            assert exact >= value
            assert below is None or value > below
        else:
            for other in (below, above):
                if other is not None and math.isfinite(float(other)):
                    assert abs(exact - value) <= abs(other - value)


WIDE_TYPES = [name for name in TYPES if name[1:] != "8"]  # registers of 8 bits exist for loads and stores only


@pytest.mark.parametrize("source", WIDE_TYPES)
@pytest.mark.parametrize("target", WIDE_TYPES)
def test_integer_to_integer(apply, source, target):
    info = np.iinfo(TYPES[source])
    a = np.array([0, 1, 5, info.max, info.min, info.max - 5, info.max // 2, info.max // 2 + 1], TYPES[source])
    got = apply(f"cvt.{target}.{source} %d, %a;", TYPES[target], a)
    np.testing.assert_array_equal(got, a.astype(TYPES[target]))
    limits = np.iinfo(TYPES[target])
    if limits.min <= info.min and info.max <= limits.max:
        return  # nothing to saturate: there is no such instruction
    got = apply(f"cvt.sat.{target}.{source} %d, %a;", TYPES[target], a)
    np.testing.assert_array_equal(got, np.array([min(max(int(x), limits.min), limits.max) for x in a], TYPES[target]))


def test_narrow_conversions_extend_into_wide_registers(apply):
    a = np.array([0x12345680, 0x7F, 0xFF, 0xFFFFFF00], np.uint32)
    got = apply("cvt.s32.s8 %d, %a; cvt.u32.u8 %q, %a;", (np.int32, np.uint32), a)
    np.testing.assert_array_equal(got[0], [-128, 127, -1, 0])
    np.testing.assert_array_equal(got[1], [0x80, 0x7F, 0xFF, 0])


@pytest.mark.parametrize("mode", ["rn", "rz", "rm", "rp"])
def test_narrowing_floats(apply, mode):
    values = np.array(
        [1.1, -1.1, 1e-8, -1e-8, 65519.0, 65520.0, 1e39, 1 + 2.0**-11, 1 + 3 * 2.0**-11, 6e-8, 2.0**-25, 0.0, -0.0]
    )
    for dtype, name in ((np.float32, "f32"), (np.float16, "f16")):
        got = apply(f"cvt.{mode}.{name}.f64 %d, %a;", dtype, values)
        for x, y in zip(values.tolist(), got, strict=True):
            with np.errstate(over="ignore"):
                below, above = (float(np.nextafter(y, dtype(end))) for end in (-np.inf, np.inf))
            if mode == "rm" or (mode == "rz" and x > 0):
                assert float(y) <= x < above
            elif mode == "rp" or (mode == "rz" and x < 0):
                assert below < x <= float(y)
            else:
                with np.errstate(over="ignore"):
                    assert y == dtype(x)
            assert np.signbit(y) == np.signbit(x)


def test_double_rounding_does_not_happen(apply):
    """f64 to f16 in one step: through f32 this value would become a tie."""
    x = np.array([1 + 2.0**-11 + 2.0**-40])
    assert apply("cvt.rn.f16.f64 %d, %a;", np.float16, x)[0] == np.float16(1 + 2.0**-10)
    bits = apply("cvt.rn.bf16.f64 %d, %a;", np.uint16, np.array([1 + 2.0**-8 + 2.0**-40]))[0]
    assert bits == 0x3F81


@pytest.mark.parametrize("mode", ["rni", "rzi", "rmi", "rpi"])
def test_rounding_to_integral_floats(apply, mode):
    values = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 1e20, -0.0, 0.2, -0.2], np.float32)
    want = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}[mode](values)
    got = apply(f"cvt.{mode}.f32.f32 %d, %a;", np.float32, values)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(want))


def test_packed_conversions_put_the_first_operand_on_top(apply):
    a, b = np.array([1.0, 65519.0], np.float32), np.array([-2.0, 0.1], np.float32)
    got = apply("cvt.rn.f16x2.f32 %d, %a, %b; cvt.rn.bf16x2.f32 %q, %a, %b;", (np.uint32, np.uint32), a, b)
    np.testing.assert_array_equal(got[0].view(np.float16).reshape(-1, 2), np.stack([b, a], 1).astype(np.float16))
    np.testing.assert_array_equal(got[1], [0x3F80C000, 0x47803DCD])


def test_tf32(apply):
    a = np.array([1 + 2.0**-11, 1 + 2.0**-12, -(1 + 2.0**-11), np.inf, np.nan], np.float32)
    got = apply("cvt.rna.tf32.f32 %d, %a;", np.uint32, a)
    want = np.array([1 + 2.0**-10, 1, -(1 + 2.0**-10), np.inf], np.float32).view(np.uint32)
    np.testing.assert_array_equal(got[:4], want)


def test_relu_and_saturation(apply):
    a = np.array([-1.0, 0.25, 3.0, np.nan], np.float32)
    got = apply("cvt.rn.relu.f16.f32 %d, %a;", np.float16, a)
    np.testing.assert_array_equal(got, np.array([0, 0.25, 3, np.nan], np.float16))
    np.testing.assert_array_equal(
        apply("cvt.sat.f32.f32 %d, %a;", np.float32, a), np.array([0, 0.25, 1, 0], np.float32)
    )


def test_moves_pack_and_unpack(apply):
    a = np.array([0x1122334455667788, 2**64 - 1], np.uint64)
    got = apply("{ .reg .b32 %lo, %hi; mov.b64 {%lo, %hi}, %a; mov.b64 %d, {%hi, %lo}; }", np.uint64, a)
    np.testing.assert_array_equal(got, [0x5566778811223344, 2**64 - 1])
    got = apply(
        "{ .reg .b16 %x<4>; mov.b64 {%x0, %x1, %x2, %x3}, %a; mov.b64 %d, {%x3, %x2, %x1, %x0}; }", np.uint64, a
    )
    np.testing.assert_array_equal(got, [0x7788556633441122, 2**64 - 1])


def test_narrow_floats_saturate_to_the_largest_finite_number(apply):
    x = [0, 1.5, -2.5, 65504, 65519, 65520, -1e9, 3.3895314e38, 3.4e38, np.inf, -np.inf, np.nan, 1e-40]
    x = np.array(x, np.float32)
    half = apply("cvt.rn.satfinite.f16.f32 %d, %a;", np.float16, x)
    both = apply("cvt.rn.satfinite.f16x2.f32 %d, %a, %b;", np.uint32, x, x[::-1].copy()).view(np.float16)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(half, np.clip(x.astype(np.float16), -65504, 65504))
    np.testing.assert_array_equal(both.reshape(-1, 2), np.stack([half[::-1], half], 1))
    brain = apply("cvt.rn.satfinite.bf16.f32 %d, %a;", np.uint16, x).astype(np.uint32) << 16
    tf32 = apply("cvt.rna.satfinite.tf32.f32 %d, %a;", np.uint32, x)
    for words, largest in ((brain, 0x7F7F0000), (tf32, 0x7F7FE000)):
        wide = words.view(np.float32)
        top = np.array(largest, np.uint32).view(np.float32)
        assert np.isnan(wide[11])
        assert [wide[9], wide[10]] == [top, -top]
        np.testing.assert_allclose(wide[:9], x[:9], rtol=2**-8)
