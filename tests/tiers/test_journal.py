"""The journal: what processes note comes to the index once, and whatever else lies there has no effect."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import jitload
from jitload.files.directory import Directory
from jitload.tiers import journal
from jitload.tiers.journal import Journal, Note, today

from .conftest import make_artifact

HITS = """
import sys
import jitload
from tests.tiers.conftest import make_artifact
with jitload.configure(cache_dir=sys.argv[1]):
    cache = jitload.Cache.default()
    for _ in range(5):
        assert cache.get(make_artifact().key) is not None
    assert cache.get("ab" * 32) is None
sys.modules.get("diskcache") is None or sys.exit("diskcache is imported for hits alone")
"""


@pytest.fixture
def path(tmp_path):
    """A cache directory with one entry, of which nothing is left to be told."""
    cache = jitload.Cache(tmp_path / "cache")
    cache.put(make_artifact())
    cache.flush()
    Journal(cache.disk.directory).take()
    return tmp_path / "cache"


def place_of(path) -> Journal:
    return Journal(Directory(str(path)))


def sums(notes) -> dict[str, float]:
    total: dict[str, float] = {}
    for note in notes:
        for name, count in note.counts.items():
            total[name] = total.get(name, 0) + count
    return total


def hit(path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", HITS, str(path)], env={**os.environ, "PYTHONPATH": os.getcwd()})


def test_processes_that_only_hit_are_counted_without_the_index(path):
    processes = [hit(path) for _ in range(8)]
    assert [process.wait(timeout=60) for process in processes] == [0] * 8
    notes = place_of(path).read()
    assert len(notes) == 8
    counted = sums(notes)
    assert (counted["hits.disk"], counted["hits.memory"], counted["seconds_saved"]) == (8, 32, 8 * 5 * 0.25)
    assert {note.day for note in notes} == {today()}


def test_who_writes_to_the_index_takes_the_notes_along(path):
    journal_ = place_of(path)
    assert journal_.append(Note("2026-01-02", {"hits.disk": 3, "misses.absent": 1}, {})) > 0
    assert journal_.append(Note("2026-01-02", {"hits.disk": 4}, {})) > 0
    cache = jitload.Cache(path)
    cache.put(make_artifact(1))
    cache.flush()
    assert journal_.read() == []
    assert cache.index.days()["2026-01-02"] == {"hits.disk": 7, "misses.absent": 1}


def test_a_long_journal_is_taken_to_the_index_by_a_hit(path, monkeypatch):
    monkeypatch.setattr("jitload.tiers.journal.LONG_BYTES", 10)
    cache = jitload.Cache(path)
    assert cache.get(make_artifact().key) is not None
    cache.flush()
    assert place_of(path).read() == []
    assert cache.index.days()[today()]["hits.disk"] >= 1


def test_uses_are_listed_before_the_index_knows_them(path):
    key = make_artifact().key
    file = path / "objects" / key[:2] / key[2:]
    os.utime(file, (1_000_000_000, 1_000_000_000))
    cache = jitload.Cache(path)
    assert cache.get(key) is not None
    (entry,) = cache.entries()
    cache.flush()
    (again,) = jitload.Cache(path).entries()
    assert entry.used == again.used == pytest.approx(file.stat().st_mtime, abs=5)


@pytest.mark.parametrize(
    "line",
    [
        b"not JSON",
        b"[" * 100_000,
        b"[1]",
        b'{"counts": 7, "day": "2026-01-01", "used": {}}',
        b'{"counts": {}, "day": 7, "used": {}}',
        b'{"counts": {"hits.disk": "x", "a": NaN, "b": Infinity, "c": -1}, "day": "2026-01-01", "used": {}}',
        b'{"counts": {"hits.disk": 5}, "day": "../../x", "used": {}}',
        b'{"counts": {}, "day": "2026-01-01", "used": {"x": 1, "' + b"ab" * 32 + b'": "soon"}}',
        b"\xff\xfe\x00",
    ],
    ids=range(9),
)
def test_a_line_that_is_no_note_is_passed_over(path, line):
    good = json.dumps({"counts": {"hits.disk": 2}, "day": "2026-01-01", "used": {}}).encode()
    (path / "journal").write_bytes(line + b"\n" + good + b"\n" + good[:20])
    cache = jitload.Cache(path)
    assert [entry.kind for entry in cache.entries()] == ["ptx"]
    cache.put(make_artifact(1))
    cache.flush()
    assert cache.index.days()["2026-01-01"] == {"hits.disk": 2}


def test_a_full_journal_grows_no_more_and_the_counts_stay(path, monkeypatch):
    monkeypatch.setattr(journal, "MAX_BYTES", 200)
    note = Note("2026-01-01", {"hits.disk": 1}, {})
    lengths = [place_of(path).append(note) for _ in range(10)]
    assert 0 in lengths
    assert (path / "journal").stat().st_size <= 200


def test_days_are_kept_for_so_long_and_no_longer(path, monkeypatch):
    monkeypatch.setattr("jitload.tiers.ledger.MAX_DAYS", 3)
    for day in range(1, 6):
        place_of(path).append(Note(f"2026-01-0{day}", {"compiles": day}, {}))
    cache = jitload.Cache(path)
    cache.put(make_artifact(1))
    cache.flush()
    days = cache.index.days()
    assert len(days) == 3
    assert days["2026-01-05"] == {"compiles": 5}


def test_reasons_without_end_are_counted_as_others(path):
    place_of(path).append(Note("2026-01-01", {f"misses.{number}": 1 for number in range(500)}, {}))
    cache = jitload.Cache(path)
    cache.put(make_artifact(1))
    cache.flush()
    counts = cache.index.days()["2026-01-01"]
    assert len(counts) <= 61
    assert sum(counts.values()) == 500


def test_what_was_counted_outlives_clearing_and_rebuilding(path):
    place_of(path).append(Note("2026-01-01", {"compiles": 9}, {}))
    cache = jitload.Cache(path)
    cache.put(make_artifact(1))
    cache.flush()
    cache.rebuild()
    cache.clear()
    assert cache.index.days()["2026-01-01"] == {"compiles": 9}


def test_a_cache_that_was_asked_for_nothing_notes_nothing(path, tmp_path):
    jitload.Cache(path).flush()
    jitload.Cache(tmp_path / "absent").flush()
    reader = jitload.Cache(path, read_only=True)
    assert reader.get(make_artifact().key) is not None
    reader.flush()
    assert place_of(path).read() == []
    assert not (tmp_path / "absent").exists()
