"""Code for sums of f32 and half precision: `add.f32.f16` and the like (PTX ISA section 9.7.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import Modifiers, operands
from jitload.cpu.emit.form import Form, rounding
from jitload.cpu.faults import Refused
from jitload.cpu.types import TYPES

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction, Operand
    from jitload.cpu.types import Type

_F32 = TYPES["f32"]


def _widened(writer: BlockWriter, operand: Operand, type_: Type) -> str:
    source = writer.source(operand, type_.rep)
    return f"from_bf16({source})" if type_.kind == "bf" else f"widen({source}, 'f32')"


def emit_mixed_sum(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers, type_: Type) -> None:
    """`add` and `sub` of a half to an f32: the half is widened, which is exact, and the sum rounded once."""
    d, a, c = operands(instruction, 3)
    mode = rounding(modifiers, _F32)
    form = Form(writer, _F32, modifiers)
    if form.flush:
        raise Refused(".ftz does not exist where f32 and halves meet")
    left, right = _widened(writer, a, type_), form.source(c)
    right = f"negate({right})" if instruction.opcode == "sub" else right
    form.computed(d, f"{left} + {right}" if mode == "rn" else f"add_f32({left}, {right}, {mode!r})")


def emit_mixed_fused(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers, type_: Type) -> None:
    """`fma` of two halves and an f32."""
    d, a, b, c = operands(instruction, 4)
    mode = rounding(modifiers, _F32)
    form = Form(writer, _F32, modifiers)
    if form.flush:
        raise Refused(".ftz does not exist where f32 and halves meet")
    sources = f"{_widened(writer, a, type_)}, {_widened(writer, b, type_)}, {form.source(c)}"
    if mode == "rn":
        form.result(d, f"fma_f32({sources})")
    else:
        form.computed(d, f"fma_f32_directed({sources}, {mode!r})")
