"""Clusters of several thread blocks: who is where, each other's shared memory, and the barrier of the cluster."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import jitload
from jitload.errors import CpuFault, LaunchError

KERNELS = Path(__file__).with_name("clusters.cu").read_text()


@pytest.fixture
def kernels(cuda, checked_too):
    """What clusters.cu holds; every test runs with the checks too, which say nothing of what is right."""
    return cuda(KERNELS, arch="compute_90")


@pytest.mark.parametrize(
    ("grid", "cluster"),
    [((8, 6, 2), (2, 3, 1)), ((4, 4, 4), (1, 2, 4)), ((6, 1, 1), (6, 1, 1)), ((2, 5, 1), (1, 1, 1)), ((3, 2, 1), None)],
)
@pytest.mark.parametrize("threads", [32, 200])
def test_special_registers_say_where_a_block_is(kernels, grid, cluster, threads):
    """By hand: clusters and blocks in them are counted x first, and the launch has its blocks where it says."""
    out = np.zeros((grid[2], grid[1], grid[0], 16), np.uint32)
    kernels.run("places", grid, threads, out, cluster=cluster)
    dims = np.array(cluster or (1, 1, 1))
    rank_weights = np.array([1, dims[0], dims[0] * dims[1]])
    for z, y, x in np.ndindex(out.shape[:3]):
        block = np.array([x, y, z])
        rank = int((block % dims) @ rank_weights)
        want = [*(np.array(grid) // dims), *(block // dims), *(block % dims), *dims]
        want += [rank, dims.prod(), cluster is not None, rank * threads + threads - 1]
        assert out[z, y, x].tolist() == want


@pytest.mark.parametrize(("cluster", "steps"), [(4, 5), (8, 3), (16, 1), (1, 2)])
def test_numbers_go_around_a_ring(kernels, cluster, steps):
    x = np.random.default_rng(cluster).integers(0, 1000, (2, cluster, 128)).astype(np.int32)
    out = np.zeros_like(x)
    kernels.run("ring", 2 * cluster, 128, x, out, steps, cluster=cluster)
    np.testing.assert_array_equal(out, np.roll(x, -steps, axis=1) + steps)


@pytest.mark.parametrize(("cluster", "count"), [(2, 100), (4, 1000), (8, 8)])
def test_a_histogram_in_the_memory_of_a_cluster(kernels, cluster, count):
    values = np.random.default_rng(count).integers(0, 2**32, 3000, dtype=np.uint32)
    bins = np.zeros(count, np.uint32)
    kernels.run("histogram", 8, 96, values, len(values), bins, count, cluster=cluster, shared=-(-count // cluster) * 4)
    np.testing.assert_array_equal(bins, np.bincount(values % count, minlength=count))


def test_a_reduction_over_the_blocks_of_a_row(kernels):
    x = np.random.default_rng(5).standard_normal((3, 1000)).astype(np.float32)
    out = np.zeros(3, np.float32)
    kernels.run("row_sums", (4, 3), 64, x, out, 1000, cluster=(4, 1))
    np.testing.assert_allclose(out, x.sum(axis=1), atol=1e-3)


def test_a_softmax_over_several_blocks(kernels):
    x = np.random.default_rng(6).standard_normal((3, 1111)).astype(np.float32) * 4
    y = np.zeros_like(x)
    kernels.run("softmax", (2, 3), 96, x, y, 1111, cluster=(2, 1))
    e = np.exp(x - x.max(axis=1, keepdims=True))
    np.testing.assert_allclose(y, e / e.sum(axis=1, keepdims=True), rtol=1e-4)


FIXED = """
extern "C" __global__ void __cluster_dims__(2, 3) pair(int *y) { atomicAdd(y, 1); }
extern "C" __global__ void __cluster_dims__() some(int *y) { atomicAdd(y, 1); }
extern "C" __global__ void any(int *y) { atomicAdd(y, 1); }
"""


@pytest.mark.parametrize(
    ("name", "grid", "cluster", "blocks"),
    [("pair", (4, 3), None, 12), ("pair", (4, 6), (2, 3), 24), ("any", (6, 2), (3, 1), 12), ("any", 16, 16, 16)],
)
def test_launches_with_clusters(cuda, name, grid, cluster, blocks):
    count = np.zeros(1, np.int32)
    cuda(FIXED, arch="compute_90").run(name, grid, 1, count, cluster=cluster)
    assert count[0] == blocks


@pytest.mark.parametrize(
    ("name", "grid", "cluster", "why"),
    [
        ("pair", (4, 4), None, r"grid \(4, 4, 1\) is not a multiple of cluster \(2, 3, 1\)"),
        ("pair", (4, 3), (4, 1), r"cluster \(4, 1, 1\), its code says \(2, 3, 1\)"),
        ("any", 34, 17, r"cluster \(17, 1, 1\) has 17 blocks, 1 to 16 are possible"),
        ("any", (3, 4), (3, 8), "has 24 blocks"),
        ("any", 5, 2, "is not a multiple"),
        ("some", 4, None, "it runs in clusters only"),
    ],
)
def test_clusters_that_no_launch_can_have(cuda, name, grid, cluster, why):
    with pytest.raises(LaunchError, match=why):
        cuda(FIXED, arch="compute_90").run(name, grid, 1, np.zeros(1, np.int32), cluster=cluster)


#: Blocks of 32 threads: block r writes into block r + 1 of its cluster, whose mbarrier says when all is there.
SEND = """.visible .entry k(.param .u64 x, .param .u64 y) {{
    .reg .b32 %t, %b, %i, %n, %r, %v, %here, %there, %near, %far, %u; .reg .b64 %x, %y, %s, %g, %h; .reg .pred %p, %q;
    .shared .align 16 .b32 box[32]; .shared .align 16 .b32 out[32]; .shared .align 8 .b64 bar;
    ld.param.u64 %x, [x]; ld.param.u64 %y, [y]; mov.u32 %t, %tid.x; mov.u32 %b, %ctaid.x; mad.lo.u32 %i, %b, 32, %t;
    mad.wide.u32 %x, %i, 4, %x; mad.wide.u32 %y, %i, 4, %y; ld.global.b32 %v, [%x];
    mov.u32 %n, %cluster_nctarank; mov.u32 %r, %cluster_ctarank; add.u32 %r, %r, 1; rem.u32 %r, %r, %n;
    mov.u32 %here, box; mad.lo.u32 %here, %t, 4, %here; mapa.shared::cluster.u32 %there, %here, %r;
    mov.u32 %near, bar; mapa.shared::cluster.u32 %far, %near, %r;
    st.shared.b32 [%here], 1000; mov.u32 %u, out; mad.lo.u32 %u, %t, 4, %u; st.shared.b32 [%u], %v;
    setp.ne.u32 %p, %t, 0; @%p bra READY; mbarrier.init.shared.b64 [bar], {count}; {expect}
    fence.mbarrier_init.release.cluster;
    READY: barrier.cluster.arrive.release.aligned; barrier.cluster.wait.acquire.aligned; {send}
    WAIT: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %q, [bar], 0; @!%q bra WAIT;
    ld.shared.b32 %v, [%here]; st.global.b32 [%y], %v;
    barrier.cluster.arrive.relaxed.aligned; barrier.cluster.wait.aligned; ret; }}"""
_EXPECT = "mbarrier.arrive.expect_tx.shared::cta.b64 %s, [bar], 128;"


@pytest.mark.usefixtures("checked_too")
@pytest.mark.parametrize(
    ("count", "expect", "send", "adds"),
    [
        (32, "", "st.shared::cluster.b32 [%there], %v; mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%far];", 0),
        (1, _EXPECT, "st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [%there], %v, [%far];", 0),
        (1, _EXPECT, "red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.u32 [%there], %v, [%far];", 1000),
        (1, _EXPECT, "@%p bra WAIT; mov.u32 %u, out; cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%there], [%u], 128, [%far];", 0),
        (32, "", "cvt.u64.u32 %g, %here; cvta.shared.u64 %g, %g; mapa.u64 %g, %g, %r; red.add.u32 [%g], %v; mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%far], 1;", 1000),
        (32, "", "atom.shared::cluster.cas.b32 %u, [%there], 1000, %v; mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%far];", 0),
    ],
    ids=["store", "st.async", "red.async", "bulk", "generic", "atom"],
)  # fmt: skip
def test_what_one_block_sends_another_waits_for(ptx, count, expect, send, adds):
    x = np.random.default_rng(count).integers(0, 10**6, (2, 4, 32)).astype(np.uint32)
    y = np.zeros_like(x)
    ptx(SEND.format(count=count, expect=expect, send=send)).run("k", 8, 32, x, y, cluster=4)
    np.testing.assert_array_equal(y, np.roll(x, 1, axis=1) + adds)


ADDRESSES = """.visible .entry k(.param .u64 o) { .reg .b32 %t, %b, %a, %v, %n; .reg .b64 %o, %g, %h; .reg .pred %p, %q;
    .shared .align 4 .b32 box[4]; ld.param.u64 %o, [o]; mov.u32 %b, %cluster_ctarank; mad.wide.u32 %o, %b, 32, %o;
    mov.u32 %n, 1; mapa.shared::cluster.u32 %a, box, %n; getctarank.shared::cluster.u32 %v, %a; st.global.b32 [%o], %v;
    mov.u64 %g, box; cvta.shared.u64 %g, %g; getctarank.u64 %v, %g; st.global.b32 [%o+4], %v;
    mapa.u64 %h, %g, 1; getctarank.u64 %v, %h; st.global.b32 [%o+8], %v;
    isspacep.shared %p, %h; isspacep.shared::cluster %q, %h; selp.b32 %v, 1, 0, %p; selp.b32 %n, 2, 0, %q; or.b32 %v, %v, %n; st.global.b32 [%o+12], %v;
    isspacep.shared::cta %p, %g; isspacep.shared::cluster %q, %o; selp.b32 %v, 1, 0, %p; selp.b32 %n, 2, 0, %q; or.b32 %v, %v, %n; st.global.b32 [%o+16], %v;
    mapa.shared::cluster.u32 %a, box, %b; add.u32 %v, %b, 50; st.shared.b32 [%a+4], %v; ld.shared::cluster.b32 %v, [box+4]; st.global.b32 [%o+20], %v;
    mapa.shared::cluster.u32 %a, %a, 0; getctarank.shared::cluster.u32 %v, %a; st.global.b32 [%o+24], %v;
    barrier.cluster.arrive; barrier.cluster.wait; ret; }"""


def test_addresses_say_whose_memory_they_mean(ptx):
    """By hand: `mapa`, `getctarank` and `isspacep` of both kinds of addresses, and a block's own by its rank."""
    out = np.zeros((2, 8), np.uint32)
    ptx(ADDRESSES).run("k", 2, 1, out, cluster=2)
    assert out.tolist() == [[1, 0, 1, 2, 1, 50, 0, 0], [1, 1, 1, 3, 1, 51, 0, 0]]


def test_threads_of_one_access_may_mean_different_blocks_and_spaces(cuda):
    code = """extern "C" __global__ void k(int *x, int *y) {
        __shared__ int box[32]; int t = threadIdx.x; box[t] = 100 * __clusterRelativeBlockRank() + t;
        __cluster_barrier_arrive(); __cluster_barrier_wait();
        int *from = t % 4 == 3 ? x : (int *)__cluster_map_shared_rank(box, t % 3);
        y[blockIdx.x * 32 + t] = from[t]; __cluster_barrier_arrive(); __cluster_barrier_wait(); }"""
    y = np.zeros((3, 32), np.int32)
    cuda(code, arch="compute_90").run("k", 3, 32, np.arange(32, dtype=np.int32) - 50, y, cluster=3)
    t = np.arange(32)
    np.testing.assert_array_equal(y, np.broadcast_to(np.where(t % 4 == 3, t - 50, t % 3 * 100 + t), (3, 32)))


#: A kernel with a mistake in it: {body} stands where the blocks of a cluster meet.
MISTAKE = """
struct Cluster {{  // what cooperative_groups::this_cluster() has, without its header
    __device__ unsigned block_rank() {{ return __clusterRelativeBlockRank(); }}
    __device__ unsigned num_blocks() {{ return __clusterSizeInBlocks(); }}
    __device__ void barrier_arrive() {{ __cluster_barrier_arrive(); }}
    __device__ void barrier_wait() {{ __cluster_barrier_wait(); }}
    __device__ void sync() {{ barrier_arrive(); barrier_wait(); }}
    __device__ int *map_shared_rank(int *p, unsigned rank) {{ return (int *)__cluster_map_shared_rank(p, rank); }}
}};
extern "C" __global__ void k(int *y) {{
    Cluster cluster; __shared__ int box[32], flag; volatile int *seen = &flag;
    int t = threadIdx.x, rank = cluster.block_rank(); if (!t) flag = 0; box[t] = t;
    {body}
}}"""
_LEFT = "int *other = cluster.map_shared_rank(box, (rank + 1) % cluster.num_blocks());"


def run_mistake(cuda, body, *, threads=32, blocks=4):
    y = np.zeros(256, np.int32)
    cuda(MISTAKE.format(body=body), "-lineinfo", arch="compute_90").run("k", blocks, threads, y, cluster=blocks)
    return y


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (f"cluster.sync(); {_LEFT} y[rank * 32 + t] = other[t];", r"shared memory of block \(.*which ends without waiting for that"),
        (f"cluster.sync(); {_LEFT} if (!rank) y[t] = other[t];", r"block \(0, 0, 0\): shared memory of block \(1, 0, 0\), which ends without"),
        (f"cluster.sync(); if (rank == 1) return; if (!rank) for (int i = 0; i < 9; i++) {{ {_LEFT} y[t] += ((volatile int*)other)[t]; }}", r"shared memory of block \(1, 0, 0\), which (has ended|ends)"),
        (f"{_LEFT} cluster.sync(); cluster.barrier_arrive(); other[t] = 1;", "which ends without"),
    ],
    ids=["all read", "one reads", "early end", "arrives only"],
)  # fmt: skip
def test_a_block_that_ends_while_others_use_its_memory(cuda, body, what):
    with pytest.raises(CpuFault, match=what) as caught:
        run_mistake(cuda, body)
    assert "cluster.sync() before the end" in str(caught.value)
    assert "kernel.cu:13" in caught.value.cuda_line


@pytest.mark.parametrize(
    "body",
    [
        f"cluster.sync(); {_LEFT} y[rank * 32 + t] = other[t]; cluster.sync();",
        f"cluster.sync(); {_LEFT} if (rank == 3) atomicExch(cluster.map_shared_rank(&flag, 0), 1); if (!rank) while (!*seen); cluster.sync();",
        f"cluster.sync(); {_LEFT} if (rank == 3) {{ y[t] = other[t]; __syncwarp(); if (!t) {{ __threadfence(); atomicAdd(cluster.map_shared_rank(&flag, 0), 1); }} }} if (!rank) while (!*seen);",
    ],
    ids=["barrier", "spin", "flag"],
)  # fmt: skip
def test_a_block_that_knows_that_others_are_done_may_end(cuda, body):
    run_mistake(cuda, body)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("if (rank) { cluster.sync(); } else { while (t >= 0) { __syncthreads(); if (box[t] == t) break; } __syncwarp(); asm volatile(\"barrier.cluster.wait;\"); }", "barrier.cluster.wait without a barrier.cluster.arrive before it"),
        ("cluster.barrier_arrive(); cluster.barrier_arrive();", "barrier.cluster.arrive for the second time without a barrier.cluster.wait"),
        ("if (rank == 1 && t < 16) asm volatile(\"bar.sync 1, 64;\"); else cluster.sync();", "(deadlock|divergence).* reach the barrier.*others wait at 'barrier.cluster.wait"),
        ("if (t < 16) { asm volatile(\"barrier.cluster.arrive.aligned;\"); y[t] = 1; } else asm volatile(\"barrier.cluster.arrive.aligned;\"); asm volatile(\"barrier.cluster.wait.aligned;\");", "barrier divergence: other threads of the warp arrive at 'barrier.cluster.arrive.aligned"),
        ("cluster.sync(); y[t] = cluster.map_shared_rank(box, rank + 1)[t]; cluster.sync();", r"block \(3, 0, 0\): thread block 4 of a cluster that has 4 blocks"),
        (f"cluster.sync(); {_LEFT} other[t + 32 * rank] = 1; cluster.sync();", r"out of bounds of the shared memory of block \(\d, 0, 0\).*in block \(\d, 0, 0\)"),
        (f"cluster.sync(); {_LEFT} asm volatile(\"st.shared.u32 [%0], %1;\" :: \"r\"((unsigned)__cvta_generic_to_shared(other)), \"r\"(t) : \"memory\"); cluster.sync();", r"rank \d in the cluster, whose shared memory .shared::cluster and generic addresses reach"),
    ],
    ids=["wait alone", "arrive twice", "stuck", "divergence", "rank", "bounds", "own space"],
)  # fmt: skip
def test_mistakes_are_named(cuda, body, what):
    with pytest.raises(CpuFault, match=what):
        run_mistake(cuda, body)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (f"{_LEFT} y[rank * 32 + t] = other[t]; cluster.sync();", "race"),
        (f"cluster.sync(); {_LEFT} other[t] = 7; __syncthreads(); y[rank * 32 + t] = box[t]; cluster.sync();", "race"),
        (f"cluster.sync(); {_LEFT} cluster.barrier_arrive(); other[t] = 7; cluster.barrier_wait(); y[t] = box[t]; cluster.sync();", "race"),
        (f"{_LEFT} asm volatile(\"barrier.cluster.arrive.relaxed; barrier.cluster.wait;\" ::: \"memory\"); y[t + 32 * rank] = other[t]; cluster.sync();", "race"),
    ],
    ids=["no sync before", "block barrier", "between arrive and wait", "relaxed"],
)  # fmt: skip
def test_races_within_a_cluster(cuda, body, what):
    with jitload.configure(cpu_check="race"), pytest.raises(CpuFault, match=what):
        run_mistake(cuda, body)


def test_an_access_before_the_other_block_has_begun(cuda):
    body = f"{_LEFT} other[t] = t; cluster.sync();"
    assert not run_mistake(cuda, body).any()
    what = r"writes shared memory of block \(1, 0, 0\), and nothing says that the block has begun"
    with jitload.configure(cpu_check="race"), pytest.raises(CpuFault, match=what):
        run_mistake(cuda, body)


def test_a_read_of_what_no_block_wrote(cuda):
    body = "__shared__ int unset[32]; cluster.sync(); y[t] = cluster.map_shared_rank(unset, 3)[t]; cluster.sync();"
    with jitload.configure(cpu_check="init"), pytest.raises(CpuFault, match=r"uninitialised.*shared memory of block"):
        run_mistake(cuda, body)


def test_a_profile_tells_memory_of_other_blocks_from_the_own(kernels):
    x = np.zeros(512, np.int32)
    with jitload.cpu_profile() as profile:
        kernels.run("ring", 4, 128, x, x, 3, cluster=4)
    ring = profile.kernel("ring")
    assert (ring.memory("cluster", "load").requests, ring.memory("cluster", "load").bytes) == (4 * 4 * 3, 4 * 512 * 3)
    assert (ring.memory("shared", "load").requests, ring.memory("shared", "store").requests) == (16, 16 * 4)


@pytest.mark.usefixtures("checked_too")
def test_a_relaxed_arrival_behind_a_fence_orders(cuda):
    body = f"__threadfence(); asm volatile(\"barrier.cluster.arrive.relaxed; barrier.cluster.wait;\" ::: \"memory\"); {_LEFT} y[t + 32 * rank] = other[t]; cluster.sync();"  # fmt: skip
    y = run_mistake(cuda, body)
    assert y[:128].tolist() == [*range(32)] * 4
