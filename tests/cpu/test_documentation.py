"""docs/cpu.md says what the decoder does."""

from __future__ import annotations

from pathlib import Path

from jitload.cpu.isa.registry import opcodes
from tests.cpu.families import GROUPS, family_of, table
from tests.cpu.profile_example import example

PAGE = Path(__file__).parents[2] / "docs" / "cpu.md"
PROFILE_MARK = "<!-- profile: written by `python -m tests.cpu.write_documentation` -->\n"
PROFILE_END = "<!-- end of profile -->\n"
MARK = "<!-- families: written by `python -m tests.cpu.write_documentation` -->\n"


def test_the_table_is_up_to_date():
    assert PAGE.read_text().partition(MARK)[2] == "\n" + table(), (
        "docs/cpu.md is stale: run `python -m tests.cpu.write_documentation`"
    )


def test_the_example_of_a_profile_is_up_to_date():
    shown = PAGE.read_text().partition(PROFILE_MARK)[2].partition(PROFILE_END)[0]
    assert shown == "\n" + example() + "\n", "docs/cpu.md is stale: run `python -m tests.cpu.write_documentation`"


def test_the_table_names_every_opcode():
    shown = {family_of(line).partition(".")[0] for lines in GROUPS.values() for line in lines}
    simd = {name for name in opcodes() if name[0] == "v" and name[-1] in "24"}  # one line per operation is enough
    assert opcodes() - simd - shown - {"brx", "stacksave", "stackrestore", "getctarank"} == set()
    assert {name[1:-1] for name in simd} <= {one[1:-1] for one in shown} | {"max"}
