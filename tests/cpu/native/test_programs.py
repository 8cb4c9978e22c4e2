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


def place(chance: random.Random) -> str:
    """Something read from memory: at even distances between threads or none, backwards, in pairs, or anywhere."""
    return chance.choice(
        [
            "in[i]", "in[2 * i + 1]", "in[63 - i]", "in[k]", "in[blockDim.x + 3]", "in[x % 128]", "in[i ^ 5]",
            "((const unsigned short *)in)[i + k]", "((const signed char *)in)[3 * i]", "((const uint2 *)in)[i].y",
            "((const uint4 *)in)[i / 2].z", "(unsigned)((const unsigned long long *)in)[i]", "all[(i * 7 + k) % 64]",
            "all[threadIdx.y]", "own[(x + k) % 6]", "own[k % 6]", "(k & 1 ? own : all)[2]", "(x & 1 ? own : all)[k % 6]", "(n ? all : own)[k % 6]",
        ]
    )  # fmt: skip


def way(chance: random.Random) -> str:
    """Statements that some threads take, or all, or each of them another number of times."""
    condition = chance.choice([f"{integer(chance, 1)} & 1", "i < 24", "k & 1", "x == y", "i / 8 == k"])
    then, other = (f"{chance.choice('xy')} = {integer(chance, 2)};" for _ in range(2))
    turns = chance.choice(
        ["for (unsigned j = x & 3; j; --j) y = y * 3 + j;", "while (n < (y & 3)) { ++n; x ^= n; }", ""]
    )
    return f"if ({condition}) {{ {then} own[i % 6] = y; {turns} }} else {{ {other} }} {turns}"


def kernel(chance: random.Random, name: str) -> str:
    """One that computes, loops, and exchanges what it has through shared memory."""
    return f"""extern "C" __global__ void {name}(const unsigned *in, unsigned *out) {{
        __shared__ unsigned all[{THREADS}];
        int i = threadIdx.x + threadIdx.y * blockDim.x, k = 0;
        unsigned x = in[2 * i], y = in[2 * i + 1], n = 0, own[6];
        all[i] = x;
        for (int j = 0; j < 6; ++j) own[j] = x * j;
        __syncthreads();
        for (k = 0; k < {chance.randrange(1, 5)}; ++k) {{
            {way(chance)}
            y += {place(chance)} ^ {place(chance)};
            __syncthreads();
            all[i] = x + k;
            __syncthreads();
            y += {place(chance)} + n;
            __syncthreads();
        }}
        if ({integer(chance, 1)} & 1) return;
        out[2 * i] = {integer(chance, 3)};
        out[2 * i + 1] = y + {place(chance)};
    }}\n"""


#: Of one thread after the other, of rows, of rows along y, and with a row that is not whole.
BLOCKS = [(4, 16), (64,), (8, 8), (61,)]


def check(seed: int, kernels: int, cuda) -> None:
    chance = random.Random(seed)
    names = [f"k{number}" for number in range(kernels)]
    device = cuda("".join(kernel(chance, name) for name in names), "-w")
    words = [chance.choice(_WORDS) if chance.random() < 0.5 else chance.getrandbits(32) for _ in range(2 * THREADS)]
    given = np.array(words, np.uint32)
    refused = []
    for name in names:
        for block in BLOCKS:
            lanes, native = np.zeros(2 * THREADS, np.uint32), np.zeros(2 * THREADS, np.uint32)
            assert not run(device, "lanes", name, 2, block, given, lanes)
            assert not run(device, "native", name, 2, block, given, native)
            np.testing.assert_array_equal(native, lanes)
        refused.append(device.module.device_function(name).native.refused)
    assert sum(map(bool, refused)) <= kernels // 4, refused  # what compilers make of some shifts and masks


def test_random_programs(cuda):
    check(1, 6, cuda)


@pytest.mark.slow(keep=0)
@pytest.mark.parametrize("seed", range(100, 300))
def test_many_random_programs(seed, cuda):
    check(seed, 20, cuda)
