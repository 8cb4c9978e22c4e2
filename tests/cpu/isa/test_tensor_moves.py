"""Moves between registers and tensor memory do what the models of their rows say."""

from __future__ import annotations

import pytest

from jitload.cpu.isa.registry import families
from tests.cpu.isa.lines import names_of
from tests.cpu.isa.page import short
from tests.cpu.isa.tensor_moves import difference
from tests.cpu.isa.ways import way_of

ROWS = [row for rows in families().values() for row in rows if way_of(row) == "tensor move"]


@pytest.mark.parametrize("row", ROWS, ids=[short(row.name) for row in ROWS])
def test_cells_and_registers_are_where_the_model_of_a_row_says(ptx, row):
    for name in names_of(row, 4):
        assert not difference(ptx, name)
