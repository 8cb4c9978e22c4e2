"""What lanes do for machine code: the same bits, words and faults as where lanes do all of it."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest

import jitload
from jitload.cpu.native import background as work
from jitload.cpu.native import choice, context

from .test_launch import both, run

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

CALLS = """
extern "C" __global__ void say(const int *x, int *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i % 3 == 1) printf("thread %d has %d\\n", i, x[i % n]);
    __syncthreads();
    for (int k = 0; k < x[i % n] % 4; ++k) y[i] += printf("%s %.2f\\n", k % 2 ? "odd" : "even", k / 3.0);
}
extern "C" __global__ void insist(int *x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    x[i] += 1;
    assert(x[i] != n);
}
extern "C" __global__ void rows(int *out, int **kept, int n) {
    int t = threadIdx.x;
    int *own = (int *)malloc((t % 5 + 1) * sizeof(int));
    for (int k = 0; k <= t % 5; ++k) own[k] = k * t;
    __shared__ int *all[64];
    all[t] = own;
    __syncthreads();
    int *other = all[(t + 1) % blockDim.x];
    out[t] = other[(t + 1) % 5 % n];
    __syncthreads();
    if (t % 2) free(own); else kept[t] = own;
}
extern "C" __global__ void late(int *out) {
    int *own = (int *)malloc(64);
    own[1] = threadIdx.x;
    out[threadIdx.x] = own[1];
    free(own);
    if (threadIdx.x == 3) out[5] = own[1];
}
"""


def test_what_kernels_print_is_printed_in_the_same_order(cuda, capsys):
    device, x = cuda(CALLS), np.arange(40, dtype=np.int32)
    said = []
    for engine in ("lanes", "native"):
        out = np.zeros(70, np.int32)
        assert run(device, engine, "say", 1, 70, x, out, 40) == ""
        said.append((capsys.readouterr().out, out.tolist()))
    assert said[0] == said[1]
    assert said[0][0].count("thread") == 23
    assert not device.module.device_function("say").native.refused


def test_an_assertion_fails_at_its_line(cuda):
    device = cuda(CALLS, "-lineinfo")
    assert not both(device, "insist", 3, 40, np.arange(120, dtype=np.int32), 500)
    text = both(device, "insist", 3, 40, np.arange(120, dtype=np.int32), 60)
    assert "assertion `x[i] != n` failed" in text


def test_what_the_heap_gives_is_memory_and_what_it_took_back_is_none(cuda):
    device = cuda(CALLS, "-lineinfo")
    kept = np.zeros(64, np.uint64)
    outs = [np.zeros(64, np.int32) for _ in range(2)]
    for engine, out in zip(("lanes", "native"), outs, strict=True):
        assert run(device, engine, "rows", 1, 64, out, kept, 1) == ""
    np.testing.assert_array_equal(*outs)
    for address in kept[kept != 0].tolist():
        device.memory.heap.free(address)
    text = both(device, "late", 1, 32, np.zeros(32, np.int32))
    assert "freed before" in text


def test_more_allocations_than_the_table_had_room_for(cuda):
    """The table of allocations grows while the launch runs."""
    device = cuda(CALLS.replace("__shared__ int *all[64]", "__shared__ int *all[640]"))
    out, kept = np.zeros(640, np.int32), np.zeros(640, np.uint64)
    assert run(device, "native", "rows", 1, 640, out, kept, 1) == ""
    assert not device.module.device_function("rows").native.refused
    assert np.count_nonzero(kept) == 320
    for address in kept[kept != 0].tolist():
        device.memory.heap.free(address)


FORMS = """
.visible .entry forms(.param .u64 in, .param .u64 out) {
    .reg .pred %p, %q; .reg .b32 %t, %r, %s, %x<9>; .reg .b64 %a, %b, %o; .reg .b16 %h<4>; .reg .f64 %f;
    ld.param.u64 %a, [in]; ld.param.u64 %b, [out]; mov.u32 %t, %tid.x; mul.wide.u32 %o, %t, 8; add.u64 %a, %a, %o;
    add.u64 %b, %b, %o; ld.global.v2.u32 {%r, %s}, [%a];
    setp.lt.s32 %p, %r, %s;
    vabsdiff4.u32.u32.u32.add %x0, %r, %s, %r;
    @%p vadd4.u32.u32.u32 %x0, %x0, %s, %r;
    fns.b32 %x1, %r, 0, 1;
    mov.b32 {%h0, %h1}, %r; mov.b32 {%h2, %h3}, %s;
    max.f16 %h0, %h0, %h2; min.bf16 %h1, %h1, %h3;
    mov.b32 %x2, {%h0, %h1};
    setp.ne.u32 %q, %x1, 9;
    @%q bra ON;
    vmax2.s32.s32.s32 %x2, %x2, %x1, %x0;
ON: xor.b32 %x0, %x0, %x2; redux.sync.min.u32 %x3, %t, -1; xor.b32 %x1, %x1, %x3;
    shfl.sync.bfly.b32 %x3, %x0, 1, 31, -1; add.u32 %x0, %x0, %x3;
    st.global.v2.u32 [%b], {%x0, %x1};
    ret;
}
.visible .entry named(.param .u64 out, .param .u32 n) {
    .reg .pred %p; .reg .b32 %t, %n, %r, %s; .reg .b64 %b, %o; .shared .u32 all[192];
    ld.param.u64 %b, [out]; ld.param.u32 %n, [n]; mov.u32 %t, %tid.x; mul.wide.u32 %o, %t, 4; add.u64 %b, %b, %o;
    shl.b32 %r, %t, 2; mov.u32 %s, all; add.u32 %s, %s, %r;
    setp.lt.u32 %p, %t, 64; @%p bra FIRST;
    st.shared.u32 [%s], %t; bar.arrive 1, %n; bra END;
FIRST: bar.sync 1, %n; ld.shared.u32 %r, [%s+256]; st.global.u32 [%b], %r;
END: bar.sync 0;
    ret;
}
.visible .entry part(.param .u64 out, .param .u32 n) {
    .reg .pred %p; .reg .b32 %t, %n, %r; .reg .b64 %b, %o;
    ld.param.u64 %b, [out]; ld.param.u32 %n, [n]; mov.u32 %t, %tid.x; mul.wide.u32 %o, %t, 4; add.u64 %b, %b, %o;
    setp.lt.u32 %p, %t, %n; @%p bra GO; ret;
GO: and.b32 %n, %t, 5; setp.eq.u32 %p, %n, 1; mov.u32 %r, %t; @%p bra ON; vadd4.u32.u32.u32 %r, %r, %t, %r;
ON: activemask.b32 %n; xor.b32 %r, %r, %n; st.global.u32 [%b], %r;
    bar.sync 0;
    ret;
}
.visible .entry wait(.param .u64 p) {
    .reg .b64 %w; .reg .pred %p; .reg .b32 %r, %c;
    ld.param.u64 %w, [p]; mov.u32 %r, 0;
T:  vadd4.u32.u32.u32 %r, %r, 0, %r; setp.eq.u32 %p, %r, 0; @%p bra T; st.global.u32 [%w], 7; ret;
}
.visible .entry turn(.param .u64 p) {
    .reg .b64 %w; .reg .pred %p; .reg .b32 %r, %c;
    ld.param.u64 %w, [p]; mov.u32 %r, 1;
T:  vadd4.u32.u32.u32 %r, %r, 2, %r; add.u32 %r, %r, %r; or.b32 %r, %r, 1; setp.ne.u32 %p, %r, 0; @%p bra T;
    st.global.u32 [%w], 7; ret;
}
.visible .entry clock(.param .u64 p) {
    .reg .b64 %w, %a, %b; .reg .b32 %r;
    ld.param.u64 %w, [p]; mov.u64 %a, %clock64; mov.u32 %r, %clock; bar.sync 0; mov.u64 %b, %globaltimer;
    mov.u64 %b, %clock64; sub.u64 %b, %b, %a; st.global.u64 [%w], %b; ret;
}
"""


@pytest.mark.parametrize("block", [32, 64, 256])
def test_forms_that_lanes_alone_have(ptx, block):
    values = np.random.default_rng(block).integers(0, 1 << 32, (block, 2), np.uint32)
    values[::7, 0] = 9
    device = ptx(FORMS)
    assert not both(device, "forms", 1, block, values, np.zeros_like(values))
    assert device.module.device_function("forms").native.launches == 1


@pytest.mark.parametrize(("block", "n"), [(128, 128), (96, 96), (128, 160)])
def test_barriers_of_a_part_of_the_block(ptx, block, n):
    """Also one to which too few come: as divergent as on lanes."""
    text = both(ptx(FORMS), "named", 2, block, np.zeros(block, np.uint32), n)
    assert ("barrier" in text) == (n > block)


@pytest.mark.parametrize("n", [1, 9, 16, 40, 64])
def test_who_asks_for_those_that_run_together_waits_for_errands(ptx, n):
    assert not both(ptx(FORMS), "part", 1, 64, np.zeros(64, np.uint32), n)


def test_a_clock_goes_on(ptx):
    device, out = ptx(FORMS), np.zeros(1, np.uint64)
    assert run(device, "native", "clock", 1, 1, out) == ""
    assert device.module.device_function("clock").native.launches == 1
    assert 0 < out[0] < 1 << 40


@pytest.mark.parametrize("block", [1, 40])
def test_who_stops_again_and_again_and_changes_nothing_is_stopped(ptx, block):
    device = ptx(FORMS)
    text = run(device, "native", "wait", 1, block, np.zeros(4, np.uint32))
    assert not device.module.device_function("wait").native.refused
    assert "an endless loop" in text
    assert "vadd4" in text


def test_who_stops_too_often_is_stopped(ptx, monkeypatch):
    monkeypatch.setattr(context, "MOST_ROUNDS", 2000)
    assert "an endless loop" in run(ptx(FORMS), "native", "turn", 1, 32, np.zeros(4, np.uint32))


SIGNAL = f"""
import signal, numpy as np, jitload
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from jitload.cpu.module import load_ptx
text = '''.version 8.0
.target sm_80
.address_size 64
{FORMS}'''
from jitload.cpu.native import context
context.MOST_ROUNDS = 1 << 60
x = np.zeros(4, np.uint32)
with jitload.configure(device="cpu", cpu_engine="native"):
    module = load_ptx(text.encode())
    module.device_function("turn")
    try:
        print("started", flush=True)
        module["turn"][1, 32](x)
    except KeyboardInterrupt:
        print("stopped", module.device_function("turn").native.refused, flush=True)
"""


def test_an_interrupt_stops_threads_that_stop_for_lanes():
    with subprocess.Popen([sys.executable, "-c", SIGNAL], stdout=subprocess.PIPE, bufsize=0) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == b"started\n"
            child.send_signal(signal.SIGINT)
            assert child.stdout.readline() == b"stopped \n"
        finally:
            child.kill()


MATRICES = """
#include <mma.h>
using namespace nvcuda;
extern "C" __global__ void product(const half *a, const half *b, float *c, int k) {
    __shared__ half tile[16 * 16];
    wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> x;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::col_major> y;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
    wmma::fill_fragment(sum, 0.0f);
    int warp = threadIdx.x / 32;
    for (int at = 0; at < k; at += 16) {
        for (int i = threadIdx.x; i < 256; i += blockDim.x) tile[i] = a[i / 16 * k + at + i % 16];
        __syncthreads();
        wmma::load_matrix_sync(x, tile, 16);
        wmma::load_matrix_sync(y, b + warp * 16 * k + at, k);
        wmma::mma_sync(sum, x, y, sum);
        __syncthreads();
    }
    wmma::store_matrix_sync(c + warp * 256, sum, 16, wmma::mem_row_major);
}
extern "C" __global__ void lonely(float *c) {
    unsigned a[2] = {threadIdx.x, 1}, b = 2;
    float d[4] = {};
    if (threadIdx.x < 20) {
        asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(b));
    } else __syncthreads();
    c[threadIdx.x] = d[0] + d[3];
}
"""


def test_products_of_matrices(cuda):
    rng = np.random.default_rng(5)
    a, b = rng.standard_normal((16, 48)).astype(np.float16), rng.standard_normal((64, 48)).astype(np.float16)
    device = cuda(MATRICES)
    assert not both(device, "product", 2, 128, a, b, np.zeros((4, 16, 16), np.float32), 48)
    assert device.module.device_function("product").native.launches == 1


def test_a_product_to_which_not_all_of_the_warp_come_is_a_deadlock_at_its_line(cuda):
    text = both(cuda(MATRICES, "-lineinfo"), "lonely", 1, 32, np.zeros(32, np.float32))
    assert "barrier" in text
    assert "mma.sync" in text


CONSTANT = """
extern "C" __global__ void copy(const uint2 *x, int *y, int n) {
    __shared__ __align__(16) int tile[64];
    unsigned to = (unsigned)__cvta_generic_to_shared(tile + threadIdx.x * 2);
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" :: "r"(to), "l"(x + threadIdx.x + n));
    asm volatile("cp.async.wait_all;");
    __syncthreads();
    y[threadIdx.x] = tile[63 - threadIdx.x];
    ((int *)x)[threadIdx.x] = -1;
}
"""


@pytest.mark.parametrize("n", [0, 40])
def test_copies_to_shared_memory_and_their_faults(cuda, n):
    x = np.arange(64, dtype=np.int32)
    text = both(cuda(CONSTANT, "-lineinfo"), "copy", 1, 32, x, np.zeros(32, np.int32), n)
    assert ("out of bounds" in text) == bool(n)


@pytest.fixture
def free(monkeypatch):
    monkeypatch.setattr(choice, "COMPILE_SECONDS", 0.0)
    monkeypatch.setattr(choice, "COMPILE_SECONDS_EACH", 0.0)
    monkeypatch.setattr(choice, "LOOK_SECONDS", 0.0)


@pytest.mark.usefixtures("free")
@pytest.mark.parametrize(("name", "taken"), [("insist", True), ("late", False)])
def test_engine_auto_takes_what_stops_only_to_print_or_to_fail(cuda, name, taken):
    device = cuda(CALLS)
    native = device.module.device_function(name).native
    for _ in range(2):
        with jitload.configure(cpu_engine="auto"):
            device.run(name, 1, 3, np.zeros(6, np.int32), *([100] if taken else []))
        assert work.background.wait(60)
    assert native.ready == taken
    assert native.launches == int(taken)
    assert ("lanes would do this" in native.declined) != taken
    assert not native.refused
    with jitload.configure(cpu_engine="native"):
        device.run(name, 1, 3, np.zeros(6, np.int32), *([100] if taken else []))
    assert native.launches == 1 + taken
