"""Launches that need the whole grid at once: what a GPU refuses is refused here, at once, and what it runs is run."""

from __future__ import annotations

import time

import numpy as np
import pytest

import jitload
from jitload.cpu.limits import SMS, resident_blocks

SOURCE = """
#include <cooperative_groups.h>
namespace cg = cooperative_groups;
extern "C" __global__ void always(int *x) { auto g = cg::this_grid(); atomicAdd(x, 1); g.sync(); x[1] = x[0]; }
extern "C" __global__ void first(int *x, int n) {
    auto g = cg::this_grid();
    for (int i = 0; i < n; i++) atomicAdd(x, i);
    g.sync();
    if (n > 2) x[1] = x[0];
}
extern "C" __global__ void asks(int *x) { auto g = cg::this_grid(); if (g.is_valid()) g.sync(); x[0] = 7; }
extern "C" __global__ void counts(int *x) { auto g = cg::this_grid(); x[g.thread_rank()] = g.size(); }
extern "C" __global__ void sometimes(int *x, int n) { auto g = cg::this_grid(); x[0] = 5; if (n > 3) g.sync(); x[1] = 6; }
extern "C" __global__ void loops(int *x, int n) { auto g = cg::this_grid(); for (int i = 0; i < n; i++) { x[i] = i; g.sync(); } }
extern "C" __global__ void leaves(int *x, int n) { if (threadIdx.x >= n) return; x[0] = 5; cg::this_grid().sync(); }
__device__ __noinline__ void meet(const cg::grid_group &g) { g.sync(); }
extern "C" __global__ void calls(int *x) { auto g = cg::this_grid(); x[0] = 5; meet(g); }
extern "C" __global__ void traps(int *x) { auto g = cg::this_grid(); if (g.size() == 3) __trap(); x[0] = 5; }
"""
NEEDS = r"waits for its whole grid \(grid\.sync\(\)\).*write kernel\(\.\.\., cooperative=True\)"


@pytest.fixture(scope="module", params=["compute_75", "compute_90"])
def kernels(request):
    with jitload.configure(device="cpu"):
        yield jitload.compile(SOURCE, kind="ptx", arch=request.param, options=["-lineinfo"]).load()


@pytest.fixture(autouse=True)
def _on_the_cpu():
    with jitload.configure(device="cpu"):
        yield


@pytest.mark.parametrize(("name", "rest"), [("always", ()), ("first", (1,))])
def test_a_kernel_that_always_waits_is_refused_before_it_runs(kernels, name, rest):
    x = np.zeros(4, np.int32)
    with pytest.raises(jitload.LaunchError, match=NEEDS) as caught:
        kernels[name][2, 32](x, *rest)
    assert name in str(caught.value)
    assert caught.value.__cause__ is None  # it was not tried
    assert (x == 0).all()
    kernels[name](x, *rest, grid=2, block=32, cooperative=True)


@pytest.mark.parametrize(("name", "rest"), [("sometimes", (4,)), ("loops", (2,)), ("leaves", (8,)), ("calls", ())])
def test_a_kernel_that_may_wait_is_refused_where_it_does(kernels, name, rest):
    x = np.zeros(4, np.int32)
    with pytest.raises(jitload.LaunchError, match=NEEDS) as caught:
        kernels[name][2, 32](x, *rest)
    assert isinstance(caught.value.__cause__, jitload.CpuFault)
    if name != "leaves":  # a thread that is gone is waited for, on a GPU as well
        kernels[name](x, *rest, grid=2, block=32, cooperative=True)


@pytest.mark.parametrize(("name", "rest"), [("always", ()), ("sometimes", (4,)), ("loops", (2,))])
def test_without_line_information_too(name, rest):
    """By the code alone: a trap behind a null test of the workspace."""
    kernels = jitload.compile(SOURCE, kind="ptx", arch="compute_80").load()
    with pytest.raises(jitload.LaunchError, match=NEEDS):
        kernels[name][2, 32](np.zeros(4, np.int32), *rest)


def test_a_kernel_that_does_not_wait_runs_without(kernels):
    x = np.zeros(64, np.int32)
    kernels["asks"][2, 32](x)
    assert x[0] == 7
    kernels["counts"][2, 32](x)
    assert (x == 64).all()
    kernels["sometimes"][2, 32](x, 1)
    assert x[:2].tolist() == [5, 6]
    kernels["loops"][2, 32](x, 0)


def test_a_trap_of_the_kernels_own_stays_a_fault(kernels):
    with pytest.raises(jitload.CpuFault, match="trap"):
        kernels["traps"][1, 3](np.zeros(4, np.int32))


@pytest.mark.parametrize(
    ("grid", "block"), [(20000, 128), (1 << 24, 128), ((4096, 4096), 128), (6145, 32), (193 * 2, 1024)], ids=str
)
def test_a_cooperative_grid_that_no_gpu_holds_is_refused_at_once(kernels, grid, block):
    started = time.monotonic()
    with pytest.raises(jitload.LaunchError, match=r"more than the \d+ that the largest GPU holds"):
        kernels["always"](np.zeros(2, np.int32), grid=grid, block=block, cooperative=True)
    assert time.monotonic() - started < 1


def test_shared_memory_bounds_it_too(kernels):
    x = np.zeros(2, np.int32)
    with pytest.raises(jitload.LaunchError, match=f"more than the {2 * SMS} that"):
        kernels["always"](x, grid=2 * SMS + 1, block=32, shared_bytes=100_000, cooperative=True)


def test_what_gpus_hold_is_run(kernels):
    x = np.zeros(2, np.int32)
    kernels["always"](x, grid=132 * 2, block=32, cooperative=True)
    assert x.tolist() == [132 * 2 * 32] * 2


@pytest.mark.parametrize(
    ("sms", "blocks", "warps", "shared_bytes"),
    [(132, 32, 64, 228 << 10), (148, 32, 64, 228 << 10), (160, 32, 64, 228 << 10), (188, 24, 48, 100 << 10)],
    ids=["H100", "B200", "B300", "RTX PRO 6000"],
)
def test_no_gpu_holds_more_than_the_bound(sms, blocks, warps, shared_bytes):
    for threads in (1, 32, 33, 128, 257, 512, 1024):
        for shared in (0, 1 << 10, 48 << 10, 99 << 10):
            held = sms * min(blocks, warps // -(-threads // 32), shared_bytes // (shared + (1 << 10)))
            assert held <= resident_blocks(threads, shared)
