"""Context and memory of a launch, kept for the next one of the same shape: most of what a short launch would cost."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.memory.slab import unset_bytes
from jitload.cpu.native import context as at
from jitload.cpu.native.frame import LANES
from jitload.cpu.native.hooks import Hooks
from jitload.cpu.native.loops import loops

if TYPE_CHECKING:
    from jitload.cpu.native.kernel import NativeKernel
    from jitload.cpu.run.grid import Grid
    from jitload.cpu.types import Array

_ROWS = 64  # of allocations that a table has room for
_KEPT_BYTES, _KEPT_SHAPES = 1 << 20, 4  # larger ones are made anew, with pages that nobody has touched

Shape = tuple[object, ...]


def address_of(array: Array) -> int:
    """Where the host has an array."""
    return int(array.__array_interface__["data"][0])


class Room:
    """What one launch at a time works in.

    Args:
        kernel: that is launched.
        grid: of the first launch.

    Attributes:
        words: the context.
        table: for allocations.
        hooks: what machine code calls in the middle.
    """

    def __init__(self, kernel: NativeKernel, grid: Grid) -> None:
        code, threads = grid.code, grid.threads
        stride = -(-code.local_bytes // 32) * 32
        shared, frame = code.shared_bytes(grid.shared_bytes), kernel.frame_bytes
        params = grid.params.views["u8"]
        self._shape = grid.extents
        buffers = self._buffers(
            shared, stride * threads, frame * -(-threads // LANES) * LANES, 4 * threads, len(params)
        )
        self._params = self._memory[buffers[4] - self._start :][: len(params)]
        self.table = np.zeros((_ROWS, at.ROW_WORDS), np.int64)
        self.words = words = np.zeros(at.NEAR + at.NEAR_WORDS * kernel.near + 1, np.int64)
        self.address = address_of(words)
        self.hooks = Hooks()
        words[at.FUEL] = at.FUEL_EDGES
        words[at.POLL], words[at.SHIELD], words[at.ERRANDS] = self.hooks.poll, self.hooks.shield, self.hooks.errands
        words[at.TABLE] = address_of(self.table)
        words[at.PARAMS : at.THREADS + 1] = (
            buffers[4], grid.params.nbytes, buffers[0], shared, buffers[1], stride, code.local_bytes,
            unset_bytes(stride, threads), buffers[2], frame, buffers[3], threads,
        )  # fmt: skip
        words[at.NTID : at.DYNAMIC_BYTES + 1] = (
            *grid.block_shape, 0, 0, 0, *grid.shape, grid.warps, grid.shared_bytes,
        )  # fmt: skip
        words[at.FUNCTIONS] = address_of(loops())
        self._fresh = words.copy()

    def _buffers(self, *sizes: int) -> list[int]:
        """Memory, each at least of 16 bytes, aligned to 32."""
        rooms = [-(-nbytes // 32) * 32 + 32 for nbytes in sizes]
        self._memory = np.zeros(sum(rooms) + 32, np.uint8)
        self._start = address_of(self._memory)
        start = -(-self._start // 32) * 32
        return [start, *(start + behind for behind in itertools.accumulate(rooms[:-1]))]

    def furnish(self, grid: Grid) -> None:
        """Make it as a launch finds it."""
        self.words[:] = self._fresh
        self._params[:] = grid.params.views["u8"]

    def keep(self, rooms: dict[Shape, Room]) -> None:
        """Leave it to the next launch, once nothing of this one is looked at any more."""
        if len(self._memory) <= _KEPT_BYTES:
            if len(rooms) >= _KEPT_SHAPES:
                rooms.clear()
            rooms[self._shape] = self


def take_room(rooms: dict[Shape, Room], kernel: NativeKernel, grid: Grid) -> Room:
    """A room for a launch, which nobody else has until it is kept again: a launch may come in the middle of another."""
    room = rooms.pop(grid.extents, None) or Room(kernel, grid)
    room.furnish(grid)
    return room
