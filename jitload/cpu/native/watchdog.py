"""Looks at a launch of machine code now and then: whether it gets on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.native import context as at
from jitload.cpu.native.standstill import Standstill

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.run.grid import Grid
    from jitload.cpu.types import Array


class Watchdog:
    """Stops a launch that runs for too long.

    Args:
        grid: of the launch.
        words: its context.
        table: gives the allocations that it may reach.

    Attributes:
        stands: whether all threads of a block go round, and nothing changes.
    """

    def __init__(self, grid: Grid, words: Array, table: Callable[[], Array]) -> None:
        self._words = words
        self._standstill = Standstill(grid, words, table)
        self._before, self._turns = (-1, -1, -1), 0
        self.stands = False

    def look(self) -> bool:
        """Whether to stop, which is written into the context then."""
        words = self._words
        words[at.FUEL] = at.FUEL_EDGES
        now = (int(words[at.BLOCK]), int(words[at.THREAD]), int(words[at.ROUNDS]))
        self._turns = self._turns + 1 if now == self._before else 1
        self._before = now
        met = words[at.SITE] == at.ALL_MET
        self.stands = bool(met and self._standstill.look())
        rounds = max(now[2] if met else 0, int(words[at.WARP_TURNS]))
        endless = self._turns > at.ENDLESS_LOOKS or rounds > at.MOST_ROUNDS
        words[at.WARP_TURNS] = 0
        if self.stands or endless:
            words[at.CODE] = at.ENDLESS
        return self.stands or endless
