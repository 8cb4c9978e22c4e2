"""The account of a cache directory: right whoever writes, removes or dies; the bound is kept; the work is bounded."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

import jitload
from jitload.compiler.key import key_of
from jitload.headers.record import Variant
from jitload.tiers import account
from jitload.tiers.account import Account, count_entries
from jitload.tiers.audit import IndexState
from jitload.tiers.contents import Contents
from jitload.tiers.journal import Journal, Note, today
from jitload.tiers.upkeep import FLUSH_EVERY
from jitload.values import Toolchain

from .conftest import make_artifact

WRITER = """
import os, signal, sys
import jitload
from tests.tiers.conftest import make_artifact
directory, bound, first, count, end = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
cache = jitload.Cache(directory, max_bytes=bound)
for number in range(first, first + count):
    cache.put(make_artifact(number, padding=2000))
if end == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


def start_writer(directory, first: int, count: int, bound: int = 1 << 40, end: str = "") -> subprocess.Popen:
    command = [sys.executable, "-c", WRITER, str(directory), *map(str, (bound, first, count)), end]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.getcwd()})


def entry_file(cache: jitload.Cache, number: int) -> str:
    key = make_artifact(number).key
    return f"{cache.directory}/objects/{key[:2]}/{key[2:]}"


def in_files(cache: jitload.Cache) -> tuple[int, int]:
    """(number, bytes) of the entries, by their files."""
    sizes = [status.st_size for _, status in cache.disk.contents.scan_keys()]
    return len(sizes), sum(sizes)


def in_sums(cache: jitload.Cache) -> tuple[int, int]:
    """The same by what the index says of the shards."""
    sums = cache.index.sums().values()
    return sum(one.entries for one in sums), sum(one.bytes for one in sums)


def filled(path, count: int, **options) -> jitload.Cache:
    cache = jitload.Cache(path, **options)
    for number in range(count):
        cache.put(make_artifact(number, padding=number % 7))
    cache.flush()
    return cache


def put_and_flush(cache: jitload.Cache, number: int) -> None:
    cache.put(make_artifact(number))
    cache.flush()


def test_the_sums_are_those_of_the_files(tmp_path):
    cache = filled(tmp_path / "cache", 150)
    assert in_sums(cache) == in_files(cache) == count_entries(cache.disk, cache.index)
    cache.put(make_artifact(3, padding=5000))  # again, and larger
    cache.flush()
    assert in_sums(cache) == in_files(cache)
    cache.gc(in_files(cache)[1] // 2)
    assert in_sums(cache) == in_files(cache)
    assert cache.clear() > 0
    assert in_sums(cache) == (0, 0) == in_files(cache)


def test_eight_processes_keep_the_bound_and_the_sums(tmp_path):
    bound = 300_000
    writers = [start_writer(tmp_path / "cache", 1000 * number, 150, bound) for number in range(8)]
    assert [writer.wait(timeout=120) for writer in writers] == [0] * 8
    cache = jitload.Cache(tmp_path / "cache", max_bytes=bound)
    put_and_flush(cache, 9999)
    entries, total = in_files(cache)
    assert 0.5 * bound < total <= bound
    assert cache.stats().entries == entries
    assert cache.gc() == 0
    assert in_sums(cache) == in_files(cache)


def test_what_a_busy_index_did_not_take_is_told_to_the_next_who_writes(tmp_path):
    """The writers end while another process has the index: of all they put, nothing may be missing in the bound."""
    cache = filled(tmp_path / "cache", 1000)  # in every shard, so that none is looked at for being new
    other = sqlite3.connect(tmp_path / "cache" / "index" / "cache.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writers = [start_writer(tmp_path / "cache", 1000 * number, 70) for number in (1, 2)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    other.execute("ROLLBACK")
    assert in_sums(cache)[0] == 1000
    put_and_flush(cache, 9999)
    assert in_sums(cache) == in_files(cache) == (1141, in_files(cache)[1])
    assert make_artifact(2069).name in {entry.name for entry in cache.entries()}
    assert Journal(cache.disk.directory).read() == []


def test_rows_of_others_in_the_journal_are_those_of_entries_or_nothing(tmp_path):
    cache = filled(tmp_path / "cache", 3)
    rows = {"shard-ab": {"bytes": 7}, "ab" * 32: {"bytes": 1 << 39}, make_artifact(1).key: {"bytes": -5}, "x": {}}
    Journal(cache.disk.directory).append(Note(today(), {}, {}, rows))
    put_and_flush(cache, 9999)
    assert in_sums(cache) == in_files(cache)
    assert cache.stats().entries == len(list(cache.entries())) == 4


def test_an_index_that_is_being_made_is_no_fault(tmp_path, caplog):
    """SQLite's file is there before its tables are: whoever looks at that moment sees an empty index."""
    cache = jitload.Cache(tmp_path / "cache")
    cache.put(make_artifact())
    os.close(cache.disk.directory.open_own("index/cache.db"))
    assert (cache.index.sums(), cache.index.days(), list(cache.index.rows())) == ({}, {}, [])
    cache.flush()
    assert in_sums(cache) == in_files(cache)
    assert caplog.text == ""


def test_what_a_killed_process_has_put_is_found_by_those_who_come(tmp_path):
    cache = filled(tmp_path / "cache", 20)
    assert start_writer(tmp_path / "cache", 100, 40, end="killed").wait(timeout=60) == -signal.SIGKILL
    assert in_files(cache)[0] == 60
    assert cache.stats().entries == 60
    assert in_sums(cache)[0] == 20
    for number in range(12):
        put_and_flush(cache, 200 + number)
    assert in_sums(cache) == in_files(cache)


def test_what_others_have_removed_counts_no_more(tmp_path):
    cache = filled(tmp_path / "cache", 40)
    for number in range(10):
        os.unlink(entry_file(cache, number))
    shutil.rmtree(os.path.dirname(entry_file(cache, 11)))
    assert cache.stats().entries == in_files(cache)[0] == len(list(cache.entries()))
    for number in range(12):
        put_and_flush(cache, 200 + number)
    assert in_sums(cache) == in_files(cache)


@pytest.mark.parametrize("loss", ["index", "sums", "sizes"])
def test_without_sums_the_first_who_writes_makes_them(tmp_path, loss):
    """The index was deleted, or written by a version without them."""
    cache = filled(tmp_path / "cache", 50)
    if loss == "index":
        shutil.rmtree(tmp_path / "cache" / "index")
    else:
        connection = sqlite3.connect(tmp_path / "cache" / "index" / "cache.db")
        connection.execute("DELETE FROM Cache WHERE length(key) < 64")
        if loss == "sizes":
            connection.execute("UPDATE Cache SET size = 0, expire_time = NULL")
        connection.commit()
        connection.close()
    put_and_flush(cache, 100)
    assert in_sums(cache) == in_files(cache)


def test_the_longest_unused_go_first_also_where_only_their_files_know(tmp_path):
    cache = filled(tmp_path / "cache", 100)
    now = time.time()
    for number in range(100):
        os.utime(entry_file(cache, number), (now - 1000 + number, now - 1000 + number))
    os.utime(entry_file(cache, 0), (now + 10, now + 10))
    total = in_files(cache)[1]
    assert cache.gc(total // 2) > 0
    left = [number for number in range(100) if os.path.exists(entry_file(cache, number))]
    assert left[0] == 0
    assert left[1:] == list(range(left[1], 100))


def test_a_collection_at_the_bound_goes_in_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(account, "STEP_ENTRIES", 5)
    monkeypatch.setattr(account, "BATCH_ENTRIES", 5)
    cache = filled(tmp_path / "cache", 100)
    cache.disk.max_bytes = in_files(cache)[1]
    put_and_flush(cache, 200)
    assert 94 <= in_files(cache)[0] <= 96
    cache.disk.max_bytes = 10_000
    put_and_flush(cache, 201)
    assert in_files(cache)[1] <= 10_000, "however many have to go for it"


def test_a_closure_record_goes_with_the_last_entry_that_it_leads_to(tmp_path):
    """One request of two compilers: with the first entry it stays, with the second it goes."""
    cache = jitload.Cache(tmp_path)
    request, other = "ab" * 32, "cd" * 32
    keys = {}
    for digest, version in ((request, "12.9"), (request, "13.0"), (other, "12.9")):
        variant = Variant("ef" * 32, Toolchain("nvrtc", version, "01" * 32), (), ())
        keys[digest, version] = key_of(digest, variant.closure, variant.toolchain)
        cache.put(make_artifact(len(keys), key=keys[digest, version]), {"request": digest})
        cache.add_variant(digest, variant)
    cache.flush()
    assert set(cache.disk.contents.scan_records()) == {request, other}
    for oldest, left in (((request, "12.9"), {request, other}), ((request, "13.0"), {other}), ((other, "12.9"), set())):
        for row, key in keys.items():
            if not cache.disk.contents.is_gone(key):
                path = f"{tmp_path}/objects/{key[:2]}/{key[2:]}"
                os.utime(path, (1e9, 1e9 + (0 if row == oldest else 1e6)))
        total = in_files(cache)[1] + cache.summary().records[1]
        assert cache.gc(total - 1 if left else 0) == 1
        assert set(cache.disk.contents.scan_records()) == left


def test_a_put_looks_at_a_bounded_number_of_files(tmp_path, monkeypatch):
    """And not at all of them: that took longer, the more there were."""
    cache = filled(tmp_path / "cache", 1500)
    monkeypatch.setattr(account, "SETTLE_FILES", 100)
    looked: list[int] = []
    listed = Contents.list_shard
    monkeypatch.setattr(Contents, "list_shard", lambda *asked: looked.append(len(found := listed(*asked))) or found)
    monkeypatch.setattr(Contents, "scan_keys", None)
    for number in range(3 * FLUSH_EVERY):
        cache.put(make_artifact(5000 + number))
    assert 0 < sum(looked) < 3 * 2 * 100


def test_large_entries_do_not_wait_for_their_number(tmp_path):
    cache = jitload.Cache(tmp_path / "cache", max_bytes=1_000_000)
    for number in range(FLUSH_EVERY - 1):
        cache.put(make_artifact(number, padding=60_000))
        assert in_files(cache)[1] <= 1_200_000


def test_what_another_process_has_dropped_at_the_same_time_is_not_dropped_twice(tmp_path, monkeypatch):
    cache = filled(tmp_path / "cache", 100)
    total = in_files(cache)[1]
    oldest = cache.index.oldest
    others = iter(range(30))

    def meanwhile(count: int) -> dict:
        found = oldest(count)
        for key in list(found)[:30]:
            if next(others, None) is not None:
                cache.disk.contents.drop(key)  # and its row is not removed yet
        return found

    monkeypatch.setattr(cache.index, "oldest", meanwhile)
    cache.disk.max_bytes = total * 9 // 10
    put_and_flush(cache, 200)
    assert in_files(cache)[0] == 71


def test_what_cannot_be_removed_ends_a_collection(tmp_path, monkeypatch):
    cache = filled(tmp_path / "cache", 10)
    monkeypatch.setattr(Contents, "drop", lambda _self, _key: False)
    assert cache.gc(0) == 0


def test_where_the_index_cannot_be_written_the_bound_is_kept_by_the_files(tmp_path, caplog):
    (tmp_path / "cache").mkdir(mode=0o700)
    (tmp_path / "cache" / "index").write_text("in the way")
    cache = jitload.Cache(tmp_path / "cache", max_bytes=100_000)
    for number in range(3 * FLUSH_EVERY):
        cache.put(make_artifact(number, padding=2000))
    assert in_files(cache)[1] <= 100_000 + FLUSH_EVERY * 2500
    assert "is not usable" in caplog.text


def test_rows_that_could_not_be_written_are_written_later(tmp_path, monkeypatch):
    cache = filled(tmp_path / "cache", 3)
    monkeypatch.setattr("jitload.tiers.database.TIMEOUT_SECONDS", 0.05)
    other = sqlite3.connect(tmp_path / "cache" / "index" / "cache.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    put_and_flush(cache, 100)
    other.close()
    put_and_flush(cache, 101)
    assert {make_artifact(100).key, make_artifact(101).key} <= dict(cache.index.rows()).keys()


def test_what_waits_in_the_journal_is_no_gap_of_the_index(tmp_path, monkeypatch):
    """`cache stats` said that the index lacks what the workers of a precompile had put, which end at once."""
    cache = filled(tmp_path / "cache", 3)
    with monkeypatch.context() as soon:
        soon.setattr("jitload.tiers.database.TIMEOUT_SECONDS", 0.05)
        other = sqlite3.connect(tmp_path / "cache" / "index" / "cache.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        put_and_flush(cache, 100)
        other.close()
    assert [len(note.rows) for note in Journal(cache.disk.directory).read() if note.rows] == [1]
    state = IndexState()
    assert make_artifact(100).key in {entry.key for entry in cache.survey(state)}
    assert (state.agrees, cache.summary().state.agrees) == (True, True)


def test_a_quiet_cache_is_listed_without_looking_at_its_directories(tmp_path, monkeypatch):
    cache = filled(tmp_path / "cache", 30)
    for shard in os.listdir(tmp_path / "cache" / "objects"):
        os.utime(tmp_path / "cache" / "objects" / shard, (1_700_000_000, 1_700_000_000))
    before = [entry.key for entry in cache.entries()]
    assert Account(cache.disk, cache.index).settle()
    monkeypatch.setattr(Contents, "keys_of", None)
    monkeypatch.setattr(Contents, "measure", None)
    assert [entry.key for entry in cache.entries()] == before
    assert cache.stats().entries == 30
