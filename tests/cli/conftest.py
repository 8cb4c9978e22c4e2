"""A source to compile, and two ways to call the command: in this process, and as a real one."""

import os
import pathlib
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import jitload
from jitload.cli.app import app

ROOT = pathlib.Path(jitload.__file__).parents[1]

SAXPY = """extern "C" __global__ void saxpy(float a, const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        y[i] = a * x[i] + y[i];
}
"""


@pytest.fixture
def needs_nvrtc():
    pytest.importorskip("cuda.bindings.nvrtc", reason="needs NVRTC", exc_type=ImportError)


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    """The current directory of the test, with saxpy.cu in it."""
    directory = tmp_path / "work"
    directory.mkdir()
    monkeypatch.chdir(directory)
    (directory / "saxpy.cu").write_text(SAXPY)
    return directory


@pytest.fixture
def invoke():
    """`invoke("compile", "saxpy.cu", ...)` in this process; stdout and stderr are apart."""
    try:
        runner = CliRunner(mix_stderr=False)  # what older parsers do not do by themselves, and newer ones always
    except TypeError:
        runner = CliRunner()

    def call(*arguments):
        result = runner.invoke(app, [str(argument) for argument in arguments], prog_name="jitload")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture
def spawn():
    """`spawn("compile", "saxpy.cu", ...)` as a process of its own; keywords change its environment, None unsets."""

    def call(*arguments, flags=(), stdout=subprocess.PIPE, **environment):
        env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        return subprocess.run(
            [sys.executable, *flags, "-m", "jitload", *map(str, arguments)],
            env={name: value for name, value in env.items() if value is not None},
            stdout=stdout,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )

    return call
