"""The examples of other systems' caches run as a newcomer would run them, and hit the second time."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = {"cuda_core_program": "cuda.core", "triton_kernel": "triton"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_compiles_and_then_hits(name, cache_dir):
    pytest.importorskip(EXAMPLES[name], reason=f"{EXAMPLES[name]} is not installed")
    environment = {**os.environ, "JITLOAD_CACHE_DIR": str(cache_dir), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "examples" / "caches" / f"{name}.py")]
    said = [
        subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=True).stdout
        for _ in range(2)
    ]
    assert ["compiled" in said[0], "a hit" in said[1]] == [True, True], said
