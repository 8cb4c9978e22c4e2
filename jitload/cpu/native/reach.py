"""Which accesses of a block go to places around one base: they are checked at once, and alone where that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jitload.cpu.code.instruction import Modifiers
from jitload.cpu.code.liveness import results_and_sources
from jitload.cpu.emit.address import take_hints
from jitload.cpu.faults import Refused
from jitload.cpu.isa.decode import read
from jitload.cpu.isa.effects import effects_of
from jitload.cpu.text.ir import Memory, Register

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.cpu.text.ir import Instruction, Operand
    from jitload.cpu.types import Type

_SPACES = {
    "global": "global", "const": "global", "shared": "shared", "shared::cta": "shared", "local": "local",
    "param": "param", "param::entry": "param",
}  # fmt: skip
#: Spaces in which a write may move what other addresses reach: to a copy, where it must not be written.
_MOVING = frozenset({"global", "generic"})


class Access(NamedTuple):
    """What a load or store says.

    Attributes:
        space: "generic" where it names none.
        memory: the operand in brackets.
        other: the other operand.
        type: of an element.
        elements: how many, 0 where it is no vector.
        write: whether it is a store.
    """

    space: str
    memory: Memory
    other: Operand
    type: Type
    elements: int
    write: bool

    @property
    def nbytes(self) -> int:
        """How many bytes it accesses."""
        return self.type.size * max(self.elements, 1)


class Reach:
    """What accesses from one base have in common.

    Attributes:
        low, high: what they access, in bytes from the base.
        anchor: the offset of one that is aligned to `align` where all are aligned.
        write: whether any is a store.
        count: how many they are.
        found: what the check gave, where it is written.
    """

    __slots__ = ("align", "anchor", "count", "found", "high", "low", "write")

    def __init__(self, access: Access) -> None:
        self.low = self.anchor = access.memory.offset
        self.high = self.low + access.nbytes
        self.align = access.nbytes
        self.write = access.write
        self.count = 1
        self.found: object = None

    def takes(self, access: Access) -> bool:
        """Whether another access can be checked with these."""
        low = min(self.low, access.memory.offset)
        high = max(self.high, access.memory.offset + access.nbytes)
        return (access.memory.offset - self.anchor) % access.nbytes == 0 and high - low < 1 << 20

    def add(self, access: Access) -> None:
        """Take one more."""
        self.low = min(self.low, access.memory.offset)
        self.high = max(self.high, access.memory.offset + access.nbytes)
        self.align = max(self.align, access.nbytes)
        self.write |= access.write
        self.count += 1


def read_access(instruction: Instruction, modifiers: Modifiers, *, write: bool) -> Access:
    """Take the parts of a load or store.

    Raises:
        Refused: it has no native form.
    """
    operands = take_hints(modifiers, instruction)
    type_ = modifiers.type()
    vector = modifiers.choice("v2", "v4", "v8")
    space = _SPACES[modifiers.choice(*_SPACES) or "global"] if modifiers.left else "generic"
    if type_.bits > 64 or type_.bits < 8 or len(operands) != 2:
        raise Refused(f"an access of .{type_.name} has no native form")
    memory, other = operands if write else operands[::-1]
    assert isinstance(memory, Memory)
    return Access(space, memory, other, type_, int(vector[1]) if vector else 0, write)


def find_reaches(instructions: Iterable[Instruction]) -> dict[int, Reach]:
    """What the accesses of a block are checked with, by the identity of instructions."""
    steps = [(one, _access_of(one)) for one in instructions]
    starts: frozenset[int] = frozenset()
    while True:
        found = _gather(steps, starts)
        more = starts | _starts_of_writes(steps, found)
        if more == starts:
            return found
        starts = more


def _starts_of_writes(steps: list[tuple[Instruction, Access | None]], reaches: dict[int, Reach]) -> frozenset[int]:
    """Instructions at which a place that will be written is checked first."""
    found, seen = set(), set()
    for instruction, _ in steps:
        reach = reaches.get(id(instruction))
        if reach is not None and reach.write and id(reach) not in seen:
            seen.add(id(reach))
            found.add(id(instruction))
    return frozenset(found)


def _gather(steps: list[tuple[Instruction, Access | None]], starts: frozenset[int]) -> dict[int, Reach]:
    found: dict[int, Reach] = {}
    open_: dict[tuple[int, str], Reach] = {}
    for instruction, access in steps:
        if access is not None:
            assert isinstance(access.memory.base, Register)
            key = (access.memory.base.index, access.space)
            reach = open_.get(key)
            if reach is not None and reach.takes(access):
                reach.add(access)
            else:
                reach = open_[key] = Reach(access)
            found[id(instruction)] = reach
            if access.space in _MOVING and (access.write or id(instruction) in starts):
                open_ = {one: other for one, other in open_.items() if one == key or one[1] not in _MOVING}
        elif not effects_of(instruction.opcode, instruction.modifiers).isdisjoint({"stores", "polls"}):
            open_ = {one: other for one, other in open_.items() if one[1] not in _MOVING}
        for register in results_and_sources(instruction)[0]:
            open_ = {one: other for one, other in open_.items() if one[0] != register.index}
    return found


def _access_of(instruction: Instruction) -> Access | None:
    """The access of a load or store whose base is a register."""
    if instruction.opcode not in {"ld", "ldu", "st"} or instruction.guard is not None:
        return None
    try:
        access = read_access(instruction, Modifiers(read(instruction).parts), write=instruction.opcode == "st")
    except Refused:
        return None
    return access if isinstance(access.memory.base, Register) else None
