"""Runs what reads and writes surfaces, a place for each lane, and says what the models of their rows make of them.

In these models `t` is the surface, `p` the place and `b` what is written, as a number, or as words of a texel.
"""

from __future__ import annotations

import random
import zlib
from typing import TYPE_CHECKING

import numpy as np

import jitload
from tests.cpu.isa.models import evaluated
from tests.cpu.isa.texels import Surface, reached

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.isa.registry import Name
    from tests.cpu.isa.texels import Place

_LANES = 32
_KINDS = {"1d": ("1d", "{%x}"), "2d": ("2d", "{%x, %y}"), "3d": ("3d", "{%x, %y, %z, %z}"), "a1d": ("1d layered", "{%l, %x}"), "a2d": ("2d layered", "{%l, %x, %y, %y}")}  # fmt: skip
_KERNEL = """.visible .entry k(.param .u64 s, .param .u64 place, .param .u64 data) {{
.reg .b64 %s, %p, %d; .reg .b32 %t, %x, %y, %z, %l; .reg .b{register} %v<4>;
ld.param.u64 %s, [s]; ld.param.u64 %p, [place]; ld.param.u64 %d, [data]; mov.u32 %t, %tid.x;
mad.wide.u32 %p, %t, 16, %p; mad.wide.u32 %d, %t, 32, %d; ld.global.v4.b32 {{%x, %y, %z, %l}}, [%p];
{code} ret; }}"""


def surface(name: Name, chance: random.Random) -> Surface:
    """A surface that a form takes, with texels of chance."""
    geometry = next(part for part in name.picked if part in _KINDS)
    type_ = chance.choice(["u8", "s8", "u16", "s16", "u32", "s32"])
    channels = chance.choice([1, 2, 4])
    if name.has("p"):  # of texels, or of words of them
        count = _count(name)
        type_ = chance.choice(["u32", "s32"]) if name.row.opcode == "sured" else type_
        channels = int(name.types[0][1:]) // 32 if name.row.opcode == "sured" else count
    elif name.has("clamp"):  # bytes, of which rows seldom hold a whole number of accesses
        type_, channels = "u8", 1
    texel = int(type_[1:]) // 8 * channels
    width = chance.randint(16 // texel, 16 // texel + 6) * texel  # no access is wider than the least of them
    rows = chance.randint(1, 3) if "1" not in geometry else 1
    planes = chance.randint(1, 3) if geometry == "3d" else 1
    layers = chance.randint(1, 3) if geometry[0] == "a" else 1
    found = {
        (layer, z, y): chance.randbytes(width) for layer in range(layers) for z in range(planes) for y in range(rows)
    }
    return Surface(found, (width, rows, planes, layers), type_, channels, geometry[0] == "a")


def _count(name: Name) -> int:
    return next((int(part[1]) for part in name.picked if part in {"v2", "v4"}), 1)


def _made(t: Surface, geometry: str) -> jitload.Surface:
    width, rows, planes, layers = t.extents
    dtype = np.dtype(f"{'i' if t.type[0] == 's' else 'u'}{int(t.type[1:]) // 8}")
    shape = {"1d": (), "2d": (rows,), "3d": (planes, rows), "a1d": (layers,), "a2d": (layers, rows)}[geometry]
    raw = b"".join(t.rows[place] for place in sorted(t.rows))
    texel = dtype.itemsize * t.channels
    array = np.frombuffer(raw, dtype).reshape(*shape, width // texel, *([t.channels] if t.channels > 1 else []))
    return jitload.Surface(array.copy(), _KINDS[geometry][0], channels=t.channels)


def _sizes(name: Name, t: Surface) -> tuple[int, int]:
    """(bytes of an access, bytes that one step of x is)."""
    size = _count(name) * int(name.types[0][1:]) // 8
    if name.row.opcode == "sust" and name.has("p"):
        texel = int(t.type[1:]) // 8 * t.channels
        return texel, texel
    return (size, size) if name.has("p") else (size, 1)


def _places(name: Name, t: Surface, chance: random.Random) -> list[Place]:
    """Places of lanes, no two of which store at one; some are outside, but where that stops the launch."""
    size, step = _sizes(name, t)
    found: list[Place] = []
    taken: set[Place | None] = set()
    for _ in range(2000):
        over = 0 if name.has("trap") else 2
        x = chance.randint(-over, t.extents[0] // size - 1 + over) * size
        y, z = (chance.randint(-over, extent - 1 + over) if extent > 1 else 0 for extent in t.extents[1:3])
        layer = chance.randint(0, t.extents[3] - 1 + over) if t.layered else 0
        end = reached(name, t, (x, y, z, layer), size)
        if end is None or name.row.opcode != "sust" or end not in taken:
            taken.add(end)
            found.append((x // step, y, z, layer))
    return [found[k % len(found)] for k in range(_LANES)]


def text_of(name: Name) -> str:
    """A kernel `(surface, places, data)`."""
    bits, count = int(name.types[0][1:]), _count(name)
    geometry = next(part for part in name.picked if part in _KINDS)
    group = ", ".join(f"%v{k}" for k in range(count))
    group = f"{{{group}}}" if count > 1 else group
    moves = " ".join(f"{{0}}.global.b{bits} {{{1 + k}}};" for k in range(count))
    spelled, place = ".".join([name.row.opcode, *name.parts]), f"[%s, {_KINDS[geometry][1]}]"
    if name.row.opcode == "suld":
        code = f"{spelled} {group}, {place}; " + moves.format(
            "st", *(f"[%d+{k * bits // 8}], %v{k}" for k in range(count))
        )
    else:
        code = (
            moves.format("ld", *(f"%v{k}, [%d+{k * bits // 8}]" for k in range(count)))
            + f" {spelled} {place}, {group};"
        )
    return _KERNEL.format(register=max(bits, 16), code=code)


def difference(ptx: Callable, name: Name) -> str:
    """How the executor differs from the model, or ""."""
    chance = random.Random(zlib.crc32(".".join(name.parts).encode()))
    t = surface(name, chance)
    geometry = next(part for part in name.picked if part in _KINDS)
    places = _places(name, t, chance)
    size = _count(name) * int(name.types[0][1:]) // 8
    data = [chance.randbytes(size) + bytes(32 - size) for _ in places]
    made = _made(t, geometry)
    out = np.frombuffer(b"".join(data), np.uint8).copy()
    with made:
        where = np.array(places, np.int64).astype(np.uint32)
        ptx(text_of(name)).run("k", 1, _LANES, made.handle, where, out)
        after = made.read().tobytes()
    wanted = t
    for lane, place in enumerate(places):
        raw = data[lane][:size]
        words = [int.from_bytes(raw[k : k + 4], "little") for k in range(0, size, 4)]
        letters: dict[str, object] = {
            "t": wanted,
            "p": place,
            "b": words if name.row.spelled.startswith("sust.p") else int.from_bytes(raw, "little"),
        }
        found = evaluated(name, letters)
        if isinstance(found, Surface):
            wanted = found
        elif found != (is_ := int.from_bytes(out[32 * lane : 32 * lane + size].tobytes(), "little")):
            return f"{'.'.join(name.parts)} {t.extents} at {place}: {is_:#x}, not {found:#x}"
    if after != (want := b"".join(wanted.rows[place] for place in sorted(wanted.rows))):
        at = next(k for k in range(len(want)) if after[k] != want[k])
        return f"{'.'.join(name.parts)} {t.extents} {t.type}: byte {at} is {after[at]:#x}, not {want[at]:#x}"
    return ""


def answers(ptx: Callable, name: Name) -> str:
    """The same of `suq`, of every kind that has what is asked."""
    question = name.picked[0]
    for geometry in _KINDS:
        if (question == "height" and geometry[-2] == "1") or (question == "depth" and geometry != "3d"):
            continue
        rows, planes, layers = (
            3 if "1" not in geometry else 1,
            2 if geometry == "3d" else 1,
            4 if geometry[0] == "a" else 1,
        )
        places = [(layer, z, y) for layer in range(layers) for z in range(planes) for y in range(rows)]
        t = Surface(dict.fromkeys(places, bytes(20)), (20, rows, planes, layers), "u32", 1, geometry[0] == "a")
        code = f"{'.'.join([name.row.opcode, *name.parts])} %v0, [%s]; st.global.b32 [%d], %v0;"
        out = np.zeros(32, np.uint8)
        with _made(t, geometry) as made:
            ptx(_KERNEL.format(register=32, code=code)).run("k", 1, 1, made.handle, np.zeros(4, np.uint32), out)
        if int(out[0]) != (want := evaluated(name, {"t": t})):
            return f"{'.'.join(name.parts)} of {geometry}: {out[0]}, not {want}"
    return ""
