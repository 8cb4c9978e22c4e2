"""Copies of boxes of tensors, what changes their maps, and reductions in bulk leave what the models of their rows say."""

from __future__ import annotations

import pytest

from jitload.cpu.isa.registry import families
from tests.cpu.isa import bulk, tensor_maps, tensors
from tests.cpu.isa.lines import names_of
from tests.cpu.isa.ways import way_of

ROWS = [row for rows in families().values() for row in rows if way_of(row) == "tensor"]
BULK = [row for rows in families().values() for row in rows if way_of(row) == "bulk"]
COPIES = [row for row in ROWS if row.opcode == "cp"]
MAPS = [row for row in ROWS if row.opcode == "tensormap"]


@pytest.mark.parametrize("row", COPIES, ids=[row.spelled for row in COPIES])
def test_a_box_is_copied_as_the_model_of_a_row_says(ptx, row):
    found = [tensors.difference(ptx, one) for name in names_of(row, 6) for one in tensors.copies(name, 2)]
    assert not any(found), [one for one in found if one][:3]


@pytest.mark.parametrize("row", MAPS, ids=[row.spelled for row in MAPS])
def test_a_map_is_changed_as_the_model_of_a_row_says(ptx, row):
    found = [tensor_maps.difference(ptx, name) for name in names_of(row)]
    assert not any(found), found


@pytest.mark.parametrize("row", BULK, ids=[row.spelled for row in BULK])
def test_elements_are_reduced_as_the_model_of_a_row_says(ptx, row):
    found = [bulk.difference(ptx, name) for name in names_of(row)]
    assert not any(found), [one for one in found if one][:3]
