"""Atomics as machine code and on lanes: the same bits, and no machine code where the order of threads would show."""

from __future__ import annotations

import numpy as np
import pytest

from .test_launch import both, run

ATOMICS = """
typedef unsigned u; typedef unsigned long long ull;
extern "C" __global__ void sums(const u *in, u *out, ull *wide, float *real) {
    __shared__ u own[8];
    u t = threadIdx.x, i = blockIdx.x * blockDim.x + t, x = in[i];
    if (t < 8) own[t] = t == 5 ? ~0u : 0;
    __syncthreads();
    for (u k = 0; k < 3; ++k) atomicAdd(&own[0], x + k);
    __syncthreads();
    if (t == 0) atomicAdd(out, own[0]);
    atomicAdd(wide, (ull)x << 7);
    atomicAdd(real + (x & 3), (float)x);
}
extern "C" __global__ void extremes(const u *in, u *low, int *high, u *any, ull *all) {
    u x = in[blockIdx.x * blockDim.x + threadIdx.x];
    for (u k = 0; k < 2; ++k) { atomicMin(low, x + k); atomicMax(high, (int)x - (int)k); atomicOr(any, x & 0xff00); }
    atomicAnd(all, ~(ull)x);
}
extern "C" __global__ void places(const u *in, u *count, u *out) {
    u i = blockIdx.x * blockDim.x + threadIdx.x;
    if (in[i] & 1) out[atomicAdd(count, 1u)] = i;
}
extern "C" __global__ void turns(const u *in, u *up, u *down, u *last, u *swap, u *out) {
    u i = blockIdx.x * blockDim.x + threadIdx.x, x = in[i];
    out[5 * i] = atomicInc(up, 13);
    out[5 * i + 1] = atomicDec(down, 7);
    out[5 * i + 2] = atomicExch(last, x);
    out[5 * i + 3] = atomicCAS(swap, x, i);
}
extern "C" __global__ void slots(const u *in, u *out) {
    __shared__ u next, rows[64];
    u t = threadIdx.x;
    if (t == 0) next = 0;
    __syncthreads();
    if (in[t] & 1) rows[atomicAdd(&next, 1u) & 63] = t;
    __syncthreads();
    out[blockIdx.x * blockDim.x + t] = rows[t % next] + next;
}
"""


def test_atomics(cuda):
    block = 33
    device = cuda(ATOMICS)
    values = np.random.default_rng(block).integers(0, 1 << 32, 256, np.uint32)
    one, wide = np.zeros(64, np.uint32), np.zeros(2, np.uint64)
    assert not both(device, "sums", 3, block, values, one, wide, np.zeros(4, np.float32))
    assert not both(device, "extremes", 3, block, values, one + np.uint32(9), one.view(np.int32), one, ~wide)
    assert not both(device, "places", 4, block, values, one, np.zeros(256, np.uint32))
    assert not both(device, "turns", 4, block, values & 31, one, one, one, one, np.zeros(1280, np.uint32))
    assert not both(device, "slots", 2, block, values | 1, np.zeros(256, np.uint32))


SUMS = """
extern "C" __global__ void sums(const float *in, float *out, double *wide) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (in[i] > -1) atomicAdd(out + (i & 3), in[i] * 1.1f);
    __syncthreads();
    atomicAdd(wide, in[i] / 3.0);
}
"""


@pytest.mark.parametrize("block", [(33, 1, 1), (16, 4, 1)])
def test_sums_of_floats_to_which_each_thread_adds_once_are_rounded_in_the_order_of_lanes(cuda, block):
    values = np.random.default_rng(3).standard_normal(512).astype(np.float32) * np.float32(1e4)
    values[7::50] = np.float32(1e30)
    assert not both(cuda(SUMS), "sums", 5, block, values, np.zeros(4, np.float32), np.zeros(1))


HALVES = """.visible .entry halves(.param .u64 in, .param .u64 out) {
    .reg .b32 %r<8>; .reg .b64 %i, %o, %d; .reg .b16 %h<4>; .reg .f32 %f<3>;
    ld.param.u64 %i, [in]; ld.param.u64 %o, [out]; mov.u32 %r1, %tid.x; mul.wide.u32 %d, %r1, 4; add.u64 %i, %i, %d;
    ld.global.b32 %r2, [%i]; ld.global.b32 %r4, [%i+4]; mov.b32 {%h1, %h2}, %r2; cvt.f32.f16 %f1, %h1; cvt.f32.f16 %f2, %h2;
    """
HALF_ATOMICS = [
    "red.global.add.noftz.f16 [%o], %h1", "red.global.add.noftz.bf16 [%o], %h2", "red.global.add.noftz.f16x2 [%o], %r2",
    "atom.global.add.noftz.bf16x2 %r3, [%o], %r2; st.global.b32 [%i+512], %r3", "atom.global.add.noftz.f16 %h3, [%o], %h1; st.global.b16 [%i+512], %h3",
    "red.global.min.noftz.v2.f16x2 [%o], {%r2, %r4}", "red.global.max.noftz.v4.bf16 [%o], {%h1, %h2, %h2, %h1}",
    "red.global.add.v2.f32 [%o], {%f1, %f2}", "red.global.max.noftz.v8.f16 [%o], {%h1, %h2, %h2, %h1, %h1, %h1, %h2, %h2}",
]  # fmt: skip


@pytest.mark.parametrize("text", HALF_ATOMICS)
def test_atomics_of_halves_and_vectors(ptx, text):
    values = np.random.default_rng(4).integers(0, 1 << 32, 300, np.uint32)
    values[:128] &= 0xBFFFBFFF  # most are no NaN
    values[5:9] = 0x7C01FC00, 0x80008000, 0x00008000, 0x7BFF7BFF
    assert not both(
        ptx(f"{HALVES} {text}; ret; }}"), "halves", 1, 100, values, np.array([0xFE018000, 0x80003C00, 0, 0], np.uint32)
    )


def test_a_launch_whose_places_meet_runs_on_lanes(cuda):
    """Sites that were taken for different places by their parameters have one place after all."""
    device = cuda(ATOMICS)
    values = np.arange(64, dtype=np.uint32)
    results = []
    for engine in ("lanes", "native"):
        shared = device.put(np.zeros(1, np.uint32))
        out = np.zeros(320, np.uint32)
        assert not run(device, engine, "turns", 1, 64, values, shared, shared, shared, shared, out)
        results.append(out)
    np.testing.assert_array_equal(*results)


ORDERED = """
typedef unsigned u;
extern "C" __global__ void again(u *count, u *out) {
    for (u k = 0; k < 3; ++k) out[threadIdx.x] = atomicAdd(count, 1u);
}
extern "C" __global__ void often(u *count, u *out) {
    __shared__ u next;
    u t = threadIdx.x;
    #pragma unroll 1
    for (u k = 0; k < 4; ++k) {
        if (t == 0) next = 0;
        __syncthreads();
        if (t >> k & 1) out[atomicAdd(&next, 1u)] = t;
        __syncthreads();
    }
}
extern "C" __global__ void twice(u *count, u *out) {
    out[threadIdx.x] = atomicAdd(count, 1u);
    atomicAdd(count, threadIdx.x);
}
extern "C" __global__ void kinds(u *count, u *out) { atomicAdd(count, 1u); atomicMax(count, threadIdx.x); }
extern "C" __global__ void ahead(u *count, u *out) {
    if (threadIdx.x & 1) __syncwarp(0xaaaaaaaau);
    out[threadIdx.x] = atomicAdd(count, 1u);
}
extern "C" __global__ void leaves(u *count, u *out) {
    for (u k = 0, on = ~0u; on = __ballot_sync(on, k < threadIdx.x * 5 % 7), on >> threadIdx.x & 1; ++k) continue;
    out[threadIdx.x] = atomicAdd(count, 1u);
}
extern "C" __global__ void loaded(u **count, u *out) { atomicAdd(count[0], 1u); atomicExch(out, 2); }
"""


@pytest.mark.parametrize("name", ["again", "often", "twice", "kinds", "ahead", "leaves", "loaded"])
def test_what_depends_on_the_order_of_threads_has_no_machine_code(cuda, name):
    device = cuda(ORDERED)
    counts = np.zeros(2, np.uint32)
    place = device.put(np.zeros(2, np.uint32))
    first = np.array([place], np.uint64) if name == "loaded" else counts
    assert not run(device, "native", name, 1, 32, first, np.zeros(32, np.uint32))
    assert "order of threads" in device.module.device_function(name).native.refused
