"""Damaged PTX: an error of ours, or a kernel that still makes sense; never anything else."""

from __future__ import annotations

import contextlib
import random

import numpy as np
import pytest

from jitload.errors import JitloadError

SOURCE = r"""
__constant__ float w[3] = {1, 2, 3}; __device__ int count;
__device__ __noinline__ float f(float x, int n) { return n ? x * w[n % 3] : sqrtf(x); }
extern "C" __global__ void k(const float *x, float *y, int n) {
    __shared__ float s[64]; int t = threadIdx.x;
    s[t] = t < n ? x[t] : 0; __syncthreads();
    float v = f(s[63 - t], t & 3); v += __shfl_xor_sync(0xffffffffu, v, 1);
    atomicAdd(&count, 1); y[t] = v / 3 + (float)(n % 7); if (t > 70) printf("%f\n", v);
}
"""
FRAGMENTS = [
    ";",
    ",",
    "{",
    "}",
    "[",
    "]",
    "%r1",
    "%rd2",
    "%f3",
    "%p1",
    ".u64",
    ".f32",
    "bra",
    "call",
    "0",
    "-1",
    "4294967296",
    "@",
    ".reg",
    ".",
]


def attempt(device, text: str) -> None:
    """Load, fetch and launch; every exception but ours goes through and fails the test."""
    with contextlib.suppress(JitloadError):
        made = device(text.encode())
        for name in made.module.functions:
            function = made.module.device_function(name)
            parameters = [(one.offset, one.size) for one in function.info.params]
            if parameters == [(0, 8), (8, 8), (16, 4)]:
                made.run(name, 1, 64, np.ones(64, np.float32), np.zeros(64, np.float32), 64)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("jitload.cpu.run.schedule.STEP_LIMIT", 3000)


@pytest.mark.parametrize("seed", range(6))
def test_mutated_text(cuda, device, quick, seed):
    text = cuda(SOURCE, "-lineinfo").ptx.decode().rstrip("\0")
    rng = random.Random(seed)
    for _ in range(150):
        changed = text
        for _ in range(rng.choice([1, 1, 2, 5])):
            place = rng.randrange(len(changed))
            end = place + rng.choice([0, 1, 1, 3, 20])
            insert = rng.choice([*FRAGMENTS, "", "", chr(rng.randrange(32, 127))])
            changed = changed[:place] + insert + changed[end:]
        attempt(device, changed)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_tokens(cuda, device, quick, seed):
    words = cuda(SOURCE).ptx.decode().rstrip("\0").split(" ")
    rng = random.Random(seed)
    for _ in range(150):
        changed = list(words)
        for _ in range(rng.choice([1, 1, 2, 4])):
            changed[rng.randrange(len(changed))] = rng.choice(rng.choice([FRAGMENTS, words]))
        attempt(device, " ".join(changed))


def test_every_truncation(cuda, device, quick):
    text = cuda(SOURCE).ptx.decode().rstrip("\0")
    for end in range(0, len(text), 97):
        attempt(device, text[:end])
