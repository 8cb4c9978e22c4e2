"""The fragments of `mma.m8n8k4` of f16 (PTX ISA section 9.7.14.5.1): four products in a warp.

Lanes 4q to 4q + 3 and 4q + 16 to 4q + 19, a pair of quads, hold the matrices of product q.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jitload.cpu.types import Array


@lru_cache(maxsize=16)
def quad_layout(which: str, by: str, wide: bool) -> tuple[Array, Array]:
    """Rows and columns: arrays of (lane of the pair, element); `by` is "row" or "col", and `wide` sums are f32."""
    lane, element = np.arange(8)[:, None], np.arange(4 if which in "ab" else 8)[None, :]
    within, upper = lane & 3, 4 * (lane >> 2)
    if which in "ab":
        outer, along = (
            (within + upper, element) if by == ("row" if which == "a" else "col") else (element + upper, within)
        )
        found = (outer, along) if which == "a" else (along, outer)
    elif wide:
        found = (within & 1) + (element & 2) + upper, (element & 4) + (within & 2) + (element & 1)
    else:
        found = within + upper, element
    rows, columns = np.broadcast_arrays(*found)
    return rows, columns


def pair_quads(lanes: Array) -> Array:
    """Warps of 32 lanes as four pairs of quads: lanes 0-3 and 16-19, 4-7 and 20-23, ...; and the elements in a row."""
    quads = lanes.reshape(len(lanes), 2, 4, 4, -1).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(quads).reshape(len(lanes) * 4, 8, -1)


def unpair_quads(pairs: Array) -> Array:
    """The lanes of `pair_quads`, in order again."""
    quads = pairs.reshape(-1, 4, 2, 4, pairs.shape[-1]).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(quads).reshape(-1, 32, pairs.shape[-1])
