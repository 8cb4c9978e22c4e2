"""Every video instruction gives what the model of its row says."""

from __future__ import annotations

import pytest

from jitload.cpu.isa.registry import families
from tests.cpu.isa.videos import differences, lines
from tests.cpu.isa.ways import way_of

ROWS = [row for rows in families().values() for row in rows if way_of(row) == "video"]


@pytest.mark.parametrize("row", ROWS, ids=[row.spelled for row in ROWS])
def test_a_video_instruction_gives_what_its_model_says(apply, row):
    found = [text for line in lines(row, 8, 64) for text in differences(apply, line)]
    assert not found, found[:5]
