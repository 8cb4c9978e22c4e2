"""The rows: each is whole, each is taken by the decoder, and nothing else is."""

from __future__ import annotations

import re

import pytest

from jitload.cpu.isa import effects
from jitload.cpu.isa.groups import GROUPS, TYPE_WORDS
from jitload.cpu.isa.registry import candidates, families, opcodes
from tests.cpu.families import decide
from tests.cpu.isa.lines import line_of, names_of

ROWS = [row for rows in families().values() for row in rows]


def test_rows_are_well_formed():
    for row in ROWS:
        assert len(row.places) == len(row.operands.split()), row.spelled
        for slot in row.slots:
            assert slot.names[0], row.spelled
            assert len({name in TYPE_WORDS for name in slot.names}) == 1, (
                f"types and others in one part of {row.spelled}"
            )
            assert slot.group or not (set(slot.names) & set(GROUPS)), row.spelled


def test_every_effect_is_known_and_used():
    known = {*re.findall(r"^\| (\w+) \|", effects.__doc__, re.MULTILINE)} - {"word"}
    assert {effect for row in ROWS for effect in row.effects} == known


def test_no_two_rows_are_the_same():
    spelled = [(row.spelled, row.operands) for row in ROWS]
    assert sorted({*spelled}) == sorted(spelled)


@pytest.mark.parametrize("family", [family for family in families() if family != "Not supported"])
def test_every_row_is_taken(family):
    """By an example of its own."""
    refused = {}
    for row in families()[family]:
        for name in names_of(row, 3):
            line = line_of(name)
            why = "" if row.opcode == "brx" else decide(line)  # which needs a table of labels
            if why:
                refused[line] = why
    assert not refused


def test_what_has_no_row_is_no_instruction():
    assert candidates("frobnicate", ("u32",)) == ()
    assert "unknown" in decide("frobnicate.u32 %r1, %r2")
    assert {"bra", "shfl", "redux", "mma", "tex"} <= opcodes()


def test_an_empty_part_is_none_of_a_name():
    """Also where a row leaves places empty, and its text has everything else in it."""
    assert candidates("ld", ("global", "f32"))
    assert not candidates("ld", ("global", "f32", ""))
    assert not candidates("add", ("", "s32"))
