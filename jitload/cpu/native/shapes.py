"""How registers differ between neighbouring threads that take the same way: whether, and by how much."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.control import Meeting
from jitload.cpu.code.liveness import results_and_sources
from jitload.cpu.isa.effects import effects_of
from jitload.cpu.text.ir import Immediate, Memory, Not, Register, Special, Symbol, Vector

if TYPE_CHECKING:
    from jitload.cpu.code.control import Block
    from jitload.cpu.text.ir import Instruction, Operand

#: Special registers that eight threads in a row along x have in common.
_COMMON = ("ntid", "ctaid", "nctaid", "tid.y", "tid.z", "tid.w", "warpid", "nwarpid")
_MEMORY = frozenset({"loads", "accesses", "stores", "polls", "meets"})
#: State spaces of which threads of a block see the same.
_SEEN_BY_ALL = frozenset({"global", "const", "shared", "shared::cta", "param", "param::entry"})
_UNKNOWN = None
_OPEN = "open"


class Shapes:
    """What is known of the registers of a kernel.

    Args:
        blocks: of the kernel.
        known: registers that differ whatever makes them.

    Attributes:
        varying: registers that may differ between threads of a row. The others never do while all take the same way.
    """

    def __init__(self, blocks: list[Block], known: frozenset[int] = frozenset()) -> None:
        self._made: dict[int, list[Instruction]] = {}
        self.varying = set(known)
        for block in blocks:
            for instruction in block.instructions:
                for register in results_and_sources(instruction)[0]:
                    self._made.setdefault(register.index, []).append(instruction)
            if isinstance(block.end, Meeting):
                self.varying |= {register.index for register in results_and_sources(block.end.instruction)[0]}
        self._find_varying()
        self._steps: dict[int, int | str | None] = {}
        self._find_steps()

    def step(self, operand: Operand | None) -> int | None:
        """By how much each thread's value is expected to exceed that of the thread before: a guess."""
        found = self._step(operand)
        return found if isinstance(found, int) else None

    def _find_varying(self) -> None:
        while True:
            before = len(self.varying)
            for index, ones in self._made.items():
                if index not in self.varying and any(self._varies(one) for one in ones):
                    self.varying.add(index)
            if len(self.varying) == before:
                return

    def _varies(self, instruction: Instruction) -> bool:
        effects = effects_of(instruction.opcode, instruction.modifiers)
        if not effects.isdisjoint(_MEMORY) and (
            instruction.opcode not in {"ld", "ldu"} or _SEEN_BY_ALL.isdisjoint(instruction.modifiers)
        ):
            return True
        sources = results_and_sources(instruction)[1]
        if any(register.index in self.varying for register in sources):
            return True
        return any(not _common(one) for one in instruction.operands[1:])

    def _find_steps(self) -> None:
        before = None
        while before != self._steps:
            before = dict(self._steps)
            for index, ones in self._made.items():
                found = {self._step_of(one) for one in ones} - {_OPEN}
                self._steps[index] = found.pop() if len(found) == 1 else _UNKNOWN if found else _OPEN

    def _step(self, operand: Operand | None) -> int | str | None:
        if isinstance(operand, Memory):
            operand = operand.base
        if isinstance(operand, Register):
            # What nobody makes is zero; what a meeting gives is not foreseen.
            found = self._steps.get(operand.index, _OPEN if operand.index in self._made else _UNKNOWN)
            return 0 if operand.index not in self.varying else found
        if isinstance(operand, Special):
            return 1 if operand.name in {"tid.x", "laneid"} else 0 if _common(operand) else _UNKNOWN
        return 0 if operand is None or isinstance(operand, Immediate | Symbol) else _UNKNOWN

    def _step_of(self, instruction: Instruction) -> int | str | None:
        opcode, modifiers, operands = instruction.opcode, instruction.modifiers, instruction.operands
        if opcode not in {"mov", "cvta", "cvt", "add", "sub", "mul", "mad", "shl"} or instruction.guard is not None:
            return _UNKNOWN
        types = [part for part in modifiers if part[0] in "usbf" and part[1:].isdigit()]
        if any(part[0] == "f" for part in types) or "hi" in modifiers:
            return _UNKNOWN
        steps = [self._step(one) for one in operands[1:]]
        if _OPEN in steps:
            return _OPEN
        return _combined(opcode, steps, operands[1:])


def _combined(opcode: str, steps: list[int | str | None], sources: tuple[Operand, ...]) -> int | None:
    """The step of a result by those of its sources."""
    known = [one for one in steps if isinstance(one, int)]
    if len(known) < len(steps):
        return _UNKNOWN
    if opcode in {"mov", "cvta", "cvt"}:
        return known[0] if len(known) == 1 else _UNKNOWN
    if opcode in {"add", "sub"}:
        return known[0] + known[1] if opcode == "add" else known[0] - known[1]
    if opcode == "shl":
        amount = _literal(sources[1])
        return None if amount is None or not 0 <= amount < 64 else known[0] << amount
    product = 0
    if known[0] or known[1]:
        moving, factor = (0, _literal(sources[1])) if known[0] else (1, _literal(sources[0]))
        if factor is None or (known[0] and known[1]):
            return _UNKNOWN
        product = known[moving] * factor
    return product + known[2] if opcode == "mad" else product


def _literal(operand: Operand) -> int | None:
    if isinstance(operand, Immediate) and operand.float_width == 0:
        return int(operand.value)
    return None


def _common(operand: Operand) -> bool:
    """Whether threads of a row that have the same registers have the same of this."""
    if isinstance(operand, Special):
        return operand.name.startswith(_COMMON)
    if isinstance(operand, Vector):
        return all(_common(one) for one in operand.items)
    if isinstance(operand, Not):
        return _common(operand.operand)
    return isinstance(operand, Register | Immediate | Symbol | Memory)
