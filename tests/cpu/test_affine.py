"""Linear lane values, strided accesses and regular batches: the same bits as with an array per value."""

from __future__ import annotations

import operator
import re
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitload.cpu.lanes.affine import Affine, dense
from jitload.cpu.lanes.coordinates import BlockOrder, Coordinates, split_grid
from jitload.cpu.lanes.integers import mul_wide
from jitload.cpu.memory.strided import merge_axes, read_strided, room_of, write_strided
from jitload.cpu.run import batch as batch_module
from jitload.errors import CpuFault

EXTENTS = (3, 4, 8)
DTYPES = [np.dtype(name) for name in ("u2", "i2", "u4", "i4", "u8", "i8")]
NUMBERS = st.one_of(
    st.integers(-70, 70),
    st.sampled_from([2**k for k in range(1, 63)]),
    st.sampled_from([2**15 - 8, 2**16 - 5, 2**31 - 3, 2**32 - 9, 2**63 - 1, -(2**31)]),
)
OPERATORS = (
    *(operator.add, operator.sub, operator.mul, operator.and_, operator.or_, operator.xor),
    *(operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne),
)


def wrapped(number: int, dtype: np.dtype) -> Any:
    bits = dtype.itemsize * 8
    return np.array(number & ((1 << bits) - 1), f"u{dtype.itemsize}").view(dtype)[()]


@st.composite
def values(draw, dtype):
    kind = draw(st.sampled_from(["affine", "affine", "scalar", "array"]))
    base = draw(NUMBERS)
    if kind == "scalar":
        return wrapped(base, dtype)
    half = 1 << (dtype.itemsize * 8 - 1)
    strides = tuple((draw(NUMBERS) + half) % (2 * half) - half for _ in EXTENTS)
    affine = Affine(EXTENTS, dtype, base, strides)
    return affine if kind == "affine" else affine.lanes().copy()


def same(found, expected) -> None:
    found = np.broadcast_to(dense(found), (96,))
    expected = np.broadcast_to(expected, (96,))
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_lanes_count_the_last_coordinate_first():
    value = Affine((2, 3), np.dtype("u2"), 10, (100, -1))
    np.testing.assert_array_equal(value.lanes(), np.array([10, 9, 8, 110, 109, 108], np.uint16))


@given(st.data())
def test_arithmetic_is_that_of_arrays(data):
    """Every operator on affine values, scalars and arrays, in chains, wrapping or not."""
    dtype = data.draw(st.sampled_from(DTYPES))
    with np.errstate(all="ignore"):
        value = data.draw(values(dtype))
        expected = dense(value)
        for _ in range(3):
            other = data.draw(values(value.dtype))
            operation = data.draw(st.sampled_from(OPERATORS))
            found = operation(value, other)
            same(found, operation(expected, dense(other)))
            if found.dtype != np.bool_:
                value, expected = found, operation(expected, dense(other))


@given(st.data())
def test_shifts_widths_and_views_are_those_of_arrays(data):
    dtype = data.draw(st.sampled_from(DTYPES))
    half = 1 << (dtype.itemsize * 8 - 1)
    strides = tuple((data.draw(NUMBERS) + half) % (2 * half) - half for _ in EXTENTS)
    value = Affine(EXTENTS, dtype, data.draw(NUMBERS), strides)
    amount = wrapped(data.draw(st.integers(0, dtype.itemsize * 8 - 1)), dtype)
    with np.errstate(all="ignore"):
        same(value << amount, value.lanes() << amount)
        same(value >> amount, value.lanes() >> amount)
        for other in DTYPES:
            same(value.astype(other), value.lanes().astype(other))
        for kind in "ui":
            same(value.view(f"{kind}{dtype.itemsize}"), value.lanes().view(f"{kind}{dtype.itemsize}"))
        if dtype.itemsize < 8:
            factor = data.draw(values(dtype))
            same(mul_wide(value, factor), mul_wide(value.lanes(), dense(factor)))


def test_what_decides_for_all_lanes_is_one_answer():
    """The point of it all: a bound that no lane reaches costs no array."""
    u32 = np.dtype("u4")
    index = Affine((128, 256), u32, 0, (256, 1))
    assert (index < np.uint32(128 * 256)).ndim == 0
    assert (index < np.uint32(128 * 256 - 1)).ndim == 1
    assert type((index << np.uint32(2)).astype(np.uint64)) is Affine
    lane = Affine((8, 32), u32, 0, (32, 1))
    assert (lane & np.uint32(31)).strides == (0, 1)
    assert (lane >> np.uint32(5)).strides == (1, 0)
    tile = Affine((8, 32), u32, 64, (32, 0))
    assert type(tile | (lane & np.uint32(31))) is Affine


@pytest.mark.parametrize("most", [1, 2, 5, 7, 16, 100, 1000])
@pytest.mark.parametrize("grid", [(1, 1, 1), (7, 1, 1), (16, 1, 1), (5, 3, 1), (1, 9, 2), (4, 3, 5), (100, 2, 2)])
def test_every_block_is_in_one_batch_that_is_a_box(grid, most):
    total = grid[0] * grid[1] * grid[2]
    order = BlockOrder(grid, (1, 1, 1))
    spans = list(split_grid(order, most))
    assert [block for first, count in spans for block in range(first, first + count)] == list(range(total))
    assert max(count for _, count in spans) <= most
    for first, count in spans:
        coordinates = Coordinates((2, 1, 1), order, first, count)
        assert all(coordinates.special(f"ctaid.{axis}") is not None for axis in "xyz")


@pytest.mark.parametrize("block", [(1, 1, 1), (48, 1, 1), (64, 1, 1), (32, 4, 1), (16, 16, 1), (4, 3, 5), (64, 2, 2)])
@pytest.mark.parametrize(("grid", "first", "count"), [((9, 1, 1), 3, 6), ((4, 6, 1), 8, 12), ((3, 2, 4), 6, 12), ((5, 3, 1), 3, 4)])  # fmt: skip
def test_coordinates_are_those_of_the_grid(block, grid, first, count):
    coordinates = Coordinates(block, BlockOrder(grid, (1, 1, 1)), first, count)
    threads = list(product(range(block[2]), range(block[1]), range(block[0])))
    blocks = [(n // (grid[0] * grid[1]), n // grid[0] % grid[1], n % grid[0]) for n in range(first, first + count)]
    total = len(threads) * count
    for place, axis in enumerate("zyx"):
        tid = [thread[place] for thread in threads] * count
        ctaid = [one[place] for one in blocks for _ in threads]
        for name, expected in (("tid", tid), ("ctaid", ctaid)):
            found = coordinates.special(f"{name}.{axis}")
            if found is not None:
                np.testing.assert_array_equal(np.broadcast_to(dense(found), (total,)), np.array(expected, np.uint32))
    if total > 1:
        lanes = Affine(coordinates.extents, np.dtype("i8"), 0, coordinates.lane_strides)
        np.testing.assert_array_equal(lanes.lanes(), np.arange(total))
        slots = Affine(coordinates.extents, np.dtype("i8"), 0, coordinates.block_strides)
        np.testing.assert_array_equal(slots.lanes(), np.arange(total) // len(threads))


@given(st.lists(st.tuples(st.integers(2, 5), st.sampled_from([0, 4, 8, 16, 20, 64, -4, -40])), min_size=1, max_size=4))
def test_strided_accesses_are_gathers(axes):
    memory = np.random.default_rng(1).integers(0, 256, 8192, dtype=np.uint8)
    dtype = np.dtype("f4")
    offsets = Affine(tuple(one for one, _ in axes), np.dtype("i8"), 4096, tuple(two for _, two in axes)).lanes()
    merged = merge_axes([one for one, _ in axes], [two for _, two in axes])
    found = read_strided(memory, dtype, 4096, merged)
    expected = memory.view("u4")[offsets // 4]
    np.testing.assert_array_equal(np.broadcast_to(found, expected.shape).view("u4"), expected)
    if room_of(merged) >= 4:
        assert len(np.unique(offsets)) == len(offsets)
        copy, value = memory.copy(), np.arange(len(offsets), dtype=np.float32)
        write_strided(memory, dtype, 4096, merged, value)
        copy.view("f4")[offsets // 4] = value
        np.testing.assert_array_equal(memory, copy)


SOURCE = r"""
struct alignas(16) Four { float a, b, c, d; };
extern "C" __global__ void shapes(const float* x, float* y, const Four* v, Four* w, double* z, int n, int pitch) {
    __shared__ float tile[64][5];
    const int t = threadIdx.x + blockDim.x * threadIdx.y;
    const int i = (blockIdx.y * gridDim.x + blockIdx.x) * blockDim.x * blockDim.y + t;
    tile[t][blockIdx.x % 5] = i < n ? x[n - 1 - i] : 1.0f;
    tile[t][4] = x[blockIdx.x];
    __syncthreads();
    if (i >= n) return;
    y[i] = tile[t ^ 1][blockIdx.x % 5] + tile[63 - t][4] + x[(i * 3) % n] + x[t / 7];
    Four four = v[i >> 1];
    four.a += float(t & 31);
    four.d = x[unsigned(i * 0x40000001u) % unsigned(n)];
    w[i] = four;
    double kept[3] = {double(i), double(t), 0.5};
    z[i * 2] = kept[i % 3];
    z[i * 2 + 1] = double(threadIdx.y * pitch - threadIdx.x);
    y[blockIdx.x / 64 + n] = float(t);
}
extern "C" __global__ void past(const float* x, float* y, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    y[i] = x[i + 1];
}
extern "C" __global__ void crooked(const char* x, float* y) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    y[i] = *(const float*)(x + 6 * i);
}
"""


def run_shapes(device, n):
    rng = np.random.default_rng(2)
    x, v = rng.standard_normal(n, dtype=np.float32), rng.standard_normal((n, 4), dtype=np.float32)
    y, w, z = np.zeros(n + 64, np.float32), np.zeros((n, 4), np.float32), np.zeros((n, 2))
    device.run("shapes", (17, 5, 1), (8, 8, 1), x, y, v, w, z, np.int32(n), np.int32(-3))
    return y, w, z


@pytest.mark.parametrize("n", [17 * 5 * 64, 17 * 5 * 64 - 1, 3000])
def test_a_kernel_gives_the_same_bits_either_way(cuda, monkeypatch, n):
    found = run_shapes(cuda(SOURCE), n)
    monkeypatch.setattr(batch_module, "AFFINE_LANES", 1 << 62)
    for one, other in zip(found, run_shapes(cuda(SOURCE), n), strict=True):
        np.testing.assert_array_equal(one.view(np.uint8), other.view(np.uint8))


@pytest.mark.parametrize("name", ["past", "crooked"])
def test_a_fault_is_the_same_either_way(cuda, monkeypatch, name):
    texts = []
    for least in (2048, 1 << 62):
        monkeypatch.setattr(batch_module, "AFFINE_LANES", least)
        x, y = np.zeros(8192, np.float32), np.zeros(8192, np.float32)
        extra = (np.int32(0),) if name == "past" else ()
        with pytest.raises(CpuFault) as caught:
            cuda(SOURCE).run(name, (32, 1, 1), (256, 1, 1), x, y, *extra)
        texts.append((caught.value.thread, caught.value.block, re.sub("0x[0-9a-f]+", "", str(caught.value))))
    assert texts[0] == texts[1]
    assert texts[0][0] == ((255, 0, 0) if name == "past" else (1, 0, 0))
