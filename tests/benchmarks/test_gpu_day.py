"""The whole day on the checking driver: every step runs, what needs hardware says so, and nothing fails."""

import json
import os
import subprocess
import sys
import time

import pytest

from tests.driver import run as driver_run

from .conftest import BENCHMARKS

PROGRAM = BENCHMARKS / "gpu_day.py"
RUN = BENCHMARKS.parent / "tests" / "driver" / "run.py"
#: Steps of which some part runs without hardware, and what runs at least.
RUNS = {
    "environment": {"the card", "jitload doctor"},
    "smoke": {"cubin", "PTX of an old arch", "fatbin", "LTO-IR", "bad PTX has a log", "a graph of a new kernel"},
    "families": {"Integer arithmetic: add.s32 %r1, %r2, %r3"},
    "tests": {"pytest -m gpu"},
    "latency": {"scalars and addresses", "arrays of the host"},
    "starts": {"jitload, cubin", "jitload, PTX"},
    "shadow": {"the executor's tests on both"},
    "sanitizer": {"the program itself"},
    "counters": {"the launches by themselves"},
    "tensors": {"launches take them", "modules of theirs", "their stream"},
    "suites": {"pytest with the GPU as device"},
}
NEEDS_HARDWARE = {"the card is idle", "closed while running", "occupancy", "memcheck of it", "saxpy beside ncu"}


@pytest.mark.slow(keep=1)
@pytest.mark.timeout(1500)
def test_the_day_passes_on_the_checking_driver(tmp_path):
    if driver_run.compiler() is None:
        pytest.skip("no C compiler to build the checking driver with")
    command = [sys.executable, RUN, sys.executable, PROGRAM, "--short", "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1400, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-6000:]
    day = json.loads((tmp_path / "out" / "results.json").read_text())
    results = {step["name"]: {one["name"]: one for one in step["results"]} for step in day["steps"]}
    assert list(results) == list(RUNS)
    for step, names in RUNS.items():
        assert {results[step][name]["outcome"] for name in names} == {"pass"}, step
    by_name = {name: one for step in results.values() for name, one in step.items()}
    for name in NEEDS_HARDWARE:
        assert by_name[name]["outcome"] == "not here"
        assert by_name[name]["seen"].startswith("needs hardware: "), name
    assert len(results["families"]) > 250
    table = (tmp_path / "out" / "table.md").read_text()
    assert table.startswith("## On a GPU: Checking Driver")
    assert "**Not a GPU" in table
    assert [path.name for path in (tmp_path / "out").glob("caches*")] == []


@pytest.mark.slow(keep=1)
@pytest.mark.timeout(600)
def test_who_ends_the_day_early_has_what_was_known(checking_driver, tmp_path):
    out = tmp_path / "out"
    variables = driver_run.environment(checking_driver)
    command = [sys.executable, PROGRAM, "--short", "--only", "environment,smoke", "--out", out]
    day = subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 300
        while not (out / "smoke.json").exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        day.terminate()
        assert day.wait(timeout=60) == 143
    finally:
        day.kill()
    steps = {step["name"]: step["results"] for step in json.loads((out / "results.json").read_text())["steps"]}
    assert len(steps["environment"]) == 6
    assert steps["smoke"]
    assert "| smoke |" in (out / "table.md").read_text()


def test_without_a_gpu_it_says_why(tmp_path):
    variables = {**os.environ, "LD_LIBRARY_PATH": "", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, PROGRAM, "--out", tmp_path]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2, done.stderr
    assert "no GPU to ask: " in done.stdout
    assert "python tests/driver/run.py python benchmarks/gpu_day.py --short" in done.stdout


def test_a_step_that_there_is_not_is_named(tmp_path):
    command = [sys.executable, PROGRAM, "--out", tmp_path, "--only", "smoke,nothing"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "nothing: the steps are environment, smoke, families" in done.stderr
