"""Which lanes hold the metadata of sparse rows, and the scales of rows and columns, for a selector (PTX ISA 9.7.14.3, 9.7.14.6)."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

from tests.cpu.isa.products import elements_of
from tests.cpu.isa.reals import NAN, Real, decode

if TYPE_CHECKING:
    import random

    from jitload.cpu.isa.registry import Name

_ROWS, _COLUMNS, _LANES = 16, 8, 32


class Extras(NamedTuple):
    """What a product takes beside its matrices.

    Attributes:
        letters: of its model.
        words: of each lane, by the letter of the operand.
        operands: as text.
    """

    letters: dict[str, list[list[int]] | list[list[Real]]]
    words: dict[str, list[int]]
    operands: list[str]


def add_metadata(name: Name, extras: Extras, chance: random.Random) -> None:
    """Of each chunk of a row two parts are kept; those words of lanes that no selector names are noise."""
    k = int(next(part for part in name.picked if part[0] == "m" and "k" in part).partition("k")[2])
    _, chunk = elements_of(name)
    chunks = k // chunk
    if chunk == 2:
        codes = [0b0100, 0b1110]
    else:
        pairs = permutations(range(4), 2)
        codes = [first | second << 2 for first, second in pairs if name.has("sp") or first < second]
    rows = [[chance.choice(codes) for _ in range(chunks)] for _ in range(_ROWS)]
    halves = name.types[1] in {"f16", "bf16", "tf32"}
    selector = chance.randrange({4: 4, 8: 2, 16: 1}[chunks])
    words = [chance.getrandbits(32) for _ in range(_LANES)]
    for row, metadata in enumerate(rows):
        for place, code in enumerate(metadata):
            lane, bit = _place_of(row, place, chunks, selector, halves=halves)
            words[lane] = words[lane] & ~(15 << bit) | code << bit
    extras.letters["e"] = rows
    extras.words["e"] = words
    extras.operands.extend(["%e0", str(selector)])


def _place_of(row: int, chunk: int, chunks: int, selector: int, *, halves: bool) -> tuple[int, int]:
    """(lane, first bit) of the metadata of a chunk: one lane of a group of four has both of its rows, or two, or all."""
    group, lower = row % 8 * 4, row // 8
    if chunks == 4:
        return group + selector, 16 * lower + 4 * chunk
    if chunks == 16:
        return group + lower + 2 * (chunk // 8), 4 * (chunk % 8)
    if halves:
        return group + 2 * selector + chunk // 4, 16 * lower + 4 * (chunk % 4)
    return group + 2 * selector + lower, 4 * chunk


def add_scales(name: Name, extras: Extras, chance: random.Random) -> None:
    """A scale for each part of a row and of a column, in bytes of the lanes that the selectors name; the rest is noise."""
    type_ = name.types[4]
    vector = next((part for part in name.picked if part.startswith("scale_vec")), "")
    count = int(vector[-2]) if vector else 2 if name.has("kind::mxf4") else 1
    for letter, lines in (("s", _ROWS), ("t", _COLUMNS)):
        first = chance.choice({1: [0, 1, 2, 3], 2: [0, 2], 4: [0]}[count])
        thread = chance.randrange(2 if letter == "s" else 4)
        words = [chance.getrandbits(32) for _ in range(_LANES)]
        codes = [[_scale(type_, chance) for _ in range(count)] for _ in range(lines)]
        for line, row in enumerate(codes):
            lane = line % 8 * 4 + (line // 8 + 2 * thread if letter == "s" else thread)
            for k, code in enumerate(row):
                words[lane] = words[lane] & ~(255 << 8 * (first + k)) | code << 8 * (first + k)
        extras.letters[letter] = [[_number(type_, code) for code in row] for row in codes]
        extras.words[letter] = words
        extras.operands.extend([f"{{%{letter}0}}" if letter == "t" else f"%{letter}0", f"{{{first}, {thread}}}"])


def _scale(type_: str, chance: random.Random) -> int:
    if chance.random() < 0.03:
        return 255
    return chance.randint(0x28, 0x48) | chance.getrandbits(1) << 7 if type_ == "ue4m3" else chance.randint(122, 132)


def _number(type_: str, code: int) -> Real:
    """ue8m0 is a power of two, of ue4m3 the uppermost bit counts for nothing."""
    if type_ == "ue4m3":
        return decode(code & 127, "e4m3")
    return NAN if code == 255 else Real(False, 1, code - 127)
