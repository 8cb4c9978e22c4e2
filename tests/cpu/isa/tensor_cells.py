"""Models of what moves between registers and tensor memory: who holds which cell (PTX ISA section 9.7.16.2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cpu.isa import integers
from tests.cpu.isa.reals import Real

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jitload.cpu.isa.registry import Name

SHAPES = ("32x32b", "16x64b", "16x128b", "16x256b", "16x32bx2")
_EACH = {"16x128b": 2, "16x256b": 4}


def shape_of_move(name: Name) -> str:
    """As it is written."""
    return next(part for part in name.picked if part in SHAPES)


def registers_of_move(name: Name) -> int:
    """Of each thread."""
    count = next(int(part[1:]) for part in name.picked if part[0] == "x" and part[1:].isdigit())
    return count * _EACH.get(shape_of_move(name), 1)


def _holder(shape: str, lane: int, column: int) -> tuple[int, int]:
    """The (thread, register) that has a cell, as the figures show it."""
    low, upper = lane % 8, lane // 8
    if shape == "16x64b":
        return 4 * low + 2 * (column % 2) + upper, column // 2
    if shape == "16x128b":
        return 4 * low + column % 4, 2 * (column // 4) + upper
    if shape == "16x256b":
        return 4 * low + column % 8 // 2, 4 * (column // 8) + 2 * upper + column % 2
    return lane, column


def _held(name: Name, split: int) -> Iterator[tuple[int, int, int, list[int]]]:
    """(thread, register, lane, columns) of everything that moves; a packed register has two columns."""
    shape, registers = shape_of_move(name), registers_of_move(name)
    packed = name.has("pack::16b") or name.has("unpack::16b")
    height = 32 if shape == "32x32b" else 16
    width = registers * 32 // (32 if shape in {"32x32b", "16x32bx2"} else 16)
    for lane in range(height):
        for column in range(width):
            thread, register = _holder(shape, lane, column)
            for half in range(2 if shape == "16x32bx2" else 1):
                first = column * (1 + packed) + half * split
                yield thread + 16 * half, register, lane, [first, first + 1] if packed else [first]


def fragment(name: Name, t: list[list[int]], b: int = 0) -> list[list[int]]:
    """The registers of each thread, of lanes of words; `b` is how far off the second half is."""
    found = [[0] * registers_of_move(name) for _ in range(32)]
    for thread, register, lane, columns in _held(name, b):
        words = [t[lane][column] for column in columns]
        found[thread][register] = words[0] if len(words) == 1 else words[0] & 0xFFFF | (words[1] & 0xFFFF) << 16
    return found


def dealt(name: Name, c: list[list[int]], b: int = 0) -> dict[tuple[int, int], int]:
    """What stands in (lane, column) afterwards, of the registers of each thread."""
    found = {}
    for thread, register, lane, columns in _held(name, b):
        word = c[thread][register]
        halves = [word] if len(columns) == 1 else [word & 0xFFFF, word >> 16]
        found.update({(lane, column): half for column, half in zip(columns, halves, strict=True)})
    return found


def weakened(d: list[list[Real]], k: int) -> list[list[Real]]:
    """Its numbers by 2 to the power of minus k."""
    return [[one * Real(False, 1, -k) for one in row] for row in d]


def cut(d: list[list[int]], saturates: bool) -> list[list[int]]:
    """Whole numbers, cut to 32 bits or left to wrap."""
    return [[integers.clamp(one, 32) for one in row] for row in d] if saturates else d


def copied_cells(name: Name, b: list[list[int]]) -> list[list[int]]:
    """What the 128 lanes get of rows of bytes, as words."""
    source = {"b4x16_p64": 4, "b6x16_p32": 6}.get(next((part for part in name.picked if "_p" in part), ""), 0)
    rows = [_widened(row, source) if source else row for row in b]
    turns = {"warpx4": 1, "warpx2::02_13": 2}
    several = next((turns[part] for part in name.picked if part in turns), 0)
    found = []
    for lane in range(128):
        if several:
            row = rows[lane % (32 * several)]
        else:
            row = rows[lane // 64 * 32 + lane % 32] if name.has("warpx2::01_23") else rows[lane]
        found.append([int.from_bytes(bytes(row[k : k + 4]), "little") for k in range(0, len(row), 4)])
    return found


def _widened(row: list[int], bits: int) -> list[int]:
    """Each 16 bytes as 16 elements that they begin with; those of 4 bits in the middle of their bytes."""
    found = []
    for start in range(0, len(row), 16):
        whole = int.from_bytes(bytes(row[start : start + 16]), "little")
        codes = [whole >> bits * k & (1 << bits) - 1 for k in range(16)]
        found += [code << 2 if bits == 4 else code for code in codes]
    return found
