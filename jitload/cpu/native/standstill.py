"""Threads that meet again and again and change nothing: from where all is as it was, all goes on as it did."""

from __future__ import annotations

import ctypes
import functools
from typing import TYPE_CHECKING

from jitload.cpu.native import context as at
from jitload.cpu.native.frame import LANES
from jitload.lazy import lazy

if TYPE_CHECKING:
    import hashlib
    from collections.abc import Callable

    from jitload.cpu.run.grid import Grid
    from jitload.cpu.types import Array
else:
    hashlib = lazy("hashlib")  # with OpenSSL

_FIRST_LOOK = 4  # polls of one thread block in a row; most launches are over before
_LOOKS = 64  # for so long a state is compared with: loops are seldom in step with polls
_MOST_BYTES = 1 << 26  # with more to look at, a launch is left to the bound on its meetings
_CLOCKS = ("%clock", "%globaltimer")


class Standstill:
    """Watches the thread block that runs, between the meetings of all its threads.

    Args:
        grid: of the launch.
        words: its context.
        table: gives the allocations that it may reach.
    """

    def __init__(self, grid: Grid, words: Array, table: Callable[[], Array]) -> None:
        self._grid = grid
        self._words = words
        self._table = table
        self._block, self._polls = -1, 0
        self._seen = b""

    @functools.cached_property
    def _ticks(self) -> bool:
        """Whether the kernel looks at a clock, which is another whenever it does."""
        return any(clock in place.text for place in self._grid.code.places for clock in _CLOCKS)

    def look(self) -> bool:
        """Whether all is as it was before, in registers and in memory. Nothing that runs then can end it."""
        block = int(self._words[at.BLOCK])
        self._polls = self._polls + 1 if block == self._block else 0
        self._block = block
        if self._polls < _FIRST_LOOK or self._ticks:
            return False
        state = self._state()
        if state is not None and state == self._seen:
            return True
        if (self._polls - _FIRST_LOOK) % _LOOKS == 0:
            self._seen = state or b""
        return False

    def _state(self) -> bytes | None:
        parts = list(self._parts())
        if sum(nbytes for _, nbytes in parts) > _MOST_BYTES:
            return None
        state = hashlib.sha256(usedforsecurity=False)
        for address, nbytes in parts:
            state.update((ctypes.c_ubyte * nbytes).from_address(address))
        return state.digest()

    def _parts(self) -> list[tuple[int, int]]:
        """(address, bytes) of all that threads may change."""
        words = self._words
        threads = int(words[at.THREADS])
        rows = self._table()[: int(words[at.ALLOCATIONS])].tolist()
        return [
            (int(words[at.STATES]), 4 * threads),
            (int(words[at.FRAMES]), int(words[at.FRAME_BYTES]) * -(-threads // LANES) * LANES),  # as rows lie
            (int(words[at.SHARED]), int(words[at.SHARED_BYTES])),
            (int(words[at.LOCAL]), int(words[at.LOCAL_STRIDE]) * threads),
            *((start + distance, end - start) for start, end, distance, written in rows if written),
        ]
