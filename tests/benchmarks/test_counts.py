"""What is paid for by the call: files, modules, calls of the system, runs of the compiler, calls of the driver.

Counts do not depend on the machine, so they hold here what `python -m benchmarks` measures as time. A change that needs
one more is free to say so; ten more should not go unseen.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest

SOURCE = 'extern "C" __global__ void k(int *x) { *x = 1; }'
WITH_HEADER = f"#include <cuda_fp16.h>\n{SOURCE}"
#: Counts by an audit hook and a profile, from `begin()` to `end()`: modules, files opened, calls of the system, functions.
COUNTING = """
import collections, json, os, sys
counts, on, modules = collections.Counter(), False, ()
def audit(name, arguments):
    if on and name == "open":
        path = str(arguments[0])
        code = path.endswith((".py", ".pyc")) or "__pycache__" in path
        counts["files of code" if code else "entry points" if path.endswith("entry_points.txt") else "files"] += 1
def profile(frame, event, argument):
    if not on:
        return
    if event == "call":
        counts["functions"] += 1
        if frame.f_code.co_name == "compile_program":
            counts["runs of NVRTC"] += 1
    elif event == "c_call" and getattr(argument, "__module__", "") in ("posix", "_io", "fcntl"):
        counts["system"] += 1
sys.addaudithook(audit)
def begin():
    global on, modules
    counts.clear()
    modules, on = set(sys.modules), True
    sys.setprofile(profile)
def end():
    global on
    sys.setprofile(None)
    on = False
    counts["modules"] = len(set(sys.modules) - modules)
    print(json.dumps(counts))
"""


COMPILES = f"""
import jitload
for source in {[SOURCE, WITH_HEADER]!r}:
    begin()
    jitload.compile(source, kind="cubin", arch="sm_90")
    end()
"""


def counted(directory, code):
    """What each `begin()` ... `end()` of this code counts, in a new process that nobody measures."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "JITLOAD_", "PYTHON"))
    }
    environment |= {"JITLOAD_CACHE_DIR": str(directory), "JITLOAD_DEVICE": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", COUNTING + code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def within(counts, **most):
    """Each count is there, since one of nothing would prove nothing, and is at most this."""
    named = {name.replace("_", " "): limit for name, limit in most.items()}
    assert {name: counts.get(name, 0) for name in named if counts.get(name, 0) > named[name]} == {}, counts


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A directory in which both sources are; and what their compiles counted, once Python has compiled jitload itself."""
    counted(tmp_path_factory.mktemp("other"), COMPILES)
    directory = tmp_path_factory.mktemp("cache")
    return directory, counted(directory, COMPILES)


@pytest.mark.usefixtures("cache")
def test_an_import_of_jitload(tmp_path):
    (counts,) = counted(tmp_path, "begin()\nimport jitload\nend()")
    within(counts, modules=2, files=0, entry_points=0, system=20)


def test_a_cold_compile_runs_the_compiler_once(cache):
    _, (cold, with_header) = cache
    assert cold["runs of NVRTC"] == with_header["runs of NVRTC"] == 1
    within(cold, files=50)


def test_the_first_hit_of_a_process(cache):
    directory, _ = cache
    code = f"import jitload\nbegin()\njitload.compile({SOURCE!r}, kind='cubin', arch='sm_90')\nend()"
    (counts,) = counted(directory, code)
    assert counts.get("runs of NVRTC", 0) == 0
    within(counts, modules=64, files=8)


def test_a_hit_on_the_disk_and_one_in_memory(cache):
    directory, _ = cache
    code = f"""
import jitload
cache = jitload.Cache.default()
for source in {[SOURCE, WITH_HEADER]!r}:
    jitload.compile(source, kind="cubin", arch="sm_90")
    cache.memory.clear()
    jitload.compile(source, kind="cubin", arch="sm_90")
    for clear in (True, False):
        if clear:
            cache.memory.clear()
        begin()
        jitload.compile(source, kind="cubin", arch="sm_90")
        end()
"""
    disk, memory, disk_with_header, memory_with_header = counted(directory, code)
    assert disk["files"] >= 1
    within(disk, files=1, system=6, functions=58, modules=0, entry_points=0)
    within(memory, files=0, system=0, functions=24, modules=0, entry_points=0)
    within(disk_with_header, files=1, system=6, functions=88, modules=0, entry_points=0)
    within(memory_with_header, files=0, system=0, functions=54, modules=0, entry_points=0)


LAUNCHES = """
import ctypes
import jitload
from launches import rows
module = jitload.compile(rows.SOURCE, kind="cubin", arch="sm_90").load()
kernel, bound = module["saxpy"], module["saxpy"].bind(grid=1, block=256)
driver = ctypes.CDLL("libcuda.so.1")
calls = [ctypes.c_long.in_dll(driver, name) for name in ("launches", "other_calls")]
arguments = 2.0, 0x7F0000000000, 0x7F0000010000, 0
for launch in (lambda: bound(*arguments), lambda: kernel[1, 256](*arguments), lambda: kernel(*arguments, grid=1, block=256)):
    launch()
    before = [call.value for call in calls]
    for _ in range(10):
        launch()
    print(*(call.value - old for call, old in zip(calls, before)))
"""


@pytest.mark.parametrize("native", ["1", "0"])
def test_a_launch_is_one_call_of_the_driver(benchmarks, tmp_path, native):
    """Ten launches are ten calls of it, and no question beside them but which context is in force."""
    pytest.importorskip("cuda.bindings")
    compiler = shutil.which("cc") or shutil.which("gcc")
    source = benchmarks / "launches" / "do_nothing.c"
    flags = ["-w", "-O2", "-shared", "-fPIC", "-DDRIVER", "-DCOUNT"]
    subprocess.run([compiler, *flags, "-o", tmp_path / "libcuda.so.1", source], check=True)
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("LD_LIBRARY_PATH")]))
    environment = {**os.environ, "LD_LIBRARY_PATH": path, "JITLOAD_DEVICE": "cuda", "JITLOAD_NATIVE": native}
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHES], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    for line in done.stdout.splitlines():
        launched, others = map(int, line.split())
        assert launched == 10
        assert others == 0, done.stdout
    assert len(done.stdout.splitlines()) == 3
