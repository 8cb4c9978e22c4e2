"""A template argument that is left open is the element of the array that decides it; everything else is an error."""

import numpy as np
import pytest

import jitload
from jitload import ArgumentError, jit_kernel

TWICE = """
#include <cuda_bf16.h>
#include <cuda_fp16.h>
template <typename T> __global__ void twice(const T *__restrict__ x, float *out, T add, int n)
{
    for (int i = 0; i < n; ++i) out[i] = float(x[i] + x[i] + add);
}
"""


@pytest.fixture(autouse=True)
def _on_the_cpu():
    with jitload.configure(device="cpu"):
        yield


@pytest.fixture
def loaded():
    """The kernels that are loaded, as users write them."""
    kernels = []
    with jitload.on_event(lambda event: kernels.append(event.kernel) if event.name == "load" else None):
        yield kernels


def twice_kernel(**options):
    @jit_kernel(source=TWICE, **options)
    def twice(x, out, add, n, *, T): ...

    return twice


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        ("float32", "float"),
        ("float64", "double"),
        ("int16", "short"),
        ("float16", "__half"),
        ("bfloat16", "__nv_bfloat16"),
    ],
)
def test_the_array_decides(framework, dtype, text, loaded):
    twice = twice_kernel()
    dtype = np.dtype(getattr(framework("ml_dtypes"), dtype, None) or dtype)
    out = np.zeros(3, np.float32)
    twice[1, 1](np.array([1, 2, 3], dtype), out, 1, 3)
    assert out.tolist() == [3, 5, 7]
    twice(np.array([1, 2, 3], dtype), out, add=2, n=3, grid=1, block=1)
    assert out.tolist() == [4, 6, 8]
    assert loaded == [f"twice<{text}>"]


def test_a_deduced_argument_compiles_once_for_each_element():
    twice, out = twice_kernel(), np.zeros(2, np.float32)
    before = jitload.stats().compiles
    for dtype in (np.float32, np.int32, np.float32, np.int32):
        twice[1, 1](np.ones(2, dtype), out, 0, 2)
    assert jitload.stats().compiles == before + 2


def test_torch_tensors_decide(framework, loaded):
    torch = framework("torch")
    twice, out = twice_kernel(), np.zeros(2, np.float32)
    twice[1, 1](torch.ones(2, dtype=torch.bfloat16), out, 0, 2)
    assert out.tolist() == [2, 2]
    twice.specialize(T=torch.bfloat16)[1, 1](torch.ones(2, dtype=torch.bfloat16), out, 0, 2)
    assert loaded == ["twice<__nv_bfloat16>"]


def test_what_is_given_or_has_a_default_is_not_deduced():
    @jit_kernel(source=TWICE)
    def twice(x, out, add, n, *, T="float"): ...

    doubles, out = np.ones(2), np.zeros(2, np.float32)
    for launch in (
        lambda: twice[1, 1](doubles, out, 0, 2),
        lambda: twice_kernel()[1, 1](doubles, out, 0, 2, T="float"),
    ):
        with pytest.raises(ArgumentError, match=r"float64 is not float32; convert it with \.astype\(np\.float32\)"):
            launch()


def test_an_entry_pattern_and_other_template_arguments():
    source = "namespace n { template <int N, typename T> __global__ void fill(T *x, T v) { if (threadIdx.x < N) x[threadIdx.x] = v; } }"

    @jit_kernel(source=source, entry="n::fill<{N}, {T}>")
    def put(x, v, *, T, N=2): ...

    x = np.zeros(4, np.int64)
    put[1, 4](x, 7)
    put[1, 4](x[3:], 5, N=1)
    assert x.tolist() == [7, 7, 0, 5]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (
            "template <typename T> __global__ void k(const T *x, T *y) {}",
            "no array decides it: it stands in 2 pointer parameters",
        ),
        (
            "template <typename T> __global__ void k(T **x, int y) {}",
            "no array decides it: no pointer parameter is to it",
        ),
        ("template <typename T> __global__ void k(T *x, int y, int z) {}", r"keywords of the call$"),
        ("#define K k\ntemplate <typename T> __global__ void K(T *x, int y) {}", r"keywords of the call$"),
    ],
)
def test_where_no_array_decides_the_error_says_what_to_give(source, why):
    @jit_kernel(source=source)
    def k(x, y, *, T): ...

    with pytest.raises(
        ArgumentError, match=rf"k needs template argument 'T': give it to specialize\(T=\.\.\.\) .*{why}"
    ):
        k[1, 1](np.zeros(2), np.zeros(2))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (0, "an array decides it, got int 0"),
        ([1.0], "an array decides it, got list"),
        (np.zeros(2, np.complex64), "an array of complex64 does not say which C"),
        (np.zeros((2, 2))[:, 1], "not contiguous; pass np.ascontiguousarray"),
    ],
    ids=str,
)
def test_what_decides_nothing(value, why):
    with pytest.raises(ArgumentError, match=rf"twice needs template argument 'T'.*{why}") as caught:
        twice_kernel()[1, 1](value, np.zeros(2, np.float32), 0, 2)
    assert (caught.value.kernel, caught.value.parameter) == ("twice", "T")


def test_bind_sees_no_array():
    with pytest.raises(ArgumentError, match=r"needs template argument 'T'.*bind\(\) sees no array to deduce it from"):
        twice_kernel().bind(grid=1, block=1)
