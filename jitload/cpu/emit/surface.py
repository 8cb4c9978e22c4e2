"""Code for `suld`, `sust`, `sured` and `suq` (PTX ISA section 9.7.11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import Modifiers, operands
from jitload.cpu.emit.product import registers
from jitload.cpu.faults import Refused
from jitload.cpu.memory import queries, surfaces
from jitload.cpu.text.ir import Memory, Register, Texel

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction, Operand

#: Geometry -> coordinates that count, of those that are written.
_COORDINATES = {"1d": 1, "2d": 2, "3d": 3, "a1d": 2, "a2d": 3}
QUESTIONS = (
    "width", "height", "depth", "array_size", "normalized_coords", "num_mipmap_levels", "num_samples", "filter_mode",
    "addr_mode_0", "addr_mode_1", "addr_mode_2", "memory_layout",
)  # fmt: skip
_OPERATIONS = ("add", "min", "max", "and", "or")


def _where(writer: BlockWriter, modifiers: Modifiers, place: Operand) -> str:
    """An expression for the places."""
    writer.function.use(surfaces)
    geometry = modifiers.need(*_COORDINATES)
    outside = modifiers.need("trap", "clamp", "zero")
    modifiers.choice("ca", "cg", "cs", "cv", "wb", "wt")
    if not isinstance(place, Texel):
        raise Refused("an object in a register and coordinates are expected: surface references are not supported")
    written, wanted = place.coordinates.items, _COORDINATES[geometry]
    if len(written) not in {4, wanted} or (wanted == 3 and len(written) != 4):
        raise Refused(f"{len(written)} coordinates where {max(wanted, 4) if wanted == 3 else wanted} are expected")
    given = list(written[:wanted])
    layer = writer.source(given.pop(0), "u32") if geometry.startswith("a") else "u32(0)"
    axes = [writer.source(one, "s32") for one in given] + ["s32(0)"] * (3 - len(given))
    handle = writer.source(place.handle, "u64")
    return f"Where({handle}, {geometry!r}, ({', '.join([*axes, layer])}), {outside!r}, {writer.site})"


def _count(modifiers: Modifiers, fragment: tuple[Operand, ...]) -> int:
    """Elements side by side, if there are as many registers."""
    count = int((modifiers.choice("v2", "v4") or "v1")[1])
    if len(fragment) != count:
        raise Refused(f"{len(fragment)} registers where {count} are expected")
    return count


def emit_load(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`suld`."""
    target, place = operands(instruction, 2)
    modifiers.need("b")
    where = _where(writer, modifiers, place)
    count, rep = _count(modifiers, registers(target)), modifiers.type().rep
    loaded = writer.temporary(f"load_surface(batch, {where}, {rep!r}, {count})")
    for number, item in enumerate(registers(target)):
        writer.result(item, rep, f"{loaded}[{number}]")


def emit_store(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`sust`."""
    place, source = operands(instruction, 2)
    formatted = modifiers.need("b", "p") == "p"
    where = _where(writer, modifiers, place)
    _count(modifiers, registers(source))
    rep = modifiers.type().rep
    values = "".join(f"{writer.source(one, rep)}, " for one in registers(source))
    if formatted:
        writer.line(f"store_texels(batch, {where}, ({values}))")
    else:
        writer.line(f"store_surface(batch, {where}, {rep!r}, ({values}))")


def emit_reduction(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`sured`."""
    place, source = operands(instruction, 2)
    by_texel = modifiers.need("b", "p") == "p"
    operation = modifiers.need(*_OPERATIONS)
    where = _where(writer, modifiers, place)
    type_ = modifiers.type()
    value = writer.source(source, type_.rep)
    if by_texel:
        writer.line(f"reduce_texels(batch, {where}, {operation!r}, {type_.bits}, {value})")
    else:
        writer.line(f"reduce_surface(batch, {where}, {operation!r}, {type_.rep!r}, {value})")


def emit_query(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`suq` and `txq`."""
    writer.function.use(queries)
    leveled = modifiers.flag("level")
    found = operands(instruction, 2 + leveled)
    modifiers.need("b32")
    question = modifiers.need(*QUESTIONS)
    if not isinstance(found[1], Memory) or not isinstance(found[1].base, Register) or found[1].offset:
        raise Refused("an object in a register is expected: references are not supported")
    handle = writer.source(found[1].base, "u64")
    level = writer.source(found[2], "s32") if leveled else "s32(0)"
    call = "query_surface" if instruction.opcode == "suq" else "query_texture"
    writer.result(found[0], "u32", f"{call}(batch, {handle}, {question!r}, {level}, {writer.site})")
