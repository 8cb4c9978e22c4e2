"""What C++ compiles to, against plain Python."""

from __future__ import annotations

import re

import numpy as np
import pytest

from jitload.errors import CpuFault
from tests.cpu.algorithms.builds import blocks, sizes

BUILDS = ("90", "75", "90 debug")


@sizes(1, 300, 70)
def test_tables_of_functions(program, rng, size):
    which = rng.integers(0, 4, size).astype(np.int32)
    a, b = rng.integers(-9, 9, (2, size)).astype(np.float32)
    x, y = np.zeros_like(a), np.zeros_like(a)
    program.run("by_table", blocks(size, 64), 64, which, a, b, x, y, size)
    every = np.stack([a + b, a - b, a * b, 0.5 * (a + b)])
    np.testing.assert_array_equal(x, every[which, np.arange(size)])
    np.testing.assert_array_equal(y, every[3 - which, np.arange(size)])


@sizes(1, 100, 40)
def test_virtual_functions(program, rng, size):
    side = rng.integers(1, 9, size).astype(np.float32)
    area, corners = np.zeros(size, np.float32), np.zeros(size, np.int32)
    program.run("virtual_functions", blocks(size, 64), 64, side, area, corners, size)
    kind = np.arange(size) % 3
    np.testing.assert_array_equal(area, np.choose(kind, [3 * side**2, 2 * side, side**2 + 0.5]))
    np.testing.assert_array_equal(corners, np.choose(kind, [0, 4, 4]))


@sizes(1, 100, 40)
def test_templates_and_lambdas(program, rng, size):
    x = rng.integers(-300, 300, size).astype(np.int32)  # the sixth power is exact
    out, real = np.zeros(size, np.int64), np.zeros(size)
    program.run("templates", blocks(size, 64), 64, x, out, real, size)
    wide = x.astype(np.int64)
    np.testing.assert_array_equal(out, wide**5 + wide + 5 + (wide * 3 + 1) * 3 + 1)
    np.testing.assert_array_equal(real, wide.astype(float) ** 6)


OUTER = np.dtype([
    ("inner", [("tag", "i1"), ("pair", "<i2", 3), ("weight", "<f8")], 2), ("bytes", "u1", 5), ("matrix", "<f4", (3, 2)),
], align=True)  # fmt: skip


@sizes(1, 50, 33)
def test_structures_by_value(program, rng, size):
    value = np.zeros(1, OUTER)
    value["inner"]["tag"], value["inner"]["weight"] = rng.integers(-99, 99, (1, 2)), rng.standard_normal((1, 2))
    value["inner"]["pair"] = rng.integers(-999, 999, (1, 2, 3))
    value["bytes"], value["matrix"] = rng.integers(0, 99, (1, 5)), rng.standard_normal((1, 3, 2))
    out, total = np.zeros(size, OUTER), np.zeros(size)
    program.run("structure_by_value", 1, size, value[0], out, total)
    for i in range(size):
        want = value[0].copy()
        want["inner"]["weight"][0] += i
        want["bytes"][4] ^= i
        want["matrix"] = want["matrix"][:, ::-1].copy()
        for name in ("bytes", "matrix"):
            np.testing.assert_array_equal(out[i][name], want[name])
        for name in ("tag", "pair", "weight"):
            np.testing.assert_array_equal(out[i]["inner"][name], want["inner"][name])
        inner = want["inner"]
        found = inner["tag"].sum(dtype=int) + inner["pair"][:, i % 3].sum(dtype=int) + inner["weight"].sum()
        assert abs(total[i] - (found + int(want["bytes"][i % 5]) + want["matrix"][i % 3][1])) < 1e-9


@sizes(1, 200, 64)
def test_bit_fields(program, rng, size):
    x, out = rng.integers(0, 2**32, size).astype(np.uint32), np.zeros(size, np.int32)
    program.run("bit_fields", blocks(size, 64), 64, x, out, size)
    for word, found in zip(x.tolist(), out.tolist(), strict=True):
        middle = (word >> 3 & 127) - 3 & 127
        value = (word & ~1023) | middle << 3 | (word + 1 & 7)
        assert (value + (middle - 128 if middle > 63 else middle) - found) % 2**32 == 0


@sizes(1, 100, 40)
def test_linked_lists_on_the_heap(program, rng, size):
    lengths, out = rng.integers(0, 9, size).astype(np.int32), np.zeros(size, np.int64)
    program.run("linked_list", blocks(size, 32), 32, lengths, out, size)
    assert out.tolist() == [sum((k + 1) * (i + k) for k in range(m)) for i, m in enumerate(lengths.tolist())]


@sizes(1, 100, 70)
def test_a_stack_shared_by_all_threads(program, size):
    seen, count = np.zeros(size, np.int32), np.zeros(1, np.int32)
    program.run("push_all", blocks(size, 32), 32, size)
    program.run("pop_all", 1, 1, seen, count)
    assert (seen == 1).all()
    assert count[0] == size


@sizes(1, 5, 3)
def test_printf(program, capfd, size):
    x = np.arange(size, dtype=np.float32) / 3
    program.run("report", 1, 32, x, size)
    lines = capfd.readouterr().out.splitlines()
    assert sorted(lines) == [
        f"{i}: {x[i]:5.2f} {'odd' if i & 1 else 'even'} {chr(97 + i)} {0xF << 4 * i:x} %" for i in range(size)
    ]


@sizes(1, 100, 40)
def test_assert(program, size):
    x = np.arange(size, dtype=np.int32)
    program.run("insist", blocks(size, 32), 32, x, size)
    with pytest.raises(CpuFault, match=r"x\[i\] >= 0"):
        program.run("insist", blocks(size, 32), 32, x - 1, size)


@sizes((1, 3), (50, 30), (33, 10))
def test_tokens(program, rng, size):
    rows, length = size
    letters = rng.choice(np.frombuffer(b"ab 12+ c-9", np.uint8), size)
    counts = np.zeros((rows, 4), np.int32)
    program.run("tokens", blocks(rows, 64), 64, letters, length, counts, rows)
    for row, found in zip(letters, counts.tolist(), strict=True):
        text = row.tobytes().decode()
        assert found == [0, *(len(re.findall(pattern, text)) for pattern in (r"\d+", r"[-+*/=]", "[a-z]+"))]


def steps_of(v):
    steps = 0
    while True:
        steps += 1
        if v % 7 == 3:
            v -= 2
        else:
            k, limit_reached = 0, False
            while k < v % 5:
                if (v + k) % 11 == 0:
                    v -= k + 1
                    limit_reached = True
                    break
                if k == 3:
                    break
                v -= 1
                k += 1
            if limit_reached:
                continue
            v -= 4
        if v <= 0:
            return steps * 1000 + v


@sizes(1, 100, 300)
def test_control_flow(program, rng, size):
    x, out = rng.integers(50, 400, size).astype(np.int32), np.zeros(size, np.int32)
    program.run("control_flow", blocks(size, 96), 96, x, out, size)
    assert out.tolist() == [steps_of(v) for v in x.tolist()]


@sizes(1, 100, 64)
def test_several_arrays_in_dynamic_shared_memory(program, rng, size):
    x, y = rng.standard_normal(96 * 2), np.zeros(96 * 2)
    count = min(size, 192)
    program.run("shared_layout", 2, 96, x, y, count, shared=96 * 15)
    t = np.arange(95, -1, -1)
    values = np.where(np.arange(192) < count, x, 0).reshape(2, 96)
    want = (values[:, t] + t * 3 + 0.5 * (t & 1)).reshape(-1)
    np.testing.assert_array_equal(y[:count], want[:count])
