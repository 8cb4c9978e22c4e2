"""Texture objects: texels, and how they are read."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.lanes.sampling import corners, nearest, resolve, texel_coordinates

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
        texels: (layers, depth, height, width, channels).
        modes: what is done outside, along x, y and z.
        linear: whether neighbours are mixed.
        normalized_read: whether integers of 8 and 16 bits are read as numbers from 0 or -1 to 1.
        normalized: whether coordinates go from 0 to 1.

    Attributes:
        handle: what a kernel gets.
    """

    def __init__(
        self,
        kind: str,
        texels: Array,
        modes: tuple[str, str, str],
        *,
        linear: bool,
        normalized_read: bool,
        normalized: bool,
    ) -> None:
        self.kind = kind
        self.handle = next(_handles)
        self.linear = linear
        self.normalized = normalized
        if normalized_read:
            most = np.iinfo(texels.dtype).max
            texels = np.maximum(texels.astype(np.float64) / most, -1.0)
        self.is_float = texels.dtype.kind == "f"
        wide = np.float32 if self.is_float else np.int64
        self.texels = np.zeros((*texels.shape[:-1], 4), np.float32 if self.is_float else np.uint32)
        self.texels[..., : texels.shape[-1]] = texels.astype(wide)
        sizes = self.texels.shape[3:0:-1]
        self.axes = tuple(zip(sizes, modes, strict=True))

    def read(self, layer: Array, coordinates: Sequence[Array]) -> Array:
        """The texels at coordinates, (lanes, 4): f32, or the bits of integers."""
        if coordinates[0].dtype.kind != "f":  # the numbers of texels
            outside = "border" if self.kind == "linear" else None
            axes = [(extent, outside or mode) for extent, mode in self.axes]
            return self._take(layer, [index.astype(np.int64) for index in coordinates], axes)
        axes = list(self.axes[: len(coordinates)])
        places = self._places(coordinates)
        if not self.linear:
            return self._take(layer, nearest(places), axes)
        total = np.zeros((len(layer), 4))
        for corner, weight in corners(places):
            total += weight[:, None] * self._take(layer, corner, axes)
        return total.astype(np.float32)

    def gather(self, channel: int, coordinates: Sequence[Array]) -> Array:
        """One channel of the four texels that linear filtering would mix, (lanes, 4), as `tld4` orders them."""
        places, axes = self._places(coordinates), list(self.axes[:2])
        layer = np.zeros(len(places[0]), np.int64)
        first = nearest([place - 0.5 for place in places])
        around = [(first[0] + x, first[1] + y) for x, y in ((0, 1), (1, 1), (1, 0), (0, 0))]
        return np.stack([self._take(layer, index, axes)[:, channel] for index in around], axis=1)

    def _places(self, coordinates: Sequence[Array]) -> list[Array]:
        normalized = self.normalized or self.kind.startswith("cube")
        pairs = zip(coordinates, self.axes, strict=False)
        return [texel_coordinates(given, axis, normalized=normalized) for given, axis in pairs]

    def _take(self, layer: Array, index: Sequence[Array], axes: Sequence[tuple[int, str]]) -> Array:
        found = [resolve(one, axis) for one, axis in zip(index, axes, strict=False)]
        places = [place for place, _ in found] + [np.zeros_like(layer)] * (3 - len(found))
        texels: Array = self.texels[layer, places[2], places[1], places[0]]
        for _, inside in found:
            if inside is not None:
                texels = np.where(inside[:, None], texels, texels.dtype.type(0))
        return texels
