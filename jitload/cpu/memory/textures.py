"""What lanes read through texture objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.lanes.sampling import cube_places
from jitload.cpu.memory.images import GEOMETRIES
from jitload.cpu.types import DTYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jitload.cpu.memory.access import RunningLanes
    from jitload.cpu.memory.images import Image
    from jitload.cpu.types import Array, Lanes

    Reader = Callable[[Image, Array, Sequence[Array]], Array]


def sample_texture(
    batch: RunningLanes,
    handles: Lanes,
    geometry: str,
    layer: Lanes | None,
    coordinates: Sequence[Lanes],
    rep: str,
    site: int,
) -> list[Lanes]:
    """The four results of `tex`, as `rep`.

    Args:
        batch: whose lanes these are.
        handles: the texture object of each lane.
        geometry: as the instruction says, "2d".
        layer: the number of the layer; None where there are none.
        coordinates: one array per axis, of f32 or of s32.
        rep: what the results are seen as.
        site: of the instruction.
    """

    def read(image: Image, layers: Array, places: Sequence[Array]) -> Array:
        most = len(image.texels) // (6 if geometry.endswith("cube") else 1) - 1
        layers = np.minimum(layers.astype(np.int64), most)
        if geometry.endswith("cube"):
            face, *places = cube_places(*places)
            layers = layers * 6 + face
        return image.read(layers, places)

    return _through(batch, handles, geometry, (np.uint32(0) if layer is None else layer, *coordinates), read, rep, site)


def gather_texture(
    batch: RunningLanes, handles: Lanes, channel: int, coordinates: Sequence[Lanes], rep: str, site: int
) -> list[Lanes]:
    """The four results of `tld4` in two dimensions: one channel of four texels."""

    def read(image: Image, _: Array, places: Sequence[Array]) -> Array:
        return image.gather(channel, places)

    return _through(batch, handles, "2d", (np.uint32(0), *coordinates), read, rep, site)


def _through(
    batch: RunningLanes, handles: Lanes, geometry: str, values: Sequence[Lanes], read: Reader, rep: str, site: int
) -> list[Lanes]:
    """What lanes read through their objects: one reading for each object."""
    shared = not any(value.ndim for value in (handles, *values))
    objects, layer, *coordinates = np.broadcast_arrays(*np.atleast_1d(handles, *values))
    found = np.empty((len(objects), 4), np.uint32)
    for handle in np.unique(objects).tolist():
        lanes = np.flatnonzero(objects == handle)
        image = batch.arena.textures.get(handle)
        if image is None or GEOMETRIES[image.kind] != geometry or _is_misread(image, coordinates):
            whole = coordinates[0].dtype.kind != "f"
            batch.fail(site, int(lanes[0]), _refusal(handle, image, geometry, whole=whole))
        texels = read(image, layer[lanes], [one[lanes] for one in coordinates])
        found[lanes] = texels.view(np.uint32)
    columns = [np.ascontiguousarray(found[:, number]).view(DTYPES[rep]) for number in range(4)]
    return [column[0] for column in columns] if shared else columns


def _is_misread(image: Image, coordinates: Sequence[Array]) -> bool:
    """Linear memory is read by whole numbers alone, and it alone."""
    return GEOMETRIES[image.kind] == "1d" and (image.kind == "linear") == (coordinates[0].dtype.kind == "f")


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
