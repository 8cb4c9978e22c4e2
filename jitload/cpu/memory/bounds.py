"""Where allocations begin and end, for many lanes at once; and how an access misses one, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from jitload.cpu.types import Array


class Bounds(NamedTuple):
    """Starts, ends, the `.const` flag and whether they are guests, of the live allocations, sorted by start."""

    starts: Array
    ends: Array
    constant: Array
    guests: Array

    def holding(self, offsets: Array, nbytes: int) -> Array:
        """Per offset, the index of the allocation that holds `nbytes` there, or -1."""
        if not len(self.starts):
            return np.full(len(offsets), -1)
        index = np.searchsorted(self.starts, offsets, "right") - 1
        return np.where((index >= 0) & (offsets + nbytes <= self.ends[index]), index, -1)


def relation(offset: int, nbytes: int, extent: int) -> str:
    """How an access of `nbytes` at `offset` from the start of `extent` bytes misses them."""
    if offset < 0:
        return f"access starts {-offset} bytes before its start"
    if offset > extent:
        return f"access starts {offset - extent} bytes past its end"
    if offset + nbytes > extent:
        return f"access ends {offset + nbytes - extent} bytes past its end"
    return f"access lies inside it, at byte {offset}"
