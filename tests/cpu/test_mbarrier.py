"""Barriers in shared memory, asynchronous copies, and grids that wait for all of their blocks."""

from __future__ import annotations

import numpy as np
import pytest

from jitload.errors import CpuFault, LaunchError

pytestmark = pytest.mark.usefixtures("checked_too")

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


def test_transactions_hold_a_phase_open(ptx):
    """Bytes may come before they are expected; an arrival may bring what it expects."""
    tested = "mbarrier.test_wait.shared.b64 %p, [bar], %s0; selp.b32 %r4, {}, 0, %p; add.u32 %r1, %r1, %r4;"
    code = f"""mov.u32 %r1, 0; mov.u32 %r2, 0; mov.u32 %r3, 0;
    mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [bar], 48;
    mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 %s0, [bar], 64; {tested.format(1)}
    mbarrier.pending_count.b64 %r2, %s0;
    mbarrier.arrive.shared.b64 _, [bar]; {tested.format(10)}
    mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [bar], 16;
    mbarrier.complete_tx.relaxed.cluster.shared::cluster.b64 [bar], 16; {tested.format(100)}
    mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [bar], 16; {tested.format(1000)}
    mbarrier.arrive_drop.expect_tx.relaxed.cta.shared::cta.b64 %s0, [bar], 8; mbarrier.arrive.shared::cluster.b64 _, [bar];
    {tested.format(10000)} mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [bar], 8; {tested.format(100000)}
    mbarrier.arrive.shared.b64 %s0, [bar]; mbarrier.pending_count.b64 %r3, %s0; {tested.format(1000000)}"""
    out = np.zeros(3, np.uint32)
    ptx(MBARRIER.format(count=2, code=code)).run("k", 1, 1, out)
    assert out.tolist() == [1101000, 2, 1]


BULK = """.visible .entry k(.param .u64 x, .param .u64 y, .param .u64 n) { .reg .b32 %t, %n, %r, %v; .reg .b64 %x, %y, %w; .reg .pred %p;
    .shared .align 16 .b8 box[512]; .shared .align 16 .b8 second[512]; .shared .align 8 .b64 bar;
    ld.param.u64 %x, [x]; ld.param.u64 %y, [y]; ld.param.u64 %w, [n]; mov.u32 %t, %tid.x; mov.u32 %r, %ctaid.x;
    mad.wide.u32 %x, %r, 512, %x; mad.wide.u32 %y, %r, 512, %y; mad.wide.u32 %w, %r, 4, %w; ld.global.u32 %n, [%w];
    setp.ne.u32 %p, %t, 0; @%p bra READY;
    mbarrier.init.shared.b64 [bar], 1; mov.u32 %r, box; st.bulk.weak.shared::cta [%r], 512, 0; mov.u32 %r, second; st.bulk.weak.shared::cta [%r], 512, 0;
    READY: bar.sync 0; @%p bra WAIT;
    cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [box], [%x], %n, [bar];
    mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], %n;
    WAIT: mbarrier.try_wait.parity.shared.b64 %p, [bar], 0; @!%p bra WAIT;
    mov.u32 %r, %tid.x; setp.ne.u32 %p, %r, 0; @%p bra SECOND; mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], 512;
    cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [second], [box], 512, [bar];
    SECOND: mbarrier.try_wait.parity.shared.b64 %p, [bar], 1; @!%p bra SECOND;
    mul.lo.u32 %r, %t, 4; mov.u32 %v, second; add.u32 %r, %r, %v; ld.shared.b32 %v, [%r]; add.u32 %v, %v, 1; st.shared.b32 [%r], %v;
    bar.sync 0; setp.ne.u32 %p, %t, 0; @%p bra END;
    cp.async.bulk.global.shared::cta.bulk_group [%y], [second], 512; cp.async.bulk.commit_group; cp.async.bulk.wait_group.read 0;
    END: ret; }"""


def test_bulk_copies(ptx):
    """There, on, and back; every block has its own size."""
    x = np.random.default_rng(0).integers(0, 2**31, (5, 128)).astype(np.uint32)
    sizes = np.array([512, 16, 0, 256, 496], np.uint32)
    y = np.zeros_like(x)
    ptx(BULK).run("k", 5, 128, x, y, sizes)
    np.testing.assert_array_equal(y, np.where(np.arange(128) < sizes[:, None] // 4, x, 0) + 1)
    with pytest.raises(CpuFault, match="a bulk copy of 612 bytes"):
        ptx(BULK).run("k", 5, 128, x, y, sizes + 100)


SEVERAL_SPACES = """.visible .entry k(.param .u64 x) {{ .reg .b32 %t; .reg .b64 %x, %w, %s; .reg .pred %p;
    .shared .align 16 .b8 box[64]; ld.param.u64 %x, [x]; mov.u64 %w, box; cvta.shared.u64 %w, %w;
    mov.u32 %t, %tid.x; setp.eq.u32 %p, %t, 0; selp.b64 %w, %w, %x, %p; {code} ret; }}"""


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("st.bulk.weak [%w], 16, 0;", "st.bulk to addresses of several state spaces"),
        ("mbarrier.arrive.b64 %s, [%w];", "an mbarrier outside shared memory"),
    ],
    ids=["st.bulk", "mbarrier"],
)
def test_what_takes_shared_memory_refuses_addresses_of_several_spaces(ptx, code, what):
    with pytest.raises(CpuFault, match=what):
        ptx(SEVERAL_SPACES.format(code=code)).run("k", 1, 32, np.zeros(64, np.uint32))


LIBRARY_COPIES = """
#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
#include <cuda/barrier>
#pragma nv_diag_suppress static_var_with_dynamic_init
namespace cg = cooperative_groups;
extern "C" __global__ void k(const int *x, int *y) {
    __shared__ alignas(16) int box[256];
    __shared__ cuda::barrier<cuda::thread_scope_block> bar;
    if (!threadIdx.x) init(&bar, blockDim.x);
    __syncthreads();
    auto block = cg::this_thread_block();
    cuda::memcpy_async(block, box, x + 256 * blockIdx.x, cuda::aligned_size_t<16>(1024), bar);
    bar.arrive_and_wait();
    y[256 * blockIdx.x + threadIdx.x] = box[255 - threadIdx.x];
    __syncthreads();
    cg::memcpy_async(block, box, x, 1024);
    cg::wait(block);
    y[256 * blockIdx.x + threadIdx.x] += box[threadIdx.x];
}
#if __CUDA_ARCH__ >= 900
extern "C" __global__ void cluster(int *y) {
    auto group = cg::this_cluster();
    __shared__ int box[64];
    box[threadIdx.x] = blockIdx.x * 1000 + threadIdx.x;
    group.sync();
    const int *other = group.map_shared_rank(box, group.block_rank());
    y[blockIdx.x * 64 + threadIdx.x] = other[63 - threadIdx.x] + 100000 * group.num_blocks() + group.query_shared_rank(other);
    group.sync();
}
#endif
"""


@pytest.mark.parametrize("arch", ["compute_80", "compute_90"])
def test_copies_of_the_library(cuda, arch):
    """For compute_90 they are bulk copies."""
    device = cuda(LIBRARY_COPIES, "--std=c++17", arch=arch)
    assert (b"cp.async.bulk" in device.ptx) == (arch == "compute_90")
    x = np.random.default_rng(1).integers(0, 2**30, (3, 256)).astype(np.int32)
    y = np.zeros_like(x)
    device.run("k", 3, 256, x, y)
    np.testing.assert_array_equal(y, x[:, ::-1] + x[0])


def test_without_clusters_each_block_is_one(cuda):
    device = cuda(LIBRARY_COPIES, "--std=c++17", arch="compute_90")
    y = np.zeros((3, 64), np.int32)
    device.run("cluster", 3, 64, y)
    np.testing.assert_array_equal(y, np.arange(3)[:, None] * 1000 + np.arange(63, -1, -1) + 100000)


def test_asynchronous_stores_tell_the_barrier(ptx):
    code = """mov.u32 %r1, 0; mov.u32 %r2, 5; mov.u32 %r3, 6; .shared .align 8 .b8 box[8]; mov.u32 %r4, box; mov.u32 %r5, bar;
    mbarrier.arrive.expect_tx.shared::cta.b64 %s0, [bar], 8;
    st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v2.b32 [%r4], {{%r2, %r3}}, [%r5];
    mbarrier.test_wait.shared.b64 %p, [bar], %s0; selp.b32 %r1, 1, 0, %p; ld.shared.v2.b32 {{%r3, %r2}}, [%r4];"""
    out = np.zeros(3, np.uint32)
    ptx(MBARRIER.format(count=1, code=code.replace("{{", "{").replace("}}", "}"))).run("k", 1, 1, out)
    assert out.tolist() == [1, 6, 5]


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
    with pytest.raises(LaunchError, match="cooperative=True"):
        device.run("k", 7, 64, x, 1)


LARGE_TILES = """
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
namespace cg = cooperative_groups;
extern "C" __global__ void k(const int *x, int *y) {
    __shared__ int box[128];
    box[threadIdx.x] = x[blockIdx.x * 128 + threadIdx.x];
    auto tile = cg::tiled_partition<64>(cg::this_thread_block());
    tile.sync();
    const int next = box[tile.meta_group_rank() * 64 + (tile.thread_rank() + 1) % 64];
    y[blockIdx.x * 128 + threadIdx.x] = cg::reduce(tile, next, cg::plus<int>()) + tile.thread_rank();
}"""


@pytest.mark.parametrize("option", ["-G", "-lineinfo"])
def test_tiles_of_several_warps_meet_in_reserved_shared_memory(cuda, option):
    x = np.random.default_rng(1).integers(0, 1000, (3, 2, 64)).astype(np.int32)
    y = np.zeros_like(x)
    device = cuda(LARGE_TILES, "--std=c++17", option, arch="compute_80")
    assert b"reserved_smem_offset_1" in device.ptx
    device.run("k", 3, 128, x, y)
    np.testing.assert_array_equal(y, x.sum(2, keepdims=True) + np.arange(64))
