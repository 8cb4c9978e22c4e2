"""Lines that are perhaps illegal: examples of rows with one thing changed, the same in every run."""

from __future__ import annotations

import random
import re

from jitload.cpu.isa.groups import TYPE_WORDS
from jitload.cpu.isa.registry import families, opcodes, rows_of
from tests.cpu.isa.lines import line_of, names_of

_REGISTERS = ("%r1", "%d1", "%h1", "%f1", "%e1", "%p1", "%b1", "1", "1.5", "_", "[%w]", "!%p1")
_FOREIGN = (
    "ftz",
    "sat",
    "rn",
    "rz",
    "cc",
    "relu",
    "NaN",
    "volatile",
    "acquire",
    "release",
    "gpu",
    "weak",
    "global",
    "sync",
    "noftz",
    "satfinite",
    "lo",
    "eq",
    "v2",
)


def mutants(count: int, seed: int = 0) -> list[str]:
    """So many lines."""
    chance = random.Random(seed)
    lines = [
        (row.opcode, line_of(name))
        for family, rows in families().items()
        for row in rows
        if family != "Not supported" and row.opcode not in {"brx", "call", "bra"} and not _is_newer(row.since)
        for name in names_of(row, 4)
    ]
    found: dict[str, None] = {}
    while len(found) < count:
        opcode, line = chance.choice(lines)
        found[chance.choice(_CHANGES)(chance, opcode, line)] = None
    return list(found)


def _is_newer(since: str) -> bool:
    """Whether the ptxas that is asked does not know it for its arch."""
    return any(word in since for word in ("9.1", "sm_120", "sm_90a"))


def _split(line: str) -> tuple[list[str], str]:
    name, _, operands = line.partition(" ")
    return name.split("."), operands


def _words(opcode: str) -> list[str]:
    return sorted({name for row in rows_of(opcode) for slot in row.slots for name in slot.names})


def _joined(parts: list[str], operands: str) -> str:
    return f"{'.'.join(parts)} {operands}".strip()


def _other_part(chance: random.Random, opcode: str, line: str) -> str:
    """One part of the name is another word: a type where it was one."""
    parts, operands = _split(line)
    if len(parts) == 1:
        return line
    place = chance.randrange(1, len(parts))
    typed = parts[place] in TYPE_WORDS
    parts[place] = chance.choice(
        sorted(
            one
            for one in ("u32", "s32", "b32", "f32", "u64", "b16", "f16", "f64", "u16", "bf16", "f16x2", "s8", "pred")
        )
        if typed
        else _words(opcode) or ["ftz"]
    )
    return _joined(parts, operands)


def _more(chance: random.Random, opcode: str, line: str) -> str:
    """One part more."""
    parts, operands = _split(line)
    parts.insert(chance.randrange(1, len(parts) + 1), chance.choice([*_FOREIGN, *_words(opcode)]))
    return _joined(parts, operands)


def _less(chance: random.Random, _opcode: str, line: str) -> str:
    """One part less."""
    parts, operands = _split(line)
    if len(parts) > 1:
        parts.pop(chance.randrange(1, len(parts)))
    return _joined(parts, operands)


def _reordered(chance: random.Random, _opcode: str, line: str) -> str:
    """Two neighbours change places."""
    parts, operands = _split(line)
    if len(parts) > 2:
        place = chance.randrange(1, len(parts) - 1)
        parts[place], parts[place + 1] = parts[place + 1], parts[place]
    return _joined(parts, operands)


def _other_operand(chance: random.Random, _opcode: str, line: str) -> str:
    """One operand is of another kind."""
    parts, operands = _split(line)
    several = operands.split(", ")
    if "{" not in operands and operands:
        several[chance.randrange(len(several))] = chance.choice(_REGISTERS)
    return _joined(parts, ", ".join(several))


def _fewer_operands(chance: random.Random, _opcode: str, line: str) -> str:
    """One operand less, or one more."""
    parts, operands = _split(line)
    several = operands.split(", ") if operands else []
    if chance.random() < 0.5 and several:
        several.pop()
    else:
        several.append("%r1")
    return _joined(parts, ", ".join(several))


def _types_turned(chance: random.Random, _opcode: str, line: str) -> str:
    """Two types change places."""
    parts, operands = _split(line)
    places = [place for place, part in enumerate(parts) if place and part in TYPE_WORDS]
    if len(places) > 1:
        one, other = chance.sample(places, 2)
        parts[one], parts[other] = parts[other], parts[one]
    return _joined(parts, operands)


def _operands_turned(chance: random.Random, _opcode: str, line: str) -> str:
    """Two operands change places."""
    parts, operands = _split(line)
    several = operands.split(", ")
    if "{" not in operands and len(several) > 1:
        one, other = chance.sample(range(len(several)), 2)
        several[one], several[other] = several[other], several[one]
    return _joined(parts, ", ".join(several))


def _no_operands(_chance: random.Random, _opcode: str, line: str) -> str:
    """The name alone."""
    return line.partition(" ")[0]


def _other_opcode(chance: random.Random, _opcode: str, line: str) -> str:
    """The modifiers and operands of one instruction behind the opcode of another."""
    parts, operands = _split(line)
    return _joined([chance.choice(sorted(opcodes())), *parts[1:]], operands)


def _other_operands(chance: random.Random, _opcode: str, line: str) -> str:
    """Registers of another type, all of them."""
    parts, operands = _split(line)
    letter = chance.choice("rdhfe")
    return _joined(parts, re.sub(r"%[rdhfe](?=[1-4])", f"%{letter}", operands))


_CHANGES = (
    _other_part, _other_part, _more, _less, _other_operand, _fewer_operands, _reordered, _types_turned, _operands_turned,
    _no_operands, _other_opcode, _other_operands,
)  # fmt: skip
