"""Asynchronous copies, barriers and atomics of libcu++ against NumPy."""

from __future__ import annotations

import numpy as np

from tests.cpu.algorithms.builds import blocks, sizes

LEAST = 80
BUILDS = ("90", "80")


@sizes(4, 1000, 256)
def test_double_buffered_copies(program, rng, size):
    x = rng.integers(-9, 10, size).astype(np.float32)
    tiles, out = blocks(size, 256), np.zeros(64, np.float32)
    program.run("double_buffered", 1, 64, x, out, tiles, size)
    padded = np.zeros(tiles * 256, np.float32)
    padded[:size] = x
    np.testing.assert_array_equal(out, padded.reshape(tiles, 64, 4).sum((0, 2))[::-1])


@sizes(1, 7, 2)
def test_ring_of_three_stages(program, rng, size):
    x, out = rng.integers(0, 999, (size, 64)).astype(np.int32), np.zeros((size, 64), np.int32)
    program.run("staged", 1, 64, x, out, size, shared=768)
    np.testing.assert_array_equal(out, np.roll(x, -1, 1))


@sizes(1, 6, 3)
def test_producers_and_consumers(program, rng, size):
    x, out = rng.integers(0, 999, (size, 64)).astype(np.int32), np.zeros((size, 64), np.int32)
    program.run("produce_consume", 1, 128, x, out, size)
    np.testing.assert_array_equal(out, x[:, ::-1] + 1)


@sizes(1, 500, 200)
def test_atomics_of_the_library(program, rng, size):
    x = rng.integers(0, 10**6, size).astype(np.int32)
    largest, total, received = np.zeros(1, np.int32), np.zeros(1, np.uint64), np.zeros(1, np.int32)
    program.run("atomics", blocks(size, 64), 64, x, largest, total, np.zeros(2, np.int32), received, size)
    assert (largest[0], total[0], received[0]) == (x.max(), x.sum(), 42)
