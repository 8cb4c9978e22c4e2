"""Code for logic, shifts and bit fields (PTX ISA sections 9.7.1 and 9.7.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import Modifiers, emits, operands
from jitload.cpu.emit.integer import require_integer
from jitload.cpu.faults import Refused
from jitload.cpu.text.ir import Immediate, Pair
from jitload.cpu.types import unsigned_rep

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction, Operand
    from jitload.cpu.types import Type


def _bits_type(modifiers: Modifiers, *widths: int) -> Type:
    type_ = modifiers.type()
    if type_.kind not in "bus" or type_.bits not in widths:
        raise Refused(f"type .{type_.name} is not supported here")
    return type_


@emits("shl", "shr")
def _emit_shift(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    d, a, b = operands(instruction, 3)
    type_ = _bits_type(modifiers, 16, 32, 64)
    left = instruction.opcode == "shl"
    rep = unsigned_rep(type_.bits) if left else type_.rep
    if isinstance(b, Immediate) and isinstance(b.value, int) and 0 <= b.value < type_.bits:
        amount = writer.function.constant(rep, b.value)
        writer.result(d, rep, f"{writer.affine_source(a, rep)} {'<<' if left else '>>'} {amount}", affine=True)
    else:
        source = writer.source(a, rep)
        writer.result(d, rep, f"{'shift_left' if left else 'shift_right'}({source}, {writer.source(b, 'u32')})")


@emits("bmsk")
def _emit_bmsk(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    d, a, b = operands(instruction, 3)
    wrap = modifiers.need("clamp", "wrap") == "wrap"
    _bits_type(modifiers, 32)
    writer.result(d, "u32", f"bit_mask({writer.source(a, 'u32')}, {writer.source(b, 'u32')}, {wrap})")


@emits("szext")
def _emit_szext(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    d, a, b = operands(instruction, 3)
    wrap = modifiers.need("clamp", "wrap") == "wrap"
    type_ = modifiers.type()
    require_integer(type_, 32)
    writer.result(d, type_.rep, f"extend_field({writer.source(a, type_.rep)}, {writer.source(b, 'u32')}, {wrap})")


@emits("fns")
def _emit_fns(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    d, a, b, c = operands(instruction, 4)
    _bits_type(modifiers, 32)
    mask, base, offset = (writer.source(operand, "u32") for operand in (a, b, c))
    writer.result(d, "u32", f"nth_set({mask}, {base}, {offset})")


def _table_number(operand: Operand) -> int:
    if not isinstance(operand, Immediate) or not isinstance(operand.value, int) or not 0 <= operand.value < 256:
        raise Refused("the truth table of lop3 must be a literal from 0 to 255")
    return operand.value


@emits("lop3")
def _emit_lop3(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    fold = modifiers.choice("and", "or")
    _bits_type(modifiers, 32)
    found = operands(instruction, 6 if fold else 5)
    d, a, b, c, table = found[:5]
    sources = ", ".join(writer.source(operand, "u32") for operand in (a, b, c))
    expression = f"logic3({sources}, {_table_number(table)})"
    if not fold:
        writer.result(d, "u32", expression)
        return
    if not isinstance(d, Pair):
        raise Refused("lop3 with a predicate needs two results")
    value = writer.temporary(expression)
    known = writer.source(found[5], "p")
    writer.result(d.first, "u32", value, shared=True)
    test = f"({value} != {writer.function.constant('u32', 0)})"
    writer.result(d.second, "p", f"{test} {'&' if fold == 'and' else '|'} {known}")


@emits("prmt")
def _emit_prmt(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    d, a, b, c = operands(instruction, 4)
    mode = modifiers.choice("f4e", "b4e", "rc8", "ecl", "ecr", "rc16")
    _bits_type(modifiers, 32)
    sources = ", ".join(writer.source(operand, "u32") for operand in (a, b, c))
    writer.result(d, "u32", f"permute({sources}, {mode!r})")


@emits("dp4a", "dp2a")
def _emit_dot(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    d, a, b, c = operands(instruction, 4)
    b_type, a_type = modifiers.type(), modifiers.type()
    half = "" if instruction.opcode == "dp4a" else modifiers.need("lo", "hi")
    if {a_type.name, b_type.name} - {"u32", "s32"}:
        raise Refused("dot products take .u32 and .s32")
    sources = ", ".join(writer.source(operand, "u32") for operand in (a, b, c))
    signs = f"{a_type.kind == 's'}, {b_type.kind == 's'}"
    call = f"dot_bytes({sources}, {signs})" if not half else f"dot_halves({sources}, {signs}, {half == 'hi'})"
    writer.result(d, "u32", call)
