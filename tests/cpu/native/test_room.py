"""What a launch of machine code leaves to the next one, and what it does not."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from jitload.cpu.native import context
from jitload.cpu.native.compile import compile_native
from jitload.cpu.native.room import take_room
from jitload.cpu.run.grid import Grid

from .test_launch import both

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

SUMS = """
extern "C" __global__ void sums(const int *x, int *y, int n, int step) {
    __shared__ int part[64];
    int stack[4] = {step, n, step + n, 7}, t = threadIdx.x;
    part[t] = t < n ? x[t * step] + stack[x[t] & 3] : 0;
    __syncthreads();
    if (t < n) y[t] = part[n - 1 - t] + step;
}
"""
HOARD = """extern "C" __global__ void hoard(int *y, int k) {
    int all[1024]; for (int i = 0; i < 1024; ++i) all[(i * k) & 1023] = i; y[threadIdx.x] = all[y[threadIdx.x] & 1023];
}"""


def test_launches_after_another(cuda):
    """Other arrays and numbers in the same shape, a fault between them, another shape."""
    device = cuda(SUMS)
    chance = np.random.default_rng(1)
    for n, step, block in ((32, 1, 32), (20, 2, 32), (40, 1, 64), (32, 1, 32), (32, 9, 32), (31, 1, 32)):
        fault = both(device, "sums", 1, block, chance.integers(0, 99, 64, np.int32), np.zeros(64, np.int32), n, step)
        assert bool(fault) == (step == 9)


def grid_of(device, name: str, params: bytes, block: int = 32) -> Grid:
    code = device.module.device_function(name).code
    return Grid(code, device.memory, params, (1, 1, 1), (block, 1, 1), 0)


def test_a_room_is_for_one_launch_at_a_time(cuda):
    device, rooms = cuda(SUMS), {}
    kernel = compile_native(device.module.device_function("sums").code)
    one, other = (take_room(rooms, kernel, grid_of(device, "sums", bytes([k] * 24))) for k in (1, 2))
    assert one is not other
    one.words[context.CODE] = one.words[context.NEAR] = 5
    one.keep(rooms)
    again = take_room(rooms, kernel, grid_of(device, "sums", bytes([3] * 24)))
    assert again is one
    assert not again.words[context.CODE]
    assert not again.words[context.NEAR]
    assert ctypes.string_at(int(again.words[context.PARAMS]), 24) == bytes([3] * 24)


def test_few_rooms_are_kept_and_no_large_ones(cuda):
    device, rooms = cuda(SUMS + HOARD), {}
    kernel = compile_native(device.module.device_function("sums").code)
    for block in range(32, 42):
        take_room(rooms, kernel, grid_of(device, "sums", bytes(24), block)).keep(rooms)
    assert 1 <= len(rooms) <= 4
    rooms.clear()
    kernel = compile_native(device.module.device_function("hoard").code)
    for block in (1024, 32):
        take_room(rooms, kernel, grid_of(device, "hoard", bytes(16), block)).keep(rooms)
    assert len(rooms) == 1
