"""Every example runs as a newcomer would run it, and the second run of the quick start compiles nothing."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
GALLERY = (ROOT / "docs" / "gallery.md").read_text()
FRAMEWORKS = ("jax", "torch")  # as the names of their examples begin


def run(path: pathlib.Path, cache_dir: pathlib.Path) -> str:
    environment = {**os.environ, "JITLOAD_CACHE_DIR": str(cache_dir), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        env=environment,
        cwd=cache_dir.parent,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_runs_and_has_main(path, cache_dir, framework):
    for name in FRAMEWORKS:
        if path.name.startswith(f"{name}_"):
            framework(name)
    assert "def main()" in path.read_text()
    said = run(path, cache_dir)
    assert said
    shown = re.search(rf"^## {path.name}$.*?```text\n(.*?)```", GALLERY, re.DOTALL | re.MULTILINE)
    pattern = ".*".join(map(re.escape, shown[1].split("..."))) if shown else ".*"
    assert re.fullmatch(pattern, said, re.DOTALL), "docs/gallery.md says something else"


def test_the_second_quickstart_compiles_nothing_and_says_so(cache_dir):
    first = run(ROOT / "examples" / "quickstart.py", cache_dir)
    second = run(ROOT / "examples" / "quickstart.py", cache_dir)
    assert "compiled : 1 kernel" in first
    assert "compiled : nothing; the disk cache had it" in second
    for word in ("cached", "loaded", "ran on", "checked"):
        assert word in first
        assert word in second
