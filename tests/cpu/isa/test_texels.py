"""What reads textures, and what reads and writes surfaces, does what the models of their rows say."""

from __future__ import annotations

import pytest

import jitload
from jitload.cpu.isa.registry import families
from tests.cpu.isa import surfaces, textures
from tests.cpu.isa.lines import names_of
from tests.cpu.isa.ways import way_of

ROWS = [row for rows in families().values() for row in rows if way_of(row) == "texels"]


@pytest.fixture(autouse=True)
def on_the_executor():
    with jitload.configure(device="cpu"):
        yield


def _of(*opcodes):
    rows = [row for row in ROWS if row.opcode in opcodes]
    return pytest.mark.parametrize("row", rows, ids=[row.spelled for row in rows])


@_of("tex", "tld4")
def test_a_texture_is_read_as_the_model_of_a_row_says(ptx, row):
    found = [textures.difference(ptx, name, number) for name in names_of(row, 2) for number in (0, 1)]
    assert not any(found), [one for one in found if one][:3]


@_of("suld", "sust", "sured")
def test_a_surface_is_read_and_written_as_the_model_of_a_row_says(ptx, row):
    found = [surfaces.difference(ptx, name) for name in names_of(row, 8)]
    assert not any(found), [one for one in found if one][:3]


@_of("txq")
def test_a_texture_answers_as_the_model_of_a_row_says(ptx, row):
    found = [textures.answers(ptx, name) for name in names_of(row)]
    assert not any(found), found


@_of("suq")
def test_a_surface_answers_as_the_model_of_a_row_says(ptx, row):
    found = [surfaces.answers(ptx, name) for name in names_of(row)]
    assert not any(found), found
