"""Run tvm-ffi's own tests twice, as they are and with jitload's interop installed, and expect the same of both.

    TVM_FFI_CACHE_DIR=DIRECTORY/built python .ci/tvm_ffi_suite.py DIRECTORY

The tests come with the sdist of the tvm-ffi that is installed, which pip brings from the index into DIRECTORY. Left out
are those that build libraries for minutes, or test tools that the interop has nothing to do with.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import tarfile
from importlib import metadata

#: For pytest's `-p`: notes what becomes of each test.
OUTCOMES = """
import json, pathlib

found = {}

def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        found[report.nodeid] = report.outcome

def pytest_unconfigure():
    pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(found))
"""
#: And what a program does that wants jitload's loaders in tvm-ffi.
INSTALLED = """
from jitload.interop import tvm_ffi

def pytest_configure():
    tvm_ffi.install()
"""
#: Of tests/python/test_*.py, what the interop has to do with: functions, modules, objects, errors, tensors, streams.
FILES = """
    access_path big_int container container_dlpack_conversion device dtype error function metadata
    object pyobject_tying serialization stream string structural tensor type_converter typed_method
"""
#: A run that takes longer hangs.
SECONDS = 300
#: So many there are at least: fewer would mean that something was not found.
LEAST = 900


def fetch(directory: pathlib.Path) -> pathlib.Path | None:
    """The folder of tvm-ffi's tests for Python; None where pip cannot bring it, which it then has said."""
    name = "apache-tvm-ffi"
    wanted = f"{name}=={metadata.version(name)}"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    try:
        subprocess.run(  # noqa: S603 - a fixed command
            [*pip, "--no-binary", name, "--dest", str(directory), wanted], check=True, timeout=SECONDS
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None
    (archive,) = directory.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(directory, filter="data")
    (tests,) = directory.glob("*/tests/python")
    return tests


def start(tests: pathlib.Path, directory: pathlib.Path, name: str, plugin: str) -> subprocess.Popen[str]:
    """Begin a run; what becomes of its tests goes to NAME.json."""
    (directory / f"{name}.py").write_text(plugin)
    files = [str(tests / f"test_{file}.py") for file in FILES.split()]
    command = [sys.executable, "-m", "pytest", "-n0", "-q", "-p", "no:cacheprovider", "-p", name]
    return subprocess.Popen(  # noqa: S603 - a fixed command
        [*command, "--rootdir", str(tests), "-c", "/dev/null", *files],
        cwd=directory,  # where Python finds the plugin
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def main() -> None:
    """Print how many tests had the same result, and fail where one has another."""
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    tests = fetch(directory)
    if tests is None:
        print("NOT RUN: the sdist that has the tests cannot be had from the index")
        return
    plugins = {"alone": OUTCOMES, "installed": OUTCOMES + INSTALLED}
    runs = {name: start(tests, directory, name, plugin) for name, plugin in plugins.items()}
    outcomes = []
    for name, run in runs.items():
        said, _ = run.communicate(timeout=SECONDS)
        print(f"{name}: {said.strip().splitlines()[-1]}")
        if run.returncode:
            raise SystemExit(said)
        outcomes.append(json.loads((directory / f"{name}.json").read_text()))
    alone, installed = outcomes
    others = {test: (alone.get(test), installed.get(test)) for test in alone.keys() | installed.keys()}
    changed = {test: pair for test, pair in others.items() if pair[0] != pair[1]}
    passed = sum(outcome == "passed" for outcome in installed.values())
    if changed or passed < LEAST:
        raise SystemExit(f"{passed} tests of tvm-ffi pass with jitload installed; others than without: {changed}")
    print(f"{passed} tests of tvm-ffi pass with jitload's interop installed, and none has another result")


if __name__ == "__main__":
    main()
