"""Runs what reads textures, a point for each lane, and says what the models of their rows make of the same texels.

In these models `t` is the texture, `p` the point; `b` and `c` are a level of detail, or gradients. Texels, extents and
coordinates are chosen so that every step is exact, whatever order they come in.
"""

from __future__ import annotations

import random
import zlib
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

import jitload
from tests.cpu.isa.models import evaluated
from tests.cpu.isa.reals import Real, decode, encode
from tests.cpu.isa.texels import Point, Texture

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.isa.registry import Name
    from tests.cpu.isa.texels import Number, Texel

_LANES, _WORDS = 32, 16
_KINDS = {
    "1d": "1d", "2d": "2d", "3d": "3d", "a1d": "1d layered", "a2d": "2d layered", "cube": "cube", "acube": "cube layered",
}  # fmt: skip
#: Coordinates as they are written.
_PLACES = {
    "1d": "%f0", "2d": "%f0, %f1", "3d": "%f0, %f1, %f2, %f2", "a1d": "%l, %f0", "a2d": "%l, %f0, %f1, %f1",
    "cube": "%f0, %f1, %f2, %f2", "acube": "%l, %f0, %f1, %f2",
}  # fmt: skip
_KERNEL = """.visible .entry k(.param .u64 t, .param .u64 place, .param .u64 out) {{
.reg .b64 %d, %p, %o; .reg .b32 %t, %l, %f<3>, %g<6>, %i<3>, %r<4>; .reg .b16 %h<4>; .reg .pred %q;
ld.param.u64 %d, [t]; ld.param.u64 %p, [place]; ld.param.u64 %o, [out]; mov.u32 %t, %tid.x; mad.wide.u32 %p, %t, 64, %p; mad.wide.u32 %o, %t, 32, %o;
ld.global.b32 %f0, [%p]; ld.global.b32 %f1, [%p+4]; ld.global.b32 %f2, [%p+8]; ld.global.b32 %l, [%p+12]; ld.global.v2.b32 {{%g0, %g1}}, [%p+16]; ld.global.v4.b32 {{%g2, %g3, %g4, %g5}}, [%p+32];
{line}; {store} ret; }}"""


class _Read(NamedTuple):
    """As much of a name as says which texture it reads."""

    types: tuple[str, str]
    picked: tuple[str, str]

    def has(self, part: str) -> bool:
        return part in self.picked


def _axes(geometry: str) -> int:
    return 3 if geometry in {"3d", "cube", "acube"} else int(geometry[-2])


def texture(name: Name | _Read, number: int, chance: random.Random) -> Texture:
    """A texture that a form reads."""
    geometry = next(part for part in name.picked if part in _KINDS)
    cube, whole = "cube" in geometry, name.types[0] in {"u32", "s32"}
    integral = name.types[1] == "s32"
    leveled = bool({"level", "grad"} & {*name.picked}) and number % 2 == 1 and not integral
    several = 3 if leveled and not (cube and name.has("grad")) else 1
    layers = chance.randint(2, 3) if geometry[0] == "a" else 1
    count = 2 if cube else _axes(geometry)
    extents = (4,) * 2 if cube else tuple(chance.choice([4, 8]) for _ in range(count))
    normalized = not integral and (several > 1 or chance.random() < 0.5)
    mode = chance.choice(["clamp", "border", *(["wrap", "mirror"] if normalized else [])])
    if geometry == "1d" and integral:
        mode = "border"  # outside of linear memory there are zeros, whatever the mode
    linear = not whole and not integral and chance.random() < 0.6
    levels = []
    for level in range(several):
        size = tuple(max(extent >> level, 1) for extent in extents)
        z, y, x = (*(1,) * (3 - len(size)), *reversed(size))
        places = product(range(layers * (6 if cube else 1)), range(z), range(y), range(x))
        levels.append(({place: _texel(name, chance) for place in places}, size))
    mixes = several > 1 and linear and chance.random() < 0.7
    return Texture(levels, layers, "clamp" if cube else mode, linear, normalized, mixes, geometry[0] == "a")


def _texel(name: Name | _Read, chance: random.Random) -> Texel:
    """Four numbers; floats of them are so many 16th that half precision holds them."""
    if name.types[0] in {"u32", "s32"}:
        low, high = (0, 1 << 32) if name.types[0] == "u32" else (-(1 << 31), 1 << 31)
        return tuple(chance.randrange(low, high) for _ in range(4))
    return tuple(Fraction(chance.randint(-128, 127), 16) for _ in range(4))


def _made(t: Texture, name: Name | _Read) -> jitload.Texture:
    geometry = next(part for part in name.picked if part in _KINDS)
    dtype = {"u32": np.uint32, "s32": np.int32}.get(name.types[0], np.float32)
    arrays = []
    for texels, extents in t.levels:
        layers = [max(place[0] for place in texels) + 1] if geometry not in {"1d", "2d", "3d"} else []
        shape = (*layers, *reversed(extents), 4)
        if geometry == "acube":
            shape = (t.layers, 6, *shape[1:])
        values = [
            [float(one) if dtype is np.float32 else int(one) for one in texels[place]] for place in sorted(texels)
        ]
        arrays.append(np.array(values, dtype).reshape(shape))
    kind = "linear" if geometry == "1d" and name.types[1] == "s32" else _KINDS[geometry]
    return jitload.Texture(
        arrays[0], kind, channels=4, address="clamp" if kind == "linear" else t.mode, filter="linear" if t.linear else "point",
        normalized=t.normalized, levels=arrays[1:], between="linear" if t.mixes else "point",
    )  # fmt: skip


def points(name: Name, t: Texture, chance: random.Random) -> list[Point]:
    """Points of lanes, inside and outside."""
    geometry = next(part for part in name.picked if part in _KINDS)
    moves = "cube" not in geometry and chance.random() < 0.5
    parts = 4096 if len(t.levels) == 1 else 8  # of several levels every sum is one of f32
    found = []
    for _ in range(_LANES):
        if "cube" in geometry:
            place = _direction(chance, 2048 if len(t.levels) == 1 else 16)
        elif name.types[1] == "s32":
            place = tuple(chance.randint(-2, extent + 2) for extent in t.levels[0][1])
        else:
            place = tuple(
                Fraction(chance.randint(-parts * extent, 2 * parts * extent), parts) / (extent if t.normalized else 1)
                for extent in t.levels[0][1]
            )
        offsets = tuple(chance.randint(-8, 7) for _ in range(3)) if moves else (0, 0, 0)
        found.append(Point(place, chance.randint(0, t.layers) if t.layered else 0, offsets))
    return [one._replace(offsets=found[0].offsets) for one in found]  # they are literals


def _direction(chance: random.Random, parts: int) -> tuple[Number, ...]:
    """The longest part is a power of two, so that what is divided by it is exact."""
    size = Fraction(2) ** chance.randint(-2, 3)
    found = [size * Fraction(chance.randint(-parts, parts), parts) for _ in range(3)]
    found[chance.randrange(3)] = size * chance.choice([1, -1])
    return tuple(found)


def _word(one: Number) -> int:
    """The bits of a coordinate: f32, or a whole number."""
    if isinstance(one, Fraction):
        return encode(_real(one), "f32")
    return one & 0xFFFFFFFF


def _real(one: Fraction) -> Real:
    return Real(one < 0, abs(one.numerator), 1 - one.denominator.bit_length())


def details(name: Name, chance: random.Random) -> list[tuple]:
    """Of each lane the level, or the gradients of its coordinates."""
    count = _axes(next(part for part in name.picked if part in _KINDS))
    found: list[tuple] = []
    for _ in range(_LANES):
        if name.has("level"):
            found.append(
                (chance.randint(-1, 3) if name.types[1] == "s32" else Fraction(chance.randint(-1024, 3072), 1024),)
            )
        elif name.has("grad"):
            found.append(tuple(tuple(Fraction(chance.randint(-40, 40), 32) for _ in range(count)) for _ in range(2)))
        else:
            found.append(())
    return found


def text_of(name: Name, offsets: tuple[int, ...], resident: bool) -> str:
    """A kernel `(texture, words of each lane, results)`."""
    geometry = next(part for part in name.picked if part in _KINDS)
    registers = {"f16": "{%h0, %h1, %h2, %h3}", "f16x2": "{%r0, %r1}"}.get(name.types[0], "{%r0, %r1, %r2, %r3}")
    store = {"f16": "st.global.v4.b16 [%o], {%h0, %h1, %h2, %h3};", "f16x2": "st.global.v2.b32 [%o], {%r0, %r1};"}.get(
        name.types[0], "st.global.v4.b32 [%o], {%r0, %r1, %r2, %r3};"
    )
    store += " selp.b32 %r0, 1, 2, %q; st.global.b32 [%o+16], %r0;" if resident else ""
    more = ["%g0"] if name.has("level") else []
    if name.has("grad"):
        count = {"1d": 1, "2d": 2}.get(geometry.lstrip("a"), 4)
        more = [
            "{" + ", ".join(one) + "}"
            for one in (["%g0", "%g1", "%g2", "%g2"][:count], ["%g3", "%g4", "%g5", "%g5"][:count])
        ]
    if any(offsets):
        used = {"1d": 1, "2d": 2}.get(geometry.lstrip("a"), 4)
        more.append("{" + ", ".join(map(str, (*offsets, offsets[2])[:used])) + "}")
    operands = [registers + ("|%q" if resident else ""), f"[%d, {{{_PLACES[geometry]}}}]", *more]
    return _KERNEL.format(line=f"{'.'.join([name.row.opcode, *name.parts])} {', '.join(operands)}", store=store)


def _words(name: Name, found: Texel) -> list[int]:
    """The words of the results."""
    type_ = name.types[0].removesuffix("x2")
    if type_ in {"u32", "s32"}:
        return [int(one) & 0xFFFFFFFF for one in found]
    words = [encode(_real(Fraction(one)), "f32") for one in found]
    if type_ == "f32":
        return words
    halves = [encode(decode(word, "f32"), "f16") for word in words]
    return [halves[0] | halves[1] << 16, halves[2] | halves[3] << 16]


def difference(ptx: Callable, name: Name, number: int) -> str:
    """How the executor differs from the model, or ""."""
    chance = random.Random(zlib.crc32(".".join([*name.parts, str(number)]).encode()))
    t = texture(name, number, chance)
    given, finer = points(name, t, chance), details(name, chance)
    words = np.zeros((_LANES, _WORDS), np.uint32)
    for row, point, more in zip(words, given, finer, strict=True):
        row[: len(point.place)] = [_word(one) for one in point.place]
        row[3] = point.layer
        if name.has("level"):
            row[4] = _word(more[0])
        for k, step in enumerate(more if name.has("grad") else ()):
            for axis, one in enumerate(step):
                row[(4, 5, 8, 9, 10, 11)[3 * k + axis]] = _word(one)
    out = np.zeros((_LANES, 8), np.uint32)
    resident = chance.random() < 0.3
    with _made(t, name) as made:
        ptx(text_of(name, given[0].offsets, resident)).run("k", 1, _LANES, made.handle, words, out)
    for lane, (point, more) in enumerate(zip(given, finer, strict=True)):
        found: Texel = evaluated(name, {"t": t, "p": point, **dict(zip("bc", more, strict=False))})  # type: ignore[assignment]
        want = _words(name, found)
        if out[lane, : len(want)].tolist() != want or (resident and out[lane, 4] != 1):
            how = f"{[size for _, size in t.levels]} {t.mode} {t.linear=} {t.normalized=} {t.mixes=}"
            return f"{'.'.join([name.row.opcode, *name.parts])} {how} {point} {more}: {out[lane, : len(want)]}, not {want} ({found})"
    return ""


def answers(ptx: Callable, name: Name) -> str:
    """The same of `txq`, of every kind that has what is asked."""
    chance = random.Random(zlib.crc32(".".join(name.parts).encode()))
    question = next(part for part in name.picked if part not in {"level", ""})
    for geometry in _KINDS:
        if (question == "height" and geometry in {"1d", "a1d"}) or (question == "depth" and geometry != "3d"):
            continue
        read = _Read(("f32", "f32"), ("level", geometry))
        for number in (1, 0)[: 1 + (question == "num_mipmap_levels")]:
            t, level = texture(read, number, chance), chance.randint(0, 3)
            more = f", {level}" if name.has("level") else ""
            line = f"{'.'.join([name.row.opcode, *name.parts])} %r0, [%d]{more}"
            out = np.zeros((1, 8), np.uint32)
            with _made(t, read) as made:
                words = np.zeros((1, _WORDS), np.uint32)
                ptx(_KERNEL.format(line=line, store="st.global.b32 [%o], %r0;")).run("k", 1, 1, made.handle, words, out)
            want = evaluated(name, {"t": t, **({"b": level} if more else {})})
            if int(out[0, 0]) != want:
                return f"{line} of {geometry}: {out[0, 0]}, not {want}"
    return ""
