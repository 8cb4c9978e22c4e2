"""Listing, verifying and rebuilding: right with any index or none, and never a use of an entry."""

from __future__ import annotations

import os
import shutil
import sqlite3

import pytest

import jitload
from jitload.tiers.audit import IndexState
from jitload.tiers.index import Index
from jitload.tiers.sums import is_row

from .conftest import make_artifact

ROW = {"arch": "sm_90", "compile_seconds": 0.5, "kind": "cubin", "name": "k.cu"}


@pytest.fixture
def path(tmp_path):
    """A cache directory with three entries, all in the index."""
    cache = jitload.Cache(tmp_path / "cache")
    for number in range(3):
        cache.put(make_artifact(number), {"request": "ab" * 32})
    cache.flush()
    return tmp_path / "cache"


def rows_of(path) -> dict:
    cache = jitload.Cache(path)
    try:
        return dict(cache.index.rows())
    finally:
        cache.flush()


def entry_file(path, number):
    key = make_artifact(number).key
    return path / "objects" / key[:2] / key[2:]


def lists_right(path) -> bool:
    cache = jitload.Cache(path)
    found = {(entry.key, entry.kind, entry.arch, entry.name, entry.compile_seconds) for entry in cache.entries()}
    cache.flush()
    made = [make_artifact(number) for number in range(3)]
    return found == {(one.key, one.kind.value, one.arch, one.name, one.compile_seconds) for one in made}


def plant_row(path, key, row) -> None:
    index = Index(jitload.Cache(path).disk.directory)
    assert index.write({key: row})


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "elf"},
        {"kind": ["cubin"]},
        {"arch": 90},
        {"name": None},
        {"compile_seconds": "long"},
        {"compile_seconds": float("nan")},
        {"compile_seconds": 10**400},
        {"compile_seconds": True},
        {"compile_seconds": -1.0},
    ],
    ids=str,
)
def test_a_row_that_makes_no_sense_is_no_row(change):
    assert is_row(ROW)
    assert not is_row({**ROW, **change})
    assert not is_row({name: value for name, value in ROW.items() if name not in change})


def test_the_listing_needs_no_index(path):
    shutil.rmtree(path / "index")
    assert lists_right(path)
    cache = jitload.Cache(path, read_only=True)
    assert [entry.kind for entry in cache.entries()] == ["ptx"] * 3


def test_a_row_is_believed_and_its_entry_not_read(path, monkeypatch):
    cache = jitload.Cache(path)
    monkeypatch.setattr(cache.disk, "read_entry", None)
    assert len(list(cache.entries())) == 3
    cache.flush()


def test_a_senseless_row_is_looked_through(path):
    plant_row(path, make_artifact(0).key, {"kind": 7, "compile_seconds": "long"})
    assert lists_right(path)


def test_a_damaged_entry_without_a_row_is_listed_without_a_kind_and_stays(path):
    entry_file(path, 1).write_bytes(b"damaged")
    shutil.rmtree(path / "index")
    cache = jitload.Cache(path)
    (damaged,) = [entry for entry in cache.entries() if not entry.kind]
    cache.flush()
    assert (damaged.key, damaged.bytes, damaged.compile_seconds) == (make_artifact(1).key, 7, 0.0)
    assert entry_file(path, 1).exists()


def test_listing_verifying_and_rebuilding_are_no_use(path):
    for number in range(3):
        os.utime(entry_file(path, number), (1000.0, 1000.0 + number))
    shutil.rmtree(path / "index")
    cache = jitload.Cache(path)
    list(cache.entries())
    cache.verify()
    cache.rebuild()
    assert sorted(entry.used for entry in cache.entries()) == [1000.0, 1001.0, 1002.0]
    cache.flush()


def delete(database):
    shutil.rmtree(os.path.dirname(database))


def overwrite(database):
    with open(database, "wb") as file:
        file.write(os.urandom(8192))


def overwrite_the_end(database):
    """The header is right, and so is the schema; the pages of the rows are not."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    with open(database, "r+b") as file:
        (page_bytes,) = {int.from_bytes(file.read(18)[16:18], "big")}
        file.seek(page_bytes)
        file.write(b"\xff" * (os.path.getsize(database) - page_bytes))


def put_a_file_in_its_place(database):
    delete(database)
    with open(os.path.dirname(database), "w") as file:
        file.write("in the way")


def put_a_link_in_its_place(database):
    delete(database)
    outside = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(database))), "outside")
    os.mkdir(outside)
    os.symlink(outside, os.path.dirname(database))


def put_a_directory_in_its_place(database):
    delete(database)
    os.makedirs(database)


def state_of(cache):
    state = IndexState()
    assert all(entry.kind for entry in cache.survey(state))
    return state.missing, state.stale


def test_a_listing_tells_how_far_the_index_agrees(path):
    """Also where a whole shard is gone, and of rows that only say how large an entry is."""
    gone, unknown = (make_artifact(number).key for number in (1, 2))
    cache = jitload.Cache(path)
    shutil.rmtree(path / "objects" / gone[:2])
    cache.index.remove([unknown])
    assert state_of(cache) == (1, [gone])
    cache.gc()
    assert state_of(cache) == (1, [])


DAMAGES = [
    delete,
    overwrite,
    overwrite_the_end,
    put_a_file_in_its_place,
    put_a_link_in_its_place,
    put_a_directory_in_its_place,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_rebuild_works_whatever_became_of_the_index(path, damage):
    rows = rows_of(path)
    damage(str(path / "index" / "cache.db"))
    assert lists_right(path)
    cache = jitload.Cache(path)
    rebuilt = cache.rebuild()
    assert (rebuilt.entries, rebuilt.added, rebuilt.removed) == (3, 3, 0)
    assert state_of(cache) == (0, [])
    cache.flush()
    assert rows_of(path) == rows
    assert not (path.parent / "outside").exists() or not any((path.parent / "outside").iterdir())


def test_a_rebuild_mends_what_is_partly_wrong(path):
    rows = rows_of(path)
    wrong, damaged, stale = make_artifact(0).key, make_artifact(1).key, "cd" * 32
    plant_row(path, wrong, {**ROW, "name": "lie.cu"})
    plant_row(path, stale, ROW)
    entry_file(path, 1).write_bytes(b"damaged")
    cache = jitload.Cache(path)
    cache.index.remove([make_artifact(2).key])
    rebuilt = cache.rebuild()
    cache.flush()
    assert (rebuilt.entries, rebuilt.added, rebuilt.changed, rebuilt.removed) == (2, 1, 1, 2)
    assert [damage.key for damage in rebuilt.damaged] == [damaged]
    assert "too short" in rebuilt.damaged[0].reason
    with open(rebuilt.damaged[0].file, "rb") as file:
        assert file.read() == b"damaged"
    assert rows_of(path) == {key: row for key, row in rows.items() if key != damaged}


def test_a_rebuild_that_cannot_write_says_so(path):
    """Another process holds the database; the wait for it is bounded."""
    cache = jitload.Cache(path)
    cache.rebuild()
    connection = sqlite3.connect(path / "index" / "cache.db")
    connection.execute("BEGIN EXCLUSIVE")
    with pytest.raises(OSError, match="the index cannot be written"):
        cache.rebuild()
    connection.close()


def test_there_is_nothing_to_rebuild_without_a_directory(tmp_path, path):
    assert jitload.Cache().rebuild() is None
    assert jitload.Cache(path, read_only=True).rebuild() is None
    assert jitload.Cache(tmp_path / "absent").rebuild() is None
    assert not (tmp_path / "absent").exists()


def test_verify_drops_the_row_of_what_it_puts_aside(path):
    entry_file(path, 1).write_bytes(b"damaged")
    cache = jitload.Cache(path)
    assert cache.verify() == (2, [make_artifact(1).key])
    assert state_of(cache) == (0, [])
    cache.flush()


def test_what_is_no_entry_is_neither_listed_nor_removed(path):
    """A directory of this shape can be somebody's git repository."""
    strangers = [path / "objects" / "ab" / ("c" * 38), path / "objects" / "pack" / ("d" * 62), path / "objects" / "x"]
    for stranger in strangers:
        stranger.parent.mkdir(exist_ok=True)
        stranger.write_bytes(b"somebody's")
    cache = jitload.Cache(path)
    assert cache.stats().entries == 3
    assert cache.verify() == (3, [])
    assert cache.clear() == 3
    cache.flush()
    assert [stranger.read_bytes() for stranger in strangers] == [b"somebody's"] * 3


def test_clear_empties_index_and_quarantine(path):
    entry_file(path, 0).write_bytes(b"damaged")
    entry_file(path, 1).unlink()
    entry_file(path, 1).mkdir()
    (entry_file(path, 1) / "inside").write_text("")
    cache = jitload.Cache(path)
    assert len(cache.verify()[1]) == 2
    assert len(list(cache.disk.contents.quarantined())) == 2
    assert cache.clear() == 1
    assert list(cache.disk.contents.quarantined()) == []
    cache.flush()
    assert rows_of(path) == {}
