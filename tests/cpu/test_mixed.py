"""Sums of f32 and half precision, three-operand extremes, and vector atomics on halves, against NumPy and fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from jitload.errors import CpuFault

SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 2.0**-20, 65504.0, 2.0**-24]


def halves(type_name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """256 halves: their words, and their values as f32."""
    rng = np.random.default_rng(seed)
    values = (rng.standard_normal(256) * 2.0 ** rng.integers(-8, 8, 256)).astype(np.float32)
    values[: len(SPECIAL)] = SPECIAL
    if type_name == "f16":
        return values.astype(np.float16).view(np.uint16), values.astype(np.float16).astype(np.float32)
    words = (values.view(np.uint32) >> 16).astype(np.uint16)
    return words, (words.astype(np.uint32) << 16).view(np.float32)


def singles() -> np.ndarray:
    rng = np.random.default_rng(9)
    values = (rng.standard_normal(256) * 2.0 ** rng.integers(-30, 20, 256)).astype(np.float32)
    values[:100] = np.resize(SPECIAL, 100)
    return rng.permutation(values)


def check_rounding(got: float, exact: Fraction, mode: str) -> None:
    """The result is the exact sum's neighbour on the side that the mode names."""
    low, high = (
        float(np.nextafter(np.float32(got), np.float32(-np.inf))),
        float(np.nextafter(np.float32(got), np.float32(np.inf))),
    )
    below = mode == "rm" or (mode == "rz" and exact >= 0)
    assert Fraction(got) <= exact < Fraction(high) if below else Fraction(low) < exact <= Fraction(got)


@pytest.mark.parametrize("type_name", ["f16", "bf16"])
def test_halves_meet_f32(apply, type_name):
    (words, a), (others, b), c = halves(type_name, 1), halves(type_name, 2), singles()
    with np.errstate(all="ignore"):
        sums = {"add": a + c, "sub": a - c, "fma": a * b + c}  # products of halves are exact in f32
    for name, want in sums.items():
        line = (
            f"fma.{{}}.f32.{type_name} %d, %a, %b, %c;" if name == "fma" else f"{name}.{{}}.f32.{type_name} %d, %a, %c;"
        )
        np.testing.assert_array_equal(apply(line.format("rn"), np.float32, words, others, c), want)
        saturated = apply(line.format("rn.sat"), np.float32, words, others, c)
        np.testing.assert_array_equal(saturated, np.where(want > 0, np.minimum(want, 1), 0))
        for mode in ("rz", "rm", "rp"):
            got = apply(line.format(mode), np.float32, words, others, c)
            for k in np.flatnonzero(np.isfinite(want)).tolist():
                left = Fraction(float(a[k])) * (Fraction(float(b[k])) if name == "fma" else 1)
                exact = left - Fraction(float(c[k])) if name == "sub" else left + Fraction(float(c[k]))
                check_rounding(float(got[k]), exact, mode)


@pytest.mark.parametrize("name", ["min", "max"])
def test_three_magnitudes(apply, name):
    a, b, c = (np.random.default_rng(seed).permutation(np.resize(SPECIAL, 200)).astype(np.float32) for seed in range(3))
    best = {"min": np.fmin, "max": np.fmax}[name]
    want = best(best(abs(a), abs(b)), abs(c))
    got, strict = apply(
        f"{name}.abs.f32 %d, %a, %b, %c; {name}.NaN.abs.f32 %q, %a, %b, %c;", (np.float32,) * 2, a, b, c
    )
    np.testing.assert_array_equal(got, want)
    assert not np.signbit(got[~np.isnan(got)]).any()
    np.testing.assert_array_equal(strict, np.where(np.isnan([a, b, c]).any(0), np.nan, want))


@pytest.mark.parametrize("name", ["min", "max"])
@pytest.mark.parametrize(("type_name", "count"), [("f16", 4), ("bf16", 4), ("f16x2", 2), ("bf16x2", 2)])
def test_vector_atomics_find_extremes_of_halves(ptx, name, type_name, count):
    """All threads of three warps meet at one vector; a number wins over NaN, and -0 is below +0."""
    packed, base = type_name.endswith("x2"), type_name.removesuffix("x2")
    words, values = halves(base, 5)
    words, values = np.resize(words, (96, 4)), np.resize(values, (96, 4))
    bits = 32 if packed else 16
    fragment = ", ".join(f"%r{i}" for i in range(count))
    old = ", ".join(f"%o{i}" for i in range(count))
    text = f""".visible .entry k(.param .u64 x, .param .u64 o, .param .u64 q) {{ .reg .b{bits} %r<4>, %o<4>; .reg .b64 %w, %v; .reg .b32 %t;
        mov.u32 %t, %tid.x; ld.param.u64 %w, [x]; mad.wide.u32 %w, %t, 8, %w; ld.param.u64 %v, [o];
        ld.global.v{count}.b{bits} {{{fragment}}}, [%w]; red.global.{name}.noftz.v{count}.{type_name} [%v], {{{fragment}}};
        atom.global.v{count}.{type_name}.{name}.noftz {{{old}}}, [%v+8], {{{fragment}}};
        ld.param.u64 %v, [q]; mad.wide.u32 %v, %t, 8, %v; st.global.v{count}.b{bits} [%v], {{{old}}}; ret; }}"""
    start = np.resize(words[50], (2, 4)).copy()
    found, seen = start.copy(), np.zeros_like(words)
    ptx(text).run("k", 1, 96, words, found, seen)
    best = {"min": np.fmin, "max": np.fmax}[name]
    best_word = dict(zip(words.ravel().tolist(), values.ravel().tolist(), strict=True))
    running = [best_word[one] for one in start[0].tolist()]
    for lane in range(96):
        np.testing.assert_array_equal([best_word.get(one, np.nan) for one in seen[lane].tolist()], running)
        running = [float(best(x, y)) for x, y in zip(running, values[lane].tolist(), strict=True)]
    for row in found:
        np.testing.assert_array_equal([best_word.get(one, np.nan) for one in row.tolist()], running)


def test_signed_zeros_in_atomics(ptx):
    text = """.visible .entry k(.param .u64 x) { .reg .b32 %a, %b; .reg .b64 %w; ld.param.u64 %w, [x];
        mov.b32 %a, 0x80000000; mov.b32 %b, 0x7E007E00; red.global.min.noftz.v2.f16x2 [%w], {%a, %b}; ret; }"""
    x = np.array([0, 0x3C00FE00], np.uint32)
    ptx(text).run("k", 1, 1, x)
    assert [hex(one) for one in x.tolist()] == ["0x80000000", "0x3c007fff"]


@pytest.mark.parametrize("line", [
    "mul.f32.f16 %f, %h, %f;", "add.ftz.f32.f16 %f, %h, %f;", "max.abs.f32 %f, %f, %f;", "max.xorsign.abs.f32 %f, %f, %f, %f;",
    "max.f16 %h, %h, %h, %h;", "red.global.min.v2.f32 [%w], {%f, %f};", "red.shared.add.noftz.v2.f16x2 [%w], {%r, %r};",
    "red.global.min.noftz.f16x2 [%w], %r;",
])  # fmt: skip
def test_what_does_not_exist_is_refused(ptx, line):
    with pytest.raises(CpuFault):
        ptx(
            f".visible .entry k() {{ .reg .b32 %r; .reg .b16 %h; .reg .f32 %f; .reg .b64 %w; {line} ret; }}"
        ).module.device_function("k")
