"""Models of textures and surfaces in fractions (CUDA C++ Programming Guide, "Texture Fetching"; PTX ISA 9.7.10 and 9.7.11)."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from tests.cpu.isa import integers

if TYPE_CHECKING:
    from jitload.cpu.isa.registry import Name

    Number = Fraction | int
    #: One for each channel.
    Texel = tuple[Number, ...]
    #: (layer, z, y, x).
    Place = tuple[int, int, int, int]

#: Face -> (s, t) of a direction.
_FACES = (
    lambda x, y, z: (-z, -y), lambda x, y, z: (z, -y), lambda x, y, z: (x, z),
    lambda x, y, z: (x, -z), lambda x, y, z: (x, -y), lambda x, y, z: (-x, -y),
)  # fmt: skip
#: What `txq` calls what is done outside.
_MODES = {"wrap": 0, "mirror": 1, "clamp": 3, "border": 4}
_NAMES = {"width": 0, "height": 1, "depth": 2}


class Texture(NamedTuple):
    """A texture object.

    Attributes:
        levels: texels by place, and their extents along x, y and z, from the finest level on.
        layers: of it; of cubes six times as many stand in the places.
        mode: what is done outside.
        linear: whether neighbours are mixed.
        normalized: whether 1 is the whole axis.
        mixes: whether levels are mixed.
        layered: whether it has layers.
    """

    levels: list[tuple[dict[Place, Texel], tuple[int, ...]]]
    layers: int
    mode: str
    linear: bool
    normalized: bool
    mixes: bool
    layered: bool


class Point(NamedTuple):
    """What a lane asks for.

    Attributes:
        place: coordinates, of a cube a direction; whole numbers where they are numbers of texels.
        layer: its number.
        offsets: in texels.
    """

    place: tuple[Number, ...]
    layer: int = 0
    offsets: tuple[int, ...] = (0, 0, 0)


def sampled(t: Texture, p: Point, level: Number = 0) -> Texel:
    """What `tex` reads at a level of detail; two levels are mixed with a weight of 8 bits behind the point."""
    most = len(t.levels) - 1
    level = min(max(Fraction(level), Fraction(0)), Fraction(most))
    if not t.mixes:
        return _at_level(t, p, math.floor(level + Fraction(1, 2)))
    first = math.floor(level)
    weight = _weight(level - first)
    low, high = _at_level(t, p, first), _at_level(t, p, min(first + 1, most))
    return tuple((1 - weight) * a + weight * b for a, b in zip(low, high, strict=True))


def gathered(name: Name, t: Texture, p: Point) -> Texel:
    """`tld4`: one channel of the four texels that would be mixed, from the lower left on against the clock."""
    channel = next("rgba".index(part) for part in name.picked if part in {*"rgba"})
    layer, place = _layer_and_place(t, p)
    extents = t.levels[0][1]
    (x, y), shift = _in_texels(t, place, p.offsets, extents), Fraction(1, 2)
    column, row = math.floor(x - shift), math.floor(y - shift)
    around = ((0, 1), (1, 1), (1, 0), (0, 0))
    return tuple(_texel(t, 0, layer, (column + dx, row + dy))[channel] for dx, dy in around)


def graded(t: Texture, p: Point, along_x: tuple[Number, ...], along_y: tuple[Number, ...]) -> Texel:
    """`tex.grad`: the level at which the longer of two steps is about a texel."""
    extents = t.levels[0][1]
    square = max(
        sum((one * extent) ** 2 for one, extent in zip(step, extents, strict=False)) for step in (along_x, along_y)
    )
    return sampled(t, p, _level_of(Fraction(square), t) if len(t.levels) > 1 else 0)


def _level_of(square: Fraction, t: Texture) -> Fraction:
    """Half the binary logarithm, to the nearest of 256 parts or to the nearest whole one."""
    parts = 256 if t.mixes else 1
    number = 0
    while number < parts * len(t.levels) and square**parts >= Fraction(2) ** (2 * number + 1):
        number += 1
    return Fraction(number, parts)


def _at_level(t: Texture, p: Point, number: int) -> Texel:
    layer, place = _layer_and_place(t, p)
    extents = t.levels[number][1]
    if all(isinstance(one, int) for one in place):  # numbers of texels
        return _texel(t, number, layer, tuple(int(one) + by for one, by in zip(place, p.offsets, strict=False)))
    found = _in_texels(t, place, p.offsets, extents)
    if not t.linear:
        return _texel(t, number, layer, tuple(math.floor(one) for one in found))
    axes = []
    for one in found:
        first = math.floor(one - Fraction(1, 2))
        weight = _weight(one - Fraction(1, 2) - first)
        axes.append(((first, 1 - weight), (first + 1, weight)))
    total: list[Number] = []
    for corner in product(*axes):
        weight = math.prod((part for _, part in corner), start=Fraction(1))
        texel = _texel(t, number, layer, tuple(index for index, _ in corner))
        total = [old + weight * one for old, one in zip(total or [0] * len(texel), texel, strict=True)]
    return tuple(total)


def _weight(one: Fraction) -> Fraction:
    return Fraction(math.floor(one * 256 + Fraction(1, 2)), 256)


def _layer_and_place(t: Texture, p: Point) -> tuple[int, tuple[Number, ...]]:
    """The layer that is there, and of a cube the place in the face that a direction meets."""
    layer = min(p.layer, t.layers - 1)
    if not _is_cube(t):
        return layer, p.place
    sizes = [abs(Fraction(one)) for one in p.place]
    axis = max(range(3), key=lambda number: (sizes[number], number))
    face = 2 * axis + (p.place[axis] < 0)
    s, up = _FACES[face](*p.place)
    return layer * 6 + face, tuple((Fraction(one) / sizes[axis] + 1) / 2 for one in (s, up))


def _is_cube(t: Texture) -> bool:
    return max(layer for layer, _, _, _ in t.levels[0][0]) + 1 != t.layers


def _in_texels(
    t: Texture, place: tuple[Number, ...], offsets: tuple[int, ...], extents: tuple[int, ...]
) -> list[Fraction]:
    found = []
    for x, by, extent in zip(place, offsets, extents, strict=False):
        one = Fraction(x)
        if t.normalized or _is_cube(t):
            one += Fraction(by, extent)
            whole = math.floor(one)
            if t.mode in {"wrap", "mirror"}:
                one -= whole
            if t.mode == "mirror" and whole % 2:
                one = 1 - one
            found.append(one * extent)
        else:
            found.append(one + by)
    return found


def _texel(t: Texture, level: int, layer: int, index: tuple[int, ...]) -> Texel:
    texels, extents = t.levels[level]
    place = []
    for one, extent in zip(index, extents, strict=False):
        if t.mode == "border" and not 0 <= one < extent:
            return tuple(0 for _ in next(iter(texels.values())))
        place.append(one % extent if t.mode == "wrap" else min(max(one, 0), extent - 1))
    x, y, z = (*place, 0, 0)[:3]
    return texels[layer, z, y, x]


def asked(name: Name, t: Texture, level: int = 0) -> int:
    """`txq`."""
    (question,) = [part for part in name.picked if part not in {"level", "b32", ""}]
    if question in _NAMES:
        return max(t.levels[0][1][_NAMES[question]] >> level, 1)
    if question.startswith("addr_mode"):
        return _MODES[t.mode]
    return {
        "array_size": t.layers if t.layered else 0,
        "normalized_coords": int(t.normalized),
        "num_mipmap_levels": len(t.levels) if len(t.levels) > 1 else 0,
        "num_samples": 0,
        "filter_mode": int(t.linear),
    }[question]


class Surface(NamedTuple):
    """A surface object.

    Attributes:
        rows: (layer, z, y) -> the bytes along x.
        extents: bytes along x, rows, planes, layers.
        type: of an element, "u8".
        channels: elements of a texel.
        layered: whether it has layers.
    """

    rows: dict[tuple[int, int, int], bytes]
    extents: tuple[int, int, int, int]
    type: str
    channels: int
    layered: bool


def reached(name: Name, t: Surface, p: Place, size: int) -> Place | None:
    """Where an access ends that is at (x, y, z, layer), x in bytes; None where there is nothing."""
    last = (t.extents[0] - size, *(extent - 1 for extent in t.extents[1:]))
    if name.has("clamp"):
        last = (last[0] // size * size, *last[1:])
        x, y, z, layer = (min(max(one, 0), most) for one, most in zip(p, last, strict=True))
        return x, y, z, layer
    return p if all(0 <= one <= most for one, most in zip(p, last, strict=True)) else None


def width(name: Name) -> int:
    """Bytes that an access moves."""
    count = next((int(part[1]) for part in name.picked if part in {"v2", "v4"}), 1)
    return count * int(name.types[0][1:]) // 8


def loaded(name: Name, t: Surface, p: Place, size: int) -> int:
    """`suld.b`: so many bytes as a number, 0 where there are none."""
    found = reached(name, t, p, size)
    if found is None:
        return 0
    x, y, z, layer = found
    return int.from_bytes(t.rows[layer, z, y][x : x + size], "little")


def stored(name: Name, t: Surface, p: Place, b: int, size: int) -> Surface:
    """`sust.b`: the surface with the bytes of a number in it."""
    found = reached(name, t, p, size)
    if found is None:
        return t
    x, y, z, layer = found
    row = t.rows[layer, z, y]
    new = row[:x] + b.to_bytes(size, "little") + row[x + size :]
    return t._replace(rows={**t.rows, (layer, z, y): new})


def formatted(name: Name, t: Surface, p: Place, b: list[int]) -> Surface:
    """`sust.p`: words brought to the type of the texels, x in texels."""
    bits = int(t.type[1:])
    whole = 0
    for k, word in enumerate(b):
        value = word - (1 << 32) if t.type[0] == "s" and word >> 31 else word
        whole |= (integers.limited(value, bits, signed=t.type[0] == "s") & (1 << bits) - 1) << k * bits
    size = bits * t.channels // 8
    return stored(name, t, (p[0] * size, *p[1:]), whole, size)


def combined(name: Name, t: Surface, p: Place, b: int) -> Surface:
    """`sured`: what is there joined to a number; by texels, x is in elements and these say whether they are signed."""
    bits = int(name.types[0][1:])
    signed = (t.type if name.has("p") else name.types[0])[0] == "s"
    size = bits // 8
    place = (p[0] * size, *p[1:]) if name.has("p") else p
    operation = next(function for part, function in integers.REDUCTIONS.items() if name.has(part))
    both = (integers.as_signed(one, bits) if signed else one for one in (loaded(name, t, place, size), b))
    return stored(name, t, place, operation(*both) & (1 << bits) - 1, size)


def told(name: Name, t: Surface) -> int:
    """`suq`."""
    (question,) = [part for part in name.picked if part not in {"b32", ""}]
    if question in _NAMES:
        width = t.extents[0] // (int(t.type[1:]) // 8 * t.channels)
        return (width, *t.extents[1:3])[_NAMES[question]]
    return t.extents[3] if question == "array_size" and t.layered else 0
