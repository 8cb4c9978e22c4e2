"""Clusters of several thread blocks: who is where, each other's shared memory, and the barrier of the cluster."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jitload.errors import LaunchError

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
