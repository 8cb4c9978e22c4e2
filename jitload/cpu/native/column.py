"""Which instructions have a native column: by the expression of their row, else by opcode.

A column takes every part of the name that it understands, and what is left over refuses the kernel, as for lanes: so a
modifier without a native form is never passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import Modifiers
from jitload.cpu.faults import Refused
from jitload.cpu.isa.decode import read
from jitload.cpu.native import access, context, floats, integers, values
from jitload.cpu.types import TYPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.native.writer import KernelWriter
    from jitload.cpu.text.ir import Instruction

    Column = Callable[[KernelWriter, Instruction, Modifiers], None]


def _emit_nothing(_w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """Hints and fences: a thread sees its own writes, and others run when it waits."""
    modifiers.flag(*instruction.modifiers)


def _emit_stop(w: KernelWriter, _instruction: Instruction, _modifiers: Modifiers) -> None:
    w.unguarded()
    w.stop(context.STOPPED)


#: Opcode -> column.
COLUMNS: dict[str, Column] = {
    "ld": access.emit_load,
    "ldu": access.emit_load,
    "st": access.emit_store,
    **dict.fromkeys(("add", "sub", "mul", "fma", "mad"), floats.emit_arithmetic),
    **dict.fromkeys(("div", "rcp", "sqrt"), floats.emit_quotient),
    **dict.fromkeys(("min", "max"), floats.emit_extreme),
    **dict.fromkeys(("abs", "neg"), floats.emit_sign),
    "copysign": floats.emit_copysign,
    "setp": values.emit_setp,
    "set": values.emit_set,
    "selp": values.emit_selp,
    "slct": values.emit_slct,
    "mov": values.emit_mov,
    "cvta": values.emit_cvta,
    "cvt": values.emit_cvt,
    **dict.fromkeys(("shl", "shr"), values.emit_shift),
    "lop3": values.emit_lop3,
    **dict.fromkeys(("membar", "fence", "prefetch", "prefetchu", "pmevent"), _emit_nothing),
    **dict.fromkeys(("trap", "brkpt"), _emit_stop),
}


def emit(w: KernelWriter, instruction: Instruction) -> None:
    """Write one instruction.

    Raises:
        Refused: it has no native column, or not like this.
    """
    name = read(instruction)
    if name.row.expression:
        integers.emit_expression(w, name, instruction.operands)
        return
    column = COLUMNS.get(instruction.opcode)
    integer = name.types and TYPES[name.types[-1]].is_integer if set(name.types) <= set(TYPES) else False
    if instruction.opcode == "abs" and integer:
        column = values.emit_absolute
    if column is None:
        raise Refused(f"{name.row.name} has no native form")
    modifiers = Modifiers(name.parts)
    column(w, instruction, modifiers)
    modifiers.finish()
