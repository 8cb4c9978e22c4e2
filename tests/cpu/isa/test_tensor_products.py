"""Products in tensor memory, and copies to it, do what the models of their rows say."""

from __future__ import annotations

import pytest

from jitload.cpu.isa.registry import families
from tests.cpu.isa.lines import names_of
from tests.cpu.isa.page import short
from tests.cpu.isa.tensor_products import copy_difference, difference, tensor_product
from tests.cpu.isa.ways import way_of

PRODUCTS = [row for rows in families().values() for row in rows if way_of(row) == "tensor product"]
COPIES = [row for rows in families().values() for row in rows if way_of(row) == "tensor copy"]


@pytest.mark.parametrize("row", PRODUCTS, ids=[f"{short(row.name)} {row.operands}" for row in PRODUCTS])
def test_cells_hold_what_the_model_of_a_row_says(ptx, row):
    for number, name in enumerate(names_of(row, 3)):
        assert not difference(ptx, tensor_product(name, number))


@pytest.mark.parametrize("row", COPIES, ids=[short(row.name) for row in COPIES])
def test_a_copy_brings_what_the_model_of_a_row_says(ptx, row):
    for number, name in enumerate(names_of(row)):
        assert not copy_difference(ptx, name, (0, 128, 64, 32)[number % 4])
