"""Sources, a cache with entries, and two ways to call the command: in this process, and as a real one."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import jitload
from jitload.cli.app import app
from jitload.tiers.counters import counters

ROOT = pathlib.Path(jitload.__file__).parents[1]

SAXPY = """extern "C" __global__ void saxpy(float a, const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        y[i] = a * x[i] + y[i];
}
"""


@pytest.fixture(autouse=True)
def any_width(monkeypatch):
    """Tables are as wide as they are, whatever the terminal of who runs the tests."""
    monkeypatch.delenv("COLUMNS", raising=False)


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


SCALE = '#include "factor.cuh"\nextern "C" __global__ void scale(float *x) { *x *= FACTOR; }\n'


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A directory with sources, and a cache in which four images of them are; made once."""
    pytest.importorskip("cuda.bindings.nvrtc", reason="needs NVRTC", exc_type=ImportError)
    root = tmp_path_factory.mktemp("prepared")
    (root / "saxpy.cu").write_text(SAXPY)
    (root / "scale.cu").write_text(SCALE)
    (root / "factor.cuh").write_text("#define FACTOR 2.0f\n")
    cache = jitload.Cache(root / "cache")
    counters().take()  # what earlier tests counted in this process is not for this directory
    for source, arch in (
        ("saxpy.cu", "sm_80"),
        ("saxpy.cu", "compute_80"),
        ("saxpy.cu", ["sm_80", "sm_90"]),
        ("scale.cu", "sm_90"),
    ):
        jitload.compile(root / source, arch=arch, cache=cache)
    # One minute apart, so that the order of use is known.
    for age, entry in enumerate(sorted(cache.entries(), key=lambda entry: (entry.name, entry.kind))):
        os.utime(root / "cache" / "objects" / entry.key[:2] / entry.key[2:], (1_700_000_000 + 60 * age,) * 2)
    cache.flush()
    return root


@pytest.fixture
def cache(prepared, cache_dir, tmp_path, monkeypatch):
    """The prepared cache as the user's own, and the prepared sources in the current directory."""
    shutil.copytree(prepared / "cache", cache_dir)
    for name in ("saxpy.cu", "scale.cu", "factor.cuh"):
        shutil.copy(prepared / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    counters().take()
    return cache_dir


@pytest.fixture
def entry_file(cache_dir):
    """`entry_file(key)`: where an entry of the user's own cache lies."""
    return lambda key: cache_dir / "objects" / key[:2] / key[2:]


@pytest.fixture
def ask(invoke):
    """`ask("ls", ...)`: what `jitload cache ls ... --json` says; its exit code must be `code`."""

    def call(*arguments, code=0):
        result = invoke("cache", *arguments, "--json")
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    return call
