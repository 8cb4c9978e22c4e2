"""Addresses that are linear in the coordinates of the lanes: whole accesses as copies of strided arrays.

The smallest and the largest address, and which bits are ever set, follow from a few numbers; a gather is a copy of a
view with strides. Everything unusual (a misaligned or overlapping access, a fault) is left to the addresses per lane.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jitload.cpu.memory.access import Addresses, GlobalAddresses, SlabAddresses
from jitload.cpu.types import DTYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cpu.lanes.affine import Affine
    from jitload.cpu.memory.access import RunningLanes
    from jitload.cpu.memory.slab import Slab
    from jitload.cpu.types import Array, Lanes

_ROW_BYTES = 512  # rows up to this size are copied as one element: NumPy's inner loops cost more than that


class _StridedAddresses(Addresses):
    """Addresses of every lane of a batch, as an `Affine`."""

    _affine: Affine
    _axes: Axes
    _room: int
    _start: int

    def _init_strided(
        self, batch: RunningLanes, affine: Affine, limits: tuple[int, int, int], slab_strides: Sequence[int]
    ) -> None:
        self.batch = batch
        self.positions = None
        self._indices = {}
        self._affine = affine
        self._start, self.lo, self.hi = limits
        self.bits = self._start
        for stride in affine.strides:
            self.bits |= stride
        strides = [one + other for one, other in zip(affine.strides, slab_strides, strict=True)]
        self._axes = merge_axes(affine.extents, strides)
        self._room = room_of(self._axes)

    @property
    def offsets(self) -> Array:  # type: ignore[override]
        """The offset of every lane."""
        return self._affine.lanes()

    def load(self, offset: int, rep: str, size: int, site: int) -> Lanes:
        """What the lanes read; a scalar when they all read one place."""
        if (self.bits | offset) & (size - 1):
            return super().load(offset, rep, size, site)
        self.check(offset, size, site)
        return read_strided(self.views["u8"], DTYPES[rep], self._start + offset - self.origin, self._axes)

    def store(self, offset: int, rep: str, size: int, site: int, value: Lanes) -> None:
        """Write a value per lane."""
        if (self.bits | offset) & (size - 1) or self._room < size:
            super().store(offset, rep, size, site, value)
            return
        self.check(offset, size, site, write=True)
        write_strided(self.views["u8"], DTYPES[rep], self._start + offset - self.origin, self._axes, value)

    def load_vector(self, offset: int, rep: str, size: int, count: int, site: int) -> Sequence[Lanes]:
        """`count` elements per lane."""
        if (self.bits | offset) & (size * count - 1):
            return super().load_vector(offset, rep, size, count, site)
        self.check(offset, size * count, site)
        view, start = self.views["u8"], self._start + offset - self.origin
        return [read_strided(view, DTYPES[rep], start + size * number, self._axes) for number in range(count)]

    def store_vector(self, offset: int, rep: str, size: int, site: int, values: Sequence[Lanes]) -> None:
        """Write a vector per lane."""
        nbytes = size * len(values)
        if (self.bits | offset) & (nbytes - 1) or self._room < nbytes:
            super().store_vector(offset, rep, size, site, values)
            return
        self.check(offset, nbytes, site, write=True)
        view, start = self.views["u8"], self._start + offset - self.origin
        for number, value in enumerate(values):
            write_strided(view, DTYPES[rep], start + size * number, self._axes, value)


class StridedGlobalAddresses(_StridedAddresses, GlobalAddresses):
    """Addresses in the arena."""

    def __init__(self, batch: RunningLanes, affine: Affine, limits: tuple[int, int, int]) -> None:
        self.slabs = 0
        self._init_strided(batch, affine, limits, (0,) * len(affine.strides))


class StridedSlabAddresses(_StridedAddresses, SlabAddresses):
    """Addresses in shared, local or parameter memory."""

    def __init__(
        self, batch: RunningLanes, slab: Slab, affine: Affine, limits: tuple[int, int, int], slabs: Array | int
    ) -> None:
        self.slab = slab
        self.space = slab.space
        self.window = 0
        self.slabs = slabs
        self._init_strided(batch, affine, limits, batch.slab_strides(slab))


Axes = list[tuple[int, int]]


def merge_axes(extents: Sequence[int], strides: Sequence[int]) -> Axes:
    """(extent, stride) of as few axes as possible, the slowest first."""
    axes: Axes = []
    for extent, stride in zip(extents, strides, strict=True):
        if axes and axes[-1][1] == extent * stride:
            axes[-1] = (axes[-1][0] * extent, stride)
        else:
            axes.append((extent, stride))
    return axes


def room_of(axes: Axes) -> int:
    """How many bytes every element has for itself; 0 or less where elements overlap."""
    room, reach = 1 << 62, 0
    for stride, extent in sorted((abs(stride), extent) for extent, stride in axes):
        room = min(room, stride - reach)
        reach += stride * (extent - 1)
    return room


def read_strided(memory: Array, dtype: np.dtype[Any], start: int, axes: Axes) -> Lanes:
    """The elements at `start` bytes plus every combination of strides, in order; a scalar when they are one."""
    extent, stride = axes[-1]
    if stride == 0:
        if len(axes) == 1:
            return np.ndarray((1,), dtype, memory, start)[0]
        return np.repeat(read_strided(memory, dtype, start, axes[:-1]), extent)
    if len(axes) > 1 and stride == dtype.itemsize and extent * stride <= _ROW_BYTES:
        row = np.dtype((np.void, extent * stride))
        return _view(memory, row, start, axes[:-1]).flatten().view(dtype)
    return _view(memory, dtype, start, axes).flatten()


def write_strided(memory: Array, dtype: np.dtype[Any], start: int, axes: Axes, value: Lanes) -> None:
    """Write elements that do not overlap."""
    view = _view(memory, dtype, start, axes)
    view[...] = value.reshape(view.shape) if value.ndim else value


def _view(memory: Array, dtype: np.dtype[Any], start: int, axes: Axes) -> Array:
    view: Array = np.ndarray([extent for extent, _ in axes], dtype, memory, start, [stride for _, stride in axes])
    return view
