"""8-bit floats: the instructions of compute_90 against the header's own emulation for compute_75."""

from __future__ import annotations

import numpy as np
import pytest

SOURCE = """
#include <cuda_fp8.h>
extern "C" __global__ void narrow(const float2 *x, unsigned short *o) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[2 * i] = __nv_cvt_float2_to_fp8x2(x[i], __NV_SATFINITE, KIND);
    o[2 * i + 1] = __nv_cvt_halfraw2_to_fp8x2(__half2_raw(__float22half2_rn(x[i])), __NV_SATFINITE, KIND);
}
extern "C" __global__ void widen(const unsigned short *x, __half2_raw *o) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    o[i] = __nv_cvt_fp8x2_to_halfraw2(x[i], KIND);
}"""


@pytest.mark.parametrize("kind", ["E4M3", "E5M2"])
def test_conversions(cuda, kind):
    rng = np.random.default_rng(1)
    x = (rng.standard_normal(4096) * 2.0 ** rng.integers(-20, 14, 4096)).astype(np.float32)
    x[:2048] = x[:2048].astype(np.float16).astype(np.float32)
    x[:512] = (rng.integers(0, 2**16, 512).astype(np.uint32) << 16).view(np.float32)
    x[:12] = [0.0, -0.0, np.inf, -np.inf, np.nan, 448, 464, 465, 57344, 61440, 2.0**-10, 2.0**-17]
    codes = np.arange(2**16, dtype=np.uint16)
    found = []
    for arch in ("compute_75", "compute_90"):
        device = cuda(f"#define KIND __NV_{kind}\n{SOURCE}", arch=arch)
        small, wide = np.zeros(4096, np.uint16), np.zeros((2**16, 2), np.float16)
        device.run("narrow", 16, 128, x, small)
        device.run("widen", 512, 128, codes, wide)
        found.append((small, wide))
    assert b".e4m3x2" in device.ptx or b".e5m2x2" in device.ptx
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
