"""Collectives of cooperative groups against NumPy."""

from __future__ import annotations

import numpy as np

from tests.cpu.algorithms.builds import blocks, sizes

BUILDS = ("90", "75")


def numbers(rng, size):
    return rng.integers(-100, 101, size).astype(np.int32)


@sizes(1, 3, 2)
def test_reductions_of_the_library(program, rng, size):
    x = numbers(rng, 128 * size)
    sums, largest, before = (np.zeros_like(x) for _ in range(3))
    floats = np.zeros(128 * size, np.float32)
    program.run("library_reductions", size, 128, x, sums, largest, before, floats)
    tiles = x.reshape(-1, 16)
    np.testing.assert_array_equal(sums, np.repeat(tiles.sum(1), 16))
    np.testing.assert_array_equal(floats, np.repeat(tiles.sum(1), 16))
    np.testing.assert_array_equal(largest, np.repeat(tiles.max(1), 16))
    np.testing.assert_array_equal(before.reshape(-1, 16), np.cumsum(tiles, 1) - tiles)


@sizes(1, 700, 1000)
def test_total_of_a_coalesced_group(program, rng, size):
    x, total = numbers(rng, size), np.zeros(1, np.int32)
    program.run("coalesced_total", blocks(size, 128), 128, x, total, size)
    assert total[0] == x[x > 0].sum()


@sizes(1, 3, 2)
def test_groups_with_the_same_label(program, rng, size):
    x, found = rng.integers(0, 5, 128 * size).astype(np.int32), np.zeros(128 * size, np.int32)
    program.run("labelled_groups", size, 128, x, found)
    for start in range(0, len(x), 32):
        warp = x[start : start + 32].tolist()
        assert found[start : start + 32].tolist() == [
            warp.count(v) * 100 + warp[:i].count(v) for i, v in enumerate(warp)
        ]


@sizes(1, 3, 2)
def test_sums_of_tiles(program, rng, size):
    x, out = numbers(rng, 128 * size), np.zeros((128 * size, 4), np.int32)
    program.run("tiled_partition", size, 128, x, out)
    for column, width in enumerate((4, 8, 16, 32)):
        np.testing.assert_array_equal(out[:, column], np.repeat(x.reshape(-1, width).sum(1), width))


@sizes(1, 20, 700, 1000)
def test_coalesced_groups(program, rng, size):
    x, count = numbers(rng, size), np.zeros(2, np.int32)
    program.run("coalesced_count", blocks(size, 128), 128, x, count, size)
    assert count.tolist() == [(x > 0).sum(), x[x > 0].sum()]


@sizes(1, 1000, 300)
def test_grid_in_step(program, rng, size):
    x = numbers(rng, size)
    want = x.sum()
    program.run("grid_total", 3, 64, x, size, cooperative=True)
    assert x[0] == want
