"""Random kernels of every instruction that computes, as machine code and on lanes: the same bits, faults and lines."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

from .made import OUT_BYTES, SHAPES, Kernel
from .test_launch import run, without_addresses

_EDGES = [
    0, 1, 2, 31, 32, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x3F800000, 0x7F800000, 0x7FC00001, 0xFF800001, 0x3C003C00, 0x7C01FC00,
    0x7FF00000, 0xFFF80000, 0x00010001, 0x80008001,
]  # fmt: skip
_WAYS = 16  # programs of a kernel


def check(seed: int, kernels: int, ptx) -> tuple[int, int]:
    """(programs that ran as machine code, faults)."""
    chance = random.Random(seed)
    made = [Kernel(chance, f"k{number}", _WAYS) for number in range(kernels)]
    device = ptx("".join(one.text for one in made))
    ran = faults = 0
    for number, one in enumerate(made):
        name = f"k{number}"
        for way in range(_WAYS):
            shape = chance.choice([shape for shape in SHAPES if shape != (44,) or not one.whole[way]])
            words = [chance.choice(_EDGES) if chance.random() < 0.5 else chance.getrandbits(32) for _ in range(512)]
            said, found = [], []
            for engine in ("lanes", "native"):
                given = np.array(words, np.uint32)
                arrays = [given, *(np.zeros(count, np.uint32) for count in (64 * OUT_BYTES // 4, 64, 16))]
                fault = run(device, engine, name, 1, shape, *arrays, way)
                said.append(without_addresses(fault))
                found.append(arrays)
            where = f"seed {seed}, kernel {name}, program {way}, block {shape}"
            faults += bool(said[0])
            warps = {_warp(one, shape) for one in said}
            if None not in warps and len(warps) == 2:
                continue  # two threads are at fault, and their warps in no order
            assert said[0] == said[1], where
            for lanes, native in zip(*found, strict=True):
                np.testing.assert_array_equal(native, lanes, where)
        ran += 0 if device.module.device_function(name).native.refused else _WAYS
    return ran, faults


def _warp(fault: str, shape: tuple[int, ...]) -> int | None:
    """The number of the warp whose thread a fault names, where there is a fault that names one."""
    named = re.search(r"thread \((\d+), (\d+), 0\)", fault)
    return named and (int(named[1]) + int(named[2]) * shape[0]) // 32


def test_random_kernels(ptx):
    assert check(1, 1, ptx)[0] == _WAYS


@pytest.mark.slow(keep=0)
@pytest.mark.parametrize("seed", range(100, 310))
def test_many_random_kernels(ptx, seed):
    ran, faults = check(seed, 6, ptx)
    assert ran
    assert faults < 6 * _WAYS
