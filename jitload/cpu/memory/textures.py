"""What lanes read through texture objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jitload.cpu.lanes.sampling import cube_places
from jitload.cpu.memory.images import GEOMETRIES
from jitload.cpu.memory.levels import detail_of_gradients, read_at
from jitload.cpu.types import DTYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cpu.memory.access import RunningLanes
    from jitload.cpu.memory.images import Image
    from jitload.cpu.types import Array, Lanes


class Reading(NamedTuple):
    """What lanes read.

    Attributes:
        handles: the texture object of each lane.
        geometry: as the instruction says, "2d".
        layer: the number of the layer; None where there are none.
        coordinates: one array per axis, of f32 or of s32.
        offsets: of the coordinates, in texels; none of them, or one per axis.
        detail: the level of detail, or the gradients of the coordinates along x and then along y; without, the finest.
    """

    handles: Lanes
    geometry: str
    layer: Lanes | None
    coordinates: tuple[Lanes, ...]
    offsets: tuple[Lanes, ...]
    detail: tuple[Lanes, ...]


def sample_texture(batch: RunningLanes, what: Reading, rep: str, site: int, channel: int | None = None) -> list[Lanes]:
    """The four results of `tex`, or one channel of the four texels of `tld4`, as `rep`: one reading for each object."""
    layer = np.uint32(0) if what.layer is None else what.layer
    values = (what.handles, layer, *what.coordinates, *what.offsets, *what.detail)
    shared = not any(value.ndim for value in values)
    objects, layers, *places = np.broadcast_arrays(*np.atleast_1d(*values))
    found = np.empty((len(objects), 4), np.uint32)
    axes, last = len(what.coordinates), len(what.coordinates) + len(what.offsets)
    for handle in np.unique(objects).tolist():
        lanes = np.flatnonzero(objects == handle)
        image = batch.arena.textures.get(handle)
        whole = places[0].dtype.kind != "f"
        if image is None or GEOMETRIES[image.kind] != what.geometry or _is_misread(image, whole=whole):
            batch.fail(site, int(lanes[0]), _refusal(handle, image, what.geometry, whole=whole))
        chosen = [place[lanes] for place in places]
        detail = _detail(batch, image, chosen[last:], int(lanes[0]), site)
        texels = _read(image, layers[lanes], chosen[:axes], chosen[axes:last], channel, detail)
        found[lanes] = texels.view(np.uint32)
    columns = [_seen(np.ascontiguousarray(found[:, number]), rep) for number in range(4)]
    return [column[0] for column in columns] if shared else columns


def _seen(words: Array, rep: str) -> Array:
    """Texels as a representation; halves are numbers rounded to them."""
    if rep != "f16":
        return words.view(DTYPES[rep])
    with np.errstate(over="ignore"):
        return words.view(np.float32).astype(np.float16)


def _detail(batch: RunningLanes, image: Image, given: Sequence[Array], lane: int, site: int) -> Array | None:
    """The level of each lane, where there is more than one."""
    if not given or not image.coarser:
        return None
    if len(given) == 1:
        return given[0]
    if image.kind.startswith("cube"):
        batch.fail(site, lane, "gradients of a cube of several levels of detail are not supported: give the level")
    return detail_of_gradients(image, given)


def _read(
    image: Image,
    layers: Array,
    places: Sequence[Array],
    offsets: Sequence[Array],
    channel: int | None,
    detail: Array | None,
) -> Array:
    cube = image.kind.startswith("cube")
    most = len(image.texels) // (6 if cube else 1) - 1
    layers = np.minimum(layers.astype(np.int64), most)
    if cube:
        face, *places = cube_places(*places)
        layers = layers * 6 + face
    if detail is not None:
        return read_at(image, detail, layers, places, offsets)
    if channel is None:
        return image.read(layers, places, offsets)
    return image.gather(channel, layers, places, offsets)


def _is_misread(image: Image, *, whole: bool) -> bool:
    """Linear memory is read by whole numbers alone, and it alone."""
    return GEOMETRIES[image.kind] == "1d" and (image.kind == "linear") != whole


def _refusal(handle: int, image: Image | None, geometry: str, *, whole: bool) -> str:
    if image is None:
        return f"there is no texture object {handle:#x}: it was closed, or never made by jitload.Texture"
    if image.kind == "1d" and geometry == "1d":
        return "tex1Dfetch reads a texture of kind 'linear', and this one is of kind '1d': tex1D reads it"
    if GEOMETRIES[image.kind] == geometry:
        return "a texture of kind 'linear' is read by tex1Dfetch alone"
    kinds = [kind for kind, name in GEOMETRIES.items() if name == geometry]
    wanted = kinds[0] if whole else kinds[-1]
    return f"the texture is of kind {image.kind!r}, and this instruction reads one of kind {wanted!r}"
