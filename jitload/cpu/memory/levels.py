"""Levels of detail of a texture: which ones lanes read, and how two of them are mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cpu.memory.images import Image
    from jitload.cpu.types import Array

_WEIGHTS = 256.0  # as those of neighbours


def detail_of_gradients(image: Image, gradients: Sequence[Array]) -> Array:
    """The level at which a step along x or y of the grid is about a texel (PTX ISA, `tex.grad`).

    Args:
        image: the texture.
        gradients: of each coordinate along x, then along y.
    """
    count = len(gradients) // 2
    extents = np.array([extent for extent, _ in image.axes[:count]], np.float64)[:, None]
    along_x, along_y = (np.stack(part).astype(np.float64) * extents for part in (gradients[:count], gradients[count:]))
    steps = np.maximum(np.linalg.norm(along_x, axis=0), np.linalg.norm(along_y, axis=0))
    return np.asarray(np.log2(np.maximum(steps, 1.0)))


def read_at(image: Image, detail: Array, layer: Array, coordinates: Sequence[Array], offsets: Sequence[Array]) -> Array:
    """The texels at coordinates in the levels that a number for each lane says, (lanes, 4); 0 is the finest."""
    levels = (image, *image.coarser)
    chosen = np.clip(np.nan_to_num(detail.astype(np.float64)), 0, len(levels) - 1)

    def read(numbers: Array) -> Array:
        found = np.empty((len(layer), 4), image.texels.dtype)
        for number in np.unique(numbers).tolist():
            lanes = np.flatnonzero(numbers == number)
            places, moves = ([one[lanes] for one in part] for part in (coordinates, offsets))
            found[lanes] = levels[number].read(layer[lanes], places, moves)
        return found

    if not image.mixes_levels:
        return read(np.floor(chosen + 0.5).astype(np.int64))
    first = np.floor(chosen).astype(np.int64)
    weight = (np.floor((chosen - first) * _WEIGHTS + 0.5) / _WEIGHTS)[:, None]
    mixed = (1 - weight) * read(first) + weight * read(np.minimum(first + 1, len(levels) - 1))
    return np.asarray(mixed.astype(np.float32))
