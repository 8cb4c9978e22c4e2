"""Writes the table of docs/headers.md anew."""

from __future__ import annotations

from tests.headers.standard_list import table
from tests.headers.test_standard import MARK, PAGE

if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text().partition(MARK)[0] + MARK + "\n" + table())
