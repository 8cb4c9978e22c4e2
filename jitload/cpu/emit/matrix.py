"""Code for tensor-core instructions: `mma`, `wmma`, `ldmatrix`, `stmatrix`, `movmatrix` (PTX ISA section 9.7.14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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


class _Rows(NamedTuple):
    """How `ldmatrix` and `stmatrix` deal their matrices to lanes.

    Attributes:
        registers: of each lane.
        way: see `lanes.matrix`.
        bits: of an element in memory.
    """

    registers: int
    way: str
    bits: int

    @property
    def across(self) -> bool:
        """Whether a register holds parts of two rows."""
        return not self.way.startswith("along")


def _rows(modifiers: Modifiers) -> _Rows:
    modifiers.flag("sync", "aligned", "shared", "shared::cta", "b8x16")
    shape = modifiers.need("m8n8", "m8n16", "m16n8", "m16n16")
    count = int(modifiers.need("x1", "x2", "x4")[1])
    turned = modifiers.flag("trans")
    bits = int(modifiers.need("b16", "b8", "b6x16_p32", "b4x16_p64").partition("x")[0][1:])
    if shape == "m16n16":
        return _Rows(2 * count, "tall1", bits)
    if turned:
        return _Rows(count, f"across{bits // 8}", bits)
    return _Rows(count, "along4" if bits == 16 else f"along{bits // 2}", bits)


def _emit_rows(
    writer: BlockWriter, instruction: Instruction, modifiers: Modifiers
) -> tuple[MeetingCode, str, list[Register]]:
    """`ldmatrix` and `stmatrix`: first the lanes exchange the addresses of rows; `emit_matrix_access` follows."""
    rows = _rows(modifiers)
    loads = instruction.opcode == "ldmatrix"
    memory, hidden = instruction.operands[1 if loads else 0], instruction.operands[2:]
    _, text, offset = address_parts(writer, "shared", memory)
    places, written = results_of(hidden, 64)
    code = MeetingCode("warp", f"rows.{rows.registers}.{rows.way}", "", tuple(places), writer.site, True)
    full = writer.function.constant("u32", 0xFFFFFFFF)
    return code, f"({full}, {text} + {writer.function.constant('u64', offset)},)", written


def emit_matrix_access(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """The accesses at addresses that the lanes have exchanged: the hidden registers behind the operands."""
    rows = _rows(modifiers)
    loads = instruction.opcode == "ldmatrix"
    fragment = registers(instruction.operands[0 if loads else 1])
    if len(fragment) != rows.registers:
        raise Refused(f"{len(fragment)} registers where {rows.registers} are expected")
    places = [f"at_shared(batch, {writer.source(one, 'u64')})" for one in instruction.operands[2:]]
    for number, register in enumerate(fragment):
        mine = places[number * (1 + rows.across) : (number + 1) * (1 + rows.across)]
        if loads:
            writer.result(register, "u32", _loaded(writer, rows, mine))
        elif rows.across:
            _store_parts(writer, rows, mine, writer.source(register, "u32"))
        else:
            writer.line(f"{mine[0]}.store(0, 'u32', 4, {writer.site}, {writer.source(register, 'u32')})")


def _parts(rows: _Rows, places: list[str]) -> list[tuple[str, int]]:
    """(addresses, offset) of the elements of a register, the lowest first."""
    return [(place, offset) for offset in ((0, 8) if rows.bits == 8 else (0,)) for place in places]


def _loaded(writer: BlockWriter, rows: _Rows, places: list[str]) -> str:
    """The word of a register."""
    if rows.across:
        size = rows.bits // 8
        parts = [
            f"{place}.load({offset}, 'u{rows.bits}', {size}, {writer.site})" for place, offset in _parts(rows, places)
        ]
        return f"pack([{', '.join(parts)}], u32)"
    if rows.bits == 16:
        return f"{places[0]}.load(0, 'u32', 4, {writer.site})"
    several = ", ".join(f"{places[0]}.load({offset}, 'u8', 1, {writer.site})" for offset in range(rows.bits // 2))
    return f"unpack_bytes([{several}], {rows.bits})"


def _store_parts(writer: BlockWriter, rows: _Rows, places: list[str], word: str) -> None:
    """What a register holds of two rows."""
    elements = writer.temporary(f"unpack({word}, u{rows.bits}, {32 // rows.bits})")
    for number, (place, offset) in enumerate(_parts(rows, places)):
        writer.line(f"{place}.store({offset}, 'u{rows.bits}', {rows.bits // 8}, {writer.site}, {elements}[{number}])")


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
        words = writer.temporaries(len(items), f"load_packed_fragment(batch, at_{space}, {base}, {offset}, {what})")
        for item, loaded in zip(items, words, strict=True):
            writer.result(item, "u32", loaded)
        return
    where = f"batch, at_{space}, {base}, {offset}, ({rows}, {columns})"
    word = "u64" if bits == 64 else "u32"
    if which == "load":
        call = f"load_fragment({where}, {len(items)}, 'u{bits}', {by_row}, {stride}, {writer.site})"
        for item, loaded in zip(items, writer.temporaries(len(items), call), strict=True):
            writer.result(item, word, loaded)
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
