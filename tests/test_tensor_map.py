"""`jitload.TensorMap`: what it takes, what it refuses, and how a kernel sees its array."""

from __future__ import annotations

import numpy as np
import pytest

import jitload

SOURCE = r"""
#include <cuda.h>
// Copies the box at (x, y) from one tensor to the other, plus one, and counts its elements in a plain array.
template <typename T> __device__ void copy(const CUtensorMap &from, const CUtensorMap &to, int x, int y, int bytes, int *count) {
    __shared__ alignas(1024) T box[8 * 16];
    __shared__ unsigned long long bar;
    unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(box)), mbar = static_cast<unsigned>(__cvta_generic_to_shared(&bar));
    if (threadIdx.x == 0) {
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 1; fence.mbarrier_init.release.cluster;" ::"r"(mbar));
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(mbar), "r"(bytes) : "memory");
        asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];"
                     ::"r"(at), "l"(&from), "r"(mbar), "r"(x), "r"(y) : "memory");
    }
    __syncthreads();
    asm volatile("{ .reg .pred p; AGAIN: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], 0; @!p bra AGAIN; }" ::"r"(mbar) : "memory");
    for (int i = threadIdx.x; i < bytes / int(sizeof(T)); i += blockDim.x) {
        box[i] = T(box[i] + T(1));
        if (count) atomicAdd(count, 1);
    }
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    if (threadIdx.x == 0)
        asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%2, %3}], [%1]; cp.async.bulk.commit_group; "
                     "cp.async.bulk.wait_group 0;" ::"l"(&to), "r"(at), "r"(x), "r"(y) : "memory");
}
extern "C" __global__ void floats(const __grid_constant__ CUtensorMap from, const __grid_constant__ CUtensorMap to, int x, int y,
                                  int bytes, int *count) { copy<float>(from, to, x, y, bytes, count); }
extern "C" __global__ void small(const __grid_constant__ CUtensorMap from, const __grid_constant__ CUtensorMap to, int x, int y,
                                 int bytes, int *count) { copy<signed char>(from, to, x, y, bytes, count); }
"""


@pytest.fixture(scope="module", autouse=True)
def _on_the_executor():
    with jitload.configure(device="cpu"):
        yield


@pytest.fixture(scope="module")
def kernels():
    return jitload.compile(SOURCE, arch="compute_90").load()


def test_an_array_goes_in_and_comes_back(kernels):
    x = np.arange(12 * 20, dtype=np.float32).reshape(12, 20)
    out, count = np.zeros_like(x), np.zeros(1, np.int32)
    maps = [jitload.TensorMap(array, (8, 16)) for array in (x, out)]
    kernels["floats"](*maps, 8, 6, 8 * 16 * 4, count, grid=1, block=32)
    wanted = np.zeros_like(x)
    wanted[6:, 8:] = x[6:, 8:] + 1
    np.testing.assert_array_equal(out, wanted)
    assert count[0] == 128


def test_one_array_as_a_map_and_behind_a_pointer_is_one_memory(kernels):
    x = np.zeros((4, 4), np.int32)
    view = x.view(np.float32)
    same = jitload.TensorMap(view, (1, 4))
    kernels["floats"](same, same, 0, 0, 16, x.reshape(-1)[8:9], grid=1, block=32)
    np.testing.assert_array_equal(view[0], [1, 1, 1, 1])
    assert x[2, 0] == 4


def test_a_launch_that_is_bound_sees_what_the_array_holds_then(kernels):
    x, out = np.zeros((8, 16), np.int8), np.zeros((8, 16), np.int8)
    bound = kernels["small"].bind(grid=1, block=32)
    maps = [jitload.TensorMap(array, (8, 16)) for array in (x, out)]
    for value in (3, 4):
        x[...] = value
        bound(*maps, 0, 0, 128, None)
        assert (out == value + 1).all()


def test_steps_swizzles_and_numbers_outside(kernels):
    x = np.arange(16 * 8, dtype=np.float32).reshape(16, 8)
    out = np.zeros_like(x)
    every_other = jitload.TensorMap(x, (16, 8), steps=(2, 1), swizzle=32, outside="nan")
    kernels["floats"](every_other, jitload.TensorMap(out, (8, 8), swizzle=32), 0, 2, 256, None, grid=1, block=32)
    wanted = np.zeros_like(x)
    wanted[2:9], wanted[9] = x[2::2] + 1, np.nan
    np.testing.assert_array_equal(out, wanted)


def test_a_read_only_array_can_be_read(kernels):
    x, out = np.ones((8, 16), np.float32), np.zeros((8, 16), np.float32)
    x.setflags(write=False)
    kernels["floats"](jitload.TensorMap(x, (8, 16)), jitload.TensorMap(out, (8, 16)), 0, 0, 512, None, grid=1, block=32)
    assert (out == 2).all()


PLANE = np.zeros((8, 16), np.float32)


@pytest.mark.parametrize(("array", "box", "options", "text"), [
    (PLANE, (8,), {}, "the array has 2 axes"), (PLANE, (8, 300), {}, "boxes are 1 to 256, got 300"),
    (PLANE, (8, 0), {}, "boxes are 1 to 256, got 0"), (PLANE, (8, 3), {}, "a multiple of 16 bytes along the last axis, and spans 12"),
    (PLANE, (8, 16), {"swizzle": 32}, "spans at most that along the last axis, and spans 64"),
    (PLANE, (8, 4), {"swizzle": 48}, "swizzle=48: expected one of 0, 32, 64, 128"),
    (PLANE, (8, 4), {"swizzle": True}, "swizzle=True"), (PLANE, (8, 4), {"l2_promotion": 512}, "l2_promotion=512"),
    (PLANE, (8, 4), {"outside": "one"}, "outside='one': expected one of 'zeros', 'nan'"),
    (PLANE, (8, 4), {"steps": (9, 1)}, "steps are 1 to 8, got 9"), (PLANE, (8, 4), {"steps": (1,)}, "the array has 2 axes"),
    (PLANE.astype(np.int32), (8, 4), {"outside": "nan"}, "NaN in floats, and not in int32"),
    (PLANE.T, (4, 8), {}, "its last axis is not dense"), (np.zeros((8, 3), np.float32), (8, 4), {}, "multiples of 16 bytes apart, and one has 12"),
    (np.zeros((), np.float32), (), {}, "1 to 5 axes, got one without"),
    (np.zeros((2,) * 6, np.float64), (2,) * 6, {}, "1 to 5 axes, got 6"), (np.zeros((0, 4), np.float32), (1, 4), {}, "extents are 1 to"),
])  # fmt: skip
def test_what_the_driver_refuses_is_refused(array, box, options, text):
    with pytest.raises(jitload.UsageValueError, match=text):
        jitload.TensorMap(array, box, **options)


@pytest.mark.parametrize(("array", "box", "text"), [
    ("text", (8, 4), "a tensor map is of an array, got str"), (PLANE[:, ::2], (8, 4), "not contiguous"),
    (np.zeros((8, 4), np.complex64), (8, 4), "numbers of 1, 2, 4 or 8 bytes, got complex64"),
    (np.zeros((8, 4), "V4"), (8, 4), "numbers of 1, 2, 4 or 8 bytes"), (PLANE, 8, "box=8: a list or tuple"), (PLANE, (8, 4.0), "box="),
])  # fmt: skip
def test_what_is_no_tensor_is_refused(array, box, text):
    with pytest.raises(jitload.UsageTypeError, match=text):
        jitload.TensorMap(array, box)


def test_a_map_for_another_parameter_is_refused(kernels):
    same = jitload.TensorMap(PLANE, (8, 16))
    with pytest.raises(jitload.ArgumentError, match="argument 2"):
        kernels["floats"](same, same, same, 0, 0, None, grid=1, block=32)


def test_memory_that_begins_elsewhere_is_refused_at_the_launch(kernels):
    """Two maps of overlapping arrays are one memory, in which the second begins four bytes further."""
    x = np.zeros(4 * 16 + 1, np.float32)
    maps = [jitload.TensorMap(x[start : start + 64].reshape(4, 16), (4, 16)) for start in (0, 1)]
    with pytest.raises(jitload.ArgumentError, match="must begin at a multiple of 16 bytes"):
        kernels["floats"](*maps, 0, 0, 256, None, grid=1, block=32)
