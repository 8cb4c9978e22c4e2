"""`launch` takes what cuda.core's takes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import jitload
from jitload.interop.cuda_core_launch import launch

TEXT = "__global__ void add(int *x, int by) { extern __shared__ int s[]; atomicAdd(x + blockIdx.x, by); }"


def configuration(**fields):
    """The fields of cuda.core's `LaunchConfig` in its releases."""
    return SimpleNamespace(**{"cluster": None, "shmem_size": None, "is_cooperative": False, **fields})


@pytest.fixture
def add():
    with jitload.configure(device="cpu"):
        yield jitload.compile(TEXT, names=["add"]).load()["add"]


@pytest.mark.parametrize(
    "given",
    [
        configuration(grid=(2, 1, 1), block=(4, 1, 1)),
        configuration(grid=2, block=4, shmem_size=64),
        SimpleNamespace(grid=(2,), block=(4,), cluster=None, shmem_size=0, cooperative_launch=True),
    ],
    ids=["full", "plain numbers", "cooperative"],
)
def test_grid_block_and_shared_memory_are_those_of_the_configuration(add, given):
    x = np.zeros(2, np.int32)
    launch(None, given, add, x, 3)
    np.testing.assert_array_equal(x, [12, 12])


def test_a_declared_kernel_too():
    @jitload.jit_kernel(source=TEXT)
    def add(x, by): ...

    x = np.zeros(1, np.int32)
    with jitload.configure(device="cpu"):
        launch(None, configuration(grid=1, block=5), add, x, 2)
    assert x[0] == 10


def test_with_a_cluster_the_grid_counts_clusters_there(add, monkeypatch):
    seen = {}
    monkeypatch.setattr(type(add), "__call__", lambda self, *args, **options: seen.update(options))
    launch(7, configuration(grid=(3, 2), block=4, cluster=(2, 1, 1)), add, 0, 1)
    assert seen["grid"] == (6, 2, 1)
    assert seen["cluster"] == (2, 1, 1)
    assert seen["stream"] == 7


def test_something_else_is_refused(add):
    with pytest.raises(jitload.UsageTypeError, match="takes a kernel of jitload, got function"):
        launch(None, configuration(grid=1, block=1), lambda: None)
    with pytest.raises(jitload.UsageTypeError, match="LaunchConfig with grid and block, got int"):
        launch(None, 256, add)
    with pytest.raises(jitload.LaunchError):
        launch(None, configuration(grid=1, block=4096), add, 0, 1)
