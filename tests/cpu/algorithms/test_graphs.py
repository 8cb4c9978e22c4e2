"""Graph algorithms against plain Python."""

from __future__ import annotations

from collections import deque

import numpy as np

from tests.cpu.algorithms.builds import blocks, sizes

BUILDS = ("90", "70", "120")


def graph(rng, n, degree=1.3):
    """An undirected graph: (sorted neighbour lists, starts, edges)."""
    lists = [set() for _ in range(n)]
    for a, b in rng.integers(0, n, (int(n * degree), 2)).tolist():
        if a != b:
            lists[a].add(b)
            lists[b].add(a)
    lists = [sorted(one) for one in lists]
    starts = np.cumsum([0] + [len(one) for one in lists]).astype(np.int32)
    edges = np.array([w for one in lists for w in one] or [0], np.int32)
    return lists, starts, edges


def depths(lists, source):
    found, queue = {source: 0}, deque([source])
    while queue:
        v = queue.popleft()
        for w in lists[v]:
            if w not in found:
                found[w] = found[v] + 1
                queue.append(w)
    return [found.get(v, -1) for v in range(len(lists))]


def smallest_members(lists):
    label = list(range(len(lists)))
    for v in range(len(lists)):
        if label[v] == v:
            for w, depth in enumerate(depths(lists, v)):
                label[w] = min(label[w], v) if depth >= 0 else label[w]
    return label


@sizes(1, 30, 400, 90)
def test_bfs(program, rng, size):
    lists, starts, edges = graph(rng, size)
    depth = np.full(size, -1, np.int32)
    depth[0] = 0
    program.run("bfs", 1, 64, starts, edges, depth, size)
    assert depth.tolist() == depths(lists, 0)


@sizes(1, 500, 100)
def test_bfs_by_frontiers(program, rng, size):
    lists, starts, edges = graph(rng, size)
    depth, frontier, level = np.full(size, -1, np.int32), np.zeros(1, np.int32), 0
    depth[0] = 0
    while len(frontier):
        level += 1
        following, count = np.zeros(size, np.int32), np.zeros(1, np.int32)
        grid = blocks(len(frontier), 128)
        program.run("bfs_frontier", grid, 128, starts, edges, depth, frontier, len(frontier), following, count, level)
        frontier = following[: count[0]].copy()
    assert depth.tolist() == depths(lists, 0)


@sizes(1, 100, 700, 300)
def test_union_find(program, rng, size):
    lists, _, _ = graph(rng, size, 0.8)
    pairs = np.array([(v, w) for v in range(size) for w in lists[v] if v < w] or [(0, 0)], np.int32)
    parent = np.arange(size, dtype=np.int32)
    program.run("unite", blocks(len(pairs), 128), 128, pairs, len(pairs), parent)
    program.run("flatten", blocks(size, 128), 128, parent, size)
    assert parent.tolist() == smallest_members(lists)


@sizes(1, 200, 150)
def test_connected_components(program, rng, size):
    lists, starts, edges = graph(rng, size, 0.7)
    label = np.arange(size, dtype=np.int32)
    program.run("components", 1, 96, starts, edges, label, size)
    assert label.tolist() == smallest_members(lists)


@sizes(1, 200, 50)
def test_shortest_paths(program, rng, size):
    _lists, starts, edges = graph(rng, size, 2)
    weights = rng.integers(1, 100, len(edges)).astype(np.uint32)
    distance = np.full(size, 2**32 - 1, np.uint32)
    distance[0] = 0
    relaxed = np.ones(1, np.int32)
    while relaxed[0]:
        relaxed[0] = 0
        program.run("relax", blocks(size, 128), 128, starts, edges, weights, distance, relaxed, size)
    want = [0] + [2**32 - 1] * (size - 1)
    for _ in range(size):
        for v in range(size):
            for e in range(starts[v], starts[v + 1]):
                if want[v] < 2**32 - 1:
                    want[edges[e]] = min(want[edges[e]], want[v] + int(weights[e]))
    assert distance.tolist() == want


@sizes(1, 20, 17)
def test_floyd_warshall(program, rng, size):
    d = rng.integers(1, 1000, (size, size)).astype(np.int32)
    np.fill_diagonal(d, 0)
    want = d.copy()
    for middle in range(size):
        want = np.minimum(want, want[:, middle : middle + 1] + want[middle])
        program.run("floyd_warshall", (blocks(size, 16), blocks(size, 8)), (16, 8), d, size, middle)
    np.testing.assert_array_equal(d, want)


@sizes(1, 150, 60)
def test_triangles(program, rng, size):
    lists, starts, edges = graph(rng, size, 5)
    count = np.zeros(1, np.uint64)
    program.run("triangles", blocks(size, 128), 128, starts, edges, count, size)
    sets = [set(one) for one in lists]
    assert count[0] == sum(len([x for x in sets[v] & sets[w] if x > w]) for v in range(size) for w in lists[v] if w > v)


@sizes(2, 150, 60)
def test_pagerank(program, rng, size):
    lists, starts, edges = graph(rng, size, 3)
    degree = np.maximum(np.diff(starts), 1).astype(np.int32)
    rank = np.full(size, 1 / size)
    want = rank.copy()
    for _ in range(4):
        following = np.zeros(size)
        program.run("pagerank", blocks(size, 128), 128, starts, edges, degree, rank, following, size)
        rank = following
        want = np.array([0.15 / size + 0.85 * sum(want[w] / degree[w] for w in one) for one in lists])
    np.testing.assert_allclose(rank, want, rtol=1e-13)
