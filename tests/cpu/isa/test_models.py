"""Every row that gives a value computes what its model says, on corners and on numbers of chance."""

from __future__ import annotations

import pytest

from jitload.cpu.isa.registry import families
from tests.cpu.isa.values import cases, differences, every_word, run
from tests.cpu.isa.ways import way_of

ROWS = [row for rows in families().values() for row in rows if way_of(row) == "value"]
NARROW = [row for row in ROWS if every_word(row, 24)]


def _check(ptx, several):
    """Every case gives what the model says."""
    found = [line for case, got in zip(several, run(ptx, several), strict=True) for line in differences(case, got)]
    assert not found, found[:5]


@pytest.mark.parametrize("row", ROWS, ids=[row.spelled for row in ROWS])
def test_a_row_computes_what_its_model_says(ptx, row):
    _check(ptx, cases(row, 4, 128))


@pytest.mark.slow(keep=4)
@pytest.mark.parametrize("row", NARROW, ids=[row.spelled for row in NARROW])
def test_a_row_computes_what_its_model_says_of_every_word_of_16_bits(ptx, row, bounded):
    _check(ptx, every_word(row, 24)[: bounded(24, 2)])
