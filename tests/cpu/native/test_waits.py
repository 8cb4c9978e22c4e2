"""Threads that wait for an mbarrier in a loop stop at its test, so that the others of their block come to complete it."""

from __future__ import annotations

import signal

import numpy as np
import pytest

import jitload

from .test_launch import both, run

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

#: The first warp fills a ring of boxes, the others empty it: each waits for the other in loops.
RING = """
.visible .entry ring(.param .u64 x, .param .u64 y, .param .u32 rounds) {
    .reg .b32 %t, %n, %r, %k, %s, %v, %phase, %rest, %a, %m; .reg .b64 %x, %y, %w; .reg .pred %p, %q, %d;
    .shared .align 8 .b64 full[2]; .shared .align 8 .b64 free[2]; .shared .align 4 .b32 box[64];
    ld.param.u64 %x, [x]; ld.param.u64 %y, [y]; ld.param.u32 %n, [rounds]; mov.u32 %t, %tid.x;
    mov.u32 %a, %ntid.x; sub.u32 %m, %a, 32; mov.u32 %r, %ctaid.x; mul.lo.u32 %r, %r, %n; mul.lo.u32 %a, %r, 32;
    mul.wide.u32 %w, %a, 4; add.u64 %x, %x, %w; mul.lo.u32 %a, %r, %m; mul.wide.u32 %w, %a, 4; add.u64 %y, %y, %w;
    setp.ne.u32 %p, %t, 0; @%p bra READY;
    mbarrier.init.shared.b64 [full], 32; mbarrier.init.shared.b64 [full+8], 32;
    mbarrier.init.shared.b64 [free], %m; mbarrier.init.shared.b64 [free+8], %m;
READY: bar.sync 0; mov.u32 %k, 0; setp.ge.u32 %q, %t, 32;
NEXT: setp.ge.u32 %p, %k, %n; @%p bra END;
    and.b32 %s, %k, 1; shr.u32 %phase, %k, 1; and.b32 %phase, %phase, 1; shl.b32 %s, %s, 3; mov.u32 %a, full; add.u32 %a, %a, %s;
    mov.u32 %r, free; add.u32 %r, %r, %s; shl.b32 %s, %s, 4; mov.u32 %v, box; add.u32 %s, %s, %v;
    @%q bra EMPTY;
    xor.b32 %phase, %phase, 1;
FREE: mbarrier.try_wait.parity.shared.b64 %p, [%r], %phase; @!%p bra FREE;
    mad.lo.u32 %rest, %k, 32, %t; mul.wide.u32 %w, %rest, 4; add.u64 %w, %x, %w; ld.global.u32 %v, [%w];
    shl.b32 %rest, %t, 2; add.u32 %s, %s, %rest; st.shared.u32 [%s], %v; mbarrier.arrive.shared.b64 _, [%a]; bra STEP;
EMPTY: mbarrier.try_wait.parity.shared.b64 %p, [%a], %phase; @!%p bra EMPTY;
    sub.u32 %rest, %t, 32; and.b32 %v, %rest, 31; shl.b32 %v, %v, 2; add.u32 %s, %s, %v; ld.shared.u32 %v, [%s];
    mad.lo.u32 %rest, %k, %m, %rest; mul.wide.u32 %w, %rest, 4; add.u64 %w, %y, %w; st.global.u32 [%w], %v;
    mbarrier.arrive.shared.b64 _, [%r];
STEP: add.u32 %k, %k, 1; bra NEXT;
END: ret; }
"""


@pytest.mark.parametrize("consumers", [1, 32, 43])
def test_warps_that_wait_for_each_other_take_turns(ptx, consumers):
    x = np.random.default_rng(consumers).integers(0, 1 << 32, (2, 5, 32), np.uint32)
    y = np.zeros((2, 5, consumers), np.uint32)
    device = ptx(RING)
    assert not both(device, "ring", 2, 32 + consumers, x, y, 5)
    with jitload.configure(cpu_engine="native"):
        device.run("ring", 2, 32 + consumers, x, y, 5)
    np.testing.assert_array_equal(y, x[:, :, np.arange(consumers) % 32])


LIBRARY = """
#include <cuda/barrier>
#pragma nv_diag_suppress static_var_with_dynamic_init
using barrier = cuda::barrier<cuda::thread_scope_block>;
extern "C" __global__ void turns(int *x, int rounds, int late) {
    __shared__ barrier all; __shared__ int box[64];
    int t = threadIdx.x, n = blockDim.x;
    if (!t) init(&all, n + late);
    __syncthreads();
    for (int round = 0; round < rounds; round++) {
        box[t] = x[blockIdx.x * n + t];
        all.arrive_and_wait();
        int mine = t * round + box[(t + 1) % n];
        all.arrive_and_wait();
        x[blockIdx.x * n + t] = mine;
    }
}"""


@pytest.mark.parametrize("threads", [41, 64])
def test_barriers_of_the_library(cuda, threads):
    x = np.arange(3 * threads, dtype=np.int32)
    device = cuda(LIBRARY, "--std=c++17", arch="compute_90")
    assert not both(device, "turns", 3, threads, x, 3, 0)
    assert "this one's lacks 1 arrivals" in both(device, "turns", 1, threads, x, 3, 1)


WAIT = """
.visible .entry {name}(.param .u64 o, .param .u32 n) {{ .reg .b32 %t, %r, %n; .reg .b64 %w; .reg .pred %p, %q;
    .shared .align 8 .b64 bar; .shared .b32 flag;
    ld.param.u64 %w, [o]; ld.param.u32 %n, [n]; mov.u32 %t, %tid.x; setp.ne.u32 %p, %t, 0; mov.u32 %r, 0; @%p bra READY;
    mbarrier.init.shared.b64 [bar], %n; st.shared.u32 [flag], %r;
READY: bar.sync 0; mbarrier.arrive.shared.b64 _, [bar];
WAIT: {code} mbarrier.try_wait.parity.shared.b64 %p, [bar], 0; @!%p bra WAIT;
END: mad.wide.u32 %w, %t, 4, %w; st.global.u32 [%w], %r; ret; }}
"""
WAITS = "".join(
    WAIT.format(name=name, code=code)
    for name, code in [
        ("plain", ""),
        ("gives_up", "add.u32 %r, %r, 1; setp.eq.u32 %q, %r, 100; @%q bra END;"),
        ("counts", "add.u32 %r, %r, 1;"),
        ("looks", "ld.volatile.shared.u32 %r, [flag];"),
    ]
)


@pytest.mark.parametrize("threads", [1, 40])
@pytest.mark.parametrize("name", ["plain", "counts"])
def test_who_waits_for_what_nobody_completes_is_named(ptx, name, threads):
    device = ptx(WAITS)
    text = both(device, name, 3, threads, np.zeros(64, np.uint32), threads + 2)
    assert (
        "deadlock: all threads that can run wait for mbarriers that nobody completes; this one's lacks 2 arrivals"
        in text
    )
    assert "mbarrier.try_wait.parity" in text
    assert not both(device, "plain", 3, threads, np.zeros(64, np.uint32), threads)


def test_who_counts_to_give_up_does(ptx):
    out = np.zeros(64, np.uint32)
    device = ptx(WAITS)
    assert not both(device, "gives_up", 1, 40, out, 60)
    assert run(device, "native", "gives_up", 1, 40, out, 60) == ""
    assert (out[:40] == 100).all()


def test_who_looks_at_a_flag_as_well_stays_on_lanes(ptx):
    """Nothing of the launch has run before that is known."""
    device, out = ptx(WAITS), np.ones(64, np.uint32)
    assert run(device, "native", "looks", 1, 40, out, 40) == ""
    assert "waits for other threads in loops" in device.module.device_function("looks").native.refused
    assert not out[:40].any()


class Rung(BaseException):
    """What a signal raises: as KeyboardInterrupt, nothing that is caught as a mistake."""


def test_a_signal_stops_threads_that_wait(ptx, monkeypatch):
    def ring(*_):
        raise Rung

    device, out = ptx(WAITS), np.zeros(64, np.uint32)
    assert run(device, "native", "counts", 1, 40, out, 40) == ""
    assert not device.module.device_function("counts").native.refused
    monkeypatch.setattr("jitload.cpu.native.idleness._IDLE_STOPS", 1 << 60)
    before = signal.signal(signal.SIGALRM, ring)
    try:
        with jitload.configure(cpu_engine="native"):
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            with pytest.raises(Rung):
                device.run("counts", 1, 40, out, 60)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert run(device, "native", "counts", 1, 40, out, 40) == ""
