"""Reading an instruction's modifiers and operands strictly: what is not understood is refused."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from jitload.cpu.code.row import emit_row
from jitload.cpu.faults import Refused
from jitload.cpu.isa.decode import read
from jitload.cpu.isa.row import NO_CODE
from jitload.cpu.types import TYPES, Type

if TYPE_CHECKING:
    from collections.abc import Callable
    from re import Pattern

    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction, Operand

    Emitter = Callable[[BlockWriter, Instruction, "Modifiers"], None]

#: Opcode -> what gives the function that writes its code, which may import its file for that.
EMITTERS: dict[str, Callable[[], Emitter]] = {}
#: Opcode -> the same for a part of its instructions, by one of `_kinds_of`: they go first.
_NARROWED: dict[str, dict[str, Callable[[], Emitter]]] = {}


def emits(*opcodes: str, of: tuple[str, ...] = ()) -> Callable[[Emitter], Emitter]:
    """Register an emitter for opcodes.

    Args:
        opcodes: their names.
        of: only for instructions with one of these modifiers, or with a type that is an "integer" or an "integer pair".
    """

    def register(emitter: Emitter) -> Emitter:
        emits_with(lambda: emitter, *opcodes, of=of)
        return emitter

    return register


def emits_with(find: Callable[[], Emitter], *opcodes: str, of: tuple[str, ...] = ()) -> None:
    """The same with an emitter that `find` gives, when a program first has such an instruction."""
    for opcode in opcodes:
        if of:
            _NARROWED.setdefault(opcode, {}).update(dict.fromkeys(of, find))
        else:
            EMITTERS[opcode] = find


@lru_cache(maxsize=1024)
def _find_emitter(opcode: str, modifiers: tuple[str, ...]) -> Emitter | None:
    find = EMITTERS.get(opcode)
    narrowed = _NARROWED.get(opcode)
    if narrowed is not None:
        find = next((narrowed[kind] for kind in _kinds_of(modifiers) if kind in narrowed), find)
    return find() if find is not None else None


def _kinds_of(modifiers: tuple[str, ...]) -> tuple[str, ...]:
    """What an instruction is, for those that narrow their emitters: its modifiers, and what its type is."""
    type_ = next((TYPES[part] for part in reversed(modifiers) if part in TYPES), None)
    if type_ is None:
        return modifiers
    if type_.is_integer:
        return (*modifiers, "integer")
    return (*modifiers, "integer pair") if type_.name in {"u16x2", "s16x2"} else modifiers


class Modifiers:
    """The dotted parts of an opcode, taken one by one; `finish` refuses what nobody took."""

    __slots__ = ("_rest",)

    def __init__(self, parts: tuple[str, ...]) -> None:
        self._rest = list(parts)

    def take(self) -> tuple[str, ...]:
        """Take all that are left."""
        parts, self._rest = tuple(self._rest), []
        return parts

    def flag(self, *names: str) -> bool:
        """Take any of these modifiers; whether one was there."""
        kept = [part for part in self._rest if part not in names]
        found = len(kept) < len(self._rest)
        self._rest = kept
        return found

    def choice(self, *names: str) -> str:
        """Take the one of these modifiers that is there, or give ""."""
        for part in self._rest:
            if part in names:
                self._rest.remove(part)
                return part
        return ""

    def need(self, *names: str) -> str:
        """Take the one of these modifiers that must be there."""
        found = self.choice(*names)
        if not found:
            raise Refused(f"one of .{', .'.join(names)} is missing")
        return found

    @property
    def left(self) -> int:
        """How many parts nobody has taken."""
        return len(self._rest)

    def matching(self, pattern: Pattern[str]) -> str:
        """Take the first part that looks like this, or give ""."""
        for part in self._rest:
            if pattern.fullmatch(part):
                self._rest.remove(part)
                return part
        return ""

    def type(self) -> Type:
        """Take the type at the end."""
        if not self._rest or self._rest[-1] not in TYPES:
            raise Refused(f"unknown type .{self._rest[-1]}" if self._rest else "the type is missing")
        return TYPES[self._rest.pop()]

    def finish(self) -> None:
        """Refuse modifiers that are left."""
        if self._rest:
            raise Refused(f"modifier .{self._rest[0]} is not supported here")


def operands(instruction: Instruction, least: int, most: int | None = None) -> tuple[Operand, ...]:
    """The operands, if there are as many as there should be."""
    found = instruction.operands
    if not least <= len(found) <= (least if most is None else most):
        raise Refused(f"{len(found)} operands where {least} are expected")
    return found


def emit(writer: BlockWriter, instruction: Instruction) -> None:
    """Write the code of one instruction.

    Raises:
        Refused: it is not known, or not known like this.
    """
    name = read(instruction)
    writer.begin(instruction)
    if name.row.expression == NO_CODE:
        return
    if name.row.expression:
        emit_row(writer, name, instruction.operands)
        return
    emitter = _find_emitter(instruction.opcode, name.parts)
    if emitter is None:
        raise Refused("unknown instruction")
    modifiers = Modifiers(name.parts)
    emitter(writer, instruction, modifiers)
    modifiers.finish()
