"""What the accesses of warps cost on a GPU: sectors of global and local memory, wavefronts of shared memory.

Pure functions of the addresses that lanes hold. The rules, from the CUDA C++ Programming Guide (device memory accesses;
shared memory) and the memory tables of Nsight Compute:

- Global memory moves in sectors of 32 bytes. A request, which is one instruction of one warp, moves every sector that
  its active lanes touch, each once.
- Local memory is interleaved: word by word, the 32 lanes of a warp lie side by side.
- Shared memory has 32 banks of 4 bytes. Lanes that want the same word share it; other lanes on one bank wait for each
  other, and every turn is a wavefront. 8 bytes per lane are served in two halves of a warp, 16 bytes in four quarters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jitload.cpu.types import Array

WARP_LANES = 32
SECTOR_BYTES = 32
BANKS = 32
BANK_BYTES = 4


class Warps:
    """Active lanes, one row per warp that has any.

    Args:
        slots: 32 times the warp plus the lane in the warp, of each active lane, ascending.

    Attributes:
        count: how many warps.
        active: (count, 32), which lanes are active.
    """

    __slots__ = ("_columns", "_rows", "_starts", "active", "count")

    def __init__(self, slots: Array) -> None:
        warps = slots >> 5
        first = np.empty(len(slots), np.bool_)
        first[:1] = True
        np.not_equal(warps[1:], warps[:-1], out=first[1:])
        self._starts = np.flatnonzero(first)
        self._rows = np.cumsum(first) - 1
        self._columns = slots & 31
        self.count = len(self._starts)
        self.active = np.zeros((self.count, WARP_LANES), np.bool_)
        self.active[self._rows, self._columns] = True

    def spread(self, values: Array) -> Array:
        """(count, 32): the value of each lane; that of another lane of the warp where a lane is not active."""
        if len(values) == self.count * WARP_LANES:
            return values.reshape(-1, WARP_LANES)
        rows = np.repeat(values[self._starts], WARP_LANES).reshape(-1, WARP_LANES)
        rows[self._rows, self._columns] = values
        return rows

    def lanes(self) -> Array:
        """How many lanes of each warp are active."""
        counts: Array = self.active.sum(axis=1)
        return counts


def count_distinct(rows: Array) -> Array:
    """How many different values each row holds."""
    ordered = np.sort(rows, axis=1)
    changes: Array = (ordered[:, 1:] != ordered[:, :-1]).sum(axis=1)
    return changes + 1


def count_largest_group(rows: Array, active: Array) -> Array:
    """How many active lanes of each row hold the value that most of them hold."""
    order = np.argsort(rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=1)
    first = np.ones(rows.shape, np.bool_)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=first[:, 1:])
    groups = np.cumsum(first.reshape(-1)) - 1
    sizes = np.bincount(groups, np.take_along_axis(active, order, axis=1).reshape(-1))
    return np.maximum.reduceat(sizes, groups.reshape(rows.shape)[:, 0]).astype(np.int64)


def global_sectors(rows: Array, nbytes: int) -> tuple[int, int]:
    """(sectors, ideal sectors) of an aligned access of `nbytes` per lane.

    Ideal are the fewest sectors that could hold the bytes that are touched, each counted once.

    Args:
        rows: addresses, a row per warp.
        nbytes: per lane, a power of two up to 32.
    """
    touched = count_distinct(rows) * nbytes
    return int(count_distinct(rows // SECTOR_BYTES).sum()), int((-(-touched // SECTOR_BYTES)).sum())


def local_sectors(rows: Array, warps: Warps, nbytes: int) -> tuple[int, int]:
    """(sectors, ideal sectors) of an aligned access of `nbytes` per lane to its own local memory.

    Args:
        rows: offsets in the local memory of each lane.
        warps: which lanes are active.
        nbytes: per lane, a power of two up to 32.
    """
    columns = np.broadcast_to(np.arange(WARP_LANES) // (SECTOR_BYTES // BANK_BYTES), rows.shape)
    # An inactive lane repeats one that is active: the same word in the same eighth of the warp.
    first = np.argmax(warps.active, axis=1)[:, None]
    columns = np.where(warps.active, columns, np.take_along_axis(columns, first, axis=1))
    rows = np.where(warps.active, rows, np.take_along_axis(rows, first, axis=1))
    words = [(rows // BANK_BYTES + place) * 4 + columns for place in range(max(nbytes // BANK_BYTES, 1))]
    touched = warps.lanes() * nbytes
    return int(count_distinct(np.hstack(words)).sum()), int((-(-touched // SECTOR_BYTES)).sum())


def shared_wavefronts(rows: Array, active: Array, nbytes: int) -> tuple[int, int]:
    """(wavefronts, ideal wavefronts) of an aligned access of `nbytes` per lane; the difference are bank conflicts.

    Args:
        rows: addresses in the shared memory of the block, a row per warp.
        active: which lanes are active; the others hold the address of an active one.
        nbytes: per lane, a power of two up to 32.
    """
    per_lane = max(nbytes // BANK_BYTES, 1)
    lanes = WARP_LANES // per_lane
    phases = active.reshape(-1, lanes)
    busy = phases.any(axis=1)
    chosen, phases = rows.reshape(-1, lanes)[busy], phases[busy]
    first = np.argmax(phases, axis=1)[:, None]
    chosen = np.where(phases, chosen, np.take_along_axis(chosen, first, axis=1))
    words = (chosen[:, :, None] // BANK_BYTES + np.arange(per_lane)).reshape(len(chosen), -1)
    return int(_turns(words).sum()), len(chosen)


def _turns(words: Array) -> Array:
    """Per row, the most different words that fall on one bank."""
    ordered = np.sort(words, axis=1)
    first = np.ones(words.shape, np.bool_)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=first[:, 1:])
    places = np.arange(len(words))[:, None] * BANKS + ordered % BANKS
    most: Array = np.bincount(places[first], minlength=len(words) * BANKS).reshape(-1, BANKS).max(axis=1)
    return most
