"""Code for integer arithmetic (PTX ISA sections 9.7.1 and 9.7.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import Modifiers, emits, operands
from jitload.cpu.faults import Refused
from jitload.cpu.types import TYPES, Type, unsigned_rep

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction, Operand


def require_integer(type_: Type, *widths: int) -> None:
    """Refuse a type that is no integer of one of these widths."""
    if not type_.is_integer or type_.bits not in (widths or (16, 32, 64)):
        raise Refused(f"type .{type_.name} is not supported here")


@emits("add", "sub", of=("integer", "integer pair"))
def _emit_sum(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """Also with carry out."""
    type_ = modifiers.type()
    d, a, b = operands(instruction, 3)
    name = instruction.opcode
    if type_.name in {"u16x2", "s16x2"}:
        left, right = (f"pairs({writer.source(one, 'u32')}, u16)" for one in (a, b))
        writer.result(d, "u32", f"join({left} {'+' if name == 'add' else '-'} {right})")
        return
    require_integer(type_)
    if modifiers.flag("cc"):
        _emit_carry(writer, instruction, type_, carry_in=False, carry_out=True)
    elif modifiers.flag("sat"):
        if type_.name != "s32":
            raise Refused("integer .sat exists for .s32 only")
        writer.result(d, "s32", f"{name}_saturated({writer.source(a, 's32')}, {writer.source(b, 's32')})")
    else:
        rep = unsigned_rep(type_.bits)
        sign = "+" if name == "add" else "-"
        total = f"{writer.affine_source(a, rep)} {sign} {writer.affine_source(b, rep)}"
        writer.result(d, rep, total, affine=True)


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


@emits("mul", of=("integer",))
def _emit_mul(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    type_ = modifiers.type()
    d, a, b = operands(instruction, 3)
    part = modifiers.need("lo", "hi", "wide")
    rep, expression = _product(writer, a, b, type_, part)
    writer.result(d, rep, expression, affine=part != "hi")


def _product(writer: BlockWriter, a: Operand, b: Operand, type_: Type, part: str) -> tuple[str, str]:
    """(representation, expression) of the part of a product that is wanted."""
    require_integer(type_, *((16, 32) if part == "wide" else (16, 32, 64)))
    if part == "lo":
        rep = unsigned_rep(type_.bits)
        return rep, f"{writer.affine_source(a, rep)} * {writer.affine_source(b, rep)}"
    rep = type_.rep
    if part == "hi":
        return rep, f"mul_hi({writer.source(a, rep)}, {writer.source(b, rep)})"
    left, right = writer.affine_source(a, rep), writer.affine_source(b, rep)
    return TYPES[f"{rep[0]}{type_.bits * 2}"].rep, f"mul_wide({left}, {right})"


@emits("mad", "madc", of=("integer",))
def _emit_mad(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    d, a, b, c = operands(instruction, 4)
    type_ = modifiers.type()
    part = modifiers.need("lo", "hi", "wide")
    rep, product = _product(writer, a, b, type_, part)
    carry_out = modifiers.flag("cc")
    if modifiers.flag("sat"):
        if type_.name != "s32" or part != "hi":
            raise Refused("mad.sat exists as mad.hi.sat.s32 only")
        writer.result(d, "s32", f"add_saturated({product}, {writer.source(c, 's32')})")
    elif carry_out or instruction.opcode == "madc":
        unsigned = unsigned_rep(int(rep[1:]))
        factor = writer.temporary(f"dense({product}).view({unsigned})")
        zero = writer.function.constant("p", 0)
        carry = zero if instruction.opcode == "mad" else writer.source(writer.function.carry, "p")
        both = writer.temporary(f"add_carry({factor}, {writer.source(c, unsigned)}, {carry})")
        writer.result(d, unsigned, f"{both}[0]", shared=True)
        if carry_out:
            writer.result(writer.function.carry, "p", f"{both}[1]", shared=True)
    else:
        writer.result(d, rep, f"({product}) + {writer.affine_source(c, rep)}", affine=True)


@emits("mul24", "mad24")
def _emit_mul24(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    fused = instruction.opcode == "mad24"
    d, a, b, *rest = operands(instruction, 4 if fused else 3)
    type_ = modifiers.type()
    require_integer(type_, 32)
    high = modifiers.need("lo", "hi") == "hi"
    rep = type_.rep
    product = f"mul24({writer.source(a, rep)}, {writer.source(b, rep)}, {high})"
    if modifiers.flag("sat"):
        if not (fused and high and rep == "s32"):
            raise Refused("mad24.sat exists as mad24.hi.sat.s32 only")
        product = f"add_saturated({product}, {writer.source(rest[0], rep)})"
    elif fused:
        product = f"{product} + {writer.source(rest[0], rep)}"
    writer.result(d, rep, product)


@emits("sad")
def _emit_sad(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    d, a, b, c = operands(instruction, 4)
    type_ = modifiers.type()
    require_integer(type_)
    rep = type_.rep
    left, right = writer.source(a, rep), writer.source(b, rep)
    writer.result(d, rep, f"{writer.source(c, rep)} + absolute_difference({left}, {right})")


@emits("rem")
@emits("div", of=("integer",))
def _emit_quotient(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    type_ = modifiers.type()
    d, a, b = operands(instruction, 3)
    require_integer(type_)
    rep = type_.rep
    name = "divide" if instruction.opcode == "div" else "remainder"
    writer.result(d, rep, f"{name}({writer.source(a, rep)}, {writer.source(b, rep)})")


@emits("min", "max", of=("integer", "integer pair"))
def _emit_extreme(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    clip = modifiers.flag("relu")  # NVRTC writes it behind the type, the ISA before it
    type_ = modifiers.type()
    d, a, b = operands(instruction, 3)
    function = "np_minimum" if instruction.opcode == "min" else "np_maximum"
    if type_.name in {"u16x2", "s16x2"}:
        rep = type_.name[:3]
        left, right = (f"pairs({writer.source(one, 'u32')}, {rep})" for one in (a, b))
        value = f"{function}({left}, {right})"
        if clip:
            value = f"np_maximum({value}, {writer.function.constant(rep, 0)})"
        writer.result(d, "u32", f"join({value})")
        return
    require_integer(type_)
    rep = type_.rep
    value = f"{function}({writer.source(a, rep)}, {writer.source(b, rep)})"
    if clip:
        if rep != "s32":
            raise Refused("integer .relu exists for .s32 and .s16x2 only")
        value = f"np_maximum({value}, {writer.function.constant(rep, 0)})"
    writer.result(d, rep, value)


@emits("abs", "neg", of=("integer",))
def _emit_sign(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    type_ = modifiers.type()
    d, a = operands(instruction, 2)
    require_integer(type_)
    if instruction.opcode == "neg":
        rep = unsigned_rep(type_.bits)
        writer.result(d, rep, f"{writer.function.constant(rep, 0)} - {writer.source(a, rep)}")
    else:
        writer.result(d, type_.rep, f"absolute({writer.source(a, type_.rep)})", shared=True)
