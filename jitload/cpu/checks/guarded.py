"""Loads whose value counts only where a predicate of its own says so.

Code that merges two runs reads the next element of each before it looks whether there is one: past the end of what
was written, too. The value is then compared, the outcome is joined to a predicate that knows the end, and a selection
throws the value away. Nothing wrong is done with it.

A load is of this kind if the value goes to comparisons whose outcome is joined (`and`, `or`) to another predicate, to
selections, to moves, and to stores, where what comes out can be seen; and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.control import Branch, Call, Meeting, Table
from jitload.cpu.code.draft import Reader
from jitload.cpu.code.liveness import registers_of, results_and_sources
from jitload.cpu.text.ir import Memory, Register

if TYPE_CHECKING:
    from jitload.cpu.code.control import Block
    from jitload.cpu.kernel_code import KernelCode
    from jitload.cpu.text.ir import Instruction

_NOWHERE = frozenset({"param", "param::func"})


def guarded_loads(code: KernelCode) -> frozenset[tuple[int, str]]:
    """The loads of a kernel that are of this kind, as (line of the PTX, text)."""
    drafts = Reader(code.linker, code.name).read_all(code.entry)
    return frozenset(found for draft in drafts.values() for found in _Uses(draft.blocks).guarded())


class _Uses:
    """Who reads each register of a function."""

    def __init__(self, blocks: list[Block]) -> None:
        self._loads: list[Instruction] = []
        self._users: dict[int, list[Instruction]] = {}
        self._ends: set[int] = set()  # registers that the end of a block reads
        for block in blocks:
            for step in block.instructions:
                if step.opcode == "ld":
                    self._loads.append(step)
                for register in results_and_sources(step)[1]:
                    self._users.setdefault(register.index, []).append(step)
            self._ends |= _read_at_end(block)

    def guarded(self) -> list[tuple[int, str]]:
        return [
            (load.place.ptx_line, load.place.text)
            for load in self._loads
            if isinstance(load.operands[0], Register) and load.guard is None and self._is_guarded(load.operands[0])
        ]

    def _is_guarded(self, loaded: Register) -> bool:
        """Whether a value goes nowhere but where a predicate that does not hang on it may throw it away."""
        seen: set[int] = set()
        waiting = [loaded]
        joins: list[Instruction] = []
        while waiting:
            register = waiting.pop()
            if register.index in seen:
                continue
            seen.add(register.index)
            if register.index in self._ends:
                return False
            for step in self._users.get(register.index, ()):
                if register.type.kind == "p" and step.guard is None and step.opcode in {"and", "or"}:
                    joins.append(step)
                    continue
                found = _goes_on(step, register)
                if found is None:
                    return False
                waiting += found
        return bool(joins) and not any({one.index for one in results_and_sources(step)[1]} <= seen for step in joins)


def _goes_on(step: Instruction, register: Register) -> list[Register] | None:
    """Where a value goes on to from one of its users; None where that is a use in earnest."""
    if step.guard is not None:
        return None
    if step.opcode == "st":
        address = [
            one.index for operand in step.operands if isinstance(operand, Memory) for one in registers_of(operand)
        ]
        return None if register.index in address or _NOWHERE & {*step.modifiers} else []
    if register.type.kind == "p":
        handed_on = step.opcode == "not"
    else:
        handed_on = (step.opcode == "setp" and len(step.operands) == 3) or step.opcode in {"selp", "mov"}
    return results_and_sources(step)[0] if handed_on else None


def _read_at_end(block: Block) -> set[int]:
    end = block.end
    found: list[Register] = []
    if isinstance(end, Meeting | Table):
        found += results_and_sources(end.instruction)[1]
    if isinstance(end, Branch):
        found.append(end.guard)
    if isinstance(end, Call) and isinstance(end.callee, Register):
        found.append(end.callee)
    return {register.index for register in found}
