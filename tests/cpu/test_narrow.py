"""Floats of 6 and 4 bits and scales: the instructions of compute_100a against the headers' emulation for compute_75."""

from __future__ import annotations

import numpy as np
import pytest

from jitload.errors import CpuFault

KINDS = {
    "e2m1x2": ("fp4", "__nv_cvt_float2_to_fp4x2(x[i], __NV_E2M1, cudaRoundNearest)", "__nv_cvt_fp4x2_to_halfraw2(x[i], __NV_E2M1)"),
    "e2m3x2": ("fp6", "__nv_cvt_float2_to_fp6x2(x[i], __NV_E2M3, cudaRoundNearest)", "__nv_cvt_fp6x2_to_halfraw2(x[i], __NV_E2M3)"),
    "e3m2x2": ("fp6", "__nv_cvt_float2_to_fp6x2(x[i], __NV_E3M2, cudaRoundNearest)", "__nv_cvt_fp6x2_to_halfraw2(x[i], __NV_E3M2)"),
}  # fmt: skip
SOURCE = """
#include <cuda_fp16.h>
#include <cuda_bf16.h>
#include <cuda_{header}.h>
extern "C" __global__ void narrow(const float2 *x, unsigned short *o) {{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = {narrow};
}}
extern "C" __global__ void widen(const unsigned short *x, {wide} *o) {{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = {widen};
}}"""


def corners(count: int = 4096) -> np.ndarray:
    """Pairs: random sizes, every tie of the formats, bits at random, and what is special."""
    rng = np.random.default_rng(3)
    x = (rng.standard_normal(count) * 2.0 ** rng.integers(-8, 8, count)).astype(np.float32)
    x[:1024] = np.arange(-512, 512) / 64
    x[1024:2048] = rng.integers(0, 2**32, 1024).astype(np.uint32).view(np.float32)
    x[2048:2560] = (rng.integers(0, 2**16, 512).astype(np.uint32) << 16).view(np.float32)
    x[2560:2816] = (np.arange(256, dtype=np.uint32) << 23).view(np.float32)
    x[2816:3072] = ((np.arange(256, dtype=np.uint32) << 23) + 1).view(np.float32)
    words = [0, 0x80000000, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00001, 0x7F7FFFFF, 0x400000, 0x400001, 0x3FFFFF, 1]
    x[3072 : 3072 + len(words)] = np.array(words, np.uint32).view(np.float32)
    return x


def both(cuda, source, outputs):
    """What the kernels give with the instructions, and without."""
    found = []
    for arch in ("compute_100a", "compute_75"):
        device = cuda(source, arch=arch)
        found.append(device.ptx)
        for name, x, out in outputs:
            result = np.zeros_like(out)
            device.run(name, len(out) // 128, 128, x, result)
            found.append(result)
    return found[: len(outputs) + 1], found[len(outputs) + 1 :]


@pytest.mark.parametrize("kind", KINDS)
def test_conversions_of_few_bits(cuda, needs_nvrtc, kind):
    needs_nvrtc("12.9")
    header, narrow, widen = KINDS[kind]
    source = SOURCE.format(header=header, narrow=narrow, widen=widen, wide="__half2_raw")
    codes = np.arange(2**8 if header == "fp4" else 2**12, dtype=np.uint16)
    if header == "fp6":
        codes = (codes >> 6 << 8) | (codes & 0x3F)
    outputs = [
        ("narrow", corners(), np.zeros(2048, np.uint16)),
        ("widen", codes, np.zeros((len(codes), 2), np.float16)),
    ]
    (ptx, *got), (other, *want) = both(cuda, source, outputs)
    assert kind.encode() in ptx
    assert kind.encode() not in other
    for one, expected in zip(got, want, strict=True):
        np.testing.assert_array_equal(one, expected)


@pytest.mark.parametrize("saturate", ["SATFINITE", "NOSAT"])
@pytest.mark.parametrize("rounding", ["Zero", "PosInf"])
@pytest.mark.parametrize("source_type", ["float2", "bfloat162raw"])
def test_conversions_of_scales(cuda, needs_nvrtc, source_type, rounding, saturate):
    needs_nvrtc("12.9")
    bf16 = source_type != "float2"
    number = "*(const __nv_bfloat162_raw *)&x[i]" if bf16 else "x[i]"
    source = SOURCE.format(
        header="fp8",
        narrow=f"__nv_cvt_{source_type}_to_e8m0x2({number}, __NV_{saturate}, cudaRound{rounding})",
        widen="__nv_cvt_e8m0x2_to_bf162raw(x[i])",
        wide="__nv_bfloat162_raw",
    )
    source = source.replace("const float2 *x", "const unsigned *x") if bf16 else source
    numbers = np.arange(2**16, dtype=np.uint16) if bf16 else corners()
    codes = np.arange(2**16, dtype=np.uint16)
    outputs = [
        ("narrow", numbers, np.zeros(len(numbers) // 2, np.uint16)),
        ("widen", codes, np.zeros((len(codes), 2), np.uint16)),
    ]
    (ptx, *got), (other, *want) = both(cuda, source, outputs)
    assert b"ue8m0x2" in ptx
    assert b"ue8m0x2" not in other
    for one, expected in zip(got, want, strict=True):
        np.testing.assert_array_equal(one, expected)


def test_relu_of_few_bits(apply):
    """Negative numbers become +0; NaN becomes the largest number, where there is no other code for it."""
    x = np.array([-1, 1, -0.0, np.nan, -np.inf, np.inf], np.float32)
    got = apply(
        "cvt.rn.satfinite.relu.e2m3x2.f32 %h, %a, %a; mov.b32 %d, {%h, %h}; cvt.rn.satfinite.relu.e5m2x2.f32 %h, %a, %a;"
        "mov.b32 %q, {%h, %h};",
        (np.uint32, np.uint32),
        x,
    )
    np.testing.assert_array_equal(got[0] & 0xFF, [0, 0x08, 0, 0x1F, 0, 0x1F])
    np.testing.assert_array_equal(got[1] & 0xFF, [0, 0x3C, 0, 0x7F, 0, 0x7B])
    codes = np.array([0x2828, 0x0808, 0x2000], np.uint16)
    wide = apply("cvt.rn.relu.f16x2.e2m3x2 %d, %a;", np.uint32, codes)
    np.testing.assert_array_equal(wide, [0, 0x3C003C00, 0])


@pytest.mark.parametrize("line", [
    "cvt.rn.e2m1x2.f32 %b, %f, %f;", "cvt.rz.relu.ue8m0x2.f32 %h, %f, %f;",
    "cvt.rn.ue8m0x2.f32 %h, %f, %f;", "cvt.rs.f16.f32 %h, %f, %r;", "cvt.rs.e4m3x4.f32 %r, {%f, %f, %f, %f}, %r;", "cvt.rs.satfinite.e4m3x4.f32 %r, {%f, %f}, %r;",
])  # fmt: skip
def test_what_is_no_conversion_is_refused(ptx, line):
    with pytest.raises(CpuFault):
        ptx(
            f".visible .entry k() {{ .reg .b32 %r; .reg .b16 %h; .reg .b8 %b; .reg .f32 %f; {line} ret; }}"
        ).module.device_function("k")


@pytest.mark.parametrize("half", ["f16x2", "bf16x2"])
@pytest.mark.parametrize("kind", ["e4m3x2", "e5m2x2", "e3m2x2", "e2m3x2", "e2m1x2"])
def test_halves_become_what_the_same_floats_become(apply, kind, half):
    """The forms of PTX 9.1: rounded once, from what the halves hold."""
    x = corners()
    register = "%b" if kind == "e2m1x2" else "%h"
    widen = f".reg .b8 %b; .reg .f32 %x, %y; mov.b32 {{%h, %g}}, %a; cvt.f32.{half[:-2]} %x, %h; cvt.f32.{half[:-2]} %y, %g;"
    convert = (
        f"cvt.rn.satfinite.{kind}.f32 {register}, %y, %x; cvt.u32.u{8 if kind == 'e2m1x2' else 16} %d, {register};"
    )
    direct = f"cvt.rn.satfinite.{kind}.{half} {register}, %a; cvt.u32.u{8 if kind == 'e2m1x2' else 16} %q, {register};"
    if half == "f16x2":
        with np.errstate(over="ignore"):
            pairs = x.astype(np.float16).view(np.uint32)
    else:
        pairs = (x.view(np.uint32)[::2] >> 16) | (x.view(np.uint32)[1::2] & 0xFFFF0000)
    one, other = apply(widen + convert + direct, (np.uint32, np.uint32), pairs)
    np.testing.assert_array_equal(one, other)
