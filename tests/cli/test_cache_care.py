"""`jitload cache verify`, `gc`, `clear` and `rebuild`: they do what they say, and say what they did."""

import json
import os
import pathlib
import pty
import shutil
import signal
import subprocess
import sys

import pytest

import jitload

pytestmark = pytest.mark.usefixtures("needs_nvrtc")


def test_verify_of_a_sound_cache(ask, invoke, cache):
    assert ask("verify") == {"directory": str(cache), "good": 4, "damaged": []}
    assert invoke("cache", "verify").stdout == f"{cache}: 4 entries good\n"


def test_verify_puts_damaged_entries_aside_and_says_where(ask, cache, entry_file):
    keys = [entry["key"] for entry in ask("ls", "--sort", "key")["entries"]]
    flipped = bytearray(entry_file(keys[0]).read_bytes())
    flipped[100] ^= 1
    entry_file(keys[0]).write_bytes(flipped)
    shutil.copy(entry_file(keys[3]), entry_file(keys[1]))
    report = ask("verify", code=1)
    assert (report["good"], [damage["key"] for damage in report["damaged"]]) == (2, keys[:2])
    assert "digest does not match" in report["damaged"][0]["reason"]
    assert f"holds key {keys[3][:12]}" in report["damaged"][1]["reason"]
    for damage in report["damaged"]:
        assert pathlib.Path(damage["file"]).parent == cache / "quarantine"
        assert pathlib.Path(damage["file"]).is_file()
    assert [entry["key"] for entry in ask("ls")["entries"]] == keys[2:]
    assert ask("stats")["index"]["agrees"]
    assert ask("verify")["good"] == 2


def test_verify_as_text_shows_the_reason_and_the_place(invoke, ask, cache, entry_file):
    key = ask("ls")["entries"][0]["key"]
    entry_file(key).write_bytes(b"damaged")
    result = invoke("cache", "verify")
    assert result.exit_code == 1
    assert f"damaged: {key[:12]}  entry too short" in result.stdout
    assert f"put aside as {cache}/quarantine/objects-{key[:2]}-{key[2:]}" in result.stdout


def test_gc_drops_what_was_used_longest_ago(ask, invoke, cache):
    entries = ask("ls", "--sort", "used")["entries"]
    newest = entries[0]
    bound = int(newest["bytes"] * 1.5)  # with its closure record
    report = ask("gc", "--max-bytes", bound)
    assert report == {
        "directory": str(cache),
        "removed": 3,
        "removed_bytes": sum(entry["bytes"] for entry in entries[1:]),
        "entries": 1,
        "bytes": newest["bytes"],
        "max_bytes": bound,
    }
    assert [entry["key"] for entry in ask("ls")["entries"]] == [newest["key"]]
    assert ask("stats")["index"]["agrees"]
    text = invoke("cache", "gc", "--max-bytes", "2G").stdout
    assert text.startswith(f"{cache}: removed 0 entries, 0 B\nleft: 1 entry, ")
    assert text.endswith(" of 2.0 GiB\n")


def test_gc_goes_by_the_bound_in_force(ask, cache, monkeypatch):
    monkeypatch.setenv("JITLOAD_CACHE_MAX_BYTES", "0")
    report = ask("gc")
    assert (report["removed"], report["max_bytes"]) == (4, 0)


def test_gc_refuses_what_is_no_size(invoke, cache):
    result = invoke("cache", "gc", "--max-bytes", "much")
    assert result.exit_code == 2
    assert "'much' is not a size" in result.stderr


def test_clear_removes_everything_and_the_quarantine(ask, cache, entry_file):
    key = ask("ls")["entries"][0]["key"]
    entry_file(key).write_bytes(b"damaged")
    ask("verify", code=1)
    total = ask("stats")["bytes"]
    assert ask("clear", "--yes") == {
        "directory": str(cache),
        "removed": 3,
        "removed_bytes": total,
        "quarantined": 1,
        "entries": 0,
    }
    files = [file for part in ("objects", "manifests", "quarantine") for file in (cache / part).rglob("*")]
    assert not [file for file in files if file.is_file()]
    assert ask("stats")["index"] == {"agrees": True, "missing": 0, "stale": 0}


def test_clear_does_nothing_where_nobody_can_be_asked(invoke, ask, cache):
    result = invoke("cache", "clear")
    assert result.exit_code == 2
    assert "write --yes" in result.stderr
    assert len(ask("ls")["entries"]) == 4


@pytest.mark.parametrize(("answer", "code", "left"), [("y", 0, 0), ("n", 1, 4), ("", 1, 4)])
def test_clear_asks_on_a_terminal(ask, cache, answer, code, left):
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    command = [sys.executable, "-m", "jitload", "cache", "clear", "--json"]
    result = subprocess.run(command, stdin=theirs, capture_output=True, text=True, check=False, timeout=60)
    os.close(theirs)
    os.close(ours)
    assert result.returncode == code
    assert "Remove 4 entries, " in result.stderr
    assert f"from {cache}?" in result.stderr
    assert result.stdout == "" if code else json.loads(result.stdout)["removed"] == 4
    assert len(ask("ls")["entries"]) == left


KILLED = """
import os, signal, jitload
jitload.compile('extern "C" __global__ void k(int *x) { *x = 1; }', arch="sm_86")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_rebuild_finds_what_a_killed_process_left(ask, cache):
    before = {entry["key"] for entry in ask("ls")["entries"]}
    done = subprocess.run([sys.executable, "-c", KILLED], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    entries = ask("ls")["entries"]
    (new,) = [entry for entry in entries if entry["key"] not in before]
    assert (new["kind"], new["arch"], new["name"]) == ("cubin", "sm_86", "kernel.cu")
    assert new["compile_seconds"] > 0
    assert ask("stats")["index"] == {"agrees": False, "missing": 1, "stale": 0}
    counts = {"entries": 5, "added": 1, "changed": 0, "removed": 0, "damaged": []}
    assert ask("rebuild") == {"directory": str(cache), **counts}
    assert ask("stats")["index"]["agrees"]
    assert ask("ls")["entries"] == entries


@pytest.mark.parametrize("damage", ["deleted", "garbage"])
def test_rebuild_makes_a_lost_index_anew(ask, invoke, cache, damage):
    before = ask("ls")
    shutil.rmtree(cache / "index")
    if damage == "garbage":
        (cache / "index").mkdir()
        (cache / "index" / "cache.db").write_bytes(os.urandom(4096))
    result = invoke("cache", "rebuild")
    assert result.stdout == f"{cache}: the index knows 4 entries (rows: 4 added, 0 changed, 0 removed)\n"
    assert ask("stats")["index"] == {"agrees": True, "missing": 0, "stale": 0}
    assert ask("ls") == before


def test_rebuild_mends_rows_that_lie(ask, invoke, cache, entry_file):
    before = ask("ls")["entries"]
    opened = jitload.Cache(cache)
    lie = {"arch": "sm_10", "compile_seconds": 1e6, "kind": "ptx", "name": "lie.cu"}
    opened.index.write({before[0]["key"]: lie, "cd" * 32: lie})
    entry_file(before[1]["key"]).write_bytes(b"damaged")
    result = invoke("cache", "rebuild")
    assert result.exit_code == 0
    assert "the index knows 3 entries (rows: 0 added, 1 changed, 2 removed)" in result.stdout
    assert f"damaged: {before[1]['key'][:12]}  " in result.stdout
    assert ask("ls")["entries"] == [before[0], *before[2:]]
