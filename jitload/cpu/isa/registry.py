"""Every row, by opcode, and which of them an instruction is."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

from jitload.cpu.isa import (
    bits,
    control,
    conversions,
    copies,
    floats,
    integers,
    matrices,
    memory,
    refused,
    selection,
    synchronization,
    tensors,
    textures,
    video,
    warpgroups,
    warps,
)
from jitload.cpu.isa.groups import GROUPS, ORDERED, TYPE_WORDS
from jitload.cpu.types import TYPES

if TYPE_CHECKING:
    from jitload.cpu.isa.row import Row, Slot
    from jitload.cpu.types import Type

#: Title for people -> rows.
FAMILIES: dict[str, tuple[Row, ...]] = {
    "Not supported": refused.ROWS,
    "Integer arithmetic": integers.ROWS,
    "Logic, shifts and bit fields": bits.ROWS,
    "Floating point": floats.ROWS,
    "Comparison, selection and moves": selection.ROWS,
    "Conversions": conversions.ROWS,
    "Memory and atomics": memory.ROWS,
    "Asynchronous copies": copies.ROWS,
    "Copies of tensors": tensors.ROWS,
    "Synchronization": synchronization.ROWS,
    "Warps": warps.ROWS,
    "Tensor cores": matrices.ROWS,
    "Warpgroups": warpgroups.ROWS,
    "Textures": textures.ROWS,
    "Control": control.ROWS,
    "Video instructions": video.ROWS,
}


#: Parts that ptxas takes more than once, to no other effect.
_AGAIN = frozenset(["sat", "cc", "relu", "shiftamt", "approx", "NaN", "satfinite", "sync", "uni"])
_VECTOR_BITS = 128


class Name:
    """The name of an instruction, read as a row has it.

    Attributes:
        row: the form.
        types: its types, in order.
        picked: what stands in each slot of the row, "" where nothing does.
        parts: what stands behind the opcode, in the order of the row.
    """

    __slots__ = ("parts", "picked", "row", "types")

    def __init__(self, row: Row, types: tuple[str, ...], picked: tuple[str, ...]) -> None:
        self.row = row
        self.types = types
        self.picked = picked
        self.parts = tuple(part for part in picked if part)

    @property
    def type(self) -> Type:
        """The first type."""
        return TYPES[self.types[0]]

    def has(self, part: str) -> bool:
        """Whether a part stands in the name."""
        return part in self.picked


@cache
def _by_opcode() -> dict[str, tuple[Row, ...]]:
    found: dict[str, list[Row]] = {}
    for rows in FAMILIES.values():
        for row in rows:
            found.setdefault(row.opcode, []).append(row)
    return {opcode: tuple(rows) for opcode, rows in found.items()}


def opcodes() -> frozenset[str]:
    """Every opcode that has a row."""
    return frozenset(_by_opcode())


def rows_of(opcode: str) -> tuple[Row, ...]:
    """The rows of an opcode; none of one that is not known."""
    return _by_opcode().get(opcode, ())


@lru_cache(maxsize=4096)
def candidates(opcode: str, modifiers: tuple[str, ...]) -> tuple[Name, ...]:
    """The rows that an instruction may be by its name; operands decide among several."""
    found = (read_name(row, modifiers) for row in rows_of(opcode))
    fitting = tuple(name for name in found if name is not None)
    return fitting[:1] if fitting and fitting[0].row.refused else fitting


def read_name(row: Row, modifiers: tuple[str, ...]) -> Name | None:
    """The name as this row has it, or None where it does not fit."""
    if row.refused:
        return Name(row, (), ()) if {slot.names[0] for slot in row.slots} <= set(modifiers) else None
    if not _mentions(row.spelled, modifiers):
        return None
    types = [part for part in modifiers if part in TYPE_WORDS]
    rest = [part for part in modifiers if part not in TYPE_WORDS]
    picked: list[str] = []
    used: list[str] = []
    for slot in row.slots:
        part = _take(slot, types if slot.is_type else rest, modifiers, sum(map(bool, picked)))
        if not part and not slot.optional:
            return None
        picked.append(part)
        if part and slot.is_type:
            used.append(part)
    if any(slot.braces for slot in row.slots) and not _is_whole(row, picked):
        return None
    if "VEC" in row.spelled and not _is_vector(picked, used):
        return None
    if types or not {*rest} <= _AGAIN & {*picked}:
        return None
    return Name(row, tuple(used), tuple(picked))


def _mentions(spelled: str, modifiers: tuple[str, ...]) -> bool:
    """Whether the text of a row has all parts in it: most rows are passed over without being taken apart."""
    for part in modifiers:
        for text in _spellings(part):
            if text in spelled:
                break
        else:
            return False
    return True


@lru_cache(maxsize=4096)
def _spellings(part: str) -> tuple[str, ...]:
    """How rows may write a part: as it is, or a word in capitals for it."""
    return (part, *[word for word, names in GROUPS.items() if part in names])


def _is_whole(row: Row, picked: list[str]) -> bool:
    """Whether of parts that share braces all are there, or none."""
    for number in {slot.braces for slot in row.slots if slot.braces}:
        shared = [bool(part) for part, slot in zip(picked, row.slots, strict=True) if slot.braces == number]
        if any(shared) != all(shared):
            return False
    return True


def _is_vector(picked: list[str], types: list[str]) -> bool:
    """Whether the elements that `VEC` says fill at most 128 bits."""
    count = 4 if "v4" in picked else 2 if "v2" in picked else 1
    return count * TYPES[types[0]].bits <= _VECTOR_BITS


def _take(slot: Slot, parts: list[str], modifiers: tuple[str, ...], before: int) -> str:
    """Take out of the parts what may stand in a slot, or give ""; `before` is how many are taken."""
    if slot.follows:
        part = modifiers[before] if before < len(modifiers) and modifiers[before] in slot.names else ""
    elif slot.is_type:
        part = parts[0] if parts and parts[0] in slot.names else ""
    else:
        kind = ORDERED.get(slot.names[0], ())
        part = next((one for one in parts if one in slot.names or one in kind), "")
        part = part if part in slot.names else ""
    if part:
        parts.remove(part)
    return part


def explain(opcode: str, modifiers: tuple[str, ...]) -> str:
    """Why no row takes an instruction, and what is legal."""
    rows = [row for row in rows_of(opcode) if not row.refused]
    known = {name for row in rows for slot in row.slots for name in slot.names}
    odd = next((part for part in modifiers if part not in known), None)
    given = set(modifiers)
    rows.sort(key=lambda row: -len(given & {name for slot in row.slots for name in slot.names}))
    legal = " or ".join(dict.fromkeys(row.name for row in rows[:3]))
    what = f"modifier .{odd[:40]} does not exist for {opcode}" if odd else "these modifiers do not go together"
    return f"{what}; legal is {legal}"
