"""The index of the disk tier, on diskcache: what each entry is, for listings, statistics and `explain`.

The index is never asked on the way to a hit, and nothing depends on it: deleted, damaged, full or read-only, it is
rebuilt from the object files. It holds JSON bytes under 64-hex keys and refuses everything else, because a writer to
the directory could otherwise make diskcache run or delete things (CVE-2025-69872: pickled values run code; file-backed
rows name files outside the cache; Settings rows and triggers act by themselves). This is the only file that imports
diskcache, and the only one that catches its exceptions.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

import diskcache

from jitload import log
from jitload.artifact import canonical_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jitload.files.directory import Directory

_HEX = frozenset("0123456789abcdef")
_TIMEOUT_SECONDS = 1.0
_FAULTS = (sqlite3.Error, diskcache.Timeout, OSError, ValueError, KeyError, TypeError, AttributeError)
_COLUMNS = (
    "rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER, store_time REAL, expire_time REAL, access_time REAL,"
    " access_count INTEGER DEFAULT 0, tag BLOB, size INTEGER DEFAULT 0, mode INTEGER DEFAULT 0, filename TEXT,"
    " value BLOB"
)
_TRIGGER = """CREATE TRIGGER Settings_{0}_{1} AFTER {2} ON Cache FOR EACH ROW BEGIN\
 UPDATE Settings SET value = value {3} WHERE key = "{0}"; END"""
_TRIGGERS = (
    ("count", "insert", "INSERT", "+ 1"),
    ("count", "delete", "DELETE", "- 1"),
    ("size", "insert", "INSERT", "+ NEW.size"),
    ("size", "update", "UPDATE", "+ NEW.size - OLD.size"),
    ("size", "delete", "DELETE", "- OLD.size"),
)
#: The objects that diskcache 5.6 makes, word for word; a database with any other (a trigger of somebody else's, under
#: whatever name) is thrown away.
_SCHEMA = {
    ("table", "Settings", "CREATE TABLE Settings ( key TEXT NOT NULL UNIQUE, value)"),
    ("index", "sqlite_autoindex_Settings_1", None),
    ("table", "Cache", f"CREATE TABLE Cache ( {_COLUMNS})"),
    ("index", "Cache_key_raw", "CREATE UNIQUE INDEX Cache_key_raw ON Cache(key, raw)"),
    ("index", "Cache_expire_time", "CREATE INDEX Cache_expire_time ON Cache (expire_time)"),
    *(("trigger", f"Settings_{words[0]}_{words[1]}", _TRIGGER.format(*words)) for words in _TRIGGERS),
}
#: Every setting is given, so that none of those in the database counts.
_SETTINGS = {
    **diskcache.DEFAULT_SETTINGS,
    "disk_min_file_size": 1 << 30,
    "eviction_policy": "none",
    "cull_limit": 0,
    "statistics": 0,
    "tag_index": 0,
}


class _InlineDisk(diskcache.Disk):  # type: ignore[misc]
    """Keys are 64 hex digits, values are bytes inside the row; every other row is refused."""

    def put(self, key: Any) -> tuple[Any, bool]:
        if not isinstance(key, str) or len(key) != 64 or not _HEX.issuperset(key):
            raise ValueError(f"{key!r:.80} is not a key")
        return key, True

    def get(self, key: Any, raw: Any) -> str:
        if not raw or not isinstance(key, str) or len(key) != 64 or not _HEX.issuperset(key):
            raise ValueError("a row under a foreign key")
        return key

    def store(self, value: Any, read: bool, key: Any = diskcache.UNKNOWN) -> tuple[int, int, None, Any]:  # noqa: ARG002
        if not isinstance(value, bytes) or read:
            raise TypeError("only bytes are kept in the index")
        return 0, diskcache.core.MODE_RAW, None, sqlite3.Binary(value)

    def fetch(self, mode: Any, filename: Any, value: Any, read: Any) -> bytes:
        if mode != diskcache.core.MODE_RAW or filename is not None or read or not isinstance(value, bytes):
            raise OSError("a row that this index did not write")
        return value

    def remove(self, file_path: Any) -> None:
        """Nothing: no row of ours has a file."""


class Index:
    """Rows about the entries of one cache directory.

    Args:
        directory: the cache directory.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._path = os.path.join(directory.path, "index")

    def write(self, rows: Mapping[str, Mapping[str, Any]]) -> bool:
        """Add or replace rows by key; False when the index cannot be written."""
        return self._run(lambda cache: _set_rows(cache, rows, clear=False))

    def remove(self, keys: list[str]) -> None:
        """Drop rows; missing ones are fine."""

        def delete(cache: Any) -> None:
            for key in keys:
                cache.delete(key, retry=False)

        if keys and self._exists():
            self._run(delete)

    def replace(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Make these rows the only ones, whatever is there now.

        Raises:
            OSError: the index cannot be written.
        """
        if not self._run(lambda cache: _set_rows(cache, rows, clear=True)):
            raise OSError(errno.EIO, "the index cannot be written", self._path)

    def discard_damaged(self) -> bool:
        """Remove whatever is in the place of the index and is no sound database; True when there was something.

        Raises:
            OSError: it cannot be removed.
        """
        if not os.path.lexists(self._path):
            return False
        if os.path.islink(self._path) or not os.path.isdir(self._path):
            os.unlink(self._path)
            return True
        database = os.path.join(self._path, "cache.db")
        if not os.path.lexists(database) or _is_sound(database):
            return False
        shutil.rmtree(self._path)
        return True

    def rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(key, row) of everything readable; rows of others are passed over. Looking makes no database."""
        found: dict[str, dict[str, Any]] = {}

        def read(cache: Any) -> None:
            for key in list(cache.iterkeys()):
                with contextlib.suppress(*_FAULTS):
                    row = json.loads(cache.get(key, retry=False))
                    if isinstance(row, dict):
                        found[key] = row

        if self._exists():
            self._run(read)
        return iter(found.items())

    def _exists(self) -> bool:
        return os.path.lexists(os.path.join(self._path, "cache.db"))

    def _run(self, operation: Callable[[Any], None]) -> bool:
        """Open the database for one operation, and close it: a connection of SQLite outlives no thread and no fork.

        False when it failed, which is said once.
        """
        if self._directory.read_only:
            return False
        try:
            path = self._directory.make("index")
            _discard_foreign(path)
            _expect_free(os.path.join(path, "cache.db"))
            cache = diskcache.Cache(path, timeout=_TIMEOUT_SECONDS, disk=_InlineDisk, **_SETTINGS)
            try:
                operation(cache)
            finally:
                cache.close()
        except _FAULTS as error:
            log.warn_once(
                ("index", self._directory.path),
                f"the cache's index in {self._path} is not usable ({type(error).__name__}: {error}); "
                f"everything works without it, and deleting that directory starts a new one",
            )
            return False
        return True


def _set_rows(cache: Any, rows: Mapping[str, Mapping[str, Any]], *, clear: bool) -> None:
    with cache.transact(retry=False):
        if clear:
            cache.clear(retry=False)
        for key, row in rows.items():
            cache.set(key, canonical_json(dict(row)), retry=False)


def _discard_foreign(path: str) -> None:
    """Remove a database that is damaged, or that holds anything which diskcache itself would not have made."""
    database = os.path.join(path, "cache.db")
    files = [database, f"{database}-wal", f"{database}-shm", f"{database}-journal"]
    linked = any(os.path.islink(file) for file in files)
    if linked or (os.path.lexists(database) and not _is_ours(database)):
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(file)


def _expect_free(database: str) -> None:
    """Wait for the database for a bounded time: diskcache itself tries for a minute, twice, to open a locked one.

    Raises:
        sqlite3.Error: another process keeps it locked.
    """
    if not os.path.lexists(database):
        return
    connection = sqlite3.connect(database, timeout=_TIMEOUT_SECONDS, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    finally:
        connection.close()


def _is_ours(database: str) -> bool:
    try:
        connection = sqlite3.connect(database, timeout=_TIMEOUT_SECONDS)
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            objects = set(connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall())
            if not objects <= _SCHEMA:
                return False
            if not any(name == "Settings" for _, name, _ in objects):
                return True
            settings = {name for (name,) in connection.execute("SELECT key FROM Settings")}
            return settings <= {*diskcache.DEFAULT_SETTINGS, *diskcache.core.METADATA}
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return True  # locked, or full: not a reason to delete it
    except (sqlite3.Error, UnicodeDecodeError):
        return False


def _is_sound(database: str) -> bool:
    """Whether SQLite finds nothing wrong with any page: slower than `_is_ours`, so only asked before a rebuild."""
    if os.path.islink(database) or not os.path.isfile(database) or not _is_ours(database):
        return False
    try:
        connection = sqlite3.connect(database, timeout=_TIMEOUT_SECONDS)
        try:
            return bool(connection.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",))
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        return "locked" in str(error)  # somebody is writing to it
    except (sqlite3.Error, UnicodeDecodeError):
        return False
