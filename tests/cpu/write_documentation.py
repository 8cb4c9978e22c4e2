"""Writes the table of docs/cpu.md anew."""

from __future__ import annotations

from tests.cpu.families import table
from tests.cpu.test_documentation import MARK, PAGE

if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text().partition(MARK)[0] + MARK + "\n" + table())
