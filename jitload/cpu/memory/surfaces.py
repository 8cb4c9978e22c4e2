"""What lanes read and write through surface objects (PTX ISA section 9.7.11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jitload.cpu.memory.access import Addresses
from jitload.cpu.memory.images import GEOMETRIES
from jitload.cpu.types import DTYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jitload.cpu.memory.access import RunningLanes
    from jitload.cpu.memory.texels import Texels
    from jitload.cpu.types import Array, Lanes

#: What the texels are -> what instructions call it: faces of cubes are layers.
_SURFACES = {kind: {"cube": "a2d", "acube": "a2d"}.get(name, name) for kind, name in GEOMETRIES.items()}
_FRESH = 0xFF  # what components get that a formatted store does not name: NaN as a float, far out as an index


class Where(NamedTuple):
    """Places in surfaces, as an instruction names them.

    Attributes:
        handles: the surface object of each lane.
        geometry: as the instruction says, "2d".
        coordinates: x in bytes or in texels, y, z, and the number of the layer; those that the geometry has not are 0.
        outside: "trap", "clamp" or "zero".
        site: of the instruction.
    """

    handles: Lanes
    geometry: str
    coordinates: tuple[Lanes, Lanes, Lanes, Lanes]
    outside: str
    site: int


class _Views(dict[str, "Array"]):
    """The words of texels, as the memory of a space has them."""

    def __init__(self, texels: Texels) -> None:
        super().__init__()
        self._texels = texels

    def __missing__(self, rep: str) -> Array:
        return self._texels.words(rep)


class SurfaceAddresses(Addresses):
    """Places in a surface, for whoever watches: offsets are bytes behind its first row.

    Attributes:
        texels: the surface.
    """

    __slots__ = ("texels",)
    space = "surface"
    window = 0

    def __init__(self, batch: RunningLanes, texels: Texels, places: Array, positions: Array) -> None:
        super().__init__(batch, places, 0, positions)
        self.texels = texels

    @property
    def views(self) -> dict[str, Array]:
        """The texels as an array of each representation."""
        return _Views(self.texels)

    def describe_nearest(self, offset: int, size: int) -> str | None:  # noqa: ARG002
        """Where in the surface a place is."""
        extents = self.texels.extents
        row, byte = divmod(offset, self.texels.pitch)
        plane, row = divmod(row, extents[1])
        layer, plane = divmod(plane, extents[2])
        return f"surface of kind {self.texels.kind!r}, byte {byte} of row {row}, plane {plane}, layer {layer}"


def _tell(
    batch: RunningLanes, where: Where, texels: Texels, lanes: Array, first: Array, size: int, how: str,
    values: Sequence[Lanes] = (),
) -> None:  # fmt: skip
    """Tell whoever watches of an access, before it is done."""
    if batch.watched and len(lanes):
        mine = [value[lanes] if value.ndim else value for value in values]
        batch.report(SurfaceAddresses(batch, texels, first, lanes), 0, size, where.site, how, mine)


def load_surface(batch: RunningLanes, where: Where, rep: str, count: int) -> list[Lanes]:
    """`suld.b`: so many elements side by side, as `rep`."""
    found = [np.zeros(batch.count, DTYPES[rep]) for _ in range(count)]
    size = count * DTYPES[rep].itemsize
    for texels, lanes, first in _places(batch, where, size):
        _tell(batch, where, texels, lanes, first, size, "load")
        words = texels.words(rep)
        for number, column in enumerate(found):
            column[lanes] = words[first // words.itemsize + number]
    return [*found]


def store_surface(batch: RunningLanes, where: Where, rep: str, values: Sequence[Lanes]) -> None:
    """`sust.b`: elements side by side; of lanes that write one place the last one stays."""
    size = len(values) * DTYPES[rep].itemsize
    for texels, lanes, first in _places(batch, where, size):
        _tell(batch, where, texels, lanes, first, size, "store", values)
        words = texels.words(rep)
        for number, value in enumerate(values):
            words[first // words.itemsize + number] = np.broadcast_to(value, (batch.count,))[lanes]
        texels.changes += 1


def store_texels(batch: RunningLanes, where: Where, values: Sequence[Lanes]) -> None:
    """`sust.p`: a word for each component, brought to the type of the texels."""
    for texels, lanes, first in _places(batch, where, 0):
        _tell(batch, where, texels, lanes, first, texels.texel_bytes, "store")
        words = texels.words(_rep(texels.dtype))
        for number in range(texels.shape[4]):
            place = first // words.itemsize + number
            if number < len(values):
                words[place] = _formatted(np.broadcast_to(values[number], (batch.count,))[lanes], texels.dtype)
            else:
                words.view(f"u{words.itemsize}")[place] = int.from_bytes(bytes([_FRESH]) * words.itemsize, "little")
        texels.changes += 1


_REDUCTIONS: dict[str, Callable[..., None]] = {
    "add": np.add.at, "min": np.minimum.at, "max": np.maximum.at, "and": np.bitwise_and.at, "or": np.bitwise_or.at,
}  # fmt: skip


def reduce_surface(batch: RunningLanes, where: Where, operation: str, rep: str, value: Lanes) -> None:
    """`sured.b`: every lane's value goes in, whatever lanes share a place."""
    size = DTYPES[rep].itemsize
    for texels, lanes, first in _places(batch, where, size):
        _tell(batch, where, texels, lanes, first, size, "atomic")
        _reduce(texels, operation, rep, first, np.broadcast_to(value, (batch.count,))[lanes])


def reduce_texels(batch: RunningLanes, where: Where, operation: str, bits: int, value: Lanes) -> None:
    """`sured.p`: the same with x in elements, which are signed where the texels are."""
    size = bits // 8
    scaled = where._replace(coordinates=(where.coordinates[0] * np.int32(size), *where.coordinates[1:]))
    for texels, lanes, first in _places(batch, scaled, size):
        if texels.dtype.kind not in "iu":
            what = f"a reduction of texels needs whole numbers, and these are {texels.dtype}"
            batch.fail(where.site, int(lanes[0]), what)
        _tell(batch, where, texels, lanes, first, size, "atomic")
        rep = f"{'s' if texels.dtype.kind == 'i' else 'u'}{bits}"
        _reduce(texels, operation, rep, first, np.broadcast_to(value, (batch.count,))[lanes].view(DTYPES[rep]))


def _reduce(texels: Texels, operation: str, rep: str, first: Array, values: Array) -> None:
    words = texels.words(rep)
    _REDUCTIONS[operation](words, first // words.itemsize, values)
    texels.changes += 1


def _rep(dtype: np.dtype[np.generic]) -> str:
    return f"{'s' if dtype.kind == 'i' else dtype.kind}{8 * dtype.itemsize}"


def _formatted(words: Array, dtype: np.dtype[np.generic]) -> Array:
    """Words to elements: f32 rounded, whole numbers brought to the nearest that the type has."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return words.view(np.float32).astype(dtype)
    signed = dtype.kind == "i"
    bits = 8 * dtype.itemsize - signed
    wide = words.view(np.int32 if signed else np.uint32).astype(np.int64)
    return np.clip(wide, -(1 << bits) if signed else 0, (1 << bits) - 1).astype(dtype)


def _places(batch: RunningLanes, where: Where, nbytes: int) -> Iterator[tuple[Texels, Array, Array]]:
    """Per object: it, the lanes that reach a place in it, and the first byte of each; 0 bytes are a texel at x."""
    columns = [np.broadcast_to(one, (batch.count,)) for one in (where.handles, *where.coordinates)]
    for handle in np.unique(columns[0]).tolist():
        lanes = np.flatnonzero(columns[0] == handle)
        texels = batch.arena.surfaces.get(handle)
        if texels is None or _SURFACES[texels.kind] != where.geometry:
            batch.fail(where.site, int(lanes[0]), _refusal(handle, texels, where.geometry))
        x, y, z, layer = (column[lanes].astype(np.int64) for column in columns[1:])
        size = nbytes or texels.texel_bytes
        x = x if nbytes else x * size
        lanes, found = _within(batch, where, texels, lanes, [x, y, z, layer], size)
        x, y, z, layer = found
        _, rows, planes, _ = texels.extents
        yield texels, lanes, ((layer * planes + z) * rows + y) * texels.pitch + x


def _within(
    batch: RunningLanes, where: Where, texels: Texels, lanes: Array, place: list[Array], size: int
) -> tuple[Array, list[Array]]:
    """The lanes whose places exist, or were brought to the nearest that do, and these places."""
    most = [texels.extents[0] - size, *(extent - 1 for extent in texels.extents[1:])]
    misaligned = place[0] % size != 0
    if misaligned.any():
        first = int(np.argmax(misaligned))
        what = f"x is byte {int(place[0][first])} of the surface, no multiple of the {size} bytes of the access"
        batch.fail(where.site, int(lanes[first]), what)
    if where.outside == "clamp":
        most[0] -= most[0] % size
        if most[0] < 0:
            batch.fail(where.site, int(lanes[0]), f"{size} bytes at a row of {texels.extents[0]}")
        return lanes, [np.clip(one, 0, last) for one, last in zip(place, most, strict=True)]
    inside = np.logical_and.reduce([(one >= 0) & (one <= last) for one, last in zip(place, most, strict=True)])
    if where.outside == "trap" and not inside.all():
        first = int(np.argmin(inside))
        reached = zip(("byte", "row", "plane", "layer"), place, texels.extents, strict=True)
        outside = ", ".join(f"{name} {int(one[first])} of {extent}" for name, one, extent in reached)
        batch.fail(where.site, int(lanes[first]), f"{size} bytes outside of the surface: {outside}")
    return lanes[inside], [one[inside] for one in place]


def _refusal(handle: int, texels: Texels | None, geometry: str) -> str:
    if texels is None:
        return f"there is no surface object {handle:#x}: it was closed, or never made by jitload.Surface"
    kinds = [kind for kind, name in _SURFACES.items() if name == geometry and kind != "linear"]
    return f"the surface is of kind {texels.kind!r}, and this instruction takes one of kind {kinds[0]!r}"
