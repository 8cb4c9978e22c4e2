"""Which rows of tables run where a stage of .ci/run asks for some: each test still runs, with as many rows as were asked."""

from __future__ import annotations

import collections
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
#: Tests of tables, large and small ones, and tests that are none.
FILE = "tests/launch/test_scalars.py"

pytestmark = pytest.mark.unmeasured


def collected(rows, **environment):
    """The tests that would run: name -> what stands in brackets behind it."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n0", "-p", "no:cacheprovider", FILE],
        cwd=ROOT,
        env={**os.environ, "JITLOAD_TEST_ROWS": str(rows), "PYTEST_ADDOPTS": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tables = collections.defaultdict(set)
    for name, row in re.findall(r"^[^:\s]+::(\w+)(.*)$", done.stdout, re.MULTILINE):
        tables[name].add(row)
    return tables


def test_every_test_runs_with_some_of_its_rows():
    everything, some = collected(0), collected(3)
    assert max(map(len, everything.values())) > 10, "no large table is left here: take another file"
    assert {name: len(rows) for name, rows in some.items()} == {
        name: min(len(rows), 3) for name, rows in everything.items()
    }
    assert all(rows <= everything[name] for name, rows in some.items())


def test_it_is_the_same_rows_each_time_and_others_beside_a_driver():
    some = collected(3)
    assert collected(3) == some
    beside = collected(3, CHECKING_DRIVER="")
    assert beside.keys() == some.keys()
    assert beside != some
