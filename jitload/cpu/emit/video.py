"""Code for the SIMD-in-a-word video instructions (PTX ISA section 9.7.18), with the default selectors and mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import Modifiers, emits, operands
from jitload.cpu.faults import Refused

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction

_NAMES = ("add", "sub", "avrg", "absdiff", "min", "max")
_TESTS = ("eq", "ne", "lt", "le", "gt", "ge")


def _word_type(modifiers: Modifiers) -> bool:
    type_ = modifiers.type()
    if type_.name not in {"u32", "s32"}:
        raise Refused(f"type .{type_.name} is not supported here")
    return type_.kind == "s"


@emits(*(f"v{name}{count}" for name in (*_NAMES, "set") for count in (2, 4)))
def _emit_simd(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    d, a, b, c = operands(instruction, 4)
    name, count = instruction.opcode[1:-1], int(instruction.opcode[-1])
    accumulate, saturated = modifiers.flag("add"), modifiers.flag("sat")
    if name == "set":
        name = modifiers.need(*_TESTS)
        signs = (False, *reversed((_word_type(modifiers), _word_type(modifiers))))
    else:
        signs = tuple(reversed((_word_type(modifiers), _word_type(modifiers), _word_type(modifiers))))
    if accumulate and saturated:
        raise Refused(".sat and .add exclude each other")
    sources = ", ".join(writer.source(operand, "u32") for operand in (a, b, c))
    options = f"count={count}, signs={signs!r}, saturate={saturated}, accumulate={accumulate}"
    writer.result(d, "u32", f"simd({name!r}, {sources}, {options})")
