"""Which registers instructions read and write, and which a block leaves for later ones."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from jitload.cpu.code.control import Branch, Call, Jump, Meeting, Table
from jitload.cpu.faults import Refused
from jitload.cpu.isa.effects import effects_of, gives
from jitload.cpu.isa.specials import LINEAR
from jitload.cpu.text.ir import (
    CallSyntax,
    Instruction,
    Memory,
    Not,
    Operand,
    Pair,
    Part,
    Register,
    Special,
    Symbol,
    Texel,
    Vector,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.cpu.code.control import Block, Terminator


#: Of blocks, until what is live is known: 64 each in the largest kernel that is taken.
_MOST_VISITS = 1 << 22


def registers_of(operand: Operand | CallSyntax) -> list[Register]:
    """The registers in an operand."""
    if isinstance(operand, Register):
        return [operand]
    if isinstance(operand, Memory):
        return [operand.base] if isinstance(operand.base, Register) else []
    if isinstance(operand, Vector):
        plain = [item for item in operand.items if type(item) is Register]
        if len(plain) == len(operand.items):  # nearly all
            return plain
        return [register for item in operand.items for register in registers_of(item)]
    if isinstance(operand, Texel):
        return [operand.handle, *registers_of(operand.coordinates)]
    if isinstance(operand, Pair):
        return registers_of(operand.first) + registers_of(operand.second)
    if isinstance(operand, Part):
        return [operand.register]
    if isinstance(operand, Not):
        return registers_of(operand.operand)
    return []


def results_and_sources(instruction: Instruction) -> tuple[list[Register], list[Register]]:
    """The registers that an instruction writes and reads; a guarded one also reads what it writes."""
    gives_one, accumulates = _traits(instruction.opcode, instruction.modifiers)
    results: list[Register] | None = None if gives_one else []
    sources: list[Register] = []
    for operand in instruction.operands:
        found = [operand] if type(operand) is Register else registers_of(operand)
        if results is None:
            results = [] if type(operand) is Memory else found
            if type(operand) is not Memory:
                continue
        sources += found
    if results is None:
        results = []
    if results and accumulates:
        sources += results
    if instruction.guard is not None:
        sources += [instruction.guard, *results]
    return results, sources


@lru_cache(maxsize=4096)
def _traits(opcode: str, modifiers: tuple[str, ...]) -> tuple[bool, bool]:
    """(whether the first operand is a destination, unless it is an address; whether it is read as well)."""
    return gives(opcode, modifiers), "accumulates" in effects_of(opcode, modifiers)


def carries(instruction: Instruction) -> tuple[bool, bool]:
    """(writes, reads) of the carry flag CC.CF (PTX ISA section 9.7.2)."""
    return _carried(instruction.opcode, instruction.modifiers)


@lru_cache(maxsize=4096)
def _carried(opcode: str, modifiers: tuple[str, ...]) -> tuple[bool, bool]:
    return "cc" in modifiers, "carries_in" in effects_of(opcode, modifiers)


def successors(end: Terminator) -> tuple[int, ...]:
    """The blocks that may follow."""
    if isinstance(end, Branch):
        return (end.taken, end.other)
    if isinstance(end, Table):
        return end.targets
    if isinstance(end, Jump | Meeting | Call):
        return (end.target,)
    return ()


def find_liveness(blocks: list[Block], carry: Register) -> None:
    """Fill `live_in` and `live_out` of every block, by iterating backwards until nothing changes.

    Raises:
        Refused: it takes longer than loops in one another would, of any depth that compilers write.
    """
    for block in blocks:
        _summarize(block, carry)
        block.live_in = block.used
    changed, visits = True, 0
    while changed:
        changed = False
        visits += len(blocks)
        if visits > _MOST_VISITS + len(blocks):
            raise Refused(f"branches between {len(blocks)} basic blocks that no loops explain")
        for block in reversed(blocks):
            live = 0
            for follow in successors(block.end):
                live |= blocks[follow].live_in
            block.live_out = live
            live_in = block.used | (live & ~block.defined)
            if live_in != block.live_in:
                block.live_in = live_in
                changed = True


def _summarize(block: Block, carry: Register) -> None:
    used: set[int] = set()
    defined: set[int] = set()
    ended = [block.end.instruction] if isinstance(block.end, Meeting | Table) else []
    for instruction in (*block.instructions, *ended):
        results, sources = results_and_sources(instruction)
        writes, reads = carries(instruction)
        reads = reads or (writes and instruction.guard is not None)
        for register in [*sources, carry] if reads else sources:
            if register.index not in defined:
                used.add(register.index)
        for register in [*results, carry] if writes else results:
            defined.add(register.index)
    last = block.end.guard if isinstance(block.end, Branch) else None
    if isinstance(block.end, Call) and isinstance(block.end.callee, Register):
        last = block.end.callee
    if last is not None and last.index not in defined:
        used.add(last.index)
    block.used, block.defined = _bits(used), _bits(defined)


def _bits(numbers: set[int]) -> int:
    """A bit set, made in one step: each bit by itself would take time in proportion to all registers."""
    if not numbers:
        return 0
    found = bytearray(max(numbers) // 8 + 1)
    for number in numbers:
        found[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(found, "little")


def reads_special(blocks: Iterable[Block], prefix: str) -> bool:
    """Whether some instruction reads a special register whose name starts so."""
    return any(
        type(operand) is Special and operand.name.startswith(prefix)
        for block in blocks
        for step in block.instructions
        for operand in step.operands
    )


def linear_registers(blocks: list[Block]) -> set[int]:
    """Numbers of the registers that may be a linear function of the thread's coordinates: an upper bound."""
    waiting: list[int] = []
    users: dict[int, list[int]] = {}
    for block in blocks:
        for step in block.instructions:
            if step.guard is not None or not step.operands:
                continue
            if "linear" not in effects_of(step.opcode, step.modifiers):
                continue
            target = step.operands[0]
            if not isinstance(target, Register) or target.type.bits not in {16, 32, 64}:
                continue
            for operand in step.operands[1:]:
                if isinstance(operand, Register):
                    users.setdefault(operand.index, []).append(target.index)
                elif isinstance(operand, Special) and operand.name.startswith(LINEAR):
                    waiting.append(target.index)
    found: set[int] = set()
    while waiting:
        index = waiting.pop()
        if index not in found:
            found.add(index)
            waiting += users.get(index, ())
    return found


def symbols_of(blocks: list[Block]) -> list[Symbol]:
    """Every symbol that instructions of these blocks name."""
    found: list[Symbol] = []
    for block in blocks:
        ended = [block.end.instruction] if isinstance(block.end, Meeting) else []
        for instruction in (*block.instructions, *ended):
            for operand in instruction.operands:
                if type(operand) is Register:  # nearly all
                    continue
                if isinstance(operand, Symbol):
                    found.append(operand)
                elif isinstance(operand, Memory) and isinstance(operand.base, Symbol):
                    found.append(operand.base)
                elif isinstance(operand, Vector):
                    found += [item for item in operand.items if isinstance(item, Symbol)]
    return found
