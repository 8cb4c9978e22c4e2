"""The examples of the interop run as a newcomer would run them."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("tvm_ffi", reason="apache-tvm-ffi is not installed")

ROOT = pathlib.Path(__file__).parents[2]


pytestmark = pytest.mark.skipif(shutil.which("c++") is None, reason="there is no C++ compiler here")


def run(name, cache_dir):
    path = ROOT / "examples" / "tvm_ffi" / name
    environment = {**os.environ, "JITLOAD_CACHE_DIR": str(cache_dir), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def test_a_host_library_with_a_kernel_of_ours_inside(cache_dir):
    assert "y is 1 + 2 * x" in run("host_library.py", cache_dir)


def test_a_consumer_that_loads_cubins_for_the_process_is_found_and_stays(cache_dir, needs_no_gpu):
    """Without a driver its kernels fail with an error that says so."""
    said = run("consumer.py", cache_dir)
    assert "a module of kind 'consumer_cubin'" in said
    assert "got <CudaModule of kind 'cubin' with scale>" in said
    assert "cudaErrorInsufficientDriver" in said
