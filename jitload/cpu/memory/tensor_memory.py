"""The tensor memory of the thread blocks of a batch: its cells, and which columns are allocated."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jitload.cpu.lanes.tensor_memory import COLUMNS, LANES, LEAST_COLUMNS
from jitload.cpu.memory.slab import UNSET

if TYPE_CHECKING:
    from jitload.cpu.types import Array

_UNSET_WORD = UNSET << 16 | UNSET


class Allocated(NamedTuple):
    """Columns of one block: how many, and the instruction and the lane that took them."""

    columns: int
    site: int
    lane: int


class TensorMemory:
    """The tensor memory of so many blocks.

    Attributes:
        cells: (block, column, lane), of which only what is allocated is touched.
        free: (block, column): whether nobody has it.
    """

    def __init__(self, blocks: int) -> None:
        self.cells: Array = np.empty((blocks, COLUMNS, LANES), np.uint32)
        self.free: Array = np.ones((blocks, COLUMNS), np.bool_)
        self._allocated: list[dict[int, Allocated]] = [{} for _ in range(blocks)]
        self._last = [COLUMNS] * blocks
        self._relinquished: dict[int, int] = {}

    def allocate(self, block: int, columns: int, site: int, lane: int) -> int | str:
        """The first of so many columns, or why a block cannot have them."""
        if columns not in (32, 64, 128, 256, 512):
            return f"tcgen05.alloc of {columns} columns: legal is a power of two from {LEAST_COLUMNS} to {COLUMNS}"
        if block in self._relinquished:
            return "tcgen05.alloc after tcgen05.relinquish_alloc_permit of the block"
        if columns > self._last[block]:
            return f"tcgen05.alloc of {columns} columns after one of {self._last[block]}: the number may not grow"
        places = self.free[block].reshape(-1, columns).all(1)
        if not places.any():
            left = int(np.count_nonzero(self.free[block]))
            return (
                f"tcgen05.alloc of {columns} columns, of which {left} are free: it would wait for a tcgen05.dealloc, "
                f"which the CPU executor does not"
            )
        start = int(np.argmax(places)) * columns
        self.free[block, start : start + columns] = False
        self.cells[block, start : start + columns] = _UNSET_WORD
        self._allocated[block][start] = Allocated(columns, site, lane)
        self._last[block] = columns
        return start

    def release(self, block: int, address: int, columns: int) -> str:
        """Free what was allocated at an address; why that is impossible, or ""."""
        found = self._allocated[block].get(address)
        if found is None or found.columns != columns:
            held = ", ".join(f"{one.columns} at {start:#x}" for start, one in self._allocated[block].items())
            return f"tcgen05.dealloc of {columns} columns at {address:#x}: allocated are {held or 'none'}"
        self.free[block, address : address + columns] = True
        del self._allocated[block][address]
        return ""

    def relinquish(self, block: int, site: int) -> None:
        """A block allocates nothing more."""
        self._relinquished[block] = site

    def held(self, block: int) -> Allocated | None:
        """What a block has not freed."""
        return next(iter(self._allocated[block].values()), None)

    def missing(self, blocks: Array, columns: Array) -> int | None:
        """The position of the first of some blocks that does not have all columns: (block, column) each."""
        inside = (columns >= 0) & (columns < COLUMNS)
        bad = ~inside | self.free[blocks[:, None], np.where(inside, columns, 0)]
        return int(np.argmax(bad.any(1))) if bad.any() else None
