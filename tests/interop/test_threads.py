"""Launches by eight threads at once, the first ones included, through each of the doors that other libraries have."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

import jitload
from jitload.interop.cuda_core_launch import launch

SOURCE = """
extern "C" __global__ void axpy(float a, const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i];
}
"""
ROUNDS = 12


@jitload.jit_kernel(source=SOURCE)
def axpy(a, x, y, n): ...


@pytest.fixture(autouse=True)
def _on_the_cpu(monkeypatch):
    monkeypatch.setenv("JITLOAD_DEVICE", "cpu")  # threads have no block of `configure` around them


@pytest.fixture
def all_right(in_threads):
    """`all_right(scaled)`: `scaled(a, x)` gives a * x, in every thread, which differ in numbers and lengths."""
    before = sys.getswitchinterval()

    def check(scaled):
        at_once, turns, right = threading.Barrier(8), iter(range(8)), []

        def work():
            number = next(turns) + 1
            x = np.arange(30 + 10 * number, dtype=np.float32)
            at_once.wait(30)
            for _ in range(ROUNDS):
                right.append(np.array_equal(scaled(float(number), x), number * x))

        in_threads(work)
        assert right == [True] * (8 * ROUNDS)

    sys.setswitchinterval(1e-5)
    yield check
    sys.setswitchinterval(before)


def test_through_the_launch_of_cuda_core(all_right):
    kernel = jitload.compile(SOURCE).load()["axpy"]
    configuration = SimpleNamespace(grid=4, block=32, cluster=None, shmem_size=0, is_cooperative=False)

    def scaled(a, x):
        y = np.zeros_like(x)
        launch(None, configuration, kernel, a, x, y, x.size)
        return y

    all_right(scaled)


@pytest.mark.parametrize("own", [False, True], ids=["one module", "a module each"])
def test_through_tvm_ffi(all_right, installed, own):
    tvm_ffi = pytest.importorskip("tvm_ffi", reason="apache-tvm-ffi is not installed")
    ptx = jitload.compile(SOURCE, kind="ptx").data
    load = tvm_ffi.get_global_func("ffi.ModuleLoadFromBytes")
    kernel = load("ptx", ptx)["axpy"]

    def scaled(a, x):
        y = np.zeros_like(x)
        called = load("ptx", ptx)["axpy"] if own else kernel
        called(a, tvm_ffi.from_dlpack(x), tvm_ffi.from_dlpack(y), x.size, 4, 1, 1, 32, 1, 1)
        return y

    all_right(scaled)


def test_through_an_operator_of_torch(all_right, framework):
    torch = framework("torch")
    from jitload.interop.torch import custom_op

    operator = custom_op(axpy, "jitload_test_threads::axpy", grid=4, block=32, outputs={"y": "x"})
    all_right(lambda a, x: operator(a, torch.from_numpy(x), x.size).numpy())


def test_through_a_function_of_jax(all_right, framework):
    jax = framework("jax")
    from jitload.interop.jax import jax_function

    function = jax_function(axpy, grid=4, block=32, outputs={"y": "x"})
    compiled = jax.jit(function, static_argnums=2)
    all_right(lambda a, x: np.asarray((compiled if a % 2 else function)(a, jax.numpy.asarray(x), x.size)))
