"""Every row that gives a value computes what its model says, on corners and on numbers of chance."""

from __future__ import annotations

import pytest

from jitload.cpu.isa.registry import FAMILIES
from tests.cpu.isa.values import cases, differences, run
from tests.cpu.isa.ways import way_of

ROWS = [row for rows in FAMILIES.values() for row in rows if way_of(row) == "value"]


def _check(ptx, several):
    """Every case gives what the model says."""
    found = [line for case, got in zip(several, run(ptx, several), strict=True) for line in differences(case, got)]
    assert not found, found[:5]


@pytest.mark.parametrize("row", ROWS, ids=[row.spelled for row in ROWS])
def test_a_row_computes_what_its_model_says(ptx, row):
    _check(ptx, cases(row, 4, 128))
