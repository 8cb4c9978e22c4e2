"""The Python blocks of docs/modules.md run, in order, in a process of their own."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

pytest.importorskip("tvm_ffi", reason="apache-tvm-ffi is not installed")

ROOT = pathlib.Path(__file__).parents[2]


def test_the_blocks_of_the_page_on_modules_run(cache_dir):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "modules.md").read_text(), re.DOTALL)
    assert len(blocks) == 5
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JITLOAD_DEVICE": "cpu"}
    command = [sys.executable, "-W", "error", "-c", "\n".join(blocks)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
