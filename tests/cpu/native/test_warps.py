"""Operations of warps as machine code and on lanes: the same bits, and the same faults where threads misname each other."""

from __future__ import annotations

import numpy as np
import pytest

from .test_launch import both

WARPS = """
typedef unsigned u;
__device__ u linear() { return (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x; }
extern "C" __global__ void shuffles(const u *in, u *out, u mask, int parts) {
    u t = linear(), x = in[t], lane = t & 31;
    u *o = out + t * 16;
    if (mask >> lane & 1) {
        for (int w = 1; w <= parts; w *= 2) x += __shfl_xor_sync(mask, x, w);
        o[0] = x;
        o[1] = __shfl_up_sync(mask, x, 3, 8);
        o[2] = __shfl_down_sync(mask, x, parts, 8);
        o[3] = __shfl_sync(mask, x, x & 31, 4);
        o[4] = __shfl_sync(mask, x, lane * 7, 8);
        o[5] = __float_as_uint(__shfl_xor_sync(mask, __uint_as_float(x), 1));
        o[6] = (u)(__shfl_up_sync(mask, (unsigned long long)x << 20, 1) >> 9);
    }
}
extern "C" __global__ void votes(const u *in, u *out, u mask) {
    u t = linear(), x = in[t], lane = t & 31;
    u *o = out + t * 16;
    if (mask >> lane & 1) {
        o[0] = __ballot_sync(mask, x & 1);
        o[1] = __any_sync(mask, x > 9) + 2 * __all_sync(mask, x != 7) + 4 * __all_sync(mask, lane < 32);
        o[2] = __match_any_sync(mask, x & 3);
        int all;
        o[3] = __match_all_sync(mask, x >> 30, &all) + all;
        o[4] = __match_any_sync(mask, (unsigned long long)(x & 1) << 40);
        o[5] = __reduce_add_sync(mask, x);
        o[6] = __reduce_min_sync(mask, x) ^ __reduce_max_sync(mask, x);
        o[7] = __reduce_min_sync(mask, (int)x) ^ __reduce_max_sync(mask, (int)x);
        o[8] = __reduce_and_sync(mask, x) ^ __reduce_or_sync(mask, x) ^ __reduce_xor_sync(mask, x);
        o[9] = __activemask();
        asm volatile("{.reg .pred p; vote.sync.uni.pred p, %1, %2; selp.u32 %0, 1, 0, p;}" : "=r"(o[10])
            : "r"(x) , "r"(mask));
    }
}
"""
WARPS = WARPS.replace("vote.sync.uni.pred p, %1, %2;", "setp.gt.u32 p, %1, 100; vote.sync.uni.pred p, p, %2;")
WARPS += """
extern "C" __global__ void parted(const u *in, u *out) {
    u t = linear(), x = in[t];
    u *o = out + t * 16;
    for (u k = 0; k < 5; ++k) {
        u mine = x >> k & 1;
        u friends = __ballot_sync(0xffffffffu, mine);
        if (!mine) friends = ~friends;
        if (mine) x += __shfl_sync(friends, x, __ffs(friends) - 1);
        else x ^= __reduce_add_sync(friends, x + k);
        __syncwarp();
        x += __syncthreads_count(x & 4) + 64 * __syncthreads_or(x == 9) + 128 * __syncthreads_and(x < 1u << 31);
        if (x % 5 == 0 && k == 4) return;
    }
    o[0] = x;
    o[1] = __syncthreads_count(x & 8);
}
extern "C" __global__ void elects(u *out) {
    u t = linear(), one, two;
    u mask = t & 1 ? 0xaaaaaaaau : 0x55555555u;
    asm volatile("{.reg .pred p; elect.sync %0|p, %2; selp.u32 %1, 1, 0, p;}" : "=r"(one), "=r"(two) : "r"(mask));
    out[t * 16] = one * 2 + two;
}
extern "C" __global__ void whole(const u *in, u *out) {
    u t = linear(), x = in[t], lane = t & 31, full = 0xffffffffu, half = lane < 16 ? 0xffffu : 0xffff0000u;
    u *o = out + t * 16, one, two;
    for (int w = 16; w; w /= 2) x += __shfl_down_sync(full, x, w) ^ __shfl_up_sync(full, x, w, 16);
    #pragma unroll 1
    for (int w = 1; w < 40; w += 13) x ^= __shfl_xor_sync(full, x, w) + __shfl_up_sync(full, x, w, 8);
    o[0] = x;
    o[1] = __shfl_xor_sync(half, x, 8) + __shfl_sync(half, x, 3, 16) + __reduce_max_sync(half, x);
    asm volatile("{.reg .pred p; elect.sync %0|p, 0xffffffff; selp.u32 %1, 1, 0, p;}" : "=r"(one), "=r"(two));
    o[2] = one * 2 + two;
    asm volatile("{.reg .pred p; shfl.sync.down.b32 %0|p, %2, 9, 0x80f, -1; selp.u32 %1, 1, 0, p;}"
        : "=r"(one), "=r"(two) : "r"(x));
    o[3] = one * 2 + two;
    o[4] = __match_any_sync(full, x & 3) ^ __ballot_sync(full, x >> 4 & 1) ^ __activemask();
    int all;
    o[5] = __match_all_sync(full, x >> 31, &all) + all;
    o[6] = __match_all_sync(full, x - x, &all) + all + __any_sync(full, x > 9) + 2 * __all_sync(full, x != 7);
    o[7] = __reduce_add_sync(full, x) ^ __reduce_min_sync(full, (int)x) ^ __reduce_xor_sync(full, x);
    if (lane >= 24) o[8] = x = __shfl_sync(0xff000000u, x, 30);
    __syncwarp();
    o[9] = __shfl_sync(full, x, 31 - lane);
    if (t == 70) return;
    o[10] = __ballot_sync(full, x & 2);
}
"""


@pytest.mark.parametrize(("block", "mask"), [(61, 0xFFFFFFFF), ((16, 3, 2), 0x00FFFF00)])
def test_shuffles_and_votes(cuda, block, mask):
    chance = np.random.default_rng(mask)
    values = chance.integers(0, 1 << 32, 96, np.uint32)
    values[chance.random(96) < 0.3] = 7
    device = cuda(WARPS)
    assert not both(device, "shuffles", 2, block, values, np.zeros(96 * 16, np.uint32), mask, 4)
    assert not both(device, "votes", 2, block, values, np.zeros(96 * 16, np.uint32), mask)
    assert not both(device, "parted", 2, block, values, np.zeros(96 * 16, np.uint32))
    assert not both(device, "elects", 1, 64, np.zeros(64 * 16, np.uint32))


def test_whole_warps(cuda):
    """Where all threads of a warp name all of them, in a row or not, up to one that has ended."""
    values = np.random.default_rng(5).integers(0, 1 << 32, 96, np.uint32)
    device = cuda(WARPS)
    for block in (96, (8, 4, 3), (40, 2)):
        assert not both(device, "whole", 2, block, values, np.zeros(96 * 16, np.uint32))


WRONG = """
typedef unsigned u;
extern "C" __global__ void outside(u *out, u mask) { out[threadIdx.x] = __ballot_sync(mask, 1); }
extern "C" __global__ void alone(u *out) {
    if (threadIdx.x & 1) out[threadIdx.x] = __shfl_sync(0xffffffffu, threadIdx.x, 0);
    __syncwarp();
}
extern "C" __global__ void differ(u *out) {
    out[threadIdx.x] = __reduce_add_sync(threadIdx.x < 9 ? 0xffffffffu : 0xfffffffeu, 1u);
}
extern "C" __global__ void mixed(u *out) {
    if (threadIdx.x < 32) __syncthreads(); else out[threadIdx.x] = __syncthreads_count(1);
}
extern "C" __global__ void behind(u *out) {
    if (threadIdx.x < 32) { if (threadIdx.x) __syncthreads(); out[0] = __any_sync(0xffffffffu, 1); }
    else __syncthreads();
}
"""


@pytest.mark.parametrize(
    ("name", "arguments", "part"),
    [
        ("outside", (0x7FFF,), "not in the member mask 0x00007fff"),
        ("alone", (), "not all threads of the member mask"),
        ("differ", (), "not all threads of the member mask|not in the member mask"),
        ("mixed", (), "bar.sync at a barrier where other threads"),
        ("behind", (), "barrier divergence"),
    ],
)
def test_faults_of_warps(cuda, name, arguments, part):
    fault = both(cuda(WRONG), name, 1, 64, np.zeros(64, np.uint32), *arguments)
    assert any(one in fault for one in part.split("|"))


BY_REGISTER = """.visible .entry by_register(.param .u64 out) {
  .reg .b32 %r<9>;
  .reg .b64 %rd<3>;
  .reg .pred %p<3>;
  mov.u32 %r0, %tid.x;
  mov.b32 %r1, -1;
  mov.b32 %r2, 31;
  setp.lt.u32 %p0, %r0, 64;
  @%p0 bra $near;
  mov.b32 %r3, 7;
$near:
  shfl.sync.idx.b32 %r4, %r0, %r3, %r2, %r1;
  setp.lt.u32 %p1, %r0, 32;
  mov.b32 %r5, 3;
  @!%p1 bra $far;
  mov.b32 %r5, 5;
$far:
  shfl.sync.bfly.b32 %r6, %r0, %r5, %r2, %r1;
  mad.lo.s32 %r4, %r4, 1000, %r6;
  ld.param.u64 %rd0, [out];
  mad.wide.u32 %rd1, %r0, 4, %rd0;
  st.global.u32 [%rd1], %r4;
  ret;
}
"""


def test_numbers_in_registers(ptx):
    """A register is a number only where it holds that on every way: of four here, two are."""
    out = np.zeros(96, np.uint32)
    assert not both(ptx(BY_REGISTER), "by_register", 1, 96, out)
