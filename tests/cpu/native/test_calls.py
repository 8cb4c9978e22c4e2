"""Calls and tables of branches as machine code: the same bits as on lanes, and the same faults at the same lines."""

from __future__ import annotations

import numpy as np
import pytest

from .test_launch import both, run

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

CALLS = """
struct Part { char first; short second; float third[3]; };
__device__ __noinline__ int spread(int x, int *own) {
    for (int k = 0; k < 5; ++k) own[(x + k) % 5] += x * k;
    __syncwarp();
    return __shfl_xor_sync(0xffffffffu, own[x % 5], 1);
}
__device__ __noinline__ Part twice(Part p, int x) {
    int own[5] = {x, 1, 2, 3, 4};
    p.third[x % 3] += spread(x, own) + own[2];
    __syncthreads();
    p.second += p.first++ + spread(p.first, own);
    return p;
}
extern "C" __global__ void calls(const int *in, float *out) {
    int i = threadIdx.x;
    Part p = {(char)in[i], (short)i, {1, 2, 3}};
    for (int k = 0; k < 3; ++k) p = twice(p, (i + k) & 15);
    if (i & 4) p = Part{1, 2, {p.third[2], p.third[0], p.third[1]}};
    out[3 * i] = p.first + p.second; out[3 * i + 1] = p.third[0]; out[3 * i + 2] = p.third[1] * p.third[2];
}
"""


def test_functions_that_are_not_inlined(cuda):
    assert not both(cuda(CALLS), "calls", 1, 96, np.arange(96, dtype=np.int32), np.zeros(3 * 96, np.float32))


FUNCTIONS = """
.global .u64 known[3] = {first, second, third};
.func (.reg .b32 %o) first(.reg .b32 %x) { .reg .b32 %never; add.s32 %o, %x, %never; add.s32 %never, %x, 1; ret; }
.func (.reg .b32 %o) second(.reg .b32 %x) { .reg .pred %p;
    setp.gt.s32 %p, %x, 9; @%p exit; call (%o), first, (%x); add.s32 %o, %o, 10; ret; }
.func (.param .b8 o[4]) third(.param .b32 x) { .local .align 4 .b8 l[8]; .reg .b32 %x, %y;
    ld.param.u32 %x, [x]; st.local.u32 [l+4], %x; ld.local.u32 %y, [l]; xor.b32 %x, %x, %y; st.param.b8 [o], %x; shr.u32 %x, %x, 8;
    st.param.b8 [o+1], %x; shr.u32 %x, %x, 8; st.param.b8 [o+2], %x; shr.u32 %x, %x, 8; st.param.b8 [o+3], %x; ret; }
.visible .entry pick(.param .u64 in, .param .u64 out) {
    .reg .b64 %i, %o, %f, %t, %w; .reg .b32 %r, %x, %n; .reg .pred %p; .param .b32 a; .param .b8 b[4];
    ld.param.u64 %i, [in]; ld.param.u64 %o, [out]; mov.u32 %x, %tid.x; mul.wide.u32 %w, %x, 4; add.u64 %i, %i, %w; add.u64 %o, %o, %w;
    ld.global.u32 %n, [%i]; mov.u64 %t, known; mul.wide.u32 %w, %n, 8; add.u64 %t, %t, %w; setp.gt.u32 %p, %n, 2; mov.u64 %f, 12345;
    @!%p ld.global.u64 %f, [%t]; st.param.b32 [a], %x;
    call (b), %f, (a), proto; ld.param.b32 %r, [b]; st.global.u32 [%o], %r; ret;
    proto: .callprototype (.param .b8 _[4]) _ (.param .b32 _); }
"""


@pytest.mark.parametrize("block", [8, 37])
def test_calls_through_a_table(ptx, block):
    which = np.random.default_rng(block).integers(0, 3, block).astype(np.uint32)
    assert not both(ptx(FUNCTIONS), "pick", 1, block, which, np.zeros(block, np.uint32))
    assert not both(ptx(FUNCTIONS), "pick", 1, block, np.full(block, 1, np.uint32), np.zeros(block, np.uint32))


@pytest.mark.parametrize("at", [0, 21])
def test_what_is_no_function_is_a_fault_where_it_is_called(ptx, at):
    device, which = ptx(FUNCTIONS), np.zeros(22, np.uint32)
    which[at] = 3
    found = [run(device, engine, "pick", 1, 22, which, np.zeros(22, np.uint32)) for engine in ("lanes", "native")]
    assert "call of 0x3039, which is no function that can run here" in found[0]
    assert found[0] == found[1]
    assert not device.module.device_function("pick").native.refused


FAULTS = """
.func meet(.reg .b32 %x) { .reg .pred %p; setp.gt.u32 %p, %x, 3; @%p bra O; bar.sync 0; ret; O: bar.sync 1; ret; }
.func read(.reg .b64 %w) { .reg .b32 %r; ld.global.u32 %r, [%w+400]; ret; }
.visible .entry meets(.param .u64 p) { .reg .b32 %x; mov.u32 %x, %tid.x; call meet, (%x); ret; }
.func (.param .b32 o) past(.param .b32 x) { .reg .b64 %w; .reg .b32 %r;
    mov.u64 %w, x; ld.param.u32 %r, [%w]; st.param.b32 [o], %r; ld.param.u32 %r, [%w+4096]; ret; }
.visible .entry passes(.param .u64 p) { .reg .b64 %w; .reg .b32 %r; .param .b32 a; .param .b32 b; ld.param.u64 %w, [p]; mov.u32 %r, 7;
    st.param.b32 [a], %r; call (b), past, (a); ld.param.b32 %r, [b]; st.global.u32 [%w], %r; ret; }
.visible .entry reads(.param .u64 p) { .reg .b64 %w; ld.param.u64 %w, [p]; call read, (%w); ret; }
"""


@pytest.mark.parametrize(
    ("name", "what"), [("meets", "bar.sync"), ("reads", "ld.global.u32 %r, [%w+400]"), ("passes", "[%w+4096]")]
)
def test_faults_in_functions_are_told_at_their_lines(ptx, name, what):
    assert what in both(ptx(FAULTS), name, 1, 8, np.zeros(4, np.uint32))


PRINTS = """
__device__ __noinline__ int tell(int x) { if (x == 3) printf("%d %s\\n", x, "it is"); return x + 1; }
extern "C" __global__ void prints(int *out) { out[threadIdx.x] = tell(threadIdx.x) + tell(threadIdx.x + 1); }
"""


def test_the_runtime_is_called_by_functions(cuda, capsys):
    assert not both(cuda(PRINTS), "prints", 1, 8, np.zeros(8, np.int32))
    assert capsys.readouterr().out == "3 it is\n" * 4


TABLE = """
.visible .entry ways(.param .u64 p, .param .u64 q) { .reg .b64 %w, %x, %o; .reg .b32 %r, %t, %s; .reg .pred %p;
    ld.param.u64 %w, [p]; ld.param.u64 %x, [q]; mov.u32 %t, %tid.x; mul.wide.u32 %o, %t, 4; add.u64 %x, %x, %o; STEP
    ld.global.u32 %r, [%w]; mov.u32 %s, 0; ts: .branchtargets A, B, C, A;
    B: add.u32 %s, %s, 1; brx.idx %r, ts;
    A: add.u32 %s, %s, 100; bra D; C: add.u32 %s, %s, 1000; mov.u32 %r, 0; setp.lt.u32 %p, %s, 3000; @%p bra B;
    D: st.global.u32 [%x], %s; ret; }
"""


@pytest.mark.parametrize("step", ["", "add.u64 %w, %w, %o;"], ids=["common", "apart"])
@pytest.mark.parametrize("block", [8, 37])
def test_tables_of_branches(ptx, block, step):
    device, ways = ptx(TABLE.replace("STEP", step)), np.array([2, 0, 3] * 20, np.uint32)
    assert not both(device, "ways", 1, block, ways, np.zeros(block, np.uint32))
    ways[:] = 4
    assert "brx.idx past the end of its table" in both(device, "ways", 1, block, ways, np.zeros(block, np.uint32))


REFUSED = {
    "calls itself": ".func own(.reg .b32 %x) { .reg .pred %p; setp.eq.u32 %p, %x, 0; @%p ret; sub.u32 %x, %x, 1; call own, (%x); ret; }",
    "activemask": ".func own(.reg .b32 %x) { .reg .b32 %m; activemask.b32 %m; ret; }",
    "carry flag": ".func own(.reg .b32 %x) { addc.u32 %x, %x, %x; ret; }",
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_has_no_native_form_is_refused_before_it_runs(ptx, why):
    device = ptx(
        REFUSED[why]
        + ".visible .entry k(.param .u64 p) { .reg .b64 %w; .reg .b32 %x; ld.param.u64 %w, [p]; mov.u32 %x, 3; call own, (%x);"
        " st.global.u32 [%w], %x; ret; }"
    )
    out = np.zeros(1, np.uint32)
    assert run(device, "native", "k", 1, 1, out) == ""
    assert out[0] == 3
    assert why in device.module.device_function("k").native.refused
