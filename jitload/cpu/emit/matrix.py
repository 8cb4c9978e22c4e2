"""Code for tensor-core instructions: `mma`, `wmma`, `ldmatrix`, `stmatrix`, `movmatrix` (PTX ISA section 9.7.14)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jitload.cpu.code.block_code import MeetingCode
from jitload.cpu.code.function_writer import canonical
from jitload.cpu.code.instruction import Modifiers, emits, operands
from jitload.cpu.emit.address import address_parts
from jitload.cpu.faults import Refused
from jitload.cpu.lanes.matrix import ELEMENT_BITS, Product
from jitload.cpu.text.ir import Operand, Register, Sink, Vector

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction

_SHAPE = re.compile(r"m(\d+)n(\d+)k(\d+)")
_INPUTS = ("f16", "bf16", "tf32", "f64", "s8", "u8", "s4", "u4", "b1", "e4m3", "e5m2")
_SUMS = ("f16", "f32", "f64", "s32")
#: Input type -> shapes of `mma` (PTX ISA, table 33).
_MMA = {
    "f16": ("m8n8k4", "m16n8k8", "m16n8k16"), "bf16": ("m16n8k8", "m16n8k16"), "tf32": ("m16n8k4", "m16n8k8"),
    "f64": ("m8n8k4", "m16n8k4", "m16n8k8", "m16n8k16"),
    "s8": ("m8n8k16", "m16n8k16", "m16n8k32"), "s4": ("m8n8k32", "m16n8k32", "m16n8k64"),
    "b1": ("m8n8k128", "m16n8k128", "m16n8k256"),
}  # fmt: skip
_MMA |= {"u8": _MMA["s8"], "u4": _MMA["s4"], "e4m3": ("m16n8k16", "m16n8k32"), "e5m2": ("m16n8k16", "m16n8k32")}
_MIXED = ({"s", "u"}, {"e"})  # first letters of types that may be multiplied with each other
_WIDE = ("m16n16k16", "m32n8k16", "m8n32k16")
_WMMA = {"f16": _WIDE, "bf16": _WIDE, "s8": _WIDE, "u8": _WIDE, "tf32": ("m16n16k8",), "f64": ("m8n8k4",)}
_WMMA |= {"s4": ("m8n8k32",), "u4": ("m8n8k32",), "b1": ("m8n8k128",)}
_SPACES = ("global", "shared", "shared::cta")


def _shape(modifiers: Modifiers) -> tuple[str, int, int, int]:
    name = modifiers.matching(_SHAPE)
    match = _SHAPE.fullmatch(name)
    if match is None:
        raise Refused("the shape of the matrices is missing")
    return name, int(match[1]), int(match[2]), int(match[3])


def registers(operand: Operand) -> tuple[Operand, ...]:
    """The registers of a fragment: a vector, or one register."""
    return operand.items if isinstance(operand, Vector) else (operand,)


def results_of(fragment: tuple[Operand, ...], bits: int) -> tuple[list[tuple[int, str] | None], list[Register]]:
    """Where the scheduler writes a fragment."""
    places: list[tuple[int, str] | None] = []
    written = []
    for one in fragment:
        if isinstance(one, Sink):
            places.append(None)
        elif isinstance(one, Register) and one.type.bits == bits:
            places.append((one.index, canonical(one)))
            written.append(one)
        else:
            raise Refused(f"registers of {bits} bits are expected")
    return places, written


def _emit_product(
    writer: BlockWriter, instruction: Instruction, modifiers: Modifiers
) -> tuple[MeetingCode, str, list[Register]]:
    """`mma` and `wmma.mma`: a meeting of whole warps."""
    opaque = instruction.opcode == "wmma"
    modifiers.need("sync")
    modifiers.need("aligned")
    if opaque:
        modifiers.need("mma")
    rows, columns = modifiers.need("row", "col"), modifiers.need("row", "col")
    shape, m, n, k = _shape(modifiers)
    saturate = modifiers.flag("satfinite")
    modifiers.flag("rn")
    operation = modifiers.need("xor", "and") if "b1" in instruction.modifiers else ""
    if operation:
        modifiers.need("popc")
    d = modifiers.need(*_SUMS)
    short = opaque and modifiers.left == 1  # .dtype.ctype: the factors are f16
    a, b = ("f16", "f16") if short else (modifiers.need(*_INPUTS), modifiers.need(*_INPUTS))
    c = modifiers.need(*_SUMS)
    if shape not in (_WMMA if opaque else _MMA).get(a, ()) or (a != b and {a[0], b[0]} not in _MIXED):
        raise Refused(f"products of .{a} and .{b} in shape {shape} are not supported")
    quads = f"{rows}.{columns}" if not opaque and shape == "m8n8k4" and a == "f16" else ""
    if not (opaque or quads) and (rows, columns) != ("row", "col"):
        raise Refused("mma takes .row.col matrices here")
    found = [registers(one) for one in operands(instruction, 4)]
    counts = (len(found[1]), len(found[2]), len(found[3]))
    product = Product(opaque, m, n, k, d, a, b, c, saturate, counts, operation, quads)
    _check_product(product, len(found[0]))
    places, written = results_of(found[0], 64 if d == "f64" else 32)
    reps = ["u64" if one == "f64" else "u32" for one in (a, b, c)]
    texts = [writer.source(one, rep) for part, rep in zip(found[1:], reps, strict=True) for one in part]
    full = writer.function.constant("u32", 0xFFFFFFFF)
    code = MeetingCode("warp", "product", str(tuple(product)), tuple(places), writer.site, True, product)
    return code, f"({', '.join([full, *texts])},)", written


def _check_product(product: Product, results: int) -> None:
    """Refuse fragments that are larger or smaller than the instruction's."""
    sizes = (product.m * product.k, product.k * product.n, product.m * product.n)
    for size, type_name, count in zip(sizes, (product.a, product.b, product.c), product.counts, strict=True):
        room = count * (8 if product.quads else 32) * max(32 // ELEMENT_BITS[type_name], 1)
        if room != size and not (product.opaque and room % size == 0):
            raise Refused(f"a fragment of {count} registers does not hold {size} elements of .{type_name}")
    if product.quads and (product.d, product.c) == ("f16", "f32"):
        raise Refused("an .f32 accumulator gives an .f32 result")
    floats = {"f16": ("f16", "f32"), "bf16": ("f32",), "tf32": ("f32",), "f64": ("f64",)}
    floats |= {"e4m3": ("f16", "f32"), "e5m2": ("f16", "f32")}
    sums = floats.get(product.a, ("s32",))
    if product.d not in sums or product.c not in sums or results != product.registers_d:
        raise Refused(f"products of .{product.a} are not added up like this")


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


@emits("ldmatrix", "stmatrix")
def _emit_matrix_access(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
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


@emits("wmma")
def _emit_wmma_memory(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`wmma.load` and `wmma.store`: no lane needs another one for them."""
    which = modifiers.need("load", "store")
    part = modifiers.need("a", "b", "c", "d")
    modifiers.need("sync")
    modifiers.need("aligned")
    by_row = modifiers.need("row", "col") == "row"
    shape, m, n, k = _shape(modifiers)
    space = (modifiers.choice(*_SPACES) or "generic").partition("::")[0]
    type_name = modifiers.need(*_INPUTS, *_SUMS)
    inputs = {name for name, shapes in _WMMA.items() if shape in shapes}
    if type_name not in (inputs if part in "ab" else _SUMS) or (which == "store") != (part == "d"):
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
    "mma": _emit_product,
    "wmma": _emit_product,
    "movmatrix": _emit_transposed_move,
    "ldmatrix": _emit_rows,
    "stmatrix": _emit_rows,
}
