"""The examples of the interop run as a newcomer would run them."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("tvm_ffi", reason="apache-tvm-ffi is not installed")

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.skipif(shutil.which("c++") is None, reason="there is no C++ compiler here")
def test_a_host_library_with_a_kernel_of_ours_inside(cache_dir):
    path = ROOT / "examples" / "tvm_ffi" / "host_library.py"
    environment = {**os.environ, "JITLOAD_CACHE_DIR": str(cache_dir), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "y is 1 + 2 * x" in done.stdout
