"""The index: rows come back, and whatever else somebody puts into its database has no effect."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jitload.files.directory import Directory
from jitload.tiers.index import Index

KEY = "ab" * 32
ROW = {"arch": "sm_90", "kind": "cubin", "name": "k.cu"}


@pytest.fixture
def directory(tmp_path):
    return Directory(str(tmp_path / "cache"))


@pytest.fixture
def database(directory):
    index = Index(directory)
    assert index.write({KEY: ROW})
    return f"{directory.path}/index/cache.db"


def rows_of(directory: Directory) -> dict:
    return dict(Index(directory).rows())


def execute(database: str, *statements: str) -> None:
    connection = sqlite3.connect(database)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_rows_come_back(directory, database):
    assert rows_of(directory) == {KEY: ROW}
    index = Index(directory)
    index.remove([KEY, "cd" * 32])
    assert list(index.rows()) == []


def test_keys_are_hex_and_nothing_else(directory):
    index = Index(directory)
    assert not index.write({"../../etc/passwd": ROW})


def test_one_that_others_are_writing_is_no_fault_of_it(directory, database, caplog, monkeypatch):
    """What it would have held is made again from the entries; a warning would send people to delete a sound index."""
    monkeypatch.setattr("jitload.tiers.database.TIMEOUT_SECONDS", 0.05)
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert not Index(directory).write({"cd" * 32: ROW})
    other.close()
    assert caplog.records == []
    assert Index(directory).write({"cd" * 32: ROW})
    assert set(rows_of(directory)) == {KEY, "cd" * 32}


def test_a_planted_pickle_is_never_loaded(directory, database, tmp_path):
    import pickle

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "boom"),)

    payload = pickle.dumps(Bomb())
    connection = sqlite3.connect(database)
    connection.execute("UPDATE Cache SET mode = 4, value = ?", (payload,))
    connection.execute(
        "INSERT INTO Cache(key, raw, store_time, access_time, mode, value) VALUES (?, 0, 0, 0, 4, ?)",
        (payload, payload),
    )
    connection.commit()
    connection.close()
    assert rows_of(directory) == {}
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("mode", [1, 2, 3, 4])
def test_a_row_that_names_a_file_neither_reads_nor_removes_it(directory, database, tmp_path, mode):
    secret = tmp_path / "secret"
    secret.write_bytes(b'{"stolen": true}')
    execute(database, f"UPDATE Cache SET mode = {mode}, filename = '{secret}', value = NULL")
    assert rows_of(directory) == {}
    index = Index(directory)
    index.remove([KEY])
    index.write({KEY: ROW})
    assert secret.read_bytes() == b'{"stolen": true}'
    assert rows_of(directory) == {KEY: ROW}


def test_a_planted_trigger_costs_the_index_and_nothing_else(directory, database):
    execute(database, "CREATE TRIGGER evil AFTER INSERT ON Cache BEGIN UPDATE Cache SET value = x'00'; END")
    index = Index(directory)
    assert index.write({"cd" * 32: ROW})
    assert dict(index.rows()) == {"cd" * 32: ROW}


def test_a_trigger_of_others_under_a_known_name_costs_the_index_too(directory, database):
    execute(
        database,
        "DROP TRIGGER Settings_count_insert",
        "CREATE TRIGGER Settings_count_insert AFTER INSERT ON Cache FOR EACH ROW BEGIN DELETE FROM Cache; END",
    )
    assert rows_of(directory) == {}
    index = Index(directory)
    assert index.write({KEY: ROW, "cd" * 32: ROW})
    assert rows_of(directory) == {KEY: ROW, "cd" * 32: ROW}


def test_known_settings_with_other_values_do_not_count(directory, database):
    execute(
        database,
        "UPDATE Settings SET value = 1 WHERE key IN ('size_limit', 'sqlite_mmap_size', 'cull_limit', 'count')",
        "UPDATE Settings SET value = 'least-recently-used' WHERE key = 'eviction_policy'",
        "UPDATE Settings SET value = 'off' WHERE key = 'sqlite_journal_mode'",
    )
    index = Index(directory)
    rows = {f"{number:064x}": ROW for number in range(50)}
    assert index.write(rows)
    assert rows_of(directory) == {KEY: ROW, **rows}
    connection = sqlite3.connect(database)
    assert connection.execute("PRAGMA journal_mode").fetchone() != ("wal",)
    connection.close()


def test_an_index_of_this_diskcache_is_kept(directory, database):
    """What tells our own databases from others' must know the schema of the diskcache that is installed."""
    for _ in range(3):
        assert Index(directory).write({"cd" * 32: ROW})
    assert rows_of(directory) == {KEY: ROW, "cd" * 32: ROW}


def test_an_index_with_a_write_ahead_log_is_read_and_goes_on_without(directory, database):
    """Versions before this one made them so."""
    execute(
        database, "PRAGMA journal_mode = wal", "UPDATE Settings SET value = 'wal' WHERE key = 'sqlite_journal_mode'"
    )
    assert os.path.exists(f"{database}-wal") or rows_of(directory) == {KEY: ROW}
    assert rows_of(directory) == {KEY: ROW}
    assert Index(directory).write({"cd" * 32: ROW})
    assert rows_of(directory) == {KEY: ROW, "cd" * 32: ROW}
    assert not os.path.exists(f"{database}-wal")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=64)), min_size=1, max_size=8)
)
def test_a_database_with_any_bytes_changed_gives_rows_or_none(tmp_path, changes):
    """Reading and writing never raise, and what is read are rows under keys."""
    place = Directory(str(tmp_path / os.urandom(8).hex()))
    index = Index(place)
    assert index.write({f"{number:064x}": ROW for number in range(40)})
    database = f"{place.path}/index/cache.db"
    with open(database, "r+b") as file:
        size = os.fstat(file.fileno()).st_size
        for where, data in changes:
            file.seek(int(where * size))
            file.write(data)
    for key, row in index.rows():
        assert len(key) == 64
        assert isinstance(row, dict)
    index.remove([KEY])
    index.write({KEY: ROW})
    assert isinstance(rows_of(place), dict)
    index.discard_damaged()
    index.replace({KEY: ROW})
    assert rows_of(place) == {KEY: ROW}


def test_planted_settings_cost_the_index_and_nothing_else(directory, database):
    execute(database, "INSERT INTO Settings VALUES ('get', 'broken')")
    assert rows_of(directory) == {}
    index = Index(directory)
    assert index.write({KEY: ROW})
    assert rows_of(directory) == {KEY: ROW}


@pytest.mark.parametrize("damage", ["garbage", "empty", "symlink", "deleted"])
def test_a_damaged_database_is_started_anew(directory, database, tmp_path, damage):
    if damage == "garbage":
        with open(database, "wb") as file:
            file.write(os.urandom(8192))
    elif damage == "empty":
        open(database, "wb").close()
    else:
        os.unlink(database)
    outside = tmp_path / "outside.db"
    if damage == "symlink":
        outside.write_bytes(b"")
        os.symlink(outside, database)
    index = Index(directory)
    assert index.write({KEY: ROW})
    assert rows_of(directory) == {KEY: ROW}
    assert damage != "symlink" or outside.read_bytes() == b""


def test_a_file_in_place_of_the_index_is_one_warning(directory, caplog):
    directory.make("")
    with open(f"{directory.path}/index", "w") as file:
        file.write("in the way")
    index = Index(directory)
    assert not index.write({KEY: ROW})
    assert list(index.rows()) == []
    assert len(caplog.records) == 1
    assert "everything works without it" in caplog.text


FORK = """
import os, sys
from jitload.files.directory import Directory
from jitload.tiers.index import Index
index = Index(Directory(sys.argv[1]))
assert len(dict(index.rows())) == 1
child = os.fork()
if child == 0:
    good = index.write({"cd" * 32: {"kind": "ptx"}}) and len(dict(index.rows())) == 2
    os._exit(0 if good else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert len(dict(index.rows())) == 2
"""


def test_a_forked_child_opens_its_own_connection(directory, database):
    subprocess.run([sys.executable, "-c", FORK, directory.path], check=True)
