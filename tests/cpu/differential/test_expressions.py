"""Random functions of numbers: the executor and the host must agree in every bit."""

from __future__ import annotations

import ctypes
import random

import numpy as np
import pytest

from tests.cpu.differential.expressions import INPUTS, PRELUDE, Program

FUNCTIONS = 5  # per compile
THREADS = 160
EDGES = [0, 1, 2**63, 2**64 - 1, 0x7F800000, 0xFF800000, 0x7FC00001, 0x80000000, 0x7FFFFFFF, 0x00000001, 0x3F800000]
EDGES += [
    0x7FF0000000000000,
    0xFFF0000000000000,
    0x7FF8000000000001,
    0x8000000000000000,
    0x3FF0000000000000,
    0x0010000000000000,
]
EDGES += [
    0x00800000,
    0x007FFFFF,
    0xBF800001,
    0x4F000000,
    0xCF000000,
    0x5F000000,
    0x41E0000000000000,
    0x43E0000000000000,
]


def inputs(rng: random.Random) -> np.ndarray:
    """Words that are edges, small numbers, floats of moderate size, or anything."""

    def word() -> int:
        roll = rng.random()
        if roll < 0.25:
            return rng.choice(EDGES)
        if roll < 0.4:
            return rng.randrange(-20, 20) & (1 << 64) - 1
        if roll < 0.7:
            single = int(np.float32(rng.gauss(0, 1) * 2.0 ** rng.randrange(-30, 35)).view(np.uint32))
            return single | rng.getrandbits(32) << 32
        if roll < 0.85:
            return int(np.float64(rng.gauss(0, 1) * 2.0 ** rng.randrange(-60, 70)).view(np.uint64))
        return rng.getrandbits(64)

    return np.array([[word() for _ in range(INPUTS)] for _ in range(THREADS)], np.uint64)


def check(seed: int, cuda, host) -> None:
    rng = random.Random(seed)
    programs = [Program(rng, f"k{number}") for number in range(FUNCTIONS)]
    text = PRELUDE + "".join(program.text for program in programs)
    device = cuda(text, "--fmad=false", "-w", arch=rng.choice(["compute_75", "compute_90", "compute_100"]))
    reference = host(text)
    for program in programs:
        x = inputs(rng)
        got, want = (np.zeros((THREADS, program.outputs), np.uint64) for _ in range(2))
        getattr(reference, program.name)(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(want.ctypes.data), THREADS)
        device.run(program.name, 3, 64, x, got, THREADS)
        bad = np.argwhere(got != want)
        assert not len(bad), (
            f"seed {seed}: {program.name} differs in {len(bad)} values, first thread {bad[0][0]}, output {bad[0][1]}: "
            f"{int(got[tuple(bad[0])]):#x}, expected {int(want[tuple(bad[0])]):#x}; inputs {[hex(int(v)) for v in x[bad[0][0]]]}\n{program.text}"
        )


@pytest.mark.parametrize("seed", range(3))
def test_random_functions(seed, cuda, host):
    check(seed, cuda, host)


@pytest.mark.slow(keep=0)
@pytest.mark.parametrize("seed", range(100, 300))
def test_many_random_functions(seed, cuda, host):
    check(seed, cuda, host)
