"""Code for `tex` and `tld4` (PTX ISA section 9.7.10), in unified mode: an object has texels and how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import Modifiers, emits, operands
from jitload.cpu.faults import Refused
from jitload.cpu.text.ir import Sink, Texel, Vector

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction, Operand

#: Geometry -> (coordinates that a texel has, coordinates as written); the number of a layer stands before them.
_COORDINATES = {
    "1d": (1, 1), "2d": (2, 2), "3d": (3, 4), "a1d": (1, 2), "a2d": (2, 4), "cube": (3, 4), "acube": (3, 4),
}  # fmt: skip


@emits("tex")
def _emit_tex(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    # There is one level of detail, so the one that is asked for makes no difference.
    finer = {"level": 1, "grad": 2}.get(modifiers.choice("level", "grad"), 0)
    geometry = modifiers.need(*_COORDINATES)
    modifiers.need("v4")
    seen, given = modifiers.type(), modifiers.type()
    place = operands(instruction, 2 + finer)[1]
    used, written = _COORDINATES[geometry]
    handle, values = _object(writer, place, written)
    layer = "None"
    if geometry.startswith("a"):
        layer, values = writer.source(values[0], "u32"), values[1:]
    coordinates = "".join(f"{writer.source(value, seen.rep)}, " for value in values[:used])
    call = f"sample_texture(batch, {handle}, {geometry!r}, {layer}, ({coordinates}), {given.rep!r}, {writer.site})"
    _give(writer, instruction.operands[0], call, given.rep)


@emits("tld4")
def _emit_tld4(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    channel = "rgba".index(modifiers.need("r", "g", "b", "a"))
    modifiers.need("2d")
    modifiers.need("v4")
    seen, given = modifiers.type(), modifiers.type()
    handle, values = _object(writer, operands(instruction, 2)[1], 2)
    coordinates = "".join(f"{writer.source(value, seen.rep)}, " for value in values)
    call = f"gather_texture(batch, {handle}, {channel}, ({coordinates}), {given.rep!r}, {writer.site})"
    _give(writer, instruction.operands[0], call, given.rep)


def _object(writer: BlockWriter, place: Operand, count: int) -> tuple[str, tuple[Operand, ...]]:
    """The handle, and the coordinates as written."""
    if not isinstance(place, Texel):
        raise Refused("an object in a register and coordinates are expected: texture references are not supported")
    if len(place.coordinates.items) != count:
        raise Refused(f"{len(place.coordinates.items)} coordinates where {count} are expected")
    return writer.source(place.handle, "u64"), place.coordinates.items


def _give(writer: BlockWriter, target: Operand, call: str, rep: str) -> None:
    if not isinstance(target, Vector) or len(target.items) != 4:
        raise Refused("a vector of 4 elements is expected")
    loaded = writer.temporary(call)
    for number, item in enumerate(target.items):
        if not isinstance(item, Sink):
            writer.result(item, rep, f"{loaded}[{number}]")
