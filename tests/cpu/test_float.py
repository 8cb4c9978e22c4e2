"""Floating point against exact rational arithmetic, rounded by an independent model."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jitload.cpu.lanes.floats import fma_f64

MODES = ["rn", "rz", "rm", "rp"]
#: dtype -> (mantissa bits with the hidden one, smallest exponent of a subnormal's last bit, largest finite value)
FORMATS = {
    np.float16: (11, -24, Fraction(65504)),
    np.float32: (24, -149, Fraction(float(np.finfo(np.float32).max))),
    np.float64: (53, -1074, Fraction(np.finfo(np.float64).max)),
}


def rounded(value: Fraction, dtype, mode: str) -> float:
    """A non-zero rational to a format."""
    mantissa, least, largest = FORMATS[dtype]
    size = abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent -= Fraction(2) ** exponent > size
    unit = Fraction(2) ** max(exponent - mantissa + 1, least)
    whole, rest = divmod(size, unit)
    rest /= unit
    up = {
        "rn": rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1),
        "rz": False,
        "rm": value < 0 and rest > 0,
        "rp": value > 0 and rest > 0,
    }[mode]
    result: float | Fraction = (whole + up) * unit
    if result > largest:
        result = math.inf if mode == "rn" or ((mode == "rp") == (value > 0) and mode != "rz") else largest
    return -float(result) if value < 0 else float(result)


def exact_sum(terms: list[Fraction], signs: list[int], dtype, mode: str) -> float:
    total = sum(terms)
    if total:
        return rounded(total, dtype, mode)
    if len(set(signs)) == 1:
        return math.copysign(0.0, signs[0])
    return -0.0 if mode == "rm" else 0.0


EDGES = [0.0, -0.0, 1.0, -1.0, 1.5, 3.0, -7.0, 0.1, 1e-3, 123456.789, 2.0**-24, 1 + 2.0**-12, 1 - 2.0**-24, 2.0**-70]
F32_EDGES = [*EDGES, 2.0**-126, 2.0**-149, -(2.0**-149), 1.7e-40, 3.4028234e38, -3.4e38, 2.0**127, 5e-20, -3e19]
F64_EDGES = [*EDGES, 2.0**-1022, 5e-324, -1e-310, 1.7e308, -1.5e308, 1e-200, 1e200, 1 + 2.0**-52, 2.0**-600, 1e290]


def same(got: np.ndarray, wanted: list[float], what) -> None:
    want = np.array(wanted, got.dtype)
    equal = (got == want) & (np.signbit(got) == np.signbit(want)) | (np.isnan(got) & np.isnan(want))
    bad = np.flatnonzero(~equal)
    assert not len(bad), (what, bad[0], float(got[bad[0]]).hex(), float(want[bad[0]]).hex(), len(bad))


def combinations(values: list[float], count: int, dtype) -> list[np.ndarray]:
    return [np.array(column, dtype) for column in zip(*itertools.product(values, repeat=count), strict=True)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["add", "sub", "mul", "div"])
def test_two_operands_round_once(apply, name, mode, dtype):
    a, b = combinations(F32_EDGES if dtype is np.float32 else F64_EDGES, 2, dtype)
    width = 8 * np.dtype(dtype).itemsize
    got = apply(f"{name}.{mode}.f{width} %d, %a, %b;", dtype, a, b)
    want = []
    for x, y in zip(a.tolist(), b.tolist(), strict=True):
        s, t = int(math.copysign(1, x)), int(math.copysign(1, y))
        if name in {"add", "sub"}:
            t, y = (t, y) if name == "add" else (-t, -y)
            want.append(exact_sum([Fraction(x), Fraction(y)], [s, t], dtype, mode))
        elif name == "mul":
            want.append(rounded(Fraction(x) * Fraction(y), dtype, mode) if x and y else math.copysign(0.0, s * t))
        elif y == 0:
            want.append(math.nan if x == 0 else s * t * math.inf)
        else:
            want.append(rounded(Fraction(x) / Fraction(y), dtype, mode) if x else math.copysign(0.0, s * t))
    same(got, want, (name, mode))


def fused(x: float, y: float, z: float, dtype, mode: str) -> float:
    sign = int(math.copysign(1, x) * math.copysign(1, y))
    return exact_sum([Fraction(x) * Fraction(y), Fraction(z)], [sign, int(math.copysign(1, z))], dtype, mode)


@pytest.mark.parametrize("mode", MODES)
def test_f32_fma_rounds_once(apply, mode):
    a, b, c = combinations(F32_EDGES, 3, np.float32)
    got = apply(f"fma.{mode}.f32 %d, %a, %b, %c;", np.float32, a, b, c)
    want = [fused(x, y, z, np.float32, mode) for x, y, z in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)]
    same(got, want, mode)


def test_f32_fma_on_a_made_up_tie(apply):
    """Through f64 alone this product and sum look like a tie, and are none."""
    a = np.array([1 + 2.0**-12], np.float32)
    c = np.array([2.0**-70, -(2.0**-70)], np.float32)
    got = [apply("fma.rn.f32 %d, %a, %a, %b;", np.float32, a, c[k : k + 1])[0] for k in (0, 1)]
    assert got == [np.float32(1 + 2.0**-11 + 2.0**-23), np.float32(1 + 2.0**-11)]


@pytest.mark.parametrize("mode", ["rn", "rz"])
def test_f64_fma_rounds_once(apply, mode):
    rng = np.random.default_rng(0)
    a, b, c = combinations(F64_EDGES, 3, np.float64)
    chosen = rng.choice(len(a), 3000, replace=False)
    a, b, c = a[chosen], b[chosen], c[chosen]
    # Sums that nearly cancel show every wrong bit.
    close = rng.standard_normal((2, 500))
    a, b, c = (np.concatenate(pair) for pair in ((a, close[0]), (b, close[1]), (c, -(close[0] * close[1]))))
    got = apply(f"fma.{mode}.f64 %d, %a, %b, %c;", np.float64, a, b, c)
    want = [fused(x, y, z, np.float64, mode) for x, y, z in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)]
    same(got, want, mode)


floats64 = st.floats(allow_nan=False, allow_infinity=False)
floats32 = st.floats(allow_nan=False, allow_infinity=False, width=32)


@pytest.mark.parametrize("exponents", [(-3, 3), (-540, -505), (-425, -405), (460, 470), (505, 515), (960, 1023)])
def test_f64_fma_where_all_lanes_are_alike(exponents):
    """Lanes without an extreme exponent are rounded without a look at each: on both sides of every bound of that."""
    rng = np.random.default_rng(7)
    with np.errstate(all="ignore"):
        for batch in range(40):
            a, b, c = (np.ldexp(rng.uniform(-2, 2, 8), rng.integers(*exponents, 8)) for _ in range(3))
            if batch % 4 == 0:
                b = np.ldexp(b, -exponents[0])
            if batch % 2:  # all but a few bits of the product cancel
                c = -(a * b) * (1 + rng.integers(-2, 3, 8) * 2.0**-52)
            c = np.where(np.isfinite(c), c, -np.finfo(np.float64).max)
            exact = [Fraction(x) * Fraction(y) + Fraction(z) for x, y, z in zip(a, b, c, strict=True)]
            want = [rounded(one, np.float64, "rn") if one else 0.0 for one in exact]
            assert fma_f64(a, b, c).tolist() == want


@settings(max_examples=25)
@given(st.lists(st.tuples(floats64, floats64, floats64), min_size=1, max_size=30))
def test_any_f64_fma(apply, rows):
    a, b, c = (np.array(column) for column in zip(*rows, strict=True))
    got = apply("fma.rn.f64 %d, %a, %b, %c;", np.float64, a, b, c)
    same(got, [fused(*row, np.float64, "rn") for row in rows], rows)


@settings(max_examples=25)
@given(st.lists(st.tuples(floats32, floats32, floats32), min_size=1, max_size=30))
def test_any_f32_fma(apply, rows):
    a, b, c = (np.array(column, np.float32) for column in zip(*rows, strict=True))
    for mode in ("rn", "rm"):
        got = apply(f"fma.{mode}.f32 %d, %a, %b, %c;", np.float32, a, b, c)
        same(got, [fused(*row, np.float32, mode) for row in rows], rows)


@pytest.mark.parametrize("mode", MODES)
def test_square_roots_and_reciprocals(apply, mode):
    for dtype, edges in ((np.float32, F32_EDGES), (np.float64, F64_EDGES)):
        width = 8 * np.dtype(dtype).itemsize
        a = np.abs(np.array([x for x in edges if x], dtype))
        root, inverse = apply(f"sqrt.{mode}.f{width} %d, %a; rcp.{mode}.f{width} %q, %a;", (dtype, dtype), a)
        same(inverse, [rounded(1 / Fraction(x), dtype, mode) for x in a.tolist()], mode)
        for x, y in zip(a.tolist(), root, strict=True):
            low, high = (Fraction(float(np.nextafter(y, dtype(end)))) for end in (-np.inf, np.inf))
            value, square = Fraction(float(y)), Fraction(x)
            if mode in {"rz", "rm"}:
                assert value**2 <= square < high**2
            elif mode == "rp":
                assert low**2 < square <= value**2
            else:
                assert ((low + value) / 2) ** 2 <= square <= ((value + high) / 2) ** 2


def test_flush_to_zero_and_saturation(apply):
    a = np.array([1e-40, -1e-40, 0.5, -0.5, 2.0, np.nan, -0.0, np.inf], np.float32)
    one = np.ones_like(a)
    flushed, kept = apply("mul.ftz.f32 %d, %a, %b; mul.f32 %q, %a, %b;", (np.float32, np.float32), a, one)
    same(flushed, [0.0, -0.0, 0.5, -0.5, 2.0, math.nan, -0.0, math.inf], "ftz")
    same(kept, a.tolist(), "kept")
    same(apply("mul.sat.f32 %d, %a, %b;", np.float32, a, one), [a[0], 0.0, 0.5, 0.0, 1.0, 0.0, 0.0, 1.0], "sat")


def test_flush_applies_to_results(apply):
    a = np.array([2.0**-100, 2.0**-126], np.float32)
    b = np.array([2.0**-30, 0.75], np.float32)
    same(apply("mul.ftz.f32 %d, %a, %b;", np.float32, a, b), [0.0, 0.0], "ftz")


def test_minimum_and_maximum(apply):
    nan = math.nan
    a = np.array([0.0, -0.0, nan, 1.0, nan, -np.inf], np.float32)
    b = np.array([-0.0, 0.0, 2.0, nan, nan, np.inf], np.float32)
    least, most = apply("min.f32 %d, %a, %b; max.f32 %q, %a, %b;", (np.float32, np.float32), a, b)
    same(least, [-0.0, -0.0, 2.0, 1.0, nan, -math.inf], "min")
    same(most, [0.0, 0.0, 2.0, 1.0, nan, math.inf], "max")
    assert least.view(np.uint32)[4] == 0x7FFFFFFF
    same(apply("max.NaN.f32 %d, %a, %b;", np.float32, a, b), [0.0, 0.0, nan, nan, nan, math.inf], "NaN")


@pytest.mark.parametrize("count", range(1, 18))
@pytest.mark.parametrize(("name", "word", "signalling"), [
    ("f32", np.uint32, 0x7F800001), ("f32", np.uint32, 0xFFBFFFFF),
    ("f64", np.uint64, 0x7FF0000000000001), ("f64", np.uint64, 0xFFF7FFFFFFFFFFFF),
])  # fmt: skip
def test_a_number_wins_over_a_signalling_nan_in_every_lane(apply, name, word, signalling, count):
    dtype = {"f32": np.float32, "f64": np.float64}[name]
    nan, number = np.full(count, signalling, word).view(dtype), np.full(count, -2.5, dtype)
    for a, b in ((nan, number), (number, nan)):
        for one in apply(f"min.{name} %d, %a, %b; max.{name} %q, %a, %b;", (dtype, dtype), a, b):
            same(one, [-2.5] * count, (name, count))


TESTS = {
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b, "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b,
}  # fmt: skip


@pytest.mark.parametrize("name", TESTS)
def test_comparisons_with_and_without_nan(apply, name):
    a, b = combinations([0.0, -0.0, 1.0, -2.0, math.inf, math.nan], 2, np.float32)
    for suffix in ("", "u"):
        code = f"setp.{name}{suffix}.f32 %p|%r, %a, %b; selp.b32 %d, 1, 0, %p; selp.b32 %q, 1, 0, %r;"
        got, inverse = apply(code, (np.uint32, np.uint32), a, b)
        for x, y, result, other in zip(a.tolist(), b.tolist(), got.tolist(), inverse.tolist(), strict=True):
            unordered = math.isnan(x) or math.isnan(y)
            assert result == (suffix == "u" if unordered else TESTS[name](x, y))
            assert other == 1 - result


BOUNDS = {
    "ex2": (np.exp2, np.linspace(-120, 120, 500), 2.0**-22),
    "lg2": (np.log2, np.geomspace(1e-30, 1e30, 500), 2.0**-22),
    "rsqrt": (lambda x: 1 / np.sqrt(x), np.geomspace(1e-30, 1e30, 500), 2.0**-22),
    "rcp": (lambda x: 1 / x, np.geomspace(1e-30, 1e30, 500), 2.0**-23),
    "sqrt": (np.sqrt, np.geomspace(1e-30, 1e30, 500), 2.0**-22),
    "tanh": (np.tanh, np.linspace(-5, 5, 500), 2.0**-10),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_approximations_keep_the_bounds_of_the_isa(apply, name):
    function, points, bound = BOUNDS[name]
    a = points.astype(np.float32)
    got = apply(f"{name}.approx.f32 %d, %a;", np.float32, a).astype(np.float64)
    want = function(a.astype(np.float64))
    assert np.all(np.abs(got - want) <= bound * np.abs(want) + 2.0**-22 * (name == "lg2"))


def test_sine_and_cosine(apply):
    a = np.linspace(-math.pi, math.pi, 300).astype(np.float32)
    sine, cosine = apply("sin.approx.f32 %d, %a; cos.approx.f32 %q, %a;", (np.float32, np.float32), a)
    assert np.abs(sine - np.sin(a.astype(np.float64))).max() <= 2.0**-20.5
    assert np.abs(cosine - np.cos(a.astype(np.float64))).max() <= 2.0**-20.5


def test_special_values_of_approximations(apply):
    a = np.array([0.0, -0.0, math.inf, -math.inf, math.nan], np.float32)
    nan, inf = math.nan, math.inf
    same(apply("rcp.approx.f32 %d, %a;", np.float32, a), [inf, -inf, 0.0, -0.0, nan], "rcp")
    same(apply("rsqrt.approx.f32 %d, %a;", np.float32, a), [inf, -inf, 0.0, nan, nan], "rsqrt")
    same(apply("ex2.approx.f32 %d, %a;", np.float32, a), [1.0, 1.0, inf, 0.0, nan], "ex2")
    same(apply("lg2.approx.f32 %d, %a;", np.float32, a), [-inf, -inf, inf, nan, nan], "lg2")


@pytest.mark.parametrize("name", ["add", "sub", "mul"])
def test_half_precision(apply, name):
    values = [0.0, -0.0, 1.0, -1.5, 0.333, 65504.0, 2.0**-24, 2.0**-14, -700.0, 1e-3]
    a, b = combinations(values, 2, np.float16)
    got = apply(f"{name}.f16 %d, %a, %b;", np.float16, a, b)
    want = []
    for x, y in zip(a.tolist(), b.tolist(), strict=True):
        s, t = int(math.copysign(1, x)), int(math.copysign(1, y))
        if name == "mul":
            want.append(rounded(Fraction(x) * Fraction(y), np.float16, "rn") if x and y else math.copysign(0.0, s * t))
        else:
            t, y = (t, y) if name == "add" else (-t, -y)
            want.append(exact_sum([Fraction(x), Fraction(y)], [s, t], np.float16, "rn"))
    same(got, want, name)


def test_half_precision_fma_rounds_once(apply):
    values = [0.0, 1.0, -1.5, 0.333, 65504.0, 2.0**-24, 2.0**-14, 1 + 2.0**-10, -700.0, 2.0**-12, 3.0]
    a, b, c = combinations(values, 3, np.float16)
    got = apply("fma.rn.f16 %d, %a, %b, %c;", np.float16, a, b, c)
    want = [fused(x, y, z, np.float16, "rn") for x, y, z in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)]
    same(got, want, "fma")


def bf16(value: float) -> int:
    """The model: a float32 pattern cut to 16 bits, to nearest even."""
    bits = int(np.float32(value).view(np.uint32))
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


def test_bf16_arithmetic(apply):
    values = [0.0, 1.0, -1.5, 0.333, 3e38, 1e-30, 257.0, 1.0078125]
    words = np.array([bf16(x) for x in values], np.uint16)
    a, b = (np.array(column, np.uint16) for column in zip(*itertools.product(words, repeat=2), strict=True))
    total, product = apply("add.bf16 %d, %a, %b; mul.bf16 %q, %a, %b;", (np.uint16, np.uint16), a, b)
    wide = [(column.astype(np.uint32) << 16).view(np.float32).astype(np.float64) for column in (a, b)]
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(total, [bf16(x) for x in wide[0] + wide[1]])
        np.testing.assert_array_equal(product, [bf16(x) for x in wide[0] * wide[1]])


def test_packed_halves(apply):
    rng = np.random.default_rng(3)
    a, b = (rng.standard_normal(64).astype(np.float16) for _ in range(2))
    got = apply("add.f16x2 %d, %a, %b;", np.uint32, a.view(np.uint32), b.view(np.uint32))
    np.testing.assert_array_equal(got.view(np.float16), a + b)
    got = apply("fma.rn.f16x2 %d, %a, %b, %a;", np.uint32, a.view(np.uint32), b.view(np.uint32))
    np.testing.assert_array_equal(got.view(np.float16), (a.astype(np.float64) * b + a).astype(np.float16))
    got = apply("neg.f16x2 %d, %a;", np.uint32, a.view(np.uint32))
    np.testing.assert_array_equal(got.view(np.float16), -a)


@pytest.mark.parametrize("mode", MODES)
def test_an_infinite_term_wins_over_a_product_that_overflows(apply, mode):
    a, b = np.array([1e300, -1e300, 1e300, 1e300]), np.array([1e300, 1e300, 2.0, np.inf])
    c = np.array([-np.inf, np.inf, -np.inf, -np.inf])
    got = apply(f"fma.{mode}.f64 %d, %a, %b, %c;", np.float64, a, b, c)
    same(got, [-math.inf, math.inf, -math.inf, math.nan], mode)
