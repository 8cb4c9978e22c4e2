"""Random programs as machine code and on lanes: the same bits, and most of them have machine code."""

from __future__ import annotations

import random

import numpy as np
import pytest

from .test_launch import run

THREADS = 64
_WORDS = [
    0,
    1,
    2,
    31,
    32,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    0x3F800000,
    0x7F800000,
    0x7FC00001,
    0xFF800001,
    0x00000001,
]


def integer(chance: random.Random, depth: int) -> str:
    """An expression of 32 bits."""
    if not depth:
        return chance.choice(["x", "y", "(unsigned)i", f"{chance.getrandbits(32)}u", str(chance.randrange(40))])
    a, b = integer(chance, depth - 1), integer(chance, depth - 1)
    return chance.choice(
        [
            *(f"({a} {sign} {b})" for sign in "+-*&|^"),
            *(f"({a} {sign} ({b} & 31))" for sign in ("<<", ">>")),
            *(f"({a} {sign} ({b} | 1))" for sign in "/%"),
            *(f"(unsigned)((int){a} {sign} (int)({b} | 1))" for sign in ("<", "==", ">>")),
            f"(unsigned)((long long)(int){a} * (int){b} >> 17)",
            f"({a} < {b} ? {b} : (unsigned)(signed char){a})",
            f"(unsigned)(unsigned short)((short){a} - {b})",
            f"__float_as_uint({real(chance, depth - 1)})",
        ]
    )


def real(chance: random.Random, depth: int) -> str:
    """An expression of float."""
    if not depth:
        return chance.choice(["__uint_as_float(x)", "__uint_as_float(y)", "(float)(int)x", f"{chance.uniform(-9, 9)}f"])
    a, b = real(chance, depth - 1), real(chance, depth - 1)
    return chance.choice(
        [
            *(f"__f{name}_rn({a}, {b})" for name in ("add", "mul", "div")),
            f"({a} < {b} ? {a} : {b})",
            f"fminf({a}, {b})",
            f"(float)({integer(chance, depth - 1)})",
            f"(float)((double){a} - {b})",
        ]
    )


def kernel(chance: random.Random, name: str) -> str:
    """One that computes, loops, and exchanges what it has through shared memory."""
    return f"""extern "C" __global__ void {name}(const unsigned *in, unsigned *out) {{
        __shared__ unsigned all[{THREADS}];
        int i = threadIdx.x;
        unsigned x = in[2 * i], y = in[2 * i + 1];
        for (int k = 0; k < {chance.randrange(1, 5)}; ++k) {{
            if ({integer(chance, 1)} & 1) x = {integer(chance, 2)}; else y ^= {integer(chance, 2)};
            all[i] = x + k;
            __syncthreads();
            y += all[(i * 7 + k) % {THREADS}];
            __syncthreads();
        }}
        out[2 * i] = {integer(chance, 3)};
        out[2 * i + 1] = y;
    }}\n"""


def check(seed: int, kernels: int, cuda) -> None:
    chance = random.Random(seed)
    names = [f"k{number}" for number in range(kernels)]
    device = cuda("".join(kernel(chance, name) for name in names), "-w")
    words = [chance.choice(_WORDS) if chance.random() < 0.5 else chance.getrandbits(32) for _ in range(2 * THREADS)]
    given = np.array(words, np.uint32)
    refused = []
    for name in names:
        lanes, native = np.zeros(2 * THREADS, np.uint32), np.zeros(2 * THREADS, np.uint32)
        assert not run(device, "lanes", name, 1, THREADS, given, lanes)
        assert not run(device, "native", name, 1, THREADS, given, native)
        np.testing.assert_array_equal(native, lanes)
        refused.append(device.module.device_function(name).native.refused)
    assert sum(map(bool, refused)) <= kernels // 4, refused  # what compilers make of some shifts and masks


def test_random_programs(cuda):
    check(1, 8, cuda)


@pytest.mark.slow(keep=2)
@pytest.mark.parametrize("seed", range(100, 300))
def test_many_random_programs(seed, cuda):
    check(seed, 20, cuda)
