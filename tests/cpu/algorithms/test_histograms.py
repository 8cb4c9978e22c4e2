"""Histograms against numpy.bincount."""

from __future__ import annotations

import numpy as np
import pytest

from tests.cpu.algorithms.builds import sizes

BUILDS = ("90", "80", "90 debug")


@pytest.mark.parametrize("kernel", ["global_atomics", "privatised", "matched"])
@sizes((1, 1, 32), (77, 2, 32), (5000, 3, 96), (20_001, 7, 256))
def test_histogram(program, rng, kernel, size):
    n, grid, block = size
    x = (rng.standard_normal(n) * 30 + 128).astype(np.uint8)
    bins = np.zeros(256, np.uint32)
    program.run(kernel, grid, block, x, bins, n)
    np.testing.assert_array_equal(bins, np.bincount(x, minlength=256))


@sizes(1, 100, 1500)
def test_packed_counters(program, rng, size):
    x = rng.integers(0, 256, 4 * size).astype(np.uint8)
    bins = np.zeros(64, np.uint32)
    program.run("packed_counters", 1, 32, x, bins, size)
    np.testing.assert_array_equal(bins, np.bincount(x // 4, minlength=64))


@sizes(1, 500, 3000)
def test_extremes(program, rng, size):
    x = rng.standard_normal(size).astype(np.float32)
    low, high = np.full(1, 2**31 - 1, np.int32), np.full(1, -(2**31), np.int32)
    program.run("extremes", -(-size // 128), 128, x, low, high, size)
    keys = [int(one[0]) ^ (0x7FFFFFFF if one[0] < 0 else 0) for one in (low, high)]
    np.testing.assert_array_equal(np.array(keys, np.int32).view(np.float32), [x.min(), x.max()])
