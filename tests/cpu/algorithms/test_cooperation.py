"""Threads that work together, against NumPy."""

from __future__ import annotations

import numpy as np

from tests.cpu.algorithms.builds import blocks, sizes

BUILDS = ("90", "75", "100")


def numbers(rng, size):
    return rng.integers(-100, 101, size).astype(np.int32)


@sizes(1, 50, 700, 1000)
def test_atomics_aggregated_by_warps(program, rng, size):
    x, out, places = numbers(rng, size), np.zeros(1, np.int32), np.full(size, -1, np.int32)
    program.run("aggregated_atomics", blocks(size, 128), 128, x, out, places, size)
    chosen = np.fmod(x, 3) == 0
    assert out[0] == chosen.sum()
    assert sorted(places[chosen].tolist()) == list(range(out[0]))
    assert (places[~chosen] == -1).all()


@sizes((1, 1), (2, 33), (3, 64), (4, 40))
def test_spin_lock(program, size):
    grid, block = size
    lock, counters = np.zeros(1, np.int32), np.zeros(2, np.int64)
    program.run("spin_lock", grid, block, lock, counters, 2)
    n = 2 * grid * block
    assert (lock[0], counters.tolist()) == (0, [n, n * (n - 1) // 2])


@sizes(1, 40, 17)
def test_ticket_lock(program, size):
    order = np.full(size, -1, np.int32)
    program.run("ticket_lock", size, 32, np.zeros(1, np.uint32), np.zeros(1, np.uint32), order)
    assert sorted(order.tolist()) == list(range(size))


@sizes(1, 50, 21)
def test_flags_between_blocks(program, size):
    values = np.zeros(size, np.int32)
    program.run("flag_chain", size, 32, np.zeros(size, np.int32), values)
    assert values.tolist() == [sum(range(b, size)) for b in range(size)]


@sizes(1, 3000, 1000)
def test_last_block_adds_up(program, rng, size):
    for grid in (1, 7):
        x, total = numbers(rng, size).astype(np.float32), np.zeros(1, np.float32)
        program.run("last_block", grid, 128, x, np.zeros(grid, np.float32), total, size)
        assert total[0] == x.sum()


@sizes(1, 6, 3)
def test_named_barriers(program, rng, size):
    x, y = numbers(rng, 64 * size), np.zeros(64 * size, np.int32)
    program.run("named_barriers", 1, 128, x, y, size)
    np.testing.assert_array_equal(y.reshape(-1, 64), 2 * x.reshape(-1, 64)[:, ::-1] + np.arange(size)[:, None])


@sizes(1, 5, 3)
def test_votes_of_blocks(program, rng, size):
    x, out = numbers(rng, 100 * size), np.zeros(100 * size, np.int32)
    program.run("block_votes", size, 100, x, out)
    rows = x.reshape(-1, 100)
    want = (rows > 0).sum(1) * 4 + (rows > -90).all(1) * 2 + (rows > 90).any(1)
    np.testing.assert_array_equal(out, np.repeat(want, 100))
