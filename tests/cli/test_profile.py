"""`jitload profile`: the script runs as if Python ran it, and what its kernels did follows."""

import json

import pytest

SCRIPT = """
import sys
import numpy as np
import jitload

@jitload.jit_kernel(file="saxpy.cu")
def saxpy(a, x, y, n): ...

n = int(sys.argv[1])
y = np.zeros(n, np.float32)
saxpy[n // 32, 32](2.0, np.ones(n, np.float32), y, n)
print("sum", y.sum())
sys.exit(3)
"""


@pytest.mark.usefixtures("needs_nvrtc")
def test_the_table_follows_what_the_script_prints(workdir, spawn, cache_dir):
    (workdir / "app.py").write_text(SCRIPT)
    result = spawn("profile", "app.py", "64", JITLOAD_CACHE_DIR=str(cache_dir), JITLOAD_DEVICE=None)
    lines = result.stdout.decode().splitlines()
    assert result.stderr == b""
    assert result.returncode == 3  # the script's
    assert lines[:2] == ["sum 128.0", "saxpy: grid (2, 1, 1), block (32, 1, 1)"]
    assert any(line.startswith("saxpy.cu:5") for line in lines)


@pytest.mark.usefixtures("needs_nvrtc")
def test_json_goes_into_a_file(workdir, spawn, cache_dir):
    (workdir / "app.py").write_text(SCRIPT.replace("sys.exit(3)", "import os; os.chdir('/')"))
    result = spawn("profile", "-o", "out.json", "app.py", "96", JITLOAD_CACHE_DIR=str(cache_dir), JITLOAD_DEVICE=None)
    assert (result.returncode, result.stdout) == (0, b"sum 192.0\n")
    (kernel,) = json.loads((workdir / "out.json").read_text())["kernels"]
    assert (kernel["kernel"], kernel["shapes"][0]["grid"]) == ("saxpy", [3, 1, 1])


def test_a_script_that_is_not_there_is_an_error(workdir, invoke):
    result = invoke("profile", workdir / "none.py")
    assert result.exit_code == 1
    assert "none.py: no such Python file" in result.stderr


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("def fails():\n    return 1 / 0\n\nfails()\n", "ZeroDivisionError: division by zero"),
        ("def f(:\n", "SyntaxError: invalid syntax"),
    ],
)
def test_a_script_that_fails_is_shown_as_python_shows_it(workdir, spawn, text, error):
    (workdir / "app.py").write_text(text)
    result = spawn("profile", "app.py")
    lines = result.stderr.decode().splitlines()
    assert (result.returncode, lines[-1]) == (1, error)
    files = [line.split('"')[1] for line in lines if line.startswith("  File ")]
    assert set(files) == {"app.py"}  # no frame of the command itself


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("-", "the script itself prints to stdout"),
        (".", "is a directory"),
        ("none/out.json", "no such directory to write into"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_the_script_runs(workdir, invoke, out, message):
    (workdir / "app.py").write_text("print('ran')")
    result = invoke("profile", "-o", out, "app.py")
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr
