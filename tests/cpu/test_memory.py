"""The arena, state spaces, generic addresses, vectors, variables and atomics."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from jitload.cpu.memory.arena import ARENA_WINDOW, Arena, process_arena
from jitload.errors import CpuFault


def test_allocations_are_aligned_apart_and_exact():
    arena = Arena()
    addresses = [arena.allocate(size, f"a{size}") for size in (1, 0, 0, 300, 4096)]
    assert all(address % 256 == 0 for address in addresses)
    assert len(set(addresses)) == 5
    arena.write(addresses[3], memoryview(bytes(range(100)) * 3))
    back = bytearray(300)
    arena.read(addresses[3], memoryview(back))
    assert bytes(back) == bytes(range(100)) * 3
    with pytest.raises(CpuFault, match="a300"):
        arena.read(addresses[3] + 1, memoryview(back))
    with pytest.raises(CpuFault, match="out of bounds"):
        arena.write(addresses[1], memoryview(b"x"))


def test_freed_memory_is_reused_in_the_end():
    arena = Arena()
    tops = set()
    for _ in range(400):
        address = arena.allocate(1 << 20, "block")
        tops.add(address)
        arena.write(address, memoryview(b"touch"))
        arena.free(address)
    assert len(tops) < 200
    assert len(arena.bounds().starts) == 0


def test_threads_may_allocate_at_once():
    arena = Arena()
    found: list[int] = []

    def work() -> None:
        for _ in range(200):
            address = arena.allocate(64, "x")
            found.append(address)
            if len(found) % 3 == 0:
                arena.free(address)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 800


def test_all_modules_share_one_address_space(cuda):
    one = cuda('extern "C" __global__ void a(int *x) { x[threadIdx.x] = threadIdx.x; }')
    two = cuda('extern "C" __global__ void b(const int *x, int *y) { y[threadIdx.x] = x[threadIdx.x] * 2; }')
    assert one.memory is two.memory is process_arena()
    address, y = one.put(np.zeros(32, np.int32)), np.zeros(32, np.int32)
    one.run("a", 1, 32, address)
    two.run("b", 1, 32, address, y)
    one.memory.free(address)
    np.testing.assert_array_equal(y, np.arange(32) * 2)


def test_generic_pointers_into_different_spaces_at_once(cuda):
    source = """__device__ int everywhere = 5;
    __device__ __noinline__ int read(const int *p) { return *p; }
    extern "C" __global__ void k(const int *x, int *out) {
        __shared__ int box[64]; int own = threadIdx.x * 3;
        box[threadIdx.x] = threadIdx.x + 1000; __syncthreads();
        const int *p = threadIdx.x % 4 == 0 ? x + threadIdx.x : threadIdx.x % 4 == 1 ? box + 63 - threadIdx.x
                     : threadIdx.x % 4 == 2 ? &own : &everywhere;
        out[blockIdx.x * 64 + threadIdx.x] = read(p);
    }"""
    x, out = np.arange(64, dtype=np.int32) * 7, np.zeros(128, np.int32)
    cuda(source).run("k", 2, 64, x, out)
    want = [[t * 7, 1063 - t, t * 3, 5][t % 4] for t in range(64)]
    np.testing.assert_array_equal(out, want * 2)


def test_vectors_bytes_and_structures(cuda):
    source = """struct Mixed { char a; double b; short c; };
    extern "C" __global__ void k(float4 *v, Mixed m, unsigned char *bytes, double *out) {
        int t = threadIdx.x; float4 x = v[t]; v[t] = make_float4(x.w, x.z, x.y, x.x);
        bytes[t] = bytes[t] + 250; out[t] = m.a + m.b + m.c;
    }"""
    v = np.arange(32, dtype=np.float32).reshape(8, 4)
    raw = np.zeros(24, np.uint8)
    raw[0], raw[8:16], raw[16:18] = 253, np.array([0.5]).view(np.uint8), np.array([-300], np.int16).view(np.uint8)
    octets, out, want = np.arange(8, dtype=np.uint8), np.zeros(8), v[:, ::-1].copy()
    cuda(source).run("k", 1, 8, v, raw.view("V24")[0], octets, out)
    np.testing.assert_array_equal(v, want)
    np.testing.assert_array_equal(octets, (np.arange(8) + 250) % 256)
    np.testing.assert_array_equal(out, np.full(8, -3 + 0.5 - 300))


def test_variables_with_initial_values_and_their_addresses(cuda):
    source = """__constant__ float weights[4] = {1.5f, -2, 3, 0.25f};
    __device__ int counter = 17; __device__ int *where = &counter + 0; __device__ short table[3][2] = {{1, 2}, {3, 4}, {5, 6}};
    extern "C" __global__ void k(float *out) { out[threadIdx.x] = weights[threadIdx.x] + *where + table[2][1]; counter = 100; }"""
    device, out = cuda(source), np.zeros(4, np.float32)
    device.run("k", 1, 4, out)
    np.testing.assert_array_equal(out, np.array([1.5, -2, 3, 0.25], np.float32) + 23)
    address, nbytes = device.module.get_global("counter")
    value = np.zeros(1, np.int32)
    assert nbytes == 4
    device.get(address, value)
    assert value[0] == 100
    address, nbytes = device.module.get_global("weights")
    assert nbytes == 16
    device.memory.write(address, memoryview(np.zeros(4, np.float32)).cast("B"))
    device.run("k", 1, 4, out)
    np.testing.assert_array_equal(out, np.full(4, 106))


def test_local_arrays_belong_to_each_thread(cuda):
    source = """extern "C" __global__ void k(int *out, int n) {
        int own[16]; for (int k = 0; k < 16; k++) own[(k * n) & 15] = k * threadIdx.x;
        int sum = 0; for (int k = 0; k < 16; k++) sum += own[(k * n + threadIdx.x) & 15] * k; out[threadIdx.x] = sum; }"""
    out = np.zeros(64, np.int32)
    cuda(source).run("k", 1, 64, out, 5)
    for t in range(64):
        own = [0] * 16
        for k in range(16):
            own[k * 5 & 15] = k * t
        assert out[t] == sum(own[k * 5 + t & 15] * k for k in range(16))


ATOMICS = {
    "add": lambda old, b, n: (old + b) % n,
    "min": lambda old, b, n: min(old, b),
    "max": lambda old, b, n: max(old, b),
    "and": lambda old, b, n: old & b,
    "or": lambda old, b, n: old | b,
    "xor": lambda old, b, n: old ^ b,
    "exch": lambda old, b, n: b,
    "inc": lambda old, b, n: 0 if old >= b else old + 1,
    "dec": lambda old, b, n: b if old == 0 or old > b else old - 1,
}
TYPED = [(name, kind) for name in ("add", "min", "max") for kind in ("u32", "u64")]
TYPED += [(name, kind) for name in ("and", "or", "xor", "exch") for kind in ("b32", "b64")] + [
    ("inc", "u32"),
    ("dec", "u32"),
]


def atomic_ptx(instruction: str, kind: str, wanted: bool) -> str:
    size = int(kind[-2:]) // 8
    result = (
        f"atom.global.{instruction}.{kind} %v, [%w], %v;" if wanted else f"red.global.{instruction}.{kind} [%w], %v;"
    )
    return f""".visible .entry k(.param .u64 x, .param .u64 which, .param .u64 b, .param .u64 old) {{
        .reg .b32 %t, %i, %c; .reg .b{size * 8} %v; .reg .b64 %x, %n, %b, %o, %w, %d;
        ld.param.u64 %x, [x]; ld.param.u64 %n, [which]; ld.param.u64 %b, [b]; ld.param.u64 %o, [old];
        mov.u32 %t, %tid.x; mov.u32 %i, %ctaid.x; mad.lo.u32 %t, %i, 64, %t;
        mul.wide.u32 %d, %t, 4; add.u64 %n, %n, %d; ld.global.u32 %i, [%n];
        mul.wide.u32 %d, %t, {size}; add.u64 %b, %b, %d; add.u64 %o, %o, %d; ld.global.b{size * 8} %v, [%b];
        mul.wide.u32 %d, %i, {size}; add.u64 %w, %x, %d;
        {result}
        st.global.b{size * 8} [%o], %v; ret; }}"""


@pytest.mark.parametrize("places", [1, 3, 200])
@pytest.mark.parametrize(("name", "kind"), TYPED)
def test_atomics_go_in_the_order_of_threads(ptx, name, kind, places):
    rng = np.random.default_rng(places)
    dtype = np.dtype(f"u{int(kind[-2:]) // 8}")
    which = rng.integers(0, places, 192).astype(np.uint32)
    start, b = (rng.integers(0, 9 if name in {"inc", "dec"} else 2**31, size).astype(dtype) for size in (places, 192))
    x, old = start.copy(), np.zeros(192, dtype)
    ptx(atomic_ptx(name, kind, True)).run("k", 3, 64, x, which, b, old)
    memory, before = start.tolist(), []
    for place, value in zip(which.tolist(), b.tolist(), strict=True):
        before.append(memory[place])
        memory[place] = ATOMICS[name](memory[place], value, 1 << 8 * dtype.itemsize)
    np.testing.assert_array_equal(x, np.array(memory, dtype))
    np.testing.assert_array_equal(old, np.array(before, dtype))
    if name != "exch":
        y = start.copy()
        ptx(atomic_ptx(name, kind, False)).run("k", 3, 64, y, which, b, old)
        np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize(("kind", "dtype"), [("f32", np.float32), ("f64", np.float64)])
def test_float_atomics_add_one_after_the_other(ptx, kind, dtype):
    rng = np.random.default_rng(5)
    for places, wanted in itertools.product((1, 2, 100), (True, False)):
        which = rng.integers(0, places, 192).astype(np.uint32)
        b = (rng.standard_normal(192) * 10.0 ** rng.integers(-3, 6, 192)).astype(dtype)
        x, want, before = np.ones(places, dtype), np.ones(places, dtype), np.zeros(192, dtype)
        old = np.zeros(192, dtype)
        ptx(atomic_ptx("add", kind, wanted)).run("k", 3, 64, x, which, b, old)
        for k in range(192):
            before[k] = want[which[k]]
            want[which[k]] += b[k]
        np.testing.assert_array_equal(x, want)
        np.testing.assert_array_equal(old, before if wanted else b)


def test_compare_and_swap_builds_other_atomics(cuda):
    source = """extern "C" __global__ void k(float *x, const float *v, int n) {
        int t = threadIdx.x; int *p = (int *)(x + t % n), seen = *p, was;
        do { was = seen; seen = atomicCAS(p, was, __float_as_int(fmaxf(__int_as_float(was), v[t]))); } while (seen != was);
    }"""
    v = np.random.default_rng(0).standard_normal(200).astype(np.float32)
    for n in (1, 7, 200):
        x = np.full(n, -10, np.float32)
        cuda(source).run("k", 1, 200, x, v, n)
        np.testing.assert_array_equal(x, [v[k::n].max() for k in range(n)])


def test_half_precision_atomics(cuda):
    source = """#include <cuda_fp16.h>
    #include <cuda_bf16.h>
    extern "C" __global__ void k(__half *h, __half2 *h2, __nv_bfloat16 *b) {
        atomicAdd(h, __float2half(1.0f)); atomicAdd(h2 + threadIdx.x % 2, __floats2half2_rn(1.0f, 2.0f));
        atomicAdd(b, __float2bfloat16(2.0f)); }"""
    h, h2, b = np.zeros(2, np.float16), np.zeros(4, np.float16), np.zeros(2, np.uint16)
    cuda(source, arch="compute_90").run("k", 1, 100, h, h2, b)
    np.testing.assert_array_equal(h, [100, 0])
    np.testing.assert_array_equal(h2, [50, 100, 50, 100])
    assert (int(b[0]) << 16) == int(np.float32(200).view(np.uint32))


def test_asynchronous_copies_to_shared_memory(cuda):
    source = """extern "C" __global__ void k(const int4 *x, int4 *y) {
        __shared__ int4 box[32]; unsigned to = (unsigned)__cvta_generic_to_shared(box + threadIdx.x);
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" :: "r"(to), "l"(x + threadIdx.x));
        asm volatile("cp.async.commit_group;"); asm volatile("cp.async.wait_group 0;"); __syncthreads();
        y[threadIdx.x] = box[31 - threadIdx.x]; }"""
    x, y = np.arange(128, dtype=np.int32), np.zeros(128, np.int32)
    cuda(source, arch="compute_80").run("k", 1, 32, x, y)
    np.testing.assert_array_equal(y.reshape(32, 4), x.reshape(32, 4)[::-1])


def test_asynchronous_copies_of_a_size_per_lane(ptx):
    """Zeros behind what is valid; a lane that copies nothing may name any address."""
    text = """.visible .entry k(.param .u64 x, .param .u64 n, .param .u64 y, .param .u64 z) {
        .reg .b32 %t, %s, %n, %r<4>; .reg .b64 %x, %y, %z, %w; .reg .pred %p, %q; .shared .align 16 .b8 box[1024];
        mov.u32 %t, %tid.x; mov.u32 %s, box; mad.lo.u32 %s, %t, 16, %s; ld.param.u64 %w, [n]; mad.wide.u32 %w, %t, 4, %w; ld.global.u32 %n, [%w];
        ld.param.u64 %x, [x]; mad.wide.u32 %x, %t, 16, %x; ld.param.u64 %y, [y]; mad.wide.u32 %y, %t, 16, %y;
        ld.param.u64 %z, [z]; mad.wide.u32 %z, %t, 16, %z; setp.eq.u32 %p, %n, 0; selp.b64 %w, 0, %x, %p;
        cp.async.cg.shared.global [%s], [%w], 16, %n; cp.async.wait_all;
        ld.shared.v4.b32 {%r0, %r1, %r2, %r3}, [%s]; st.global.v4.b32 [%y], {%r0, %r1, %r2, %r3};
        setp.gt.u32 %q, %n, 7; cp.async.ca.shared.global [%s], [%x], 8, %q; cp.async.wait_all;
        ld.shared.v2.b32 {%r0, %r1}, [%s]; st.global.v2.b32 [%z], {%r0, %r1}; ret; }"""
    x = np.arange(1, 64 * 16 + 1).astype(np.uint8).reshape(64, 16)
    sizes = (np.arange(64, dtype=np.uint32) * 5) % 19
    y, z = np.zeros_like(x), np.zeros_like(x)
    ptx(text).run("k", 1, 64, x, sizes, y, z)
    np.testing.assert_array_equal(y, np.where(np.arange(16) < sizes[:, None], x, 0))
    np.testing.assert_array_equal(z[:, :8], np.where(sizes[:, None] > 7, 0, x[:, :8]))


@pytest.mark.parametrize("count", [1, 8, 32])
def test_shared_addresses_that_start_below_zero(ptx, count):
    """NVRTC 13 lets a 32-bit register run from -32, and adds 32 in the access."""
    text = """.visible .entry k(.param .u64 x, .param .u64 y, .param .u64 z) { .reg .b32 %n, %t, %a, %r, %v<4>; .reg .b64 %x; .reg .pred %p;
        .shared .align 16 .b8 box[1024]; mov.u32 %n, %ntid.x; mov.u32 %t, %tid.x; mov.u32 %a, box; mad.lo.s32 %a, %t, 16, %a; add.s32 %a, %a, -32;
        ld.param.u64 %x, [x]; mad.wide.u32 %x, %t, 16, %x; ld.global.v4.b32 {%v0, %v1, %v2, %v3}, [%x];
        st.shared.v4.b32 [%a+32], {%v0, %v1, %v2, %v3}; bar.sync 0; ld.shared.b32 %r, [%a+36];
        ld.param.u64 %x, [y]; mad.wide.u32 %x, %t, 4, %x; st.global.b32 [%x], %r;
        setp.ne.u32 %p, %n, 32; @%p bra END;
        ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r}, [%a+32]; ld.param.u64 %x, [z]; mad.wide.u32 %x, %t, 4, %x; st.global.b32 [%x], %r;
        END: ret; }"""
    x = np.arange(4 * count, dtype=np.uint32).reshape(count, 4)
    y, z = np.zeros(count, np.uint32), np.zeros(count, np.uint32)
    ptx(text).run("k", 1, count, x, y, z)
    np.testing.assert_array_equal(y, x[:, 1])
    if count == 32:
        np.testing.assert_array_equal(z, x[:8].reshape(-1))


def test_device_heap(cuda):
    source = """extern "C" __global__ void k(int *out) {
        int *p = (int *)malloc(8 * sizeof(int)); for (int k = 0; k < 8; k++) p[k] = k * threadIdx.x;
        int s = 0; for (int k = 0; k < 8; k++) s += p[k]; out[threadIdx.x] = s; free(p); }"""
    out, device = np.zeros(10, np.int32), cuda(source)
    before = device.memory.bounds().starts.tolist()
    device.run("k", 1, 10, out)
    np.testing.assert_array_equal(out, np.arange(10) * 28)
    assert device.memory.bounds().starts.tolist() == before


def test_fresh_shared_and_local_memory_shows(ptx):
    """A kernel that forgets to initialise gets NaN and wild indices, never convenient zeros."""
    text = """.visible .entry k(.param .u64 o) { .reg .b64 %o; .reg .b32 %a, %b; .shared .align 4 .b8 s[64]; .local .align 4 .b8 l[64];
        ld.param.u64 %o, [o]; ld.shared.b32 %a, [s+8]; ld.local.b32 %b, [l+60];
        st.global.b32 [%o], %a; st.global.b32 [%o+4], %b; ret; }"""
    out = np.zeros(2, np.uint32)
    ptx(text).run("k", 1, 1, out)
    assert np.isnan(out.view(np.float32)).all()
    assert np.isnan(out.view(np.float16)).all()


def test_the_device_heap_is_as_bounded_as_that_of_a_gpu(cuda):
    """8 MiB for the whole process: what a kernel does not free is missing to the next launch, and `free` gives it back."""
    source = """__device__ int *kept[64]; __device__ int *huge;
    extern "C" __global__ void take(int *out) { kept[*out] = (int *)malloc(1 << 20); out[1] = kept[*out] != 0; }
    extern "C" __global__ void give(int n) { for (int k = 0; k < n; k++) free(kept[k]); }
    extern "C" __global__ void ask(int *out) { huge = (int *)malloc(~0ull); *out = huge == 0; }"""
    device = cuda(source)
    given, out = [], np.zeros(2, np.int32)
    try:
        for out[0] in range(12):
            device.run("take", 1, 1, out)
            given.append(int(out[1]))
        assert given == [1] * sum(given) + [0] * (12 - sum(given))
        assert 6 <= sum(given) <= 8
    finally:
        device.run("give", 1, 1, len(given))
    device.run("ask", 1, 1, out)
    assert out[0] == 1
    out[0] = 0
    device.run("take", 1, 1, out)
    assert out[1] == 1
    device.run("give", 1, 1, 1)


def test_a_kernel_frees_nothing_but_what_malloc_gave(cuda):
    source = 'extern "C" __global__ void k(int *o) { free(o); }'
    device, out = cuda(source), np.zeros(4, np.int32)
    with pytest.raises(CpuFault, match="free of a pointer that malloc did not give"):
        device.run("k", 1, 1, out)


def test_fresh_device_heap_shows(cuda):
    source = 'extern "C" __global__ void k(double *o) { double *p = (double *)malloc(24); *o = p[2]; free(p); }'
    out = np.zeros(1)
    cuda(source).run("k", 1, 1, out)
    assert np.isnan(out[0])


def test_a_pointer_parameter_may_name_the_alignment_of_its_pointee(ptx):
    """NVRTC writes `.ptr .align 1` for compute_100: it does not move the parameter."""
    text = """.visible .entry k(.param .u32 n, .param .u64 .ptr .align 1 o, .param .u64 .ptr .global .align 16 q) {
        .reg .b64 %o; .reg .b32 %n; ld.param.u32 %n, [n]; ld.param.u64 %o, [o]; st.global.b32 [%o], %n;
        ld.param.u64 %o, [q]; st.global.b32 [%o], %n; ret; }"""
    device = ptx(text)
    info = device.module.device_function("k").info
    assert [(one.offset, one.alignment, one.pointer) for one in info.params] == [
        (0, 4, False),
        (8, 8, True),
        (16, 8, True),
    ]
    o, q = np.zeros(1, np.uint32), np.zeros(1, np.uint32)
    device.run("k", 1, 1, 7, o, q)
    assert (o[0], q[0]) == (7, 7)


def test_vector_atomics_add_each_element(cuda):
    source = """extern "C" __global__ void k(float4 *x, float2 *old) {
        atomicAdd(x, make_float4(1, 2, 3, threadIdx.x)); old[threadIdx.x] = atomicAdd((float2 *)x + 2, make_float2(1, 2)); }"""
    x, old = np.zeros(6, np.float32), np.zeros((40, 2), np.float32)
    cuda(source, arch="compute_90").run("k", 1, 40, x, old)
    assert x.tolist() == [40, 80, 120, 780, 40, 80]
    np.testing.assert_array_equal(old, np.arange(40)[:, None] * np.array([1, 2]))


def test_registers_of_16_bytes(ptx):
    """Moved, split, joined, loaded, stored, exchanged and compared as bits: also those that look like NaN or -0."""
    text = """.visible .entry k(.param .u64 x, .param .u64 y, .param .u64 z) { .reg .b128 %q<6>; .reg .b64 %x, %y, %z, %d<5>; .reg .b32 %t;
        mov.u32 %t, %tid.x; ld.param.u64 %x, [x]; mad.wide.u32 %x, %t, 16, %x; ld.param.u64 %y, [y]; mad.wide.u32 %y, %t, 16, %y;
        ld.param.u64 %z, [z]; .reg .pred %p; setp.gt.u32 %p, %t, 3;
        ld.global.b128 %q1, [%x]; mov.b128 {%d1, %d2}, %q1; mov.b128 %q2, {%d2, %d1};
        @%p mov.b128 %q2, %q1; st.global.b128 [%y], %q2;
        atom.global.exch.b128 %q3, [%z], %q1; bar.sync 0;
        setp.ne.u32 %p, %t, 5; @%p bra END; mov.b128 {%d1, %d2}, %q1; add.u64 %d1, %d1, 1; mov.b128 %q4, {%d1, %d2};
        atom.global.cas.b128 %q5, [%z+16], %q1, %q4; st.global.b128 [%z+32], %q5;
        atom.global.cas.b128 %q5, [%z+16], %q4, %q1; st.global.b128 [%z+48], %q5;
        END: ret; }"""
    x = np.random.default_rng(0).integers(0, 2**64, (8, 2), dtype=np.uint64)
    x[5] = [0x7FF0000000000001, 0x8000000000000000]
    y, z = np.zeros_like(x), np.zeros((4, 2), np.uint64)
    z[1] = x[5]
    ptx(text).run("k", 1, 8, x, y, z)
    np.testing.assert_array_equal(y, np.where(np.arange(8)[:, None] > 3, x, x[:, ::-1]))
    more = x[5] + np.array([1, 0], np.uint64)
    np.testing.assert_array_equal(z, [x[7], x[5], x[5], more])


def test_atomics_of_16_bytes_as_nvrtc_writes_them(cuda):
    source = """struct alignas(16) Pair { long long a, b; };
    extern "C" __global__ void k(Pair *p) {
        Pair seen = *p, want;
        do { want = seen; Pair next = {seen.a + 1, seen.b + threadIdx.x}; seen = atomicCAS(p, want, next); } while (seen.a != want.a || seen.b != want.b);
    }"""
    pair = np.array([5, -3])
    cuda(source, arch="compute_90").run("k", 3, 40, pair)
    assert pair.tolist() == [5 + 120, -3 + 3 * 780]


@pytest.mark.parametrize("engine", ["lanes", "native"])  # with "auto", LLVM may be imported in the middle of it
def test_memory_does_not_grow_with_launches(engine):
    """8,000 tiny launches with two host arrays each: what is kept of them is bounded in number, not only in bytes."""
    code = """
import gc
import numpy as np
import jitload

def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

source = 'extern "C" __global__ void k(float *x, const float *y) { x[threadIdx.x] += y[0]; }'
kernel = jitload.compile(source, kind="ptx", arch="compute_75").load()["k"]
bound = kernel.bind(grid=1, block=32)
x, y = np.zeros(32, np.float32), np.ones(4, np.float32)
for count in (2000, 8000):
    before = resident_bytes()
    for _ in range(count):
        bound(x, y)
    gc.collect()
print(resident_bytes() - before)
"""
    if engine == "native":
        pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    env = {**os.environ, "JITLOAD_DEVICE": "cpu", "JITLOAD_CPU_ENGINE": engine}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1 << 19


def test_freed_ranges_come_back_oldest_first():
    """Many small ones too, and those that were freed last still fault as freed."""
    arena = Arena()
    addresses = []
    for number in range(5000):
        addresses.append(arena.allocate(16, f"range {number}"))
        arena.free(addresses[-1])
    assert len(set(addresses)) < 2000
    assert arena.extent < 4 << 20
    assert "range 4999" in str(arena.nearest(addresses[-1] - ARENA_WINDOW, 4))
    assert "freed before" in str(arena.nearest(addresses[-1] - ARENA_WINDOW, 4))
