"""Code for `tex` and `tld4` (PTX ISA section 9.7.10), in unified mode: an object has texels and how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import Modifiers, operands
from jitload.cpu.faults import Refused
from jitload.cpu.memory import textures
from jitload.cpu.text.ir import Pair, Register, Sink, Texel, Vector

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction, Operand
    from jitload.cpu.types import Type

#: Geometry -> (coordinates that a texel has, coordinates as written); the number of a layer stands before them.
_COORDINATES = {
    "1d": (1, 1), "2d": (2, 2), "3d": (3, 4), "a1d": (1, 2), "a2d": (2, 4), "cube": (3, 4), "acube": (3, 4),
}  # fmt: skip
_MOST_OPERANDS = 6


def emit_tex(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`tex`."""
    writer.function.use(textures)
    finer = {"level": 1, "grad": 2}.get(modifiers.choice("base", "level", "grad"), 0)
    geometry = modifiers.need(*_COORDINATES)
    modifiers.need("v2", "v4")
    seen, given = modifiers.type(), modifiers.type()
    target, place, *more = operands(instruction, 2 + finer, _MOST_OPERANDS)
    if finer == 2:
        _check_gradients(geometry, more[:2])
    detail = _detail(writer, geometry, seen, more[:finer])
    read = _reading(writer, place, geometry, seen, more[finer:], detail)
    _give(writer, target, f"sample_texture(batch, {read}, {_rep(given)!r}, {writer.site})", given)


def emit_tld4(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`tld4`."""
    writer.function.use(textures)
    channel = "rgba".index(modifiers.need("r", "g", "b", "a"))
    geometry = modifiers.need("2d", "a2d", "cube", "acube")
    modifiers.need("v4")
    seen, given = modifiers.type(), modifiers.type()
    target, place, *more = operands(instruction, 2, _MOST_OPERANDS)
    read = _reading(writer, place, geometry, seen, more)
    _give(writer, target, f"sample_texture(batch, {read}, {given.rep!r}, {writer.site}, {channel})", given)


def _rep(type_: Type) -> str:
    return "f16" if type_.name == "f16x2" else type_.rep


def _detail(writer: BlockWriter, geometry: str, seen: Type, given: list[Operand]) -> str:
    """The level of detail, or the gradients of the coordinates that count."""
    used, _ = _COORDINATES[geometry]
    items = [one for part in given for one in (part.items[:used] if isinstance(part, Vector) else (part,))]
    return "".join(f"{writer.source(one, seen.rep)}, " for one in items)


def _reading(
    writer: BlockWriter, place: Operand, geometry: str, seen: Type, more: list[Operand], detail: str = ""
) -> str:
    """Arguments that say what is read: the object, the geometry, the layer, the coordinates, offsets and the level."""
    if not isinstance(place, Texel):
        raise Refused("an object in a register and coordinates are expected: texture references are not supported")
    used, written = _COORDINATES[geometry]
    values = place.coordinates.items
    if len(values) not in {written, 4}:
        raise Refused(f"{len(values)} coordinates where {written} are expected")
    if geometry in {"1d", "2d", "3d", "cube"} and len(values) == written:  # others are vectors of bits
        for value in values:
            _check_coordinate(value, seen)
    layer = "None"
    if geometry.startswith("a"):
        layer, values = writer.source(values[0], "u32"), values[1:]
    coordinates = "".join(f"{writer.source(value, seen.rep)}, " for value in values[:used])
    offsets = _offsets(writer, geometry, used, more)
    handle = writer.source(place.handle, "u64")
    return f"Reading({handle}, {geometry!r}, {layer}, ({coordinates}), ({offsets}), ({detail}))"


def _check_coordinate(value: Operand, type_: Type) -> None:
    """Refuse a register of another type."""
    if isinstance(value, Register) and value.type.name != "b32" and (value.type.kind == "f") != (type_.kind == "f"):
        raise Refused(f"a coordinate in a register of type .{value.type.name} where .{type_.name} is expected")


def _check_gradients(geometry: str, given: list[Operand]) -> None:
    """Refuse gradients of another number of elements."""
    count = {"1d": 1, "2d": 2}.get(geometry.removeprefix("a"), 4)
    for one in given:
        if not isinstance(one, Vector) or len(one.items) != count:
            raise Refused(f"a gradient of a texture .{geometry} has {count} elements")


def _offsets(writer: BlockWriter, geometry: str, used: int, more: list[Operand]) -> str:
    """Offsets in texels; what else may stand there is a number that depths are compared with."""
    if not more:
        return ""
    if len(more) > 1 or not isinstance(more[0], Vector):
        raise Refused("textures of depths, which are compared with a number, are not supported: CUDA makes none")
    if "cube" in geometry or len(more[0].items) < used:
        raise Refused(f"offsets of {len(more[0].items)} coordinates of a texture .{geometry}")
    return "".join(f"{writer.source(one, 's32')}, " for one in more[0].items[:used])


def _give(writer: BlockWriter, target: Operand, call: str, type_: Type) -> None:
    """Write the results, and that the texels were there."""
    if isinstance(target, Pair):
        target, resident = target
        writer.result(resident, "p", writer.function.constant("p", 1), shared=True)
    count = 2 if type_.name == "f16x2" else 4
    if not isinstance(target, Vector) or len(target.items) != count:
        raise Refused(f"a vector of {count} elements is expected")
    loaded = writer.temporary(call)
    for number, item in enumerate(target.items):
        if isinstance(item, Sink):
            continue
        if count == 2:
            halves = f"{loaded}[{2 * number}].view(u16), {loaded}[{2 * number + 1}].view(u16)"
            writer.result(item, "u32", f"pack([{halves}], u32)")
        else:
            writer.result(item, type_.rep, f"{loaded}[{number}]")
