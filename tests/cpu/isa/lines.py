"""Lines of PTX that rows stand for: names with every choice, and operands that fit them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jitload.cpu.isa.registry import Name, read_name
from jitload.cpu.lanes.product import ELEMENT_BITS
from jitload.cpu.types import TYPES, Type
from tests.cpu.isa.tensor_cells import registers_of_move

if TYPE_CHECKING:
    from jitload.cpu.isa.row import Place, Row

_SHAPE = re.compile(r"m(\d+)n(\d+)k(\d+)")
_REGISTER = {8: "%b", 16: "%h", 32: "%r", 64: "%d"}
_COUNTS = {"b": 2, "h": 4, "r": 9, "d": 4, "f": 8, "e": 4, "p": 3}
#: Opcode -> the literal that an example has.
_NEAR = ("shared", "shared::cta", "shared::cluster", "local", "const")
_LITERALS = {"lop3": "0x96", "cp": "0", "mma": "0", "pmevent": "1", "setmaxnreg": "128"}


def names_of(row: Row, limit: int = 1 << 30) -> list[Name]:
    """Names that a row takes: every choice of every part, or about `limit` of them spread evenly."""
    choices = [(*slot.names, "") if slot.optional else slot.names for slot in row.slots]
    total = 1
    for choice in choices:
        total *= len(choice)
    step = max(1, total // limit)
    step += step > 1 and step % 2 == 0  # so that parts of two choices take turns
    found = []
    for number in range(0, total, step):
        picked = []
        for choice in choices:
            picked.append(choice[number % len(choice)])
            number //= len(choice)
        name = read_name(row, tuple(part for part in picked if part))
        if name is not None:  # a vector may be too wide
            found.append(name)
    return found


def line_of(name: Name) -> str:
    """An example: the name, and operands that fit."""
    row = name.row
    text = ".".join([row.opcode, *(part for part in name.picked if part)])
    return f"{text} {_operands(name)}".strip()


def register_of(type_: Type, number: int) -> str:
    """A register that holds a type."""
    if type_.kind == "p":
        return f"%p{number % 3 + 1}"
    if type_.bits == 128:
        return "%q"
    letter = {("f", 32): "%f", ("f", 64): "%e"}.get((type_.kind, type_.bits), _REGISTER[type_.bits])
    return f"{letter}{number % _COUNTS[letter[1]] + 0}"


def held(name: Name, holds: str) -> Type:
    """The type that a place holds."""
    order = {"T": 0, "S": 1, "R": 2}
    if holds in order:
        return TYPES[name.types[order[holds]]]
    if holds == "U":
        return TYPES[name.types[0]]
    if holds == "W":
        return TYPES[f"{name.types[0][0]}{2 * int(name.types[0][1:])}"]
    return TYPES["pred"] if holds == "p" else TYPES[holds]


def _operands(name: Name) -> str:
    row = name.row
    if row.opcode == "mov" and row.example:
        return _moved(name)
    if row.opcode in {"tex", "tld4"}:
        return _read_texels(name)
    if row.example:
        return row.example + (", %d1" if name.has("L2::cache_hint") else "")
    found: list[str] = []
    number = 0
    for place in row.places:
        if place.optional or (place.when and not name.has(place.when)):
            continue
        if place.sign == "[":
            found.append(_address(name, place, first=not any(one.startswith("[") for one in found)))
        elif row.opcode == "mma" and place.name in "sitj":  # scales, and what selects them
            found.append("%r8" if place.name in "st" else "{0, 0}")
        elif place.holds == "*" and (place.sign == "{" or row.profile == "tensor"):
            found.append(_fragment(name, place.name))
        elif place.holds == "#":
            found.append(_LITERALS.get(row.opcode, "1"))
        elif place.holds == "_":
            found.append("_")
        else:
            type_ = held(name, place.holds)
            if place.sign == "{" and row.opcode == "tcgen05":
                found.append("{%r1, %r2, %r3, %r4}")
                continue
            count = next((int(part[1]) for part in name.picked if part in {"v2", "v4", "v8"}), 0)
            if place.sign == "{" and count:
                found.append("{" + ", ".join(register_of(type_, number + k) for k in range(count)) + "}")
            else:
                found.append(register_of(type_, number))
            if place.pair == "&":
                found[-1] += "|%p3"
        number += 1
    return ", ".join(found)


def _read_texels(name: Name) -> str:
    """The example of a row, with registers for the types of the results and of the coordinates."""
    text = name.row.example
    if name.types[0] in {"u32", "s32"}:
        text = text.replace("{%f1, %f2, %f3, %f4}, [", "{%r1, %r2, %r3, %r4}, [", 1)
    if name.types[1] == "s32":
        text = re.sub(r"\[%d1, \{[^}]*\}", lambda match: match[0].replace("%f", "%r"), text)
    return text


_SURFACES = {"1d": "%r1", "2d": "%r1, %r2", "a1d": "%r1, %r2"}


def _address(name: Name, place: Place, *, first: bool) -> str:
    opcode = name.row.opcode
    if opcode == "tcgen05":
        return "[%r1]"
    if opcode in {"suld", "sust", "sured"}:
        geometry = next(part for part in name.picked if part.endswith("d") and part[-2].isdigit())
        return f"[%d1, {{{_SURFACES.get(geometry, '%r1, %r2, %r3, %r3')}}}]"
    if "param" in name.picked:
        return "[k_p]"
    if place.name == "t":
        axes = next(int(part[0]) for part in name.picked if part in {"1d", "2d", "3d", "4d", "5d"})
        axes = 5 if {"tile::gather4", "tile::scatter4"} & {*name.picked} else axes
        return f"[%w, {{{', '.join(f'%r{number}' for number in range(axes))}}}]"
    near = not {*_NEAR}.isdisjoint(name.picked) and (first or opcode != "cp")
    own = opcode in {"ldmatrix", "stmatrix"} or (place.name == "c" and opcode in {"cp", "st"})
    return "[%r1]" if near or own else "[%w]"


def _moved(name: Name) -> str:
    """Two registers into one of twice the width, or as many as there are."""
    count = next((int(part[1]) for part in name.picked if part in {"v2", "v4"}), 0)
    if count:
        registers = [register_of(name.type, number) for number in range(count)]
        return "{" + ", ".join(registers) + "}, {" + ", ".join(reversed(registers)) + "}"
    half = TYPES[f"b{name.type.bits // 2}"]
    return f"{register_of(name.type, 1)}, {{{register_of(half, 0)}, {register_of(half, 1)}}}"


def _fragment(name: Name, place: str) -> str:
    """The registers of a fragment."""
    if name.row.opcode == "tcgen05":
        return "{" + ", ".join(f"%r{number % 9}" for number in range(registers_of_move(name))) + "}"
    rows = next((int(part[1]) for part in name.picked if part in {"x1", "x2", "x4"}), 0)
    if rows:
        return "{" + ", ".join(f"%r{k}" for k in range(rows * (1 + ("m16n16" in name.picked)))) + "}"
    match = next(filter(None, (_SHAPE.fullmatch(part) for part in name.picked)))
    m, n, k = (int(match[number]) for number in (1, 2, 3))
    part = next((one for one in name.picked if one in {"a", "b", "c", "d"}), "")
    which = part or place
    types = [*name.types] if len(name.types) != 2 else [name.types[0], "f16", "f16", name.types[1]]
    type_ = types[0] if part else types["dabc".index(which)]
    stored = k // 2 if "sp" in name.picked or "sp::ordered_metadata" in name.picked else k
    size = {"a": m * stored, "b": k * n}.get(which, m * n)
    bits = 8 if type_ == "e2m1" and {"kind::f8f6f4", "kind::mxf8f6f4"} & {*name.picked} else ELEMENT_BITS[type_]
    count = (
        size
        // (4 if name.row.opcode == "wgmma" else 1)  # warps
        // (8 if name.row.opcode == "mma" and match[0] == "m8n8k4" and types[1:2] == ["f16"] else 32)
        // max(32 // bits, 1)
    )
    if name.row.opcode == "wmma" and which in "ab" and type_ == "f16":
        count = 8  # in every shape
    letter = {"f32": "f", "f64": "e"}.get(type_, "r")
    most = _COUNTS[letter]
    return "{" + ", ".join(f"%{letter}{number % most}" for number in range(max(count, 1))) + "}"
