"""Calls as other libraries have them are refused with the call as it is written here, and forall covers elements."""

from __future__ import annotations

import re

import numpy as np
import pytest

import jitload
from jitload.launch.shapes import refuse_foreign_call

TEXT = "__global__ void axpy(float a, const float *x, float *y, int n) { int i = blockIdx.x * blockDim.x + threadIdx.x;"
TEXT += " if (i < n) y[i] = a * x[i] + y[i]; }"


@pytest.fixture(scope="module", params=["loaded", "declared"])
def axpy(request):
    """The kernel on the CPU executor, loaded from an artifact and declared in Python."""

    @jitload.jit_kernel(source=TEXT, entry="axpy")
    def declared(a, x, y, n): ...

    declared.__name__ = "axpy"
    with jitload.configure(device="cpu"):
        yield declared if request.param == "declared" else jitload.compile(TEXT, names=["axpy"]).load()["axpy"]


@pytest.fixture
def arrays():
    return np.arange(10, dtype=np.float32), np.ones(10, np.float32)


CALLS = {
    "CuPy": (lambda k, x, y: k((2,), (8,), (2.0, x, y, 10)), "axpy[2, 8](2.0, x, y, 10)"),
    "CuPy, a list": (lambda k, x, y: k((2, 1), (8, 1, 1), [2.0, x, y, 10]), "axpy[2, 8](2.0, x, y, 10)"),
    "CuPy, plain numbers": (lambda k, x, y: k(2, 8, (2.0, x, y, 10)), "axpy[2, 8](2.0, x, y, 10)"),
    "CuPy, NumPy scalars": (
        lambda k, x, y: k((np.int64(2),), (8,), (np.float32(2), x, y, np.int32(10))),
        "axpy[2, 8](2.0, x, y, 10)",
    ),
    "CuPy with shared memory": (
        lambda k, x, y: k((2,), (8,), (2.0, x, y, 10), shared_mem=64),
        "axpy(2.0, x, y, 10, grid=2, block=8, shared_bytes=64)",
    ),
    "CuPy with shared memory by position": (
        lambda k, x, y: k((2,), (8,), (2.0, x, y, 10), 64),
        "axpy(2.0, x, y, 10, grid=2, block=8, shared_bytes=64)",
    ),
    "CuPy with args by keyword": (lambda k, x, y: k((2,), (8,), args=(2.0, x, y, 10)), "axpy[2, 8](2.0, x, y, 10)"),
    "torch": (
        lambda k, x, y: k(grid=(2, 1, 1), block=(8, 1, 1), args=[2.0, x, y, 10]),
        "axpy[2, 8](2.0, x, y, 10)",
    ),
    "torch, in two dimensions": (
        lambda k, x, y: k(grid=(2, 3, 1), block=(8, 1, 2), args=(2.0, x, y, 10), shared_mem=0),
        "axpy[(2, 3), (8, 1, 2)](2.0, x, y, 10)",
    ),
    "torch without a block": (lambda k, x, y: k(grid=(2, 1, 1), args=[2.0, x, y, 10]), "axpy[2, block](2.0, x, y, 10)"),
    "PyCUDA": (
        lambda k, x, y: k(2.0, x, y, 10, grid=(2, 1), block=(8, 1, 1), shared=32),
        "axpy(2.0, x, y, 10, grid=2, block=8, shared_bytes=32)",
    ),
}


@pytest.mark.parametrize(("call", "written"), CALLS.values(), ids=CALLS)
def test_a_call_of_another_library_is_shown_as_it_is_written_here(axpy, arrays, call, written):
    x, y = arrays
    with pytest.raises(jitload.LaunchError) as caught:
        call(axpy, x, y)
    assert str(caught.value).endswith(f"; write {written}")
    np.testing.assert_array_equal(y, 1)
    eval(written, {"axpy": axpy, "x": x, "y": y, "block": 8})  # and what is shown runs
    np.testing.assert_array_equal(y, 2 * np.arange(10) + 1)


@pytest.mark.parametrize(
    ("launch", "written"),
    [
        (lambda k, *given: k[2][8](*given), "axpy[2, 256]"),
        (lambda k, *given: k[np.int64(2)][8](*given), "axpy[2, 256]"),
        (lambda k, *given: k[[2, 3]][8](*given), "axpy[(2, 3), 256]"),
        (lambda k, *given: k[lambda meta: (2,)](*given), "axpy[grid, 256]"),
        (lambda k, *given: k[(2,)](*given), "axpy[2, 256]"),
        (lambda k, *given: k[()](*given), "axpy[grid, 256]"),
        (lambda k, *given: k["2"](*given), "axpy[grid, 256]"),
    ],
    ids=["two pairs", "a NumPy scalar", "a list", "Triton's function", "Triton's tuple", "nothing", "text"],
)
def test_a_grid_without_a_block_in_its_brackets_says_where_both_go(axpy, arrays, launch, written):
    x, y = arrays
    with pytest.raises(jitload.LaunchError, match=r"got kernel\[.*one pair of brackets") as caught:
        launch(axpy, 2.0, x, y, 10)
    assert f"write {written}(...)" in str(caught.value)
    np.testing.assert_array_equal(y, 1)
    eval(written, {"axpy": axpy, "grid": 2})(2.0, x, y, 10)
    np.testing.assert_array_equal(y, 2 * np.arange(10) + 1)


def test_more_than_a_launch_takes_in_brackets_is_not_told_to_be_more(axpy, arrays):
    with pytest.raises(jitload.LaunchError, match=r"got kernel\[\(1, 2, 3, 4, 5\)\]$"):
        axpy[1, 2, 3, 4, 5](2.0, *arrays, 10)


def test_calls_of_our_own_are_left_alone(axpy, arrays):
    x, y = arrays
    axpy(1.0, x, y, 10, grid=(2, 1), block=(8, 1, 1))
    axpy(1.0, x, y, 10, grid=2, block=8, shared_bytes=16)
    axpy[2, 8](1.0, x, y, 10)
    np.testing.assert_array_equal(y, 3 * np.arange(10) + 1)
    with pytest.raises(jitload.LaunchError, match="needs a grid: write kernel"):
        axpy(1.0, x, y, 10)


def test_a_kernel_may_have_parameters_by_those_names():
    @jitload.jit_kernel(source="__global__ void k(int *args, int shared) { args[0] = shared; }")
    def k(args, shared): ...

    out = np.zeros(1, np.int32)
    with jitload.configure(device="cpu"):
        k(args=out, shared=7, grid=1, block=1)
    assert out[0] == 7


@pytest.mark.parametrize("given", [((1, 2, 3, 4), (1,)), ((), (1,)), ("ab", "cd"), ((True,), (1,)), (1, 2), (1.0, 2.0)])
def test_what_is_no_grid_and_block_is_nobody_elses_call(given):
    refuse_foreign_call("k", (), given, {"grid": None})


def test_arguments_in_one_list_are_told_to_be_given_one_by_one(axpy, arrays):
    x, y = arrays
    with pytest.raises(jitload.ArgumentError, match=r"one by one: write kernel\[grid, block\]\(\*args\)"):
        axpy[2, 8]((2.0, x, y, 10))


@pytest.mark.parametrize(
    ("name", "advice"),
    [("prepare", "bind"), ("prepared_call", "bind"), ("prepared_async_call", "stream="), ("launch", "kernel[grid, block]"), ("num_regs", "resources.registers"),
     ("occupancy", "jitload.occupancy(kernel, block)"), ("n_spills", "spill_store_bytes"), ("inspect_sass", "disasm"), ("attributes", "from_handle")],
)  # fmt: skip
def test_what_kernels_of_others_have_is_told(axpy, name, advice):
    with pytest.raises(AttributeError) as caught:
        getattr(axpy, name)
    assert f"has no attribute {name!r}: write" in str(caught.value)
    assert advice in str(caught.value)
    assert not hasattr(axpy, "nothing_like_it")


@pytest.mark.parametrize(
    ("name", "advice"),
    [("axpy", "module['axpy']"), ("write_to_file", "save_to_bytes()"), ("get_function_metadata", ".info"), ("get_texref", "a texture object")],
)  # fmt: skip
def test_what_modules_of_others_have_is_told(name, advice):
    with jitload.configure(device="cpu"):
        module = jitload.compile(TEXT, names=["axpy"]).load()
    with pytest.raises(AttributeError, match=f"has no attribute '{name}': write .*{re.escape(advice)}"):
        getattr(module, name)
    assert not hasattr(module, "nothing_like_it")
    assert not hasattr(module, "__nothing__")
    with pytest.raises(AttributeError, match="no attribute 'functions'"):
        getattr(type(module).__new__(type(module)), "functions")  # noqa: B009 - what is missing in it is asked for


def test_forall_runs_a_thread_per_element(axpy):
    for count in (1, 255, 256, 257, 1000):
        x, y = np.arange(count, dtype=np.float32), np.ones(count, np.float32)
        axpy.forall(count)(2.0, x, y, count)
        np.testing.assert_array_equal(y, 2 * x + 1)
        axpy.forall(np.int64(count), block=32)(2.0, x, y, count)
        np.testing.assert_array_equal(y, 4 * x + 1)


def test_forall_launches_whole_clusters():
    """As many blocks as the elements need, and those that fill the last cluster, whose threads the kernel leaves out."""
    text = '__global__ void size(unsigned *n) { unsigned c; asm("mov.u32 %0, %%cluster_nctaid.x;" : "=r"(c)); atomicMax(n, gridDim.x * 100 + c); }'
    with jitload.configure(device="cpu"):
        kernel = jitload.compile(text, arch="compute_90", names=["size"]).load()["size"]
        for count, blocks in ((1, 4), (32 * 4, 4), (32 * 4 + 1, 8)):
            n = np.zeros(1, np.uint32)
            kernel.forall(count, block=32, cluster=4)(n)
            assert n[0] == blocks * 100 + 4
        with pytest.raises(jitload.LaunchError, match="a cluster is \\(2, 2\\)"):
            kernel.forall(10, cluster=(2, 2))


def test_forall_of_nothing_is_nothing(axpy, arrays):
    x, y = arrays
    axpy.forall(0)(2.0, x, y, 10)
    np.testing.assert_array_equal(y, 1)


@pytest.mark.parametrize("count", [-1, 1.5, None, "10", True, (3,), [3, 3]])
def test_forall_takes_a_number_of_elements(axpy, arrays, count):
    x, y = arrays
    with pytest.raises(jitload.LaunchError, match="forall"):
        axpy.forall(count)(2.0, x, y, 10)


def test_forall_is_for_blocks_along_x():
    text = "__global__ void __block_size__((8, 2, 1)) k(int *x) { x[0] = 1; }"
    with jitload.configure(device="cpu"):
        kernel = jitload.compile(text, arch="compute_90", names=["k"]).load()["k"]
        with pytest.raises(jitload.LaunchError, match="along x"):
            kernel.forall(10)


def test_forall_takes_keywords_and_deduces_template_arguments():
    @jitload.jit_kernel(
        source="template <class T> __global__ void twice(T *x, int n) { int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) x[i] *= 2; }",
        entry="twice<{T}>",
    )
    def twice(x, n, *, T): ...

    with jitload.configure(device="cpu"):
        for dtype in (np.float32, np.float64):
            x = np.arange(300, dtype=dtype)
            twice.forall(300)(x, n=300)
            np.testing.assert_array_equal(x, 2 * np.arange(300))
        twice.forall(300)(x, 300, T="double")
