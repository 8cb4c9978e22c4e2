"""Whole kernels, compiled by NVRTC and compared with NumPy."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("checked_too")

SAXPY = """
extern "C" __global__ void saxpy(float a, const float *x, float *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i] + y[i];
}
"""


@pytest.mark.parametrize("n", [1, 31, 256, 1000, 70_001])
def test_saxpy_is_one_fused_operation_per_element(cuda, n):
    x = np.random.default_rng(n).standard_normal(n).astype(np.float32)
    y = x[::-1].copy()
    want = (np.float64(2.5) * x + y).astype(np.float32)
    cuda(SAXPY).run("saxpy", -(-n // 256), 256, np.float32(2.5), x, y, n)
    np.testing.assert_array_equal(y, want)


REDUCE = """
extern "C" __global__ void total(const float *x, float *out, int n) {
    extern __shared__ float part[];
    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    part[t] = i < n ? x[i] : 0.0f;
    __syncthreads();
    for (int half = blockDim.x / 2; half; half >>= 1) {
        if (t < half) part[t] += part[t + half];
        __syncthreads();
    }
    if (!t) out[blockIdx.x] = part[0];
}
"""


def test_reduction_through_dynamic_shared_memory(cuda):
    x = np.arange(1000, dtype=np.float32)
    out = np.zeros(4, np.float32)
    cuda(REDUCE).run("total", 4, 256, x, out, 1000, shared=1024)
    np.testing.assert_array_equal(out, [x[k * 256 : (k + 1) * 256].sum() for k in range(4)])


WARPS = """
extern "C" __global__ void total(const int *x, int *out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int v = i < n ? x[i] : 0;
    for (int k = 16; k; k >>= 1) v += __shfl_down_sync(0xffffffffu, v, k);
    if ((threadIdx.x & 31) == 0) atomicAdd(out, v);
}
"""


@pytest.mark.parametrize("block", [32, 96, 256])
def test_reduction_through_shuffles_and_one_atomic_per_warp(cuda, block):
    x = np.random.default_rng(0).integers(-100, 100, 10_000).astype(np.int32)
    out = np.zeros(1, np.int32)
    cuda(WARPS).run("total", -(-10_000 // block), block, x, out, 10_000)
    assert out[0] == x.sum()


HALF = """
#include <cuda_fp16.h>
extern "C" __global__ void axpy(__half a, const __half *x, __half *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = __hfma(a, x[i], y[i]);
}
extern "C" __global__ void axpy2(__half2 a, const __half2 *x, __half2 *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = __hfma2(a, x[i], y[i]);
}
"""


def test_half_precision_axpy(cuda):
    x, y = (np.random.default_rng(k).standard_normal(1000).astype(np.float16) for k in (1, 2))
    want = (1.5 * x.astype(np.float64) + y).astype(np.float16)
    again = y.copy()
    cuda(HALF).run("axpy", 4, 256, np.float16(1.5), x, y, 1000)
    np.testing.assert_array_equal(y, want)
    cuda(HALF).run("axpy2", 2, 256, np.array([1.5, 1.5], np.float16).view(np.uint32)[0], x, again, 500)
    np.testing.assert_array_equal(again, want)


CUB = """
#include <cub/block/block_reduce.cuh>
extern "C" __global__ void total(const int *x, int *out) {
    typedef cub::BlockReduce<int, 128> Reduce;
    __shared__ typename Reduce::TempStorage storage;
    int sum = Reduce(storage).Sum(x[blockIdx.x * 128 + threadIdx.x]);
    if (!threadIdx.x) out[blockIdx.x] = sum;
}
"""


@pytest.mark.parametrize("arch", ["compute_75", "compute_90"])
def test_cub_block_reduce(cuda, arch):
    x = np.random.default_rng(0).integers(-1000, 1000, 1280).astype(np.int32)
    out = np.zeros(10, np.int32)
    cuda(CUB, arch=arch).run("total", 10, 128, x, out)
    np.testing.assert_array_equal(out, x.reshape(10, 128).sum(1))


MATMUL = """
extern "C" __global__ void matmul(const float *a, const float *b, float *c, int n) {
    __shared__ float A[16][16], B[16][16];
    int tx = threadIdx.x, ty = threadIdx.y, row = blockIdx.y * 16 + ty, column = blockIdx.x * 16 + tx;
    float sum = 0;
    for (int k = 0; k < n; k += 16) {
        A[ty][tx] = a[row * n + k + tx];
        B[ty][tx] = b[(k + ty) * n + column];
        __syncthreads();
        for (int j = 0; j < 16; j++) sum += A[ty][j] * B[j][tx];
        __syncthreads();
    }
    c[row * n + column] = sum;
}
"""


def test_tiled_matrix_product(cuda):
    a, b = (np.random.default_rng(k).integers(-8, 8, (64, 64)).astype(np.float32) for k in (1, 2))
    c = np.zeros((64, 64), np.float32)
    cuda(MATMUL).run("matmul", (4, 4), (16, 16), a, b, c, 64)
    np.testing.assert_array_equal(c, a @ b)


def test_hand_written_ptx(ptx):
    """Names without a percent sign, guarded calls and stores, register arguments, a jump table, constants."""
    text = """.const .align 4 .f32 cf[4] = {0f3F800000, 2.5, 3, 0d4010000000000000};
    .func (.reg .b32 %o) twice(.reg .b32 %x) { add.s32 %o, %x, %x; ret; }
    .visible .entry k(.param .u64 out) {
        .reg.b32 r<8>; .reg .b64 d<6>; .reg .pred p, q; .reg .f32 f<5>;
        ld.param.u64 d0, [out]; mov.u32 r0, %tid.x; mul.wide.u32 d1, r0, 4; add.s64 d2, d0, d1;
        setp.lt.s32 p, r0, 4; mov.u32 r1, 7;
        @p call (r1), twice, (r0);
        setp.gt.and.u32 q|p, r0, 2, p;
        @q st.global.u32 [d2+64], r1;
        and.b32 r2, r0, 3;
        ts: .branchtargets A, B, C;
        setp.eq.s32 q, r2, 3;
        @q bra D;
        brx.idx r2, ts;
        A: add.s32 r1, r1, 100; bra D;
        B: add.s32 r1, r1, 200; bra.uni D;
        C: mov.b64 d3, cf; ld.const.f32 f0, [d3+4]; ld.const.v2.f32 {f1, f2}, [cf+8];
        add.f32 f0, f0, f1; add.f32 f0, f0, f2; cvt.rzi.s32.f32 r3, f0; add.s32 r1, r1, r3;
        D: add.s64 d2, d2, 128; st.global.u32 [d2+-128], r1; exit; }"""
    out = np.zeros(32, np.int32)
    ptx(text).run("k", 1, 16, out)
    first = [(2 * t if t < 4 else 7) + [100, 200, 9, 0][t % 4] for t in range(16)]
    np.testing.assert_array_equal(out, first + [0, 0, 0, 6] + [0] * 12)


def test_grids_and_blocks_of_three_dimensions(cuda):
    source = """extern "C" __global__ void k(int *out) {
        int b = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
        int t = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
        out[b * blockDim.x * blockDim.y * blockDim.z + t] =
            ((((blockIdx.x * 10 + blockIdx.y) * 10 + blockIdx.z) * 10 + threadIdx.x) * 10 + threadIdx.y) * 10 + threadIdx.z;
    }"""
    out = np.zeros((4, 3, 2, 5, 3, 2), np.int32)
    cuda(source).run("k", (2, 3, 4), (2, 3, 5), out)
    bz, by, bx, tz, ty, tx = np.indices(out.shape)
    np.testing.assert_array_equal(out, ((((bx * 10 + by) * 10 + bz) * 10 + tx) * 10 + ty) * 10 + tz)


@pytest.mark.parametrize("arch", ["compute_75", "compute_80", "compute_90", "compute_100", "compute_120"])
@pytest.mark.parametrize("option", ["-lineinfo", "-G", "--use_fast_math"])
def test_every_architecture_and_way_of_compiling(cuda, arch, option):
    """The forms that PTX takes: names of parameters, pointer attributes, debug sections, fast functions."""
    x = np.arange(1, 1001, dtype=np.float32)
    y, out = x[::-1].copy(), np.zeros(4, np.float32)
    want = (np.float64(2.5) * x + y).astype(np.float32)
    cuda(SAXPY, option, arch=arch).run("saxpy", 4, 256, np.float32(2.5), x, y, 1000)
    np.testing.assert_array_equal(y, want)
    cuda(REDUCE, option, arch=arch).run("total", 4, 256, x, out, 1000, shared=1024)
    np.testing.assert_array_equal(out, [x[k * 256 : (k + 1) * 256].sum() for k in range(4)])
