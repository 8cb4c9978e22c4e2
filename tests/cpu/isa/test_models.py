"""Every row that has a model computes what it says, on corners and on numbers of chance."""

from __future__ import annotations

import random

import numpy as np
import pytest

from jitload.cpu.isa.decode import type_at
from jitload.cpu.isa.registry import FAMILIES
from tests.cpu.isa.lines import line_of, names_of

ROWS = [row for rows in FAMILIES.values() for row in rows if row.model is not None]
_LETTERS = "abce"
COUNT = 512


def corners(bits: int) -> list[int]:
    top = 1 << (bits - 1)
    return [0, 1, 2, 7, 8, 31, 32, 33, 63, 64, 255, 256, top - 1, top, top + 1, 2 * top - 1, 2 * top - 2]


def numbers(bits: int, chance: random.Random) -> list[int]:
    """Unsigned ones; half of them are corners, so that two of those meet."""
    return [
        chance.choice(corners(bits)) % (1 << bits) if chance.random() < 0.5 else chance.getrandbits(bits)
        for _ in range(COUNT)
    ]


def as_read(value: int, kind: str, bits: int) -> int:
    return value - (1 << bits) if kind == "s" and value >> (bits - 1) else value


@pytest.mark.parametrize("row", ROWS, ids=[row.spelled for row in ROWS])
def test_a_row_computes_what_its_model_says(apply, row):
    chance = random.Random(row.spelled)
    for name in names_of(row, 8):
        result, *sources = (type_at(name, place) for place in row.places)
        if result.kind == "p":
            continue  # `test_logic_of_predicates`
        columns = [numbers(type_.bits, chance) for type_ in sources]
        signs = [
            "u" if place.holds == "U" else type_.kind for place, type_ in zip(row.places[1:], sources, strict=True)
        ]
        read = [
            [as_read(one, sign, type_.bits) for one in column]
            for column, sign, type_ in zip(columns, signs, sources, strict=True)
        ]
        wanted = [row.model(name, *values) for values in zip(*read, strict=True)]
        mnemonic = line_of(name).partition(" ")[0]
        registers = ", ".join(f"%{letter}" for letter in _LETTERS[: len(sources)])
        inputs = [np.array(column, f"u{type_.bits // 8}") for column, type_ in zip(columns, sources, strict=True)]
        got = apply(f"{mnemonic} %d, {registers};", np.dtype(f"u{result.bits // 8}"), *inputs).tolist()
        wrong = [
            (values, one, want)
            for *values, one, want in zip(*read, got, wanted, strict=True)
            if want is not None and one != want % (1 << result.bits)
        ]
        assert not wrong, (mnemonic, wrong[:3])


@pytest.mark.parametrize(
    "row", [row for row in ROWS if "pred" in row.spelled or "LOGIC" in row.spelled], ids=lambda row: row.spelled
)
def test_logic_of_predicates(apply, row):
    a, b = np.array([0, 0, 1, 1], np.uint32), np.array([0, 1, 0, 1], np.uint32)
    sources = "%p, %r" if len(row.places) == 3 else "%p"
    code = f"setp.ne.u32 %p, %a, 0; setp.ne.u32 %r, %b, 0; {row.opcode}.pred %s, {sources}; selp.u32 %d, 1, 0, %s;"
    name = next(name for name in names_of(row) if name.types == ("pred",))
    values = [pair[: len(row.places) - 1] for pair in zip(a.tolist(), b.tolist(), strict=True)]
    assert apply(code, np.uint32, a, b).tolist() == [row.model(name, *pair) & 1 for pair in values]
