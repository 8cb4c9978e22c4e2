"""Which registers instructions read and write, and which a block leaves for later ones."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from jitload.cpu.code.control import Branch, Call, Jump, Meeting, Table
from jitload.cpu.faults import Refused
from jitload.cpu.isa.effects import effects_of, gives
from jitload.cpu.isa.specials import LINEAR
from jitload.cpu.text.ir import (
    CallSyntax,
    Immediate,
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
    traits = _traits(instruction.opcode, instruction.modifiers)
    operands = instruction.operands
    results: list[Register] = []
    sources: list[Register] = []
    if traits.gives and operands and type(operands[0]) is not Memory:
        results = registers_of(operands[0])
        operands = operands[1:]
    for operand in operands:
        if type(operand) is Register:  # nearly all are registers or literals
            sources.append(operand)
        elif type(operand) is not Immediate:
            sources += registers_of(operand)
    if traits.accumulates:
        sources += results
    if instruction.guard is not None:
        sources += [instruction.guard, *results]
    return results, sources


class _Traits(NamedTuple):
    """What instructions of a name read and write.

    Attributes:
        gives: whether the first operand is a destination, unless it is an address.
        accumulates: whether that is read as well.
        carries: (writes, reads) of the carry flag.
    """

    gives: bool
    accumulates: bool
    carries: tuple[bool, bool]


@lru_cache(maxsize=4096)
def _traits(opcode: str, modifiers: tuple[str, ...]) -> _Traits:
    effects = effects_of(opcode, modifiers)
    return _Traits(gives(opcode, modifiers), "accumulates" in effects, ("cc" in modifiers, "carries_in" in effects))


def carries(instruction: Instruction) -> tuple[bool, bool]:
    """(writes, reads) of the carry flag CC.CF (PTX ISA section 9.7.2)."""
    return _traits(instruction.opcode, instruction.modifiers).carries


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


def named_by(blocks: list[Block]) -> tuple[list[Symbol], set[str]]:
    """(every symbol, every special register) that instructions of these blocks name."""
    symbols: list[Symbol] = []
    specials: set[str] = set()
    for block in blocks:
        ended = [block.end.instruction] if isinstance(block.end, Meeting) else []
        for instruction in (*block.instructions, *ended):
            for operand in instruction.operands:
                kind = type(operand)
                if kind is Register or kind is Immediate:  # nearly all
                    continue
                if isinstance(operand, Symbol):
                    symbols.append(operand)
                elif isinstance(operand, Special):
                    specials.add(operand.name)
                elif isinstance(operand, Memory) and isinstance(operand.base, Symbol):
                    symbols.append(operand.base)
                elif isinstance(operand, Vector):
                    symbols += [item for item in operand.items if isinstance(item, Symbol)]
    return symbols, specials
