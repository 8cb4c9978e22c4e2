"""Which directory `jitload cache` works on: nothing is made, and nothing of somebody else's is changed."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import jitload

pytestmark = pytest.mark.usefixtures("needs_nvrtc")

COMMANDS = ["ls", "stats", "verify", "gc", "rebuild"]
CHANGES = [["gc"], ["clear", "--yes"], ["rebuild"]]
# Root may write everywhere; without these capabilities it is a user like any other, and can still run this Python.
WITHOUT_PRIVILEGES = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner", "--inh-caps", "-all"]


def tree(path):
    return sorted((root, *directories, *files) for root, directories, files in os.walk(path))


def run_unprivileged(*arguments):
    prefix = WITHOUT_PRIVILEGES if os.geteuid() == 0 else []
    command = [*prefix, sys.executable, "-m", "jitload", "cache", *map(str, arguments)]
    root = str(pathlib.Path(jitload.__file__).parents[1])
    return subprocess.run(
        command, env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("command", [*COMMANDS, "clear", "explain"])
def test_an_unknown_directory_is_an_error_and_is_not_made(invoke, cache, tmp_path, command):
    rest = {"clear": ["--yes"], "explain": ["saxpy.cu", "-a", "sm_80"]}.get(command, [])
    result = invoke("cache", command, *rest, "--dir", tmp_path / "absent")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"jitload: {tmp_path}/absent: no such directory\n"
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_another_directory_can_be_named(ask, cache, prepared, tmp_path, command):
    shutil.copytree(prepared / "cache", tmp_path / "other")
    shutil.rmtree(cache)
    assert ask(command, "--dir", tmp_path / "other")["directory"] == f"{tmp_path}/other"
    assert ask(command, "--dir", "other")["directory"] == f"{tmp_path}/other"
    assert not cache.exists()


def test_explain_asks_the_directory_that_was_named(ask, cache, prepared, tmp_path):
    shutil.copytree(prepared / "cache", tmp_path / "other")
    shutil.rmtree(cache)
    assert ask("explain", "saxpy.cu", "-a", "sm_80", "--dir", "other")[0]["hit"]
    assert not ask("explain", "saxpy.cu", "-a", "sm_80", code=3)[0]["hit"]


@pytest.mark.parametrize("command", [[name] for name in COMMANDS] + [["clear", "--yes"]])
def test_a_cache_that_was_never_used_is_empty_and_is_not_made(ask, cache_dir, command):
    report = ask(*command)
    assert report["directory"] == str(cache_dir)
    assert not report.get("entries")
    assert not cache_dir.exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_directory_of_other_things_is_no_cache(invoke, tmp_path, command):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("precious")
    before = tree(tmp_path)
    result = invoke("cache", command, "--dir", tmp_path / "precious")
    assert result.exit_code == 1
    assert "precious: not a cache directory" in result.stderr
    assert invoke("cache", command, "--dir", tmp_path / "precious" / "file").exit_code == 1
    assert tree(tmp_path) == before


def test_an_empty_directory_is_an_empty_cache(ask, tmp_path):
    (tmp_path / "empty").mkdir()
    for command in COMMANDS[:4]:
        assert not ask(command, "--dir", tmp_path / "empty").get("entries")
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_directory_of_somebody_else_is_read_and_never_changed(invoke, ask, cache, monkeypatch, entry_file):
    expected = ask("ls")
    key = expected["entries"][0]["key"]
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    before = tree(cache)
    result = invoke("cache", "ls", "--json")
    assert json.loads(result.stdout) == expected
    assert f"{cache} belongs to user {os.getuid()}, not to you" in result.stderr
    stats = ask("stats")
    assert (stats["read_only"], stats["index"]) == (True, None)
    for change in CHANGES:
        result = invoke("cache", *change)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "nothing can be changed in it" in result.stderr
    entry_file(key).write_bytes(b"damaged")
    (damage,) = ask("verify", code=1)["damaged"]
    assert (damage["key"], damage["file"]) == (key, None)
    assert tree(cache) == before


def test_explain_speaks_of_the_directory_as_a_compile_would_meet_it(invoke, cache, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    result = invoke("cache", "explain", "saxpy.cu", "--arch", "sm_80")
    assert result.exit_code == 1
    assert "set JITLOAD_CACHE_DIR to a directory of your own" in result.stderr


def test_a_read_only_directory(cache):
    cache.chmod(0o555)
    try:
        listed = run_unprivileged("ls", "--json")
        assert len(json.loads(listed.stdout)["entries"]) == 4
        assert listed.stderr == f"jitload: {cache} is not writable: reading only\n"
        for change in CHANGES:
            result = run_unprivileged(*change)
            assert (result.returncode, result.stdout) == (1, "")
            assert result.stderr == f"jitload: {cache} is not writable: nothing can be changed in it\n"
    finally:
        cache.chmod(0o700)


def test_a_directory_that_cannot_be_read_is_no_empty_cache(cache):
    cache.chmod(0o300)
    try:
        result = run_unprivileged("ls")
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == f"jitload: {cache}: cannot be read by you\n"
    finally:
        cache.chmod(0o700)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_directory_that_others_may_write_is_refused(invoke, cache, command):
    cache.chmod(0o770)
    result = invoke("cache", command)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "can be written by other users" in result.stderr


def test_without_a_home_it_says_what_to_set(invoke, monkeypatch):
    for name in ("JITLOAD_CACHE_DIR", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    result = invoke("cache", "ls")
    assert result.exit_code == 1
    assert "set JITLOAD_CACHE_DIR, or write --dir DIR" in result.stderr
