"""Sorts against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from tests.cpu.algorithms.builds import blocks, sizes

BUILDS = ("90", "75", "120")


@pytest.mark.parametrize("kernel", ["bitonic_sort", "odd_even_merge_sort"])
@sizes(1, 20, 128, 700, 1024, slow=[50_000])
def test_sorting_networks_sort_every_chunk(program, rng, kernel, size):
    x = rng.integers(-(2**31), 2**31, size).astype(np.int32)
    want = np.concatenate([np.sort(x[start : start + 128]) for start in range(0, size, 128)])
    program.run(kernel, blocks(size, 128), 128, x, size, shared=512)
    np.testing.assert_array_equal(x, want)


@sizes(1, 33, 100)
def test_odd_even_transposition(program, rng, size):
    x = rng.integers(0, 50, size).astype(np.int32)
    want = np.sort(x)
    program.run("transposition_sort", 1, 40, x, size)
    np.testing.assert_array_equal(x, want)


@sizes(1, 31, 32, 200, 1024)
def test_radix_sort_of_a_block(program, rng, size):
    x = rng.integers(0, 2**32, size).astype(np.uint32)
    want = np.sort(x)
    program.run("radix_sort_block", 1, size, x, size, shared=8 * size)
    np.testing.assert_array_equal(x, want)


@sizes(1, 45, 5000, 20_001)
def test_counting_sort(program, rng, size):
    x = rng.integers(0, 256, size).astype(np.uint8)
    counts, y = np.zeros(256, np.uint32), np.zeros_like(x)
    program.run("count_bytes", blocks(size, 256), 256, x, counts, size)
    np.testing.assert_array_equal(counts, np.bincount(x, minlength=256))
    program.run("starts_of", 1, 256, counts)
    program.run("place_bytes", blocks(size, 256), 256, x, counts, y, size)
    np.testing.assert_array_equal(y, np.sort(x))


@sizes(1, 65, 300)
def test_rank_sort(program, rng, size):
    x, y = rng.integers(0, 40, size).astype(np.float32), np.zeros(size, np.float32)
    program.run("rank_sort", blocks(size, 64), 64, x, y, size)
    np.testing.assert_array_equal(y, np.sort(x))


@sizes((1, 0), (1, 1), (300, 77), (40, 1000))
def test_merge(program, rng, size):
    a, b = (np.sort(rng.integers(-(2**62), 2**62, count)) for count in size)
    b[: len(a) // 2] = a[: len(b)][: len(a) // 2]
    b.sort()
    out = np.zeros(sum(size), np.int64)
    program.run("merge", blocks(sum(size), 128), 128, a, size[0], b, size[1], out)
    np.testing.assert_array_equal(out, np.sort(np.concatenate([a, b])))
