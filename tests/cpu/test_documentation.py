"""docs/cpu.md says what the decoder does."""

from __future__ import annotations

from pathlib import Path

import pytest

from jitload.cpu.native.machine import has_half_conversions
from tests.cpu.isa.page import table
from tests.cpu.profile_example import example

PAGE = Path(__file__).parents[2] / "docs" / "cpu.md"
PROFILE_MARK = "<!-- profile: written by `python -m tests.cpu.write_documentation` -->\n"
PROFILE_END = "<!-- end of profile -->\n"
MARK = "<!-- families: written by `python -m tests.cpu.write_documentation` -->\n"


@pytest.mark.unmeasured
def test_the_table_is_up_to_date():
    pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    if not has_half_conversions():
        pytest.skip("this processor converts no halves, which machine code of f16 needs")
    assert PAGE.read_text().partition(MARK)[2] == "\n" + table(), (
        "docs/cpu.md is stale: run `python -m tests.cpu.write_documentation`"
    )


def test_the_example_of_a_profile_is_up_to_date():
    shown = PAGE.read_text().partition(PROFILE_MARK)[2].partition(PROFILE_END)[0]
    assert shown == "\n" + example() + "\n", "docs/cpu.md is stale: run `python -m tests.cpu.write_documentation`"
