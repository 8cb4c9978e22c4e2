"""Faults planted into a copy of jitload are seen: each makes a test fail that holds where nothing was planted.

Most are seen by the checking driver alone: where no driver refuses anything, such code seems to work.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import jitload
from tests.driver import run as driver_run
from tests.driver.planted import MORE, ONCE

PACKAGE = Path(jitload.__file__).parent
ROOT = PACKAGE.parent


ROWS = [pytest.param(row, id=row.name) for row in ONCE + MORE]


class Copy:
    """A copy of the package, in a directory where the tests run as they do here."""

    def __init__(self, directory):
        self.directory = directory
        package = directory / PACKAGE.name
        shutil.copytree(PACKAGE, package, copy_function=os.symlink, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("tests", "kernels", "pyproject.toml"):
            (directory / name).symlink_to(ROOT / name)

    def plant(self, row):
        """Change the copy; gives what undoes it."""
        place = self.directory / PACKAGE.name / row.file
        text = place.read_text()
        for before, after in row.changes:
            assert text.count(before) == 1, f"{row.file} was changed: {row.name!r} has nothing to be planted into"
            text = text.replace(before, after)
        compile(text, row.file, "exec")
        place.unlink()
        place.write_text(text)

        def undo():
            place.unlink()
            place.symlink_to(PACKAGE / row.file)

        return undo

    def run(self, test):
        command = [sys.executable, "-B", "-m", "pytest", "-n0", "-q", "-p", "no:cacheprovider", test]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, timeout=200, check=False)
        if "1 skipped" in done.stdout:
            pytest.skip(done.stdout[-300:])
        return done


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return Copy(tmp_path_factory.mktemp("planted"))


@pytest.mark.parametrize("row", ROWS)
def test_there_is_something_to_plant_a_fault_into(copy, row):
    copy.plant(row)()


@pytest.mark.slow(keep=4)
@pytest.mark.parametrize("row", ROWS)
def test_a_planted_fault_is_seen(copy, row):
    undo = copy.plant(row)
    try:
        done = copy.run(row.seen_by)
    finally:
        undo()
    assert done.returncode == 1, done.stdout
    assert " failed in " in done.stdout, done.stdout


FAULTING = """
import numpy as np
import pytest
import jitload

SOURCE = 'extern "C" __global__ void k(int *x) { x[0] = 1; }'

def test_one():
    with pytest.raises(jitload.DriverError), jitload.configure(sync=True):
        jitload.compile(SOURCE).load()["k"][1, 1](16)

def test_two():
    x = np.zeros(1, np.int32)
    jitload.compile(SOURCE).load()["k"][1, 1](x)
    assert x[0] == 1
"""


def test_a_test_that_faults_in_the_process_of_others_is_seen(checking_driver, tmp_path):
    """So whatever faults needs a process of its own, and what runs on the checking driver as one process has none."""
    (tmp_path / "test_faulting.py").write_text(FAULTING)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", tmp_path]
    environment = driver_run.environment(checking_driver)
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert "1 failed, 1 passed" in done.stdout, done.stdout
    assert "a kernel that was launched earlier has failed" in done.stdout


def test_what_no_gpu_could_run_is_seen(driver):
    """A measurement of launches must have a kernel that is one."""
    driver("""
from jitload.cuda.module import CudaModule
try:
    CudaModule("cubin", b"stub").get_function("k")
except jitload.LoadError as error:
    assert "CUDA_ERROR_INVALID_IMAGE" in str(error)
else:
    raise AssertionError
""")
