"""Every row, by opcode, and which of them an instruction is."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Protocol

from jitload.cpu.isa import (
    bits,
    control,
    copies,
    floats,
    integers,
    memory,
    refused,
    selection,
)
from jitload.cpu.isa.groups import GROUPS, ORDERED, TYPE_WORDS
from jitload.cpu.types import TYPES
from jitload.lazy import lazy

if TYPE_CHECKING:
    from jitload.cpu.isa import (
        conversions,
        matrices,
        multimem,
        synchronization,
        tensor_memory,
        tensor_products,
        tensors,
        textures,
        video,
        warpgroups,
        warps,
    )
    from jitload.cpu.isa.row import Row, Slot
    from jitload.cpu.types import Type
else:  # of which not every program has an instruction
    conversions = lazy("jitload.cpu.isa.conversions")
    matrices = lazy("jitload.cpu.isa.matrices")
    multimem = lazy("jitload.cpu.isa.multimem")
    synchronization = lazy("jitload.cpu.isa.synchronization")
    tensor_memory = lazy("jitload.cpu.isa.tensor_memory")
    tensor_products = lazy("jitload.cpu.isa.tensor_products")
    tensors = lazy("jitload.cpu.isa.tensors")
    textures = lazy("jitload.cpu.isa.textures")
    video = lazy("jitload.cpu.isa.video")
    warpgroups = lazy("jitload.cpu.isa.warpgroups")
    warps = lazy("jitload.cpu.isa.warps")


class _File(Protocol):
    """A file of rows."""

    @property
    def ROWS(self) -> tuple[Row, ...]: ...  # noqa: N802 - a constant there


#: Title for people -> the file of the rows, in the order in which they are tried.
_FAMILIES: dict[str, _File] = {
    "Not supported": refused,
    "Integer arithmetic": integers,
    "Logic, shifts and bit fields": bits,
    "Floating point": floats,
    "Comparison, selection and moves": selection,
    "Conversions": conversions,
    "Memory and atomics": memory,
    "Multicast memory": multimem,
    "Asynchronous copies": copies,
    "Copies of tensors": tensors,
    "Synchronization": synchronization,
    "Warps": warps,
    "Tensor cores": matrices,
    "Warpgroups": warpgroups,
    "Tensor memory": tensor_memory,
    "Products in tensor memory": tensor_products,
    "Textures": textures,
    "Control": control,
    "Video instructions": video,
}
#: Of files that are imported when a program first has an instruction of theirs: the opcodes.
_OPCODES: dict[str, str] = {
    "Conversions": "cvt",
    "Copies of tensors": "cp fence tensormap",
    "Multicast memory": "multimem",
    "Synchronization": "bar barrier clusterlaunchcontrol griddepcontrol mbarrier nanosleep",
    "Warps": "activemask elect match redux shfl vote",
    "Tensor cores": "ldmatrix mma movmatrix stmatrix wmma",
    "Warpgroups": "wgmma",
    "Tensor memory": "tcgen05",
    "Products in tensor memory": "tcgen05",
    "Textures": "suld suq sured sust tex tld4 txq",
    "Video instructions": (
        "vabsdiff vabsdiff2 vabsdiff4 vadd vadd2 vadd4 vavrg2 vavrg4 vmad vmax vmax2 vmax4 vmin vmin2 vmin4 vset vset2 vset4 vshl "
        "vshr vsub vsub2 vsub4"
    ),
}


def families() -> dict[str, tuple[Row, ...]]:
    """Title for people -> rows: all of them."""
    return {title: file.ROWS for title, file in _FAMILIES.items()}


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
def _titles() -> dict[str, list[str]]:
    """Opcode -> the families that have rows of it."""
    found: dict[str, list[str]] = {}
    for title, file in _FAMILIES.items():
        listed = _OPCODES.get(title)
        for opcode in listed.split() if listed else dict.fromkeys([row.opcode for row in file.ROWS]):
            found.setdefault(opcode, []).append(title)
    return found


def opcodes() -> frozenset[str]:
    """Every opcode that has a row."""
    return frozenset(_titles())


@lru_cache(maxsize=1024)
def rows_of(opcode: str) -> tuple[Row, ...]:
    """The rows of an opcode; none of one that is not known."""
    return tuple([row for title in _titles().get(opcode, ()) for row in _FAMILIES[title].ROWS if row.opcode == opcode])


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
