"""Writes the parts of docs/cpu.md that are made by runs anew: the example of a profile, and the table of families."""

from __future__ import annotations

from tests.cpu.isa.page import table
from tests.cpu.profile_example import example
from tests.cpu.test_documentation import MARK, PAGE, PROFILE_END, PROFILE_MARK

if __name__ == "__main__":
    text = PAGE.read_text()
    before, mark, rest = text.partition(PROFILE_MARK)
    text = before + mark + "\n" + example() + "\n" + PROFILE_END + rest.partition(PROFILE_END)[2]
    PAGE.write_text(text.partition(MARK)[0] + MARK + "\n" + table())
