"""What instructions do to others, read off their rows: the one place that knows.

| word | says |
|---|---|
| loads | it reads memory that other threads may write |
| accesses | it reads memory that nobody writes |
| stores | it writes memory |
| polls | a loop around it may wait for what another thread does |
| strong | its accesses race with no other strong ones |
| releases | it publishes what the thread did |
| fences | it is a fence |
| exchanges | lanes give each other addresses before they access memory |
| meets | lanes wait there for others; the scheduler carries it out |
| ends | another block follows, or none |
| stops | it stops the launch |
| accumulates | it reads its result before it writes it |
| carries_in | it reads the carry flag |
| linear | it maps linear functions of the coordinates to such |
| hands_on | its results are undefined where its sources are |
| assembles | it may put an address together from parts |
"""

from __future__ import annotations

from functools import lru_cache

from jitload.cpu.isa.registry import candidates, rows_of
from jitload.cpu.types import TYPES

#: Where nobody else writes.
_OWN = frozenset(["param", "param::entry", "param::func", "local", "const"])
#: What must not happen for lanes whose guard is false.
_ACTS = frozenset(["loads", "accesses", "stores", "polls", "meets", "ends", "stops"])


@lru_cache(maxsize=4096)
def effects_of(opcode: str, modifiers: tuple[str, ...]) -> frozenset[str]:
    """The effects of an instruction; of one that no row fits, those of all rows of its opcode.

    Args:
        opcode: its first part.
        modifiers: the rest of its name.
    """
    fitting = [found.row for found in candidates(opcode, modifiers)] or rows_of(opcode)
    return frozenset[str]().union(*(row.effects for row in fitting))


def effects_in(text: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """(effects, modifiers) of an instruction as it is written, with its guard and operands."""
    opcode, modifiers = name_in(text)
    return effects_of(opcode, modifiers), modifiers


def name_in(text: str) -> tuple[str, tuple[str, ...]]:
    """(opcode, modifiers) of an instruction as it is written, with its guard and operands."""
    words = text.split()
    name = words[1] if words[0].startswith("@") and len(words) > 1 else words[0]
    opcode, *modifiers = name.rstrip(";").split(".")
    return opcode, tuple(modifiers)


def acts(opcode: str, modifiers: tuple[str, ...]) -> bool:
    """Whether it does more than give a value, so that it must not run for lanes whose guard is false."""
    return not _ACTS.isdisjoint(effects_of(opcode, modifiers))


def sees_others(opcode: str, modifiers: tuple[str, ...]) -> bool:
    """Whether it looks at what other threads may write."""
    return "loads" in effects_of(opcode, modifiers) and _OWN.isdisjoint(modifiers)


@lru_cache(maxsize=4096)
def gives(opcode: str, modifiers: tuple[str, ...]) -> bool:
    """Whether the first operand is a result, unless it is an address."""
    fitting = [found.row for found in candidates(opcode, modifiers)] or rows_of(opcode)
    return any(row.gives for row in fitting)


@lru_cache(maxsize=4096)
def profile_class(opcode: str, modifiers: tuple[str, ...]) -> str:
    """Which part of a GPU would do the work: one of the classes of a profile."""
    fitting = [found.row for found in candidates(opcode, modifiers)] or rows_of(opcode)
    fixed = fitting[0].profile if fitting else "other"
    if fixed != "math":
        return fixed
    type_ = next((TYPES[part] for part in reversed(modifiers) if part in TYPES), None)
    if type_ is None:
        return "other"
    if type_.kind in {"bf", "x2"} or type_.name == "f16":
        return {"u16x2": "integer", "s16x2": "integer", "f32x2": "fp32"}.get(type_.name, "fp16")
    return {"f32": "fp32", "f64": "fp64", "tf32": "fp32"}.get(type_.name, "integer")
