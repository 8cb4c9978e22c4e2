"""Values for registers: random bits, edge values and numbers of everyday size, and what single instructions require."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from gpu.families.around import CELL_BYTES, SLOT_BYTES
from gpu.families.line import REGISTERS

if TYPE_CHECKING:
    from gpu.families.line import Line

_F32 = (0, 1, 0x7FFFFF, 0x800000, 0x3F800000, 0x7F7FFFFF, 0x7F800000, 0x7FC00000, 0x7FA00000, 0x4F000000, 0x5F000000)
_F64 = (0, 1, 1 << 52, 0x3FF << 52, 0x7FEF << 48, 0x7FF << 52, 0x7FF8 << 48, 0x7FF4 << 48, 0x43E << 52, 0x36A << 52)
_WHOLE = (0, 1, -1, 0x7FFFFFFF, -0x80000000, 31, 32, 33, 0x00FF00FF, 0x80008000, 0x7FFFFFFFFFFFFFFF, -(1 << 63))

#: Instruction -> register -> what it must be: the operands that PTX leaves undefined otherwise.
_REQUIRED = (
    (r"(div|rem)\.[su]", {"r3": "nonzero", "d3": "nonzero"}),
    (r"fns", {"r3": "lane", "r4": "little"}),
    (r"cp\.async\.cg", {"r2": "sixteen"}),
    (r"match|redux\.sync\.(add|min|max)|vote", {"r2": "few", "d1": "few"}),
)


def inputs_for(line: Line, registers: Any, lanes: int, rng: np.random.Generator) -> np.ndarray:
    """The buffer `in`: a cell of 16 bytes per register and lane."""
    block = np.zeros((lanes, max(len(registers), 1), CELL_BYTES), np.uint8)
    required = next((kinds for name, kinds in _REQUIRED if re.match(name, line.opcode)), {})
    for cell, (letter, number) in enumerate(registers):
        width = REGISTERS[letter][1]
        bits = _required(required.get(f"{letter}{number}"), lanes, width, rng)
        if bits is None:
            bits = mixture(letter, width, lanes, rng)
        block[:, cell, :width] = bits
    return block


def slots_for(line: Line, registers: Any, block: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The buffer `slots`; a compare-and-swap finds what it compares with in every second one."""
    lanes = len(block)
    slots = rng.integers(0, 256, (lanes, SLOT_BYTES), np.uint8)
    if ".cas" in line.opcode:
        comparand = line.results and next(i for i, one in enumerate(registers) if one not in line.results)
        width = REGISTERS[registers[comparand][0]][1]
        slots[::2, :width] = block[::2, comparand, :width]
    return slots


def mixture(letter: str, width: int, lanes: int, rng: np.random.Generator) -> np.ndarray:
    """Per lane one of: random bits (half of them), an edge value, an everyday number."""
    bits = rng.integers(0, 256, (lanes, width), np.uint8)
    if width < 4 or letter == "q":
        return bits
    if letter in "fe":
        edges = np.array(_F32, np.uint32) if letter == "f" else np.array(_F64, np.uint64)
        sign = rng.integers(0, 2, lanes).astype(edges.dtype) << (8 * width - 1)
        edge = rng.choice(edges, lanes) | sign
        plain = (rng.standard_normal(lanes) * 4).astype(f"f{width}")
    else:
        edge = rng.choice(np.array(_WHOLE, np.int64), lanes)
        plain = rng.integers(0, 40, lanes)
    pick = rng.integers(0, 4, lanes)[:, None]
    return np.where(pick == 0, _bytes(plain, width), np.where(pick == 1, _bytes(edge, width), bits))


def _required(kind: str | None, lanes: int, width: int, rng: np.random.Generator) -> np.ndarray | None:
    if kind is None:
        return None
    values = {
        "nonzero": lambda: np.where(
            rng.integers(0, 2, lanes), rng.integers(1, 1 << 31, lanes), -rng.integers(1, 99, lanes)
        ),
        "lane": lambda: rng.integers(0, 32, lanes),
        "little": lambda: rng.integers(-33, 34, lanes),
        "sixteen": lambda: rng.integers(0, 17, lanes),
        "few": lambda: rng.integers(0, 3, lanes),
    }[kind]()
    return _bytes(values, width)


def _bytes(values: np.ndarray, width: int) -> np.ndarray:
    """The low bytes of each value."""
    wide = np.ascontiguousarray(values)
    return wide.view(np.uint8).reshape(len(wide), wide.itemsize)[:, :width]
