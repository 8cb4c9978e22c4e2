"""Texture objects: texels, and how they are read."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.lanes.sampling import corners, nearest, resolve, texel_coordinates
from jitload.cpu.memory.texels import Texels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cpu.types import Array

#: What a texture is -> what instructions call it.
GEOMETRIES = {
    "linear": "1d", "1d": "1d", "2d": "2d", "3d": "3d",
    "1d layered": "a1d", "2d layered": "a2d", "cube": "cube", "cube layered": "acube",
}  # fmt: skip
# No address of device memory or of the host looks like this.
_handles = count(0x7E58_0000_0000_0001)


class Image:
    """Texels, and how they are read.

    Args:
        kind: one of `GEOMETRIES`.
        texels: (layers, depth, height, width, channels), or those of a surface, which are read as they are then.
        modes: what is done outside, along x, y and z.
        linear: whether neighbours are mixed.
        normalized_read: whether integers of 8 and 16 bits are read as numbers from 0 or -1 to 1.
        normalized: whether coordinates go from 0 to 1.
        coarser: the texels of further levels of detail.
        mixes_levels: whether two levels are mixed, where one between them is asked for.

    Attributes:
        handle: what a kernel gets.
        coarser: the further levels.
    """

    def __init__(
        self,
        kind: str,
        texels: Array | Texels,
        modes: tuple[str, str, str],
        *,
        linear: bool,
        normalized_read: bool,
        normalized: bool,
        coarser: Sequence[Array] = (),
        mixes_levels: bool = False,
    ) -> None:
        self.kind = kind
        self.handle = next(_handles)
        self.linear = linear
        self.normalized = normalized
        self._normalized_read = normalized_read
        self._source = texels if isinstance(texels, Texels) else None
        self._seen = -1
        self._texels = self._spread(texels) if not isinstance(texels, Texels) else None
        self.axes = tuple(zip(texels.shape[3:0:-1], modes, strict=True))
        self.mixes_levels = mixes_levels
        self.coarser = tuple(
            Image(kind, one, modes, linear=linear, normalized_read=normalized_read, normalized=normalized)
            for one in coarser
        )

    @property
    def texels(self) -> Array:
        """(layers, depth, height, width, 4) of f32, or the bits of integers."""
        source = self._source
        if self._texels is None or (source is not None and self._seen != source.changes):
            assert source is not None
            self._texels, self._seen = self._spread(source.read()), source.changes
        return self._texels

    def _spread(self, texels: Array) -> Array:
        """Texels with four channels, of f32 or of the bits of whole numbers."""
        if self._normalized_read:
            texels = np.maximum(texels.astype(np.float64) / np.iinfo(texels.dtype).max, -1.0)
        is_float = texels.dtype.kind == "f"
        found = np.zeros((*texels.shape[:-1], 4), np.float32 if is_float else np.uint32)
        found[..., : texels.shape[-1]] = texels.astype(np.float32 if is_float else np.int64)
        return found

    def read(self, layer: Array, coordinates: Sequence[Array], offsets: Sequence[Array] = ()) -> Array:
        """The texels at coordinates, (lanes, 4): f32, or the bits of integers."""
        if coordinates[0].dtype.kind != "f":  # the numbers of texels
            outside = "border" if self.kind == "linear" else None
            axes = [(extent, outside or mode) for extent, mode in self.axes]
            index = [one.astype(np.int64) for one in coordinates]
            moved = [one + by for one, by in zip(index, offsets, strict=True)] if offsets else index
            return self._take(layer, moved, axes)
        axes = list(self.axes[: len(coordinates)])
        places = self._places(coordinates, offsets)
        if not self.linear:
            return self._take(layer, nearest(places), axes)
        total = np.zeros((len(layer), 4))
        for corner, weight in corners(places):
            total += weight[:, None] * self._take(layer, corner, axes)
        return total.astype(np.float32)

    def gather(self, channel: int, layer: Array, coordinates: Sequence[Array], offsets: Sequence[Array] = ()) -> Array:
        """One channel of the four texels that linear filtering would mix, (lanes, 4), as `tld4` orders them."""
        places, axes = self._places(coordinates, offsets), list(self.axes[:2])
        first = nearest([place - 0.5 for place in places])
        around = [(first[0] + x, first[1] + y) for x, y in ((0, 1), (1, 1), (1, 0), (0, 0))]
        return np.stack([self._take(layer, index, axes)[:, channel] for index in around], axis=1)

    def _places(self, coordinates: Sequence[Array], offsets: Sequence[Array]) -> list[Array]:
        normalized = self.normalized or self.kind.startswith("cube")
        moves: Sequence[Array | None] = offsets or [None] * len(coordinates)
        return [
            texel_coordinates(given, axis, normalized=normalized, offsets=by)
            for given, axis, by in zip(coordinates, self.axes, moves, strict=False)
        ]

    def _take(self, layer: Array, index: Sequence[Array], axes: Sequence[tuple[int, str]]) -> Array:
        found = [resolve(one, axis) for one, axis in zip(index, axes, strict=False)]
        places = [place for place, _ in found] + [np.zeros_like(layer)] * (3 - len(found))
        texels: Array = self.texels[layer, places[2], places[1], places[0]]
        for _, inside in found:
            if inside is not None:
                texels = np.where(inside[:, None], texels, texels.dtype.type(0))
        return texels
