"""Calls of the C library that fail below the cache directory, at every number of a call: compile, hit, index.

A kernel that compiles is never lost to it: the right artifact comes, nothing stays open or locked, and once the file
system is sound again the cache works as if nothing had been.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import jitload

TESTS = pathlib.Path(__file__).parent
ERRORS = ("EIO", "ENOSPC", "ESTALE", "ENOLCK")


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """The library that makes calls fail."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    library = tmp_path_factory.mktemp("shim") / "io_errors.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, TESTS / "io_errors.c", "-ldl"], check=True)
    return library


def fail_calls(shim: pathlib.Path, state: str, error: str, sticky: str, count: object) -> None:
    environment = {
        **os.environ,
        "LD_PRELOAD": str(shim),
        "PYTHONPATH": str(pathlib.Path(jitload.__file__).parent.parent),
    }
    command = [sys.executable, str(TESTS / "io_errors.py"), state, error, sticky, str(count)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3000, check=False)
    assert done.returncode == 0, done.stderr
    calls, tried, wrong = json.loads(done.stdout)
    assert calls >= {"absent": 50, "empty": 50, "warm": 10, "index": 100}[state], "the shim does not see the calls"
    assert tried == min(calls, calls if count == "all" else count)
    assert wrong == {}, done.stderr


@pytest.mark.parametrize("sticky", ["once", "sticky"])
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("state", ["absent", "warm", "index"])
def test_a_call_that_fails_loses_no_kernel(shim, state, error, sticky):
    fail_calls(shim, state, error, sticky, 5)


@pytest.mark.slow(keep=0)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("sticky", ["once", "sticky"])
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("state", ["absent", "empty", "warm", "index"])
def test_no_call_that_fails_loses_a_kernel(shim, state, error, sticky):
    fail_calls(shim, state, error, sticky, "all")
