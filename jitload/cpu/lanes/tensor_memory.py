"""Tensor memory: where the registers of a warp lie in it, `tcgen05.ld` and `.st` (PTX ISA section 9.7.16.2.3).

It has 128 lanes of 512 columns of 32 bits for each thread block. Threads are named t here, registers r. The halves of a
packed register are the lower halves of two columns.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from jitload.cpu.types import Array

LANES, COLUMNS = 128, 512
LEAST_COLUMNS = 32
#: Lanes that one warp of a warpgroup reaches.
PART = 32
#: Shape -> registers of each thread, and lanes of the memory.
SHAPES = {"32x32b": (1, 32), "16x64b": (1, 16), "16x128b": (2, 16), "16x256b": (4, 16), "16x32bx2": (1, 16)}


class TensorMove(NamedTuple):
    """What a warp does with tensor memory.

    Attributes:
        verb: "alloc", "dealloc", "relinquish_alloc_permit", "ld" or "st".
        shape: of what is moved.
        registers: of each thread.
        packed: whether a register has two columns.
        split: columns from the first half of the threads to the second, of 16x32bx2.
        generic: whether the address of a place in shared memory is generic.
    """

    verb: str
    shape: str = ""
    registers: int = 0
    packed: bool = False
    split: int = 0
    generic: bool = False


class Cells(NamedTuple):
    """Lane and column of each register and thread, from where a move begins: arrays (registers, 32)."""

    lanes: Array
    columns: Array


@lru_cache(maxsize=256)
def cells_of(move: TensorMove) -> Cells:
    """Where the registers of a warp lie; of packed ones the first of two columns."""
    t, r = np.arange(32)[None, :], np.arange(move.registers)[:, None]
    far: Array | int = 0
    if move.shape == "32x32b":
        lanes, columns = t, r
    elif move.shape == "16x64b":
        lanes, columns = 8 * (t % 2) + t // 4, 2 * r + t // 2 % 2
    elif move.shape == "16x128b":
        lanes, columns = t // 4 + 8 * (r % 2), 4 * (r // 2) + t % 4
    elif move.shape == "16x256b":
        lanes, columns = t // 4 + 8 * (r // 2 % 2), 8 * (r // 4) + 2 * (t % 4) + r % 2
    else:
        lanes, columns, far = t % 16, r, t // 16 * move.split
    found = np.broadcast_arrays(lanes, columns * (1 + move.packed) + far)
    return Cells(*found)


def columns_of(move: TensorMove) -> Array:
    """All columns that it reaches, from where it begins."""
    columns = cells_of(move).columns
    return np.unique(np.concatenate([columns, columns + 1]) if move.packed else columns)
