"""The coordinates that the lanes of a batch count through, and which batches have regular ones.

Blocks are numbered cluster by cluster, and by rank within a cluster; clusters of one block make that the order of the
grid. A batch whose clusters are a box of the grid has lanes that count like the digits of a clock: cluster z, y, x, the
block in it z, y, x, then thread z, y, x. Special registers are then `Affine`, and so are the places where each block's
shared memory and each lane's local memory start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jitload.cpu.lanes.affine import Affine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jitload.cpu.types import Array
    from jitload.launch.device import Dim3

_U32 = np.dtype(np.uint32)
_WARP = 32


class BlockOrder(NamedTuple):
    """How the blocks of a grid are numbered.

    Attributes:
        clusters: along x, y and z.
        cluster: blocks of one along x, y and z.
    """

    clusters: Dim3
    cluster: Dim3

    @property
    def size(self) -> int:
        """Blocks per cluster."""
        return self.cluster[0] * self.cluster[1] * self.cluster[2]

    def block_at(self, number: int) -> Dim3:
        """The coordinates of a block."""
        x, y, z = (self.axis("ctaid", np.array([number]), place) for place in range(3))
        return int(x[0]), int(y[0]), int(z[0])

    def axis(self, name: str, numbers: Array, place: int) -> Array:
        """`ctaid`, `clusterid` or `cluster_ctaid` of blocks along one axis."""
        clusters, ranks = numbers // self.size, numbers % self.size
        within = _digit(ranks, self.cluster, place)
        if name == "cluster_ctaid":
            return within
        outer = _digit(clusters, self.clusters, place)
        return outer if name == "clusterid" else outer * self.cluster[place] + within


def _digit(numbers: Array, extents: Dim3, place: int) -> Array:
    before = (1, extents[0], extents[0] * extents[1])[place]
    return numbers // before % extents[place]


class Coordinates:
    """The coordinates of one batch.

    Args:
        block: threads per block.
        order: of the blocks.
        first: the linear number of the batch's first block.
        blocks: how many it has.

    Attributes:
        extents: how far each coordinate counts, the slowest first.
        lane_strides: what each adds to the lane number.
        block_strides: what each adds to the block's place in the batch.
    """

    def __init__(self, block: Dim3, order: BlockOrder, first: int, blocks: int) -> None:
        start, count = first // order.size, blocks // order.size
        box = _box(order.clusters, start, count)
        self._places: dict[str, tuple[int, dict[int, int]]] = {}
        extents: list[int] = [*(box or (1, 1, count)), *reversed(order.cluster)]
        for number, axis in enumerate("zyx"):
            if box is not None:
                width = order.cluster[2 - number]
                base = int(_digit(np.array(start), order.clusters, 2 - number)) * width
                self._places[f"ctaid.{axis}"] = (base, {number: width, number + 3: 1})
        for axis, extent in zip("zyx", reversed(block), strict=True):
            place = len(extents)
            if axis == "x" and extent % _WARP == 0:
                # Warps count by themselves, so that the lane in the warp is linear too.
                self._places["tid.x"] = (0, {place: _WARP, place + 1: 1})
                extents += [extent // _WARP, _WARP]
            else:
                self._places[f"tid.{axis}"] = (0, {place: 1})
                extents.append(extent)
        kept = [place for place, extent in enumerate(extents) if extent > 1]
        self._kept = kept
        self.extents = tuple(extents[place] for place in kept)
        lanes = [1] * (len(extents) + 1)
        for place in reversed(range(len(extents))):
            lanes[place] = lanes[place + 1] * extents[place]
        threads = block[0] * block[1] * block[2]
        self.lane_strides = tuple(lanes[place + 1] for place in kept)
        self.block_strides = tuple(lanes[place + 1] // threads if place < 6 else 0 for place in kept)

    def special(self, name: str) -> Affine | np.uint32 | None:
        """`%tid` or `%ctaid` of every lane, if it is regular."""
        found = self._places.get(name)
        if found is None:
            return None
        base, weights = found
        strides = tuple(weights.get(place, 0) for place in self._kept)
        return Affine(self.extents, _U32, base, strides) if any(strides) else np.uint32(base)


def _box(grid: Dim3, first: int, blocks: int) -> tuple[int, int, int] | None:
    """(z, y, x) extents of so many blocks in linear order, if they are a box of the grid."""
    row, plane = grid[0], grid[0] * grid[1]
    if first % row + blocks <= row:
        return (1, 1, blocks)
    if first % row or blocks % row:
        return None
    if first % plane + blocks <= plane:
        return (1, blocks // row, row)
    return (blocks // plane, grid[1], row) if not first % plane and not blocks % plane else None


def split_grid(order: BlockOrder, most: int) -> Iterator[tuple[int, int]]:
    """(first block, number of blocks) of batches, boxes of clusters: at most so many blocks, or one cluster."""
    for first, count in _split_box(order.clusters, max(most // order.size, 1)):
        yield first * order.size, count * order.size


def _split_box(grid: Dim3, most: int) -> Iterator[tuple[int, int]]:
    row, plane = grid[0], grid[0] * grid[1]
    if most < row:
        unit, whole = 1, row
    elif most < plane:
        unit, whole = row, plane
    else:
        unit, whole = plane, plane * grid[2]
    batches = -(-whole // (most // unit * unit))
    size = -(-whole // unit // batches) * unit
    for start in range(0, plane * grid[2], whole):
        for first in range(start, start + whole, size):
            yield first, min(size, start + whole - first)


def unfold(linear: int, extents: Dim3) -> Dim3:
    """(x, y, z) of a linear number."""
    return linear % extents[0], linear // extents[0] % extents[1], linear // (extents[0] * extents[1])
