"""Which registers instructions read and write, and which a block leaves for later ones."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, cast

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


_REGISTERS = {Register}
_LINEAR_BITS = frozenset({16, 32, 64})
#: Of blocks, until what is live is known: 64 each in the largest kernel that is taken.
_MOST_VISITS = 1 << 22


def registers_of(operand: Operand | CallSyntax) -> list[Register]:
    """The registers in an operand."""
    if isinstance(operand, Register):
        return [operand]
    if isinstance(operand, Memory):
        return [operand.base] if isinstance(operand.base, Register) else []
    if isinstance(operand, Vector):
        if set(map(type, operand.items)) == _REGISTERS:  # nearly all
            return list(cast("tuple[Register, ...]", operand.items))
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
        plain: whether it reads its sources alone, and writes its results alone.
        linear: whether it maps linear functions of the thread's coordinates to such.
    """

    gives: bool
    accumulates: bool
    carries: tuple[bool, bool]
    plain: bool
    linear: bool


@lru_cache(maxsize=4096)
def _traits(opcode: str, modifiers: tuple[str, ...]) -> _Traits:
    effects = effects_of(opcode, modifiers)
    carried = ("cc" in modifiers, "carries_in" in effects)
    accumulates = "accumulates" in effects
    plain = not (accumulates or True in carried)
    return _Traits(gives(opcode, modifiers), accumulates, carried, plain, "linear" in effects)


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
    """Fill `used`, `defined` and `given` of a block."""
    used: set[int] = set()
    defined: set[int] = set()
    given: dict[Register, None] = {}
    ended = [block.end.instruction] if isinstance(block.end, Meeting | Table) else []
    for instruction in (*block.instructions, *ended):
        traits = _traits(instruction.opcode, instruction.modifiers)
        operands = instruction.operands
        results: list[Register] = []
        if traits.gives and operands and type(operands[0]) is not Memory:
            results = registers_of(operands[0])
            operands = operands[1:]
        for operand in operands:
            if type(operand) is Register:
                if operand.index not in defined:
                    used.add(operand.index)
            elif type(operand) is not Immediate:
                used.update([one.index for one in registers_of(operand) if one.index not in defined])
        guard = instruction.guard
        if guard is not None or not traits.plain:
            writes, reads = traits.carries
            more = results if traits.accumulates else []
            more = more if guard is None else [guard, *results]
            more = [*more, carry] if reads or (writes and guard is not None) else more
            used.update([one.index for one in more if one.index not in defined])
            if writes:
                defined.add(carry.index)
        for register in results:
            defined.add(register.index)
            given[register] = None
    last = block.end.guard if isinstance(block.end, Branch) else None
    if isinstance(block.end, Call) and isinstance(block.end.callee, Register):
        last = block.end.callee
    if last is not None and last.index not in defined:
        used.add(last.index)
    block.used, block.defined, block.given = _bits(used), _bits(defined), tuple(given)


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
            if step.guard is not None or not step.operands or not _traits(step.opcode, step.modifiers).linear:
                continue
            target = step.operands[0]
            if type(target) is not Register or target.type.bits not in _LINEAR_BITS:
                continue
            for operand in step.operands[1:]:
                if type(operand) is Register:
                    users.setdefault(operand.index, []).append(target.index)
                elif type(operand) is Special and operand.name.startswith(LINEAR):
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
                if type(operand) is Memory:
                    if type(operand.base) is Symbol:
                        symbols.append(operand.base)
                elif type(operand) is Vector:
                    if set(map(type, operand.items)) != _REGISTERS:
                        symbols += [item for item in operand.items if type(item) is Symbol]
                elif type(operand) is Symbol:
                    symbols.append(operand)
                elif type(operand) is Special:
                    specials.add(operand.name)
    return symbols, specials
