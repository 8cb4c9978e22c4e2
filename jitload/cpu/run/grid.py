"""The thread blocks of one launch, and how lanes of several of them are numbered."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.lanes.coordinates import BlockOrder
from jitload.cpu.memory.slab import Slab

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.kernel_code import KernelCode
    from jitload.cpu.memory.arena import Arena
    from jitload.cpu.types import Array, Lanes
    from jitload.launch.device import Dim3


_FEW_LANES = 4096  # of numberings of so many lanes some are kept: they take longer to make than a small kernel


class Grid:
    """The thread blocks of one launch, and what is the same for every batch of them.

    Args:
        code: the decoded kernel.
        arena: device memory.
        params: the parameter block.
        shape: thread blocks along x, y and z.
        block_shape: threads per block along x, y and z.
        shared_bytes: dynamic shared memory per block.
        cluster: blocks per cluster along x, y and z; None where the launch says nothing of clusters.

    Attributes:
        order: how blocks are numbered.
        cluster_blocks: blocks per cluster.
        explicit_cluster: whether the launch said how large clusters are.
        name: what the user calls the kernel.
        threads: per block.
        blocks: in all.
        warps: per block, the last one perhaps in part.
        extents: what launches have in common that can use the same memory of machine code.
        steps: scheduler steps since a batch ended, for the watchdog.
        workspace: the address of what the blocks of a cooperative launch synchronize through, or 0.
        on_access: who is told of every access, as `Observer.accessed` is; set before the first batch is made.
    """

    on_access: Callable[..., None] | None = None

    def __init__(
        self,
        code: KernelCode,
        arena: Arena,
        params: bytes | bytearray,
        shape: Dim3,
        block_shape: Dim3,
        shared_bytes: int,
        cluster: Dim3 | None = None,
    ) -> None:
        x, y, z = cluster or (1, 1, 1)
        self.order = BlockOrder((shape[0] // x, shape[1] // y, shape[2] // z), (x, y, z))
        self.cluster_blocks = x * y * z
        self.explicit_cluster = cluster is not None
        self.code = code
        self.name = code.name
        self.arena = arena
        self.shape = shape
        self.block_shape = block_shape
        self.shared_bytes = shared_bytes
        self.threads = block_shape[0] * block_shape[1] * block_shape[2]
        self.blocks = shape[0] * shape[1] * shape[2]
        self.warps = -(-self.threads // 32)
        self.extents = (*shape, *block_shape, shared_bytes, len(params))
        self.params = Slab("param", len(params), 1, code.parameter_places)
        self.params.views["u8"][: len(params)] = np.frombuffer(params, np.uint8)
        self.begin()

    def begin(self) -> None:
        """Be as at the beginning of a launch: the grid may run again, with other parameters."""
        self.started_ns = time.time_ns()
        self.steps = 0
        self.workspace = 0
        self._numberings: dict[int, Numbering] = {}

    def watched(self, on_access: Callable[..., None]) -> Grid:
        """The grid of a launch with the same parameters, which whoever watches may keep."""
        params = bytes(self.params.views["u8"][: self.params.nbytes])
        cluster = self.order.cluster if self.explicit_cluster else None
        grid = Grid(self.code, self.arena, params, self.shape, self.block_shape, self.shared_bytes, cluster)
        grid.name, grid.on_access = self.name, on_access
        return grid

    def numbering(self, blocks: int) -> Numbering:
        """The numbering of lanes in batches of so many blocks; made once per launch."""
        found = self._numberings.get(blocks)
        if found is None:
            found = self._numberings[blocks] = Numbering(self, blocks)
        return found


class Numbering:
    """How lanes are numbered in a batch: what depends on the number of its blocks only.

    Attributes:
        thread: the linear thread number of each lane in its block.
        block_slot: the place of each lane's block in the batch.
        slots: 32 times the warp, plus the lane in the warp.
        specials: special registers that no block number goes into.
    """

    def __init__(self, grid: Grid, blocks: int) -> None:
        numbers = _few_numbers if blocks * grid.threads <= _FEW_LANES else _numbers
        self.thread, self.block_slot, self.slots = numbers(grid.threads, blocks)
        self.specials: dict[str, Lanes | np.generic] = {}


def _numbers(threads: int, blocks: int) -> tuple[Array, Array, Array]:
    """Per lane: thread in its block, place of the block, slot."""
    thread = np.tile(np.arange(threads), blocks)
    block_slot = np.repeat(np.arange(blocks), threads)
    found = thread, block_slot, block_slot * (-(-threads // 32) * 32) + thread
    for one in found:
        one.flags.writeable = False
    return found


_few_numbers = lru_cache(maxsize=32)(_numbers)


def thread_axis(block_shape: Dim3, place: int, blocks: int) -> Array:
    """`%tid` along an axis, per lane."""
    extents = block_shape[0] * block_shape[1] * block_shape[2]
    digits = _few_digits if blocks * extents <= _FEW_LANES else _digits
    return digits(block_shape, place, blocks)


def _digits(block_shape: Dim3, place: int, blocks: int) -> Array:
    x, y, z = block_shape
    threads = np.arange(x * y * z) // (1, x, x * y)[place] % block_shape[place]
    found = np.tile(threads.astype(np.uint32), blocks)
    found.flags.writeable = False
    return found


_few_digits = lru_cache(maxsize=32)(_digits)
