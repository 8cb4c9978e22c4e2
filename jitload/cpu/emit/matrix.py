"""Code for tensor-core instructions: `mma`, `wmma`, `ldmatrix`, `stmatrix`, `movmatrix` (PTX ISA section 9.7.14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.block_code import MeetingCode
from jitload.cpu.code.instruction import Modifiers, operands
from jitload.cpu.emit.address import address_parts
from jitload.cpu.emit.product import INPUTS, SUMS, emit_product, read_shape, registers, results_of
from jitload.cpu.faults import Refused
from jitload.cpu.lanes.product import ELEMENT_BITS
from jitload.cpu.memory import fragments

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction, Register

_WIDE = ("m16n16k16", "m32n8k16", "m8n32k16")
_WMMA = {"f16": _WIDE, "bf16": _WIDE, "s8": _WIDE, "u8": _WIDE, "tf32": ("m16n16k8",), "f64": ("m8n8k4",)}
_WMMA |= {"s4": ("m8n8k32",), "u4": ("m8n8k32",), "b1": ("m8n8k128",)}
_SPACES = ("global", "shared", "shared::cta")


def _emit_transposed_move(
    writer: BlockWriter, instruction: Instruction, modifiers: Modifiers
) -> tuple[MeetingCode, str, list[Register]]:
    """`movmatrix`."""
    for part in ("sync", "aligned", "m8n8", "trans", "b16"):
        modifiers.need(part)
    d, a = operands(instruction, 2)
    places, written = results_of((d,), 32)
    full = writer.function.constant("u32", 0xFFFFFFFF)
    code = MeetingCode("warp", "movmatrix", "", tuple(places), writer.site, True)
    return code, f"({full}, {writer.source(a, 'u32')},)", written


def _rows(modifiers: Modifiers) -> tuple[int, bool]:
    for part in ("sync", "aligned", "m8n8"):
        modifiers.need(part)
    count = int(modifiers.need("x1", "x2", "x4")[1])
    turned = modifiers.flag("trans")
    modifiers.choice("shared", "shared::cta")
    modifiers.need("b16")
    return count, turned


def _emit_rows(
    writer: BlockWriter, instruction: Instruction, modifiers: Modifiers
) -> tuple[MeetingCode, str, list[Register]]:
    """`ldmatrix` and `stmatrix`: first the lanes exchange the addresses of rows; `emit_matrix_access` follows."""
    count, turned = _rows(modifiers)
    loads = instruction.opcode == "ldmatrix"
    memory, hidden = instruction.operands[1 if loads else 0], instruction.operands[2:]
    _, text, offset = address_parts(writer, "shared", memory)
    places, written = results_of(hidden, 64)
    code = MeetingCode("warp", f"rows.{count}.{turned}", "", tuple(places), writer.site, True)
    full = writer.function.constant("u32", 0xFFFFFFFF)
    return code, f"({full}, {text} + {writer.function.constant('u64', offset)},)", written


def emit_matrix_access(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """The accesses at addresses that the lanes have exchanged: the hidden registers behind the operands."""
    count, turned = _rows(modifiers)
    loads = instruction.opcode == "ldmatrix"
    fragment = registers(instruction.operands[0 if loads else 1])
    if len(fragment) != count:
        raise Refused(f"{len(fragment)} registers where {count} are expected")
    places = [f"at_shared(batch, {writer.source(one, 'u64')})" for one in instruction.operands[2:]]
    for number, register in enumerate(fragment):
        mine = places[number * (1 + turned) : (number + 1) * (1 + turned)]
        if loads and not turned:
            writer.result(register, "u32", f"{mine[0]}.load(0, 'u32', 4, {writer.site})")
        elif loads:
            parts = ", ".join(f"{place}.load(0, 'u16', 2, {writer.site})" for place in mine)
            writer.result(register, "u32", f"pack([{parts}], u32)")
        elif not turned:
            writer.line(f"{mine[0]}.store(0, 'u32', 4, {writer.site}, {writer.source(register, 'u32')})")
        else:
            halves = writer.temporary(f"unpack({writer.source(register, 'u32')}, u16, 2)")
            for half, place in enumerate(mine):
                writer.line(f"{place}.store(0, 'u16', 2, {writer.site}, {halves}[{half}])")


def emit_wmma_memory(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`wmma.load` and `wmma.store`: no lane needs another one for them."""
    writer.function.use(fragments)
    which = modifiers.need("load", "store")
    part = modifiers.need("a", "b", "c", "d")
    modifiers.flag("sync", "aligned")
    by_row = modifiers.need("row", "col") == "row"
    shape, m, n, k = read_shape(modifiers)
    space = (modifiers.choice(*_SPACES) or "generic").partition("::")[0]
    type_name = modifiers.need(*INPUTS, *SUMS)
    inputs = {name for name, shapes in _WMMA.items() if shape in shapes}
    if type_name not in (inputs if part in "ab" else SUMS) or (which == "store") != (part == "d"):
        raise Refused(f"fragments {part} of .{type_name} in shape {shape} are not supported")
    rows, columns = {"a": (m, k), "b": (k, n)}.get(part, (m, n))
    found = operands(instruction, 2, 3)
    memory, fragment = (found[1], found[0]) if which == "load" else (found[0], found[1])
    space, text, offset = address_parts(writer, space, memory)
    base = writer.temporary(text)
    width = writer.function.constant("u32", columns if by_row else rows)
    stride = writer.source(found[2], "u32") if len(found) == 3 else width
    items = registers(fragment)
    bits = ELEMENT_BITS[type_name]
    if len(items) * 32 * max(32 // bits, 1) % (rows * columns):
        raise Refused(f"a fragment of {len(items)} registers does not hold {rows * columns} elements")
    if bits < 8 and (part not in "ab" or by_row != (part == "a")):
        raise Refused(f"fragments of .{type_name} are rows of A and columns of B")
    if bits < 8:
        what = f"{k}, {bits}, {len(items)}, {stride}, {writer.site}"
        words = writer.temporary(f"load_packed_fragment(batch, at_{space}, {base}, {offset}, {what})")
        for number, item in enumerate(items):
            writer.result(item, "u32", f"{words}[{number}]")
        return
    where = f"batch, at_{space}, {base}, {offset}, ({rows}, {columns})"
    word = "u64" if bits == 64 else "u32"
    if which == "load":
        call = f"load_fragment({where}, {len(items)}, 'u{bits}', {by_row}, {stride}, {writer.site})"
        words = writer.temporary(call)
        for number, item in enumerate(items):
            writer.result(item, word, f"{words}[{number}]")
    else:
        sources = ", ".join(writer.source(item, word) for item in items)
        writer.line(f"store_fragment({where}, 'u{bits}', {by_row}, {stride}, {writer.site}, [{sources}])")


MEETINGS = {
    "mma": emit_product,
    "wmma": emit_product,
    "movmatrix": _emit_transposed_move,
    "ldmatrix": _emit_rows,
    "stmatrix": _emit_rows,
}
