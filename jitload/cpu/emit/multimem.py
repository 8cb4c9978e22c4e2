"""Code for `multimem` (PTX ISA section 9.7.9.14), as in a group of one device: plain loads, stores and reductions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.emit.memory import emit_atomic, emit_load, emit_store

if TYPE_CHECKING:
    from jitload.cpu.code.instruction import Modifiers
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction

_OPERATIONS = ("min", "max", "add", "and", "or", "xor")


def emit_multimem(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """What is reduced over all devices of the group is what the one has."""
    verb = modifiers.need("ld_reduce", "st", "red")
    if verb == "red":
        emit_atomic(writer, instruction, modifiers)
    elif verb == "st":
        emit_store(writer, instruction, modifiers)
    else:
        modifiers.flag("acc::f32")
        modifiers.need(*_OPERATIONS)
        emit_load(writer, instruction, modifiers)
