"""Threads that part and meet at random: the executor's lanes against an interpreter of single threads."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.cpu.differential.flow import VARIABLES, Generator, Interpreter, source_of

KERNELS = 12  # per compile
BLOCKS = 2


def check(seed: int, cuda) -> None:
    rng = random.Random(seed)
    made = [Generator(rng) for _ in range(KERNELS)]
    text = "typedef unsigned int u32; typedef unsigned long long u64;\n"
    text += "".join(source_of(one, f"k{number}") for number, one in enumerate(made))
    device = cuda(text, "-w", arch=rng.choice(["compute_75", "compute_80", "compute_90", "compute_120"]))
    for number, one in enumerate(made):
        n = rng.choice([1, 20, 32, 44, 64, 70, 96])
        seeds = [rng.getrandbits(60) for _ in range(BLOCKS * n)]
        want = []
        for block in range(BLOCKS):
            model = Interpreter(n, seeds[block * n : block * n + n])
            left: dict[str, set[int]] = {}
            model.run(one.tail, model.run(one.body, list(range(n)), left), left)
            want += [[state[f"v{k}"] for k in range(VARIABLES)] for state in model.states]
        got = np.zeros((BLOCKS * n, VARIABLES), np.uint32)
        device.run(f"k{number}", BLOCKS, n, np.array(seeds, np.uint64), got)
        bad = np.argwhere(got != np.array(want, np.uint32))
        assert not len(bad), (
            f"seed {seed}, {n} threads: {len(bad)} values, first {bad[0]}\n{source_of(one, f'k{number}')}"
        )


@pytest.mark.parametrize("seed", range(2))
def test_random_control_flow(seed, cuda):
    check(seed, cuda)


@pytest.mark.slow(keep=0)
@pytest.mark.parametrize("seed", range(100, 300))
def test_much_random_control_flow(seed, cuda):
    check(seed, cuda)
