"""Every row in which lanes of a warp meet gives each of them what its model says, and nothing to the others."""

from __future__ import annotations

import pytest

from jitload.cpu.isa.registry import families
from tests.cpu.isa.meetings import differences, meetings, run
from tests.cpu.isa.ways import way_of

ROWS = [row for rows in families().values() for row in rows if way_of(row) == "meeting"]


@pytest.mark.parametrize("row", ROWS, ids=[row.spelled for row in ROWS])
def test_lanes_meet_as_the_model_of_a_row_says(ptx, row):
    several = meetings(row, 6, 9)
    found = [line for one, got in zip(several, run(ptx, several), strict=True) for line in differences(one, got)]
    assert not found, found[:5]
