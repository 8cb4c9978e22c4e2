"""The environment: what is read of it, when a path in it is settled, and names that nothing reads."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from jitload import config
from jitload.settings.environment import RESERVED, unknown_variables


@pytest.mark.parametrize("variable", ["JITLOAD_CACHE_DIR", "JITLOAD_BUNDLES", "JITLOAD_RECORD", "JITLOAD_TRUST"])
def test_a_relative_path_is_one_place_from_its_first_reading_on(variable, tmp_path, monkeypatch):
    def read():
        settings = config.current()
        return (settings.cache_dir, settings.bundles, settings.record, settings.trust)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, f"kernels-{variable}")
    before = read()
    assert str(tmp_path / f"kernels-{variable}") in str(before)
    monkeypatch.chdir("/")
    with config.configure(sync=True):  # every setting is made anew
        assert read() == before
    monkeypatch.setenv("JITLOAD_DEVICE", "cpu")
    assert read() == before


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("JITLOAD_COMPIL", "did you mean JITLOAD_COMPILE?"),
        ("JITLOAD_CACHEDIR", "did you mean JITLOAD_CACHE_DIR?"),
        ("JITLOAD_BUNDLE", "did you mean JITLOAD_BUNDLES?"),
        ("JITLOAD_ZZZ", "unset it"),
        ("JITLOAD_REMOTES", "did you mean JITLOAD_REMOTE?"),
    ],
)
def test_a_variable_that_nothing_reads_is_named_with_the_nearest_that_something_does(name, said, monkeypatch):
    monkeypatch.setenv(name, "x")
    (text,) = unknown_variables().values()
    assert text.startswith(f"{name} does nothing")
    assert said in text


def test_names_of_tests_and_empty_variables_are_nobodys_mistake(monkeypatch):
    monkeypatch.setenv(f"{RESERVED}FRAMEWORKS", "torch")
    monkeypatch.setenv("JITLOAD_COMPIL", "")
    monkeypatch.setenv("MY_JITLOAD_THING", "x")
    assert unknown_variables() == {}


def run(code, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JITLOAD_")}
    return subprocess.run([sys.executable, "-c", code], env={**kept, **environment}, capture_output=True, text=True)


def test_a_process_says_once_which_names_do_nothing():
    code = "import jitload.config as c; c.current()\nwith c.configure(sync=True): c.current()\nc.current()"
    done = run(code, JITLOAD_COMPIL="never", JITLOAD_ZZZ="x")
    assert done.returncode == 0
    assert done.stderr.count("JITLOAD_COMPIL does nothing") == 1
    assert done.stderr.count("JITLOAD_ZZZ does nothing") == 1
    assert len(done.stderr.splitlines()) == 1


def test_nothing_is_said_and_nothing_is_imported_where_every_name_is_known():
    code = "import sys, jitload.config as c; c.current(); assert not {'logging', 'difflib'} & set(sys.modules)"
    done = run(code, JITLOAD_COMPILE="never", JITLOAD_TEST_ANYTHING="1")
    assert (done.returncode, done.stderr) == (0, "")


def test_workers_do_not_repeat_it(tmp_path):
    (tmp_path / "k.cu").write_text('extern "C" __global__ void k() {}')
    code = f"import jitload, pathlib; r = jitload.precompile([pathlib.Path({str(tmp_path / 'k.cu')!r})], ['sm_80', 'sm_90'], jobs=2); assert r.ok"
    done = run(code, JITLOAD_COMPIL="never", JITLOAD_CACHE_DIR=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == 1
