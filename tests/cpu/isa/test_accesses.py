"""Every row that loads, stores or does both at once leaves in memory, and gives, what its model says."""

from __future__ import annotations

import pytest

from jitload.cpu.isa.registry import families
from tests.cpu.isa.accesses import accesses, differences, run
from tests.cpu.isa.ways import way_of

ROWS = [row for rows in families().values() for row in rows if way_of(row) == "access"]


@pytest.mark.parametrize("row", ROWS, ids=[row.spelled for row in ROWS])
def test_a_row_accesses_memory_as_its_model_says(ptx, row):
    several = accesses(row, 4, 64)
    found = [line for one, got in zip(several, run(ptx, several), strict=True) for line in differences(one, got)]
    assert not found, found[:5]
