"""Barriers in shared memory, asynchronous copies, and grids that wait for all of their blocks."""

from __future__ import annotations

import numpy as np
import pytest

from jitload.errors import CpuFault

PIPELINE = """
#include <cuda/barrier>
#pragma nv_diag_suppress static_var_with_dynamic_init
using barrier = cuda::barrier<cuda::thread_scope_block>;
extern "C" __global__ void k(int *x, int rounds) {
    __shared__ barrier full; __shared__ int box[64];
    int t = threadIdx.x, n = blockDim.x;
    if (!t) init(&full, n);
    __syncthreads();
    for (int round = 0; round < rounds; round++) {
        box[t] = x[blockIdx.x * n + t];
        barrier::arrival_token token = full.arrive();
        int mine = t * round;
        full.wait(cuda::std::move(token));
        mine += box[(t + 1) % n];
        full.arrive_and_wait();
        x[blockIdx.x * n + t] = mine;
    }
}"""


@pytest.mark.parametrize("arch", ["compute_75", "compute_80", "compute_90"])
@pytest.mark.parametrize("threads", [32, 64, 41])
def test_block_barrier_of_the_library(cuda, arch, threads):
    x = np.random.default_rng(threads).integers(0, 1000, (3, threads)).astype(np.int32)
    want = x.copy()
    for step in range(5):
        want = np.arange(threads, dtype=np.int32) * step + np.roll(want, -1, axis=1)
    cuda(PIPELINE, "--std=c++17", arch=arch).run("k", 3, threads, x, 5)
    np.testing.assert_array_equal(x, want)


MBARRIER = """.visible .entry k(.param .u64 o) {{ .reg .b32 %t, %r<9>; .reg .b64 %w, %s<4>; .reg .pred %p, %q;
    .shared .align 8 .b64 bar;
    ld.param.u64 %w, [o]; mov.u32 %t, %tid.x; setp.ne.u32 %p, %t, 0; @%p bra READY;
    mbarrier.init.shared.b64 [bar], {count};
    READY: bar.sync 0; {code}
    st.global.b32 [%w], %r1; st.global.b32 [%w+4], %r2; st.global.b32 [%w+8], %r3; ret; }}"""


def test_phases_parity_and_pending_count(ptx):
    code = """mbarrier.arrive.shared.b64 %s0, [bar]; mbarrier.pending_count.b64 %r1, %s0;
    mbarrier.test_wait.shared.b64 %p, [bar], %s0; selp.b32 %r2, 1, 0, %p;
    mbarrier.arrive.release.cta.shared::cta.b64 %s1, [bar], 2; mbarrier.try_wait.shared.b64 %p, [bar], %s1; selp.b32 %r3, 10, 0, %p;
    mbarrier.test_wait.parity.shared.b64 %p, [bar], 0; selp.b32 %r4, 100, 0, %p; add.u32 %r3, %r3, %r4;
    mbarrier.try_wait.parity.shared.b64 %p, [bar], 1, 1000; selp.b32 %r4, 1000, 0, %p; add.u32 %r3, %r3, %r4;
    mbarrier.arrive_drop.shared.b64 _, [bar]; mbarrier.arrive.noComplete.shared.b64 %s2, [bar], 1;
    mbarrier.arrive.shared.b64 _, [bar]; mbarrier.arrive.shared.b64 %s2, [bar], 2;
    mbarrier.test_wait.shared.b64 %p, [bar], %s2; selp.b32 %r4, 10000, 0, %p; add.u32 %r3, %r3, %r4; mbarrier.inval.shared.b64 [bar];"""
    out = np.zeros(3, np.uint32)
    ptx(MBARRIER.format(count=3, code=code)).run("k", 1, 1, out)
    assert out.tolist() == [3, 0, 10 + 100 + 10000]


@pytest.mark.parametrize(("count", "code", "text"), [
    (0, "", "0 arrivals"),
    (2, "mbarrier.arrive.shared.b64 _, [bar], 3;", "3 arrivals at an mbarrier that waits for 2 more"),
])  # fmt: skip
def test_wrong_counts(ptx, count, code, text):
    with pytest.raises(CpuFault, match=text):
        ptx(MBARRIER.format(count=count, code=code)).run("k", 1, 1, np.zeros(3, np.uint32))


def test_transactions_are_refused_by_name(ptx):
    code = "mbarrier.arrive.expect_tx.shared.b64 %s0, [bar], 16;"
    with pytest.raises(CpuFault, match=r"bulk copies \(TMA\)"):
        ptx(MBARRIER.format(count=1, code=code)).module.device_function("k")


def test_asynchronous_copies_arrive(ptx):
    """The address registers are read blocks after they were written; the guard holds for every lane by itself."""
    text = """.visible .entry k(.param .u64 x, .param .u64 y, .param .u64 o) { .reg .b32 %t, %a, %v; .reg .b64 %x, %o, %s; .reg .pred %p, %q;
        .shared .align 16 .b32 box[64]; .shared .align 8 .b64 bar;
        ld.param.u64 %x, [x]; ld.param.u64 %o, [o]; mov.u32 %t, %tid.x; mad.wide.u32 %x, %t, 4, %x; mad.wide.u32 %o, %t, 4, %o;
        mov.u32 %a, box; mad.lo.u32 %a, %t, 4, %a; setp.eq.u32 %p, %t, 0;
        @%p mbarrier.init.shared.b64 [bar], 64;
        bar.sync 0; mov.u32 %v, 7; st.shared.b32 [%a], %v; and.b32 %v, %t, 1; setp.eq.u32 %q, %v, 0; bar.sync 0;
        @%q cp.async.ca.shared.global [%a], [%x], 4;
        cp.async.mbarrier.arrive.shared.b64 [bar]; cp.async.mbarrier.arrive.noinc.shared.b64 [bar];
        WAIT: mbarrier.test_wait.parity.shared.b64 %p, [bar], 0; @!%p bra WAIT;
        ld.shared.b32 %v, [%a]; st.global.b32 [%o], %v; ret; }"""
    x, out = np.arange(64, dtype=np.uint32) + 100, np.zeros(64, np.uint32)
    ptx(text).run("k", 1, 64, x, 0, out)
    np.testing.assert_array_equal(out, np.where(np.arange(64) % 2, 7, x))


GRID = """
#include <cooperative_groups.h>
namespace cg = cooperative_groups;
extern "C" __global__ void k(int *x, int rounds) {
    cg::grid_group grid = cg::this_grid();
    int i = grid.thread_rank(), n = grid.size();
    for (int round = 0; round < rounds; round++) {
        int next = x[(i + 97) % n];
        grid.sync();
        x[i] += next;
        grid.sync();
    }
}"""


@pytest.mark.parametrize("arch", ["compute_75", "compute_90"])
def test_grid_waits_for_all_of_its_blocks(cuda, arch, monkeypatch):
    """Also when the blocks do not fit into one batch."""
    monkeypatch.setattr("jitload.cpu.function.SPINNING_BATCH_LANES", 128)
    x = np.arange(7 * 64, dtype=np.int32)
    want = x.copy()
    for _ in range(3):
        want = want + np.roll(want, -97)
    device = cuda(GRID, arch=arch)
    device.run("k", 7, 64, x, 3, cooperative=True)
    np.testing.assert_array_equal(x, want)
    with pytest.raises(CpuFault, match="trap"):  # as on a GPU: the launch was not cooperative
        device.run("k", 7, 64, x, 1)
