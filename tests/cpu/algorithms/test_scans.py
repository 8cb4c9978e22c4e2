"""Prefix sums against numpy.cumsum."""

from __future__ import annotations

import numpy as np

from tests.cpu.algorithms.builds import blocks, sizes

BUILDS = ("90", "70", "100")


def numbers(rng, size):
    return rng.integers(0, 100, size).astype(np.int32)


@sizes(1, 20, 256, 1000)
def test_hillis_steele(program, rng, size):
    x, y = numbers(rng, size), np.zeros(size, np.int32)
    threads = -(-size // 32) * 32
    program.run("hillis_steele", 1, threads, x, y, size, shared=8 * threads)
    np.testing.assert_array_equal(y, np.cumsum(x))


@sizes(2, 64, 2048)
def test_blelloch(program, rng, size):
    x, y = numbers(rng, size), np.zeros(size, np.int32)
    program.run("blelloch", 1, size // 2, x, y, size, shared=4 * size)
    np.testing.assert_array_equal(y, np.cumsum(x) - x)


@sizes(1, 31, 128, 1000, 5001)
def test_blocks_of_warp_scans(program, rng, size):
    x, y = numbers(rng, size), np.zeros(size, np.int32)
    grid = blocks(size, 128)
    totals = np.zeros(grid, np.int32)
    program.run("warp_scan", grid, 128, x, y, totals, size)
    program.run("add_before", grid, 128, y, np.cumsum(totals).astype(np.int32), size)
    np.testing.assert_array_equal(y, np.cumsum(x))


@sizes(1, 127, 129, 1000, 20_000, slow=[300_001])
def test_decoupled_look_back(program, rng, size):
    x, y = numbers(rng, size), np.zeros(size, np.uint32)
    grid = blocks(size, 128)
    program.run("look_back", grid, 128, x, y, np.zeros(grid, np.uint32), np.zeros(1, np.uint32), size)
    np.testing.assert_array_equal(y, np.cumsum(x))


@sizes(1, 33, 300)
def test_segmented_scan(program, rng, size):
    x, flags = numbers(rng, size).astype(np.float32), (rng.random(size) < 0.2).astype(np.uint8)
    y, want = np.zeros(size, np.float32), np.zeros(size, np.float32)
    program.run("segmented_scan", blocks(size, 64), 64, x, flags, y, size)
    for i in range(size):
        want[i] = x[i] + (0 if i % 32 == 0 or flags[i] else want[i - 1])
    np.testing.assert_array_equal(y, want)


@sizes(1, 50, 1000, 4097)
def test_compaction(program, rng, size):
    x, y, count = numbers(rng, size), np.zeros(size, np.int32), np.zeros(1, np.int32)
    program.run("compact", blocks(size, 128), 128, x, y, count, size)
    want = x[x % 2 == 1]
    assert count[0] == len(want)
    np.testing.assert_array_equal(np.sort(y[: len(want)]), np.sort(want))
