"""Kernels that wait for their whole grid, found in their code: only a cooperative launch can run them.

Cooperative groups meet through a workspace whose address the driver leaves in %envreg1 and %envreg2; in a launch that
is not cooperative it is null, and `grid_group::sync` traps (cooperative_groups/details/helpers.h). So a trap behind a
comparison of that address with null is a demand for a cooperative launch, and no fault of the kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.control import Branch, Exit, Jump, Return
from jitload.cpu.code.liveness import successors
from jitload.cpu.isa.effects import effects_of
from jitload.cpu.text.ir import Immediate, Register, Special

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jitload.cpu.code.control import Block
    from jitload.cpu.text.ir import Instruction

_WORKSPACE = {"envreg1", "envreg2"}
_COMPARISONS = {"eq": True, "ne": False}


class GridSync:
    """What the code of one function says about grid-wide synchronization.

    Args:
        blocks: its code.
        specials: the special registers that it names.

    Attributes:
        traps: lines of the PTX where it traps for want of a cooperative launch.
        always: whether every thread that ends comes by such a place.
    """

    def __init__(self, blocks: Sequence[Block], specials: set[str]) -> None:
        addresses = set() if _WORKSPACE.isdisjoint(specials) else _workspace_registers(blocks)
        null_when = _null_tests(blocks, addresses)
        self.traps: set[int] = set()
        asking: set[int] = set()
        for block in blocks:
            end = block.end
            if isinstance(end, Branch) and end.guard.index in null_when:
                on_null = end.taken if null_when[end.guard.index] != end.negated else end.other
                trap = _trap_in(blocks, on_null)
                if trap is not None:
                    self.traps.add(trap.place.ptx_line)
                    asking.add(block.number)
        self.always = bool(asking) and not _can_end_without(blocks, asking)


def _workspace_registers(blocks: Sequence[Block]) -> set[int]:
    """The registers that hold the workspace's address, or a part of it."""
    found: set[int] = set()
    instructions = [
        one
        for block in blocks
        for one in block.instructions
        if one.operands and "assembles" in effects_of(one.opcode, one.modifiers)
    ]
    grown = True
    while grown:
        grown = False
        for instruction in instructions:
            target, *sources = instruction.operands
            if (
                isinstance(target, Register)
                and target.index not in found
                and any(_is_from(one, found) for one in sources)
            ):
                found.add(target.index)
                grown = True
    return found


def _is_from(operand: object, registers: set[int]) -> bool:
    if isinstance(operand, Special):
        return operand.name in _WORKSPACE
    return isinstance(operand, Register) and operand.index in registers


def _null_tests(blocks: Iterable[Block], addresses: set[int]) -> dict[int, bool]:
    """Predicates that compare the address with null -> what they are where it is null."""
    found: dict[int, bool] = {}
    for block in blocks if addresses else ():
        for one in block.instructions:
            if (
                one.opcode != "setp"
                or len(one.operands) != 3
                or not one.modifiers
                or one.modifiers[0] not in _COMPARISONS
            ):
                continue
            target, left, right = one.operands
            is_null = isinstance(right, Immediate) and right.value == 0
            if isinstance(target, Register) and is_null and _is_from(left, addresses):
                found[target.index] = _COMPARISONS[one.modifiers[0]]
    return found


def _trap_in(blocks: Sequence[Block], number: int) -> Instruction | None:
    """The trap that a block holds, or the one that it leads to without a choice."""
    seen: set[int] = set()
    while number not in seen:
        seen.add(number)
        for instruction in blocks[number].instructions:
            if instruction.opcode == "trap":
                return instruction
        end = blocks[number].end
        if not isinstance(end, Jump):
            return None
        number = end.target
    return None


def _can_end_without(blocks: Sequence[Block], asking: set[int]) -> bool:
    """Whether a thread can end without having come by one of these blocks."""
    seen, ahead = {0}, [0]
    while ahead:
        number = ahead.pop()
        if number in asking:
            continue
        if isinstance(blocks[number].end, Return | Exit):
            return True
        for follow in successors(blocks[number].end):
            if follow not in seen:
                seen.add(follow)
                ahead.append(follow)
    return False
