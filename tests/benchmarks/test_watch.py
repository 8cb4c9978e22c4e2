"""What a check does costs that check alone: raising, dying, hanging, and leaving processes behind."""

import os
import time
from pathlib import Path

import pytest

CHECKS = """
import ctypes, os, subprocess, sys, time
from gpu.check import NotHere, NoTime, Seen, within

def works():
    return Seen("it works", {"figure": 1})

def raises():
    return 1 / 0

def dies():
    os.abort()

def exits():
    os._exit(3)

@within(1)
def hangs():
    child = subprocess.Popen(["sleep", "100"])
    with open(os.environ["CHILD"], "w") as file:
        file.write(str(child.pid))
    time.sleep(100)

def is_not_here():
    raise NotHere("no such thing")

def comes_to_no_end():
    raise NoTime("half of it")

def checks(short):
    return {f.__name__: f for f in (works, raises, dies, exits, hangs, is_not_here, comes_to_no_end, works_too)}

def works_too():
    print("printed")
"""


def ends(pid):
    """Whether a process that was killed is gone; on a busy machine it has to get its turn to die."""
    place, until = Path("/proc", pid, "stat"), time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if place.read_text().rpartition(") ")[2].startswith("Z"):
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def watch(benchmarks, tmp_path, monkeypatch):
    """watch(text of a module, seconds): its results by name."""
    monkeypatch.setenv("PYTHONPATH", f"{benchmarks}{os.pathsep}{tmp_path}")
    monkeypatch.setenv("CHILD", str(tmp_path / "child"))

    def run(text, *, seconds=60.0):
        from gpu.watch import Watch

        (tmp_path / "some_checks.py").write_text(text)
        results = []
        until = time.monotonic() + seconds
        Watch("some_checks", short=False, until=until, log=tmp_path / "log", tell=results.append).run()
        return {one.name: one for one in results}

    return run


def test_each_check_has_its_own_outcome(watch, tmp_path):
    results = watch(CHECKS)
    assert {name: one.outcome for name, one in results.items()} == {
        "works": "pass",
        "raises": "fail",
        "dies": "fail",
        "exits": "fail",
        "hangs": "fail",
        "is_not_here": "not here",
        "comes_to_no_end": "no time",
        "works_too": "pass",
    }
    assert results["works"].figures == {"figure": 1}
    assert results["raises"].seen.startswith("ZeroDivisionError: division by zero [some_checks.py:")
    assert "SIGABRT" in results["dies"].seen
    assert "exit status 3" in results["exits"].seen
    assert "hung" in results["hangs"].seen
    assert "printed" in (tmp_path / "log").read_text()
    assert ends((tmp_path / "child").read_text())


def test_the_end_of_the_time_is_told_of_what_did_not_run(watch):
    results = watch(
        "import time\ndef checks(short):\n    return {'short': lambda: 'done', 'long': lambda: time.sleep(90), 'after': print}",
        seconds=10.0,
    )
    assert {name: one.outcome for name, one in results.items()} == {
        "short": "pass",
        "long": "no time",
        "after": "no time",
    }


def test_a_step_that_cannot_begin_fails_once(watch):
    results = watch("raise RuntimeError('nothing goes')")
    assert [one.outcome for one in results.values()] == ["fail"]
    assert "nothing goes" in results["the step itself"].seen


def test_a_command_that_takes_too_long_is_ended_with_its_children(benchmarks, tmp_path):
    from gpu.watch import run_command

    place = tmp_path / "child"
    with pytest.raises(TimeoutError, match="more than 1 s: begun"):
        run_command(["bash", "-c", f"sleep 100 & echo $! > {place}; echo begun; wait"], seconds=1)
    assert ends(place.read_text().strip())
