"""Collectives of CUB against NumPy."""

from __future__ import annotations

import numpy as np

from tests.cpu.algorithms.builds import sizes

BUILDS = ("90",)


@sizes(1, 3)
def test_reductions(program, rng, size):
    x, total, largest = (
        rng.integers(-999, 999, (size, 256)).astype(np.int32),
        np.zeros(size, np.int32),
        np.zeros(size, np.int32),
    )
    program.run("reduce", size, 128, x, total, largest)
    np.testing.assert_array_equal(total, x.sum(1))
    np.testing.assert_array_equal(largest, x.max(1))


@sizes(1, 3)
def test_scan(program, rng, size):
    x, before, total = (
        rng.integers(-999, 999, (size, 256)).astype(np.int32),
        np.zeros((size, 256), np.int32),
        np.zeros(size, np.int32),
    )
    program.run("scan", size, 128, x, before, total)
    np.testing.assert_array_equal(before, np.cumsum(x, 1) - x)
    np.testing.assert_array_equal(total, x.sum(1))


@sizes(1, 2)
def test_radix_sort_of_pairs(program, rng, size):
    x, order = rng.standard_normal((size, 256)).astype(np.float32), np.zeros((size, 256), np.int32)
    want = x.copy()
    program.run("sort", size, 128, x, order)
    np.testing.assert_array_equal(order, np.argsort(want, 1, kind="stable"))
    np.testing.assert_array_equal(x, np.sort(want, 1))
