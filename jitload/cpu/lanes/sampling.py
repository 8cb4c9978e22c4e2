"""Where the lanes' coordinates fall among texels, and with what weights.

The rules are those of the CUDA C++ Programming Guide, "Texture Fetching". Coordinates are computed in f64.
Weights of linear filtering have 8 bits behind the point, and 1 is one of them.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jitload.cpu.types import Array

    #: An axis of a texture: texels, and what is done with places outside, one of `MODES`.
    Axis = tuple[int, str]

MODES = ("clamp", "border", "wrap", "mirror")
_FARTHEST = 2.0**40  # beyond every texture, and within int64
_WEIGHTS = 256.0


def texel_coordinates(coordinates: Array, axis: Axis, *, normalized: bool, offsets: Array | None = None) -> Array:
    """Coordinates in texels, as f64; what is no number is 0.

    Args:
        coordinates: of each lane.
        axis: the axis.
        normalized: whether 1 is the whole axis.
        offsets: in texels, which are added before anything is done outside.
    """
    extent, mode = axis
    found = np.nan_to_num(coordinates.astype(np.float64), nan=0.0, posinf=_FARTHEST, neginf=-_FARTHEST)
    if offsets is not None:
        found = found + offsets / (extent if normalized else 1)
    if normalized:
        whole = np.floor(found)
        if mode in {"wrap", "mirror"}:
            found = found - whole
        if mode == "mirror":
            found = np.where(whole % 2 == 1, 1.0 - found, found)
        found = found * extent
    return np.clip(found, -_FARTHEST, _FARTHEST)


def resolve(index: Array, axis: Axis) -> tuple[Array, Array | None]:
    """Numbers of texels that exist, and which lanes are inside where those outside read zeros.

    Args:
        index: the numbers, perhaps outside.
        axis: the axis.
    """
    extent, mode = axis
    if mode == "wrap":
        return index % extent, None
    inside = (index >= 0) & (index < extent) if mode == "border" else None
    return np.clip(index, 0, extent - 1), inside


def nearest(places: Sequence[Array]) -> tuple[Array, ...]:
    """The texel that each place lies in."""
    return tuple(np.floor(place).astype(np.int64) for place in places)


def corners(places: Sequence[Array]) -> Iterator[tuple[tuple[Array, ...], Array]]:
    """The texels around each place along every axis, and the weight of each of them."""
    found = []
    for place in places:
        first = np.floor(place - 0.5)
        weight = np.floor((place - 0.5 - first) * _WEIGHTS + 0.5) / _WEIGHTS
        index = first.astype(np.int64)
        found.append(((index, 1.0 - weight), (index + 1, weight)))
    for corner in product(*found):
        yield tuple(index for index, _ in corner), np.prod([weight for _, weight in corner], axis=0)


def cube_places(x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
    """(face, s, t) of directions: faces are +x, -x, +y, -y, +z, -z; s and t are normalized coordinates there."""
    directions = np.stack([x, y, z]).astype(np.float64)
    major = np.argmax(np.abs(directions[::-1]), axis=0)  # where two are as long, z goes before y, and that before x
    axis = 2 - major
    length = np.take_along_axis(directions, axis[None], 0)[0]
    negative = length < 0
    sign = np.where(negative, -1.0, 1.0)
    s = np.select([axis == 0, axis == 1], [-sign * directions[2], directions[0]], sign * directions[0])
    t = np.where(axis == 1, sign * directions[2], -directions[1])
    half = np.where(length == 0, 1.0, np.abs(length))
    return (axis * 2 + negative).astype(np.int64), (s / half + 1) / 2, (t / half + 1) / 2
