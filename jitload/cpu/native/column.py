"""Which instructions have a native column: by the expression of their row, else by opcode.

A column takes every part of the name that it understands, and what is left over refuses the kernel, as for lanes: so a
modifier without a native form is never passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import Modifiers
from jitload.cpu.faults import Refused
from jitload.cpu.isa.decode import read
from jitload.cpu.isa.row import NO_CODE
from jitload.cpu.native import (
    access,
    approximate,
    atomics,
    context,
    conversions,
    fields,
    floats,
    half_conversions,
    halves,
    integers,
    values,
)
from jitload.cpu.types import TYPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.isa.registry import Name
    from jitload.cpu.native.writer import KernelWriter
    from jitload.cpu.text.ir import Instruction

    Column = Callable[[KernelWriter, Instruction, Modifiers], None]


def _emit_stop(w: KernelWriter, _instruction: Instruction, _modifiers: Modifiers) -> None:
    w.unguarded()
    w.stop(context.STOPPED)


#: Opcode -> column.
COLUMNS: dict[str, Column] = {
    "ld": access.emit_load,
    "ldu": access.emit_load,
    "st": access.emit_store,
    **dict.fromkeys(("atom", "red"), atomics.emit_atomic),
    **dict.fromkeys(("add", "sub", "mul", "fma", "mad"), floats.emit_arithmetic),
    **dict.fromkeys(("div", "rcp", "sqrt"), floats.emit_quotient),
    **dict.fromkeys(("min", "max"), floats.emit_extreme),
    **dict.fromkeys(("abs", "neg"), floats.emit_sign),
    **dict.fromkeys(("ex2", "lg2", "sin", "cos", "tanh"), approximate.emit_function),
    "rsqrt": approximate.emit_approximation,
    "testp": floats.emit_test,
    "copysign": floats.emit_copysign,
    "setp": values.emit_setp,
    "set": values.emit_set,
    "selp": values.emit_selp,
    "slct": values.emit_slct,
    "mov": values.emit_mov,
    "cvta": values.emit_cvta,
    "cvt": conversions.emit_cvt,
    **dict.fromkeys(("shl", "shr"), values.emit_shift),
    "lop3": values.emit_lop3,
    "prmt": fields.emit_permutation,
    "bmsk": fields.emit_mask,
    "szext": fields.emit_extension,
    **dict.fromkeys(("dp2a", "dp4a"), fields.emit_dot),
    **dict.fromkeys(("addc", "subc"), fields.emit_carried_sum),
    "madc": fields.emit_carried_product,
    **dict.fromkeys(("trap", "brkpt"), _emit_stop),
}


def emit(w: KernelWriter, instruction: Instruction) -> None:
    """Write one instruction.

    Raises:
        Refused: it has no native column, or not like this.
    """
    name = read(instruction)
    if name.row.expression == NO_CODE:
        return
    if name.row.expression:
        integers.emit_expression(w, name, instruction.operands)
        return
    column = _narrowed(instruction.opcode, name) or COLUMNS.get(instruction.opcode)
    if column is None:
        raise Refused(f"{name.row.name} has no native form")
    modifiers = Modifiers(name.parts)
    column(w, instruction, modifiers)
    modifiers.finish()


def _narrowed(opcode: str, name: Name) -> Column | None:
    """The column of integers, pairs and carries under an opcode that floats have as well."""
    if name.has("approx") and opcode in {"div", "rcp", "sqrt"}:
        return approximate.emit_approximation
    last = TYPES.get(name.types[-1]) if name.types else None
    if last is None:
        return None
    if opcode in _CARRIED and name.has("cc"):
        return _CARRIED[opcode]
    if opcode == "cvt" and not halves.TYPES.isdisjoint(name.types):
        return half_conversions.emit_conversion
    if last.name in halves.TYPES:
        return halves.emit_mixed if name.types[0] == "f32" and opcode in _MIXED else _OF_HALVES.get(opcode)
    if opcode == "abs" and last.is_integer:
        return values.emit_absolute
    return fields.emit_integer_pair if last.name in {"u16x2", "s16x2"} else None


#: Opcodes that take halves and f32 together.
_MIXED = frozenset({"add", "sub", "fma"})
_OF_HALVES: dict[str, Column] = {
    **dict.fromkeys(("add", "sub", "mul", "fma"), halves.emit_arithmetic),
    **dict.fromkeys(("min", "max"), halves.emit_extreme),
    **dict.fromkeys(("abs", "neg"), halves.emit_sign),
    **dict.fromkeys(("ex2", "tanh"), halves.emit_function),
    "setp": halves.emit_setp,
    "set": halves.emit_set,
}
_CARRIED: dict[str, Column] = {
    **dict.fromkeys(("add", "sub"), fields.emit_carried_sum),
    "mad": fields.emit_carried_product,
}
