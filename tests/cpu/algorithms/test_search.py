"""Backtracking, strings and dynamic programming against plain Python."""

from __future__ import annotations

import bisect
import math

import numpy as np

from tests.cpu.algorithms.builds import blocks, sizes

BUILDS = ("90", "75", "90 debug")
QUEENS = {1: 1, 2: 0, 4: 2, 5: 10, 6: 4, 7: 40, 8: 92}


@sizes(1, 4, 6, 7, slow=[8])
def test_queens_by_recursion(program, size):
    count = np.zeros(1, np.int32)
    program.run("queens_recursive", 1, 32, size, count)
    assert count[0] == QUEENS[size]


@sizes(4, 5, 6, 7, slow=[8])
def test_queens_by_a_stack(program, size):
    count = np.zeros(1, np.int32)
    program.run("queens_iterative", size, 32, size, count)
    assert count[0] == QUEENS[size]


@sizes(1, 12, 11)
def test_nested_recursion(program, size):
    out = np.zeros(size, np.int32)
    program.run("recurse", 1, size, out)
    assert out.tolist() == [t // 2 + 2 if t % 2 else 2 * (t // 2) + 3 for t in range(size)]


@sizes((5, 5), (40, 1), (1000, 2), (700, 3))
def test_find(program, rng, size):
    n, m = size
    text = rng.integers(97, 100, n).astype(np.uint8)
    pattern = text[n // 2 : n // 2 + m].copy() if n > m else text.copy()
    hits, first = np.zeros(1, np.int32), np.full(1, n, np.int32)
    program.run("find", blocks(n, 128), 128, text, n, pattern, m, hits, first)
    starts = [i for i in range(n - m + 1) if bytes(text[i : i + m]) == bytes(pattern)]
    assert (hits[0], first[0]) == (len(starts), starts[0])


def edit_distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]


@sizes((1, 1), (40, 25), (20, 61))
def test_levenshtein(program, rng, size):
    a, b = (rng.integers(97, 101, count).astype(np.uint8) for count in size)
    distance = np.zeros(1, np.int32)
    program.run("levenshtein", 1, 32, a, size[0], b, size[1], distance, shared=12 * (size[0] + 1))
    assert distance[0] == edit_distance(a.tolist(), b.tolist())


@sizes((1, 3), (12, 200), (6, 50))
def test_knapsack(program, rng, size):
    items, room = size
    weights, worths = rng.integers(1, 40, items).astype(np.int32), rng.integers(1, 100, items).astype(np.int32)
    best, want = np.zeros(room + 1, np.int32), [0] * (room + 1)
    program.run("knapsack", 1, 33, weights, worths, items, best, room)
    for weight, worth in zip(weights.tolist(), worths.tolist(), strict=True):
        for c in range(room, weight - 1, -1):
            want[c] = max(want[c], want[c - weight] + worth)
    assert best.tolist() == want


@sizes((1, 1), (300, 90), (17, 200))
def test_bisection(program, rng, size):
    n, count = size
    values, queries = np.sort(rng.integers(0, 50, n)).astype(float), rng.integers(-2, 53, count).astype(float)
    out = np.zeros(count, np.int32)
    program.run("lower_bound", blocks(count, 64), 64, values, n, queries, out, count)
    assert out.tolist() == [bisect.bisect_left(values.tolist(), one) for one in queries.tolist()]


def collatz(value):
    steps = 0
    while value != 1:
        value, steps = 3 * value + 1 if value & 1 else value // 2, steps + 1
    return steps


@sizes(1, 100, 40)
def test_collatz(program, rng, size):
    start, steps = rng.integers(1, 2**40, size).astype(np.uint64), np.zeros(size, np.int32)
    program.run("collatz", blocks(size, 64), 64, start, steps, size)
    assert steps.tolist() == [collatz(one) for one in start.tolist()]


@sizes(1, 100, 40)
def test_greatest_common_divisor(program, rng, size):
    a, b = (rng.integers(0, 2**63, size).astype(np.uint64) >> rng.integers(0, 50, size).astype(np.uint64) for _ in "ab")
    out = np.zeros(size, np.uint64)
    program.run("greatest_divisor", blocks(size, 64), 64, a, b, out, size)
    assert out.tolist() == [math.gcd(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
