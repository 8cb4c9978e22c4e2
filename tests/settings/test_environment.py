"""The environment: what is read of it, when a path in it is settled, and names that nothing reads."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from jitload import config
from jitload.settings.environment import RESERVED, environment_state, unknown_variables
from jitload.settings.option import OPTIONS


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


@pytest.fixture(params=[0, 500], ids=["small", "large"])
def environment(request, monkeypatch):
    """The environment, with so many variables more that are nobody's."""
    for number in range(request.param):
        monkeypatch.setenv(f"SOMEBODYS_{number}", "x")
    return os.environ


def test_every_change_of_a_variable_is_another_state(environment, monkeypatch):
    for option in OPTIONS:
        for value in ("one", "two", ""):
            before = environment_state()
            assert environment_state() is before
            monkeypatch.setenv(option.variable, value)
            assert environment_state() != before, option.variable
        before = environment_state()
        monkeypatch.delenv(option.variable)
        assert environment_state() != before, option.variable


def test_one_variable_in_the_place_of_another_is_a_change(environment, monkeypatch):
    monkeypatch.setenv("SOMEBODYS", "x")
    monkeypatch.delenv("JITLOAD_DEVICE", raising=False)
    before = environment_state()
    monkeypatch.delenv("SOMEBODYS")
    monkeypatch.setenv("JITLOAD_DEVICE", "cpu")
    after = environment_state()
    assert after != before
    environment.update(dict(environment))  # the same again, every text of it new
    assert environment_state() is after


def test_variables_of_others_change_no_settings(environment, monkeypatch):
    before, settings = environment_state(), config.current()
    monkeypatch.setenv("SOMEBODYS", "x")
    monkeypatch.setenv("SOMEBODYS", "y")
    assert environment_state() is before
    assert config.current() is settings


def test_what_a_thread_sets_and_sets_back_meanwhile_is_not_kept(monkeypatch):
    class Restless(dict):
        """Says something else while it is asked for single names."""

        def get(self, name, default=None):
            return b"meanwhile" if name in self else default

    monkeypatch.setattr("jitload.settings.environment._RAW", Restless({b"JITLOAD_DEVICE": b"cpu"}))
    assert b"cpu" in environment_state()
    assert b"meanwhile" not in environment_state()


def test_what_is_set_while_settings_are_read_is_not_kept_when_it_is_set_back(environment, monkeypatch):
    read = config.read_environment

    def interrupted():
        monkeypatch.setenv("JITLOAD_SYNC", "1")
        return read()

    monkeypatch.delenv("JITLOAD_SYNC", raising=False)
    with monkeypatch.context() as patch:
        patch.setattr(config, "read_environment", interrupted)
        monkeypatch.setenv("JITLOAD_LOG", "error")
        config.current()
    monkeypatch.delenv("JITLOAD_SYNC")
    assert not config.current().sync


def test_it_is_looked_at_as_a_whole_however_many_settings_there_are(monkeypatch):
    calls = []
    for name in [*os.environ][40:]:
        monkeypatch.delenv(name)
    environment_state()
    sys.setprofile(lambda frame, event, what: calls.append((event, what)))
    environment_state()
    sys.setprofile(None)
    assert [event for event, _ in calls] == ["call", "return", "c_call"], calls  # the last turns it off


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
