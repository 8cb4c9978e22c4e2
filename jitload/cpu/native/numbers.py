"""Numbers that meetings name by registers: compilers put masks and widths of shuffles there."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from jitload.cpu.code.control import Meeting
from jitload.cpu.code.liveness import find_liveness, results_and_sources
from jitload.cpu.text.ir import Immediate, Register
from jitload.cpu.types import TYPES

if TYPE_CHECKING:
    from jitload.cpu.code.control import Block
    from jitload.cpu.text.ir import Instruction, Operand


def name_numbers(blocks: list[Block], carry: Register) -> None:
    """Let meetings name the numbers themselves, so that rows of threads are seen to come to them together."""
    numbers = find_numbers(blocks)

    def named(operand: Operand) -> Operand:
        return numbers.get(operand.index, operand) if isinstance(operand, Register) else operand

    changed = False
    for block in blocks:
        if isinstance(block.end, Meeting):
            own = block.end.instruction
            first = int(bool(results_and_sources(own)[0]))
            operands = (*own.operands[:first], *map(named, own.operands[first:]))
            if operands != own.operands:
                changed = True
                block.end = Meeting(copy.copy(own), block.end.target)  # others read the text's own
                block.end.instruction.operands = operands
    if changed:
        find_liveness(blocks, carry)


def find_numbers(blocks: list[Block]) -> dict[int, Immediate]:
    """Registers that hold one number wherever they are read."""
    found: dict[int, Immediate | None] = {}
    for block in blocks:
        ended = [block.end.instruction] if isinstance(block.end, Meeting) else []
        for instruction in (*block.instructions, *ended):
            for register in results_and_sources(instruction)[0]:
                found[register.index] = None if register.index in found else _number(instruction, register)
    first = blocks[0].live_in  # read before they are written on some way: they are zero there
    return {index: one for index, one in found.items() if one is not None and not first >> index & 1}


def _number(instruction: Instruction, register: Register) -> Immediate | None:
    """What an instruction moves to a register."""
    if instruction.opcode != "mov" or instruction.guard is not None or len(instruction.modifiers) != 1:
        return None
    type_, source = TYPES.get(instruction.modifiers[0]), instruction.operands[-1]
    if type_ is None or type_.bits != register.type.bits or not isinstance(source, Immediate) or source.float_width:
        return None
    return source
