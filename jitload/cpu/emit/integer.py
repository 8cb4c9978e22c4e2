"""Code for integer arithmetic (PTX ISA sections 9.7.1 and 9.7.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import Modifiers, emits, operands
from jitload.cpu.faults import Refused
from jitload.cpu.types import Type, unsigned_rep

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction


def require_integer(type_: Type, *widths: int) -> None:
    """Refuse a type that is no integer of one of these widths."""
    if not type_.is_integer or type_.bits not in (widths or (16, 32, 64)):
        raise Refused(f"type .{type_.name} is not supported here")


@emits("add", "sub", of=("integer", "integer pair"))
def _emit_sum(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """Of pairs, or with carry out."""
    type_ = modifiers.type()
    _, a, b = operands(instruction, 3)
    if modifiers.flag("cc"):
        _emit_carry(writer, instruction, type_, carry_in=False, carry_out=True)
        return
    left, right = (f"pairs({writer.source(one, 'u32')}, u16)" for one in (a, b))
    writer.result(instruction.operands[0], "u32", f"join({left} + {right})")


def _emit_carry(writer: BlockWriter, instruction: Instruction, type_: Type, *, carry_in: bool, carry_out: bool) -> None:
    """Addition or subtraction through the carry flag; the operands are the last two of the instruction."""
    d, a, b = operands(instruction, 3)
    require_integer(type_, 32, 64)
    rep = unsigned_rep(type_.bits)
    adds = instruction.opcode.startswith("add")
    function = "add_carry" if adds else "sub_carry"
    carry = writer.source(writer.function.carry, "p") if carry_in else writer.function.constant("p", 0 if adds else 1)
    both = writer.temporary(f"{function}({writer.source(a, rep)}, {writer.source(b, rep)}, {carry})")
    writer.result(d, rep, f"{both}[0]", shared=True)
    if carry_out:
        writer.result(writer.function.carry, "p", f"{both}[1]", shared=True)


@emits("addc", "subc")
def _emit_carry_in(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    out = modifiers.flag("cc")
    _emit_carry(writer, instruction, modifiers.type(), carry_in=True, carry_out=out)


@emits("mad", "madc", of=("cc", "integer"))
def _emit_mad(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """With carry in or out."""
    d, a, b, c = operands(instruction, 4)
    type_ = modifiers.type()
    low = modifiers.need("lo", "hi") == "lo"
    carry_out = modifiers.flag("cc")
    unsigned = unsigned_rep(type_.bits)
    rep = unsigned if low else type_.rep
    left, right = writer.source(a, rep), writer.source(b, rep)
    factor = writer.temporary(f"({left} * {right})" if low else f"mul_hi({left}, {right}).view({unsigned})")
    zero = writer.function.constant("p", 0)
    carry = zero if instruction.opcode == "mad" else writer.source(writer.function.carry, "p")
    both = writer.temporary(f"add_carry({factor}, {writer.source(c, unsigned)}, {carry})")
    writer.result(d, unsigned, f"{both}[0]", shared=True)
    if carry_out:
        writer.result(writer.function.carry, "p", f"{both}[1]", shared=True)


@emits("min", "max", of=("integer pair",))
def _emit_extreme(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    clip = modifiers.flag("relu")
    rep = modifiers.type().name[:3]
    d, a, b = operands(instruction, 3)
    function = "np_minimum" if instruction.opcode == "min" else "np_maximum"
    left, right = (f"pairs({writer.source(one, 'u32')}, {rep})" for one in (a, b))
    value = f"{function}({left}, {right})"
    if clip:
        value = f"np_maximum({value}, {writer.function.constant(rep, 0)})"
    writer.result(d, "u32", f"join({value})")


@emits("abs", of=("integer",))
def _emit_abs(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    type_ = modifiers.type()
    d, a = operands(instruction, 2)
    writer.result(d, type_.rep, f"absolute({writer.source(a, type_.rep)})", shared=True)
