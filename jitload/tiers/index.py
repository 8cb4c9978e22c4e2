"""The index of the disk tier, on diskcache: what each entry is, for listings, statistics and `explain`.

The index is never asked on the way to a hit, and nothing depends on it: deleted, damaged, full or read-only, it is
rebuilt from the object files, all but what was counted. It holds JSON bytes (ledger.py) and refuses everything else,
because a writer to the directory could otherwise make diskcache run or delete things (CVE-2025-69872: pickled values
run code; file-backed rows name files outside the cache; Settings rows and triggers act by themselves). This is the only
file that imports diskcache, and the only one that catches its exceptions.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import diskcache

from jitload import forks, log
from jitload.files.atomic import unguessable
from jitload.files.ownership import Refused
from jitload.tiers import database
from jitload.tiers.database import TIMEOUT_SECONDS, is_row_key
from jitload.tiers.ledger import Ledger, counts_of, use_of_expiry
from jitload.tiers.sums import ShardSums

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeVar

    from jitload.files.directory import Directory

    Read = TypeVar("Read")
    Rows = dict[str, dict[str, object]]

_FAULTS = (
    sqlite3.Error,
    diskcache.Timeout,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RecursionError,
)
#: SQLite has locks of its own for the whole process.
_sqlite = forks.Calls(short=True)
_KNOWN_SETTINGS = frozenset({*diskcache.DEFAULT_SETTINGS, *diskcache.core.METADATA})
#: Every setting is given, so that none of those in the database counts.
_SETTINGS = {
    **diskcache.DEFAULT_SETTINGS,
    # A write-ahead log needs shared memory, which network file systems lack, and waits 10 s where a lock fails.
    "sqlite_journal_mode": "truncate",
    "sqlite_synchronous": 0,  # what a loss of power takes is made anew
    "disk_min_file_size": 1 << 30,
    "eviction_policy": "none",
    "cull_limit": 0,
    "statistics": 0,
    "tag_index": 0,
}


class _InlineDisk(diskcache.Disk):  # type: ignore[misc]
    """Keys are those of entries, shards and days, values are bytes inside the row; every other row is refused."""

    def put(self, key: object) -> tuple[object, bool]:
        if not is_row_key(key):
            raise ValueError(f"{key!r:.80} is not a key")
        return key, True

    def get(self, key: object, raw: object) -> str:
        if not raw or not is_row_key(key):
            raise ValueError("a row under a foreign key")
        return str(key)

    def store(self, value: object, read: bool, key: object = diskcache.UNKNOWN) -> tuple[int, int, None, memoryview]:  # noqa: ARG002
        if not isinstance(value, bytes) or read:
            raise TypeError("only bytes are kept in the index")
        return getattr(value, "size", 0), diskcache.core.MODE_RAW, None, sqlite3.Binary(value)

    def fetch(self, mode: object, filename: object, value: object, read: object) -> bytes:
        if mode != diskcache.core.MODE_RAW or filename is not None or read or not isinstance(value, bytes):
            raise OSError("a row that this index did not write")
        return value

    def remove(self, file_path: object) -> None:
        """Nothing: no row of ours has a file."""


class _BoundedCache(diskcache.Cache):  # type: ignore[misc]
    """diskcache tries a statement that meets a lock for a minute; here the connection waits `TIMEOUT_SECONDS`, once."""

    @property
    def _sql_retry(self) -> Callable[..., sqlite3.Cursor]:
        sql: Callable[..., sqlite3.Cursor] = self._sql
        return sql

    def ask(self, statement: str, arguments: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = self._sql(statement, arguments).fetchall()
        return found

    def reset(self, key: str, value: object = diskcache.core.ENOVAL, update: bool = True) -> object:
        if not key.startswith("sqlite_"):
            return super().reset(key, value, update)
        self._sql(f"PRAGMA {key.removeprefix('sqlite_')} = {_SETTINGS[key]}").fetchall()
        return _SETTINGS[key]


class Index:
    """Rows about the entries of one cache directory, `MAX_ROWS` at most.

    Args:
        directory: the cache directory.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._path = os.path.join(directory.path, "index")
        self._database = os.path.join(self._path, "cache.db")

    def work(self, action: Callable[[Ledger], object]) -> bool:
        """Open the index for some changes, which are made one after the other; False when that failed.

        Opening takes longer than a hundred changes do, so they are collected.
        """
        return self._run(lambda cache: action(Ledger(cache, cache.ask)))

    def write(self, rows: Mapping[str, Mapping[str, object]]) -> bool:
        """Add or replace rows by key; False when the index cannot be written. A row that is too long is left out."""

        def set_rows(ledger: Ledger) -> None:
            with ledger.changes():
                ledger.set_rows(rows)

        return self.work(set_rows)

    def remove(self, keys: list[str]) -> None:
        """Drop rows; missing ones are fine."""

        def remove_rows(ledger: Ledger) -> None:
            with ledger.changes():
                ledger.remove_rows(keys)

        if keys and self._exists():
            self.work(remove_rows)

    def replace(self, rows: Mapping[str, Mapping[str, object]]) -> None:
        """Make these rows the only ones of entries, whatever is there now; what was counted by day stays.

        Raises:
            OSError: the index cannot be written.
        """
        days = self.days()

        def write(ledger: Ledger) -> None:
            with ledger.changes():
                ledger.set_rows(rows)
                for day, counts in days.items():
                    ledger.add_counts(day, counts)

        if not self._attempt(self._empty) or not self.work(write):
            raise OSError(errno.EIO, "the index cannot be written", self._path)

    def discard_damaged(self) -> bool:
        """Remove whatever is in the place of the index and is no sound database; True when there was something.

        Raises:
            OSError: it cannot be removed.
        """
        if not os.path.lexists(self._path):
            return False
        directory = os.path.isdir(self._path) and not os.path.islink(self._path)
        if directory and (not self._exists() or database.is_sound(self._database, _KNOWN_SETTINGS)):
            return False
        self._discard()
        return True

    def rows(self) -> Iterator[tuple[str, dict[str, object]]]:
        """(key, row) of every entry that has a readable one. Looking makes no database."""
        for shards in self.ranges():
            yield from self.rows_of(shards).items()

    def ranges(self) -> list[tuple[str, ...]]:
        """Every shard, in groups that are as large as is good to read in one go."""
        count = self._read(0, lambda: database.row_count(self._database))
        width = max(1, 256 * database.ROWS_AT_ONCE // max(count, 1))
        shards = [f"{number:02x}" for number in range(256)]
        return [tuple(shards[start : start + width]) for start in range(0, 256, width)]

    def rows_of(self, shards: tuple[str, ...]) -> dict[str, dict[str, object]]:
        """Key -> row of the entries in neighbouring shards; rows of others are passed over."""
        first, last = shards[0], f"{shards[-1]}g"  # no digit comes after an f
        found: Rows = self._read({}, lambda: database.read_rows(self._database, first, last))
        return {key: row for key, row in found.items() if len(key) == 64}

    def sizes_of(self, shards: tuple[str, ...]) -> dict[str, int]:
        """Key -> size in bytes of the entries in neighbouring shards, as far as it is known."""
        first, last = shards[0], f"{shards[-1]}g"
        return self._read({}, lambda: database.read_sizes(self._database, first, last))

    def oldest(self, count: int, *, newest: bool = False) -> dict[str, tuple[float, int]]:
        """Key -> (last noted use, size) of the entries that were not used for the longest time, in that order.

        Args:
            count: how many.
            newest: those that were used last instead, the last one first.
        """

        def read() -> list[tuple[str, object, int]]:
            return database.read_oldest(self._database, count, newest=newest)

        found: list[tuple[str, object, int]] = self._read([], read)
        return {key: (use_of_expiry(expiry), size) for key, expiry, size in found}

    def sums(self) -> dict[str, ShardSums]:
        """What each shard holds that was once compared with its directory."""
        rows: Rows = self._read({}, lambda: database.read_rows(self._database, "shard-", "shard."))
        return {key[6:]: sums for key, row in rows.items() if (sums := ShardSums.of_row(row)) is not None}

    def record_sums(self) -> dict[str, ShardSums]:
        """The same of the directories of closure records."""
        rows: Rows = self._read({}, lambda: database.read_rows(self._database, "records-", "records."))
        return {key[8:]: sums for key, row in rows.items() if (sums := ShardSums.of_row(row)) is not None}

    def days(self) -> dict[str, dict[str, float]]:
        """Day ("2026-11-28") -> what was counted then, by name, the earliest first."""
        rows: Rows = self._read({}, lambda: database.read_rows(self._database, "day-", "day."))
        return {key[4:]: counts_of(row) for key, row in sorted(rows.items())}

    def _read(self, nothing: Read, read: Callable[[], Read]) -> Read:
        """What is read of the database; or nothing where there is none, or it cannot be read."""
        found = [nothing]

        def look() -> None:
            if self._expect_ours():
                try:
                    found.append(read())
                except sqlite3.OperationalError as error:
                    if database.is_endless(error):
                        self._discard()
                    elif not database.is_unmade(error):
                        raise

        if self._exists():
            self._attempt(look)
        return found[-1]

    def _exists(self) -> bool:
        return os.path.lexists(self._database)

    def _run(self, operation: Callable[[_BoundedCache], object]) -> bool:
        """Open the database for one operation, and close it: a connection of SQLite outlives no thread and no fork.

        False when it failed, which is said once.
        """

        def run() -> None:
            self._directory.make("index")
            if not self._expect_ours():
                # Made here rather than by SQLite, which goes by the umask; what it puts beside it has the same rights.
                os.close(self._directory.open_own("index/cache.db"))
            database.expect_free(self._database)
            with _opened(self._path) as cache:
                operation(cache)

        return self._attempt(run)

    def _attempt(self, action: Callable[[], object]) -> bool:
        if self._directory.read_only:
            return False
        try:
            if _sqlite.torn:
                raise OSError(errno.EDEADLK, "this process was forked while another thread was at work on it")
            with _sqlite:
                action()
        except Refused as error:
            self._directory.say_refused(error)
            return False
        except _FAULTS as error:
            if _is_busy(error):  # by a process that will be done soon: its rows are as good as ours
                log.debug("the index in %s is not asked: %s", self._path, error)
                return False
            log.warn_once(
                ("index", self._directory.path),
                f"the cache's index in {self._path} is not usable ({type(error).__name__}: {error}); "
                f"everything works without it, and deleting that directory starts a new one",
            )
            return False
        return True

    def _expect_ours(self) -> bool:
        """Whether there is a database, after throwing away one that diskcache must not open.

        Raises:
            OSError: it cannot be removed.
        """
        if not database.is_ours(self._database, _KNOWN_SETTINGS):
            self._discard()
            self._directory.make("index")
        return self._exists()

    def _empty(self) -> None:
        """Take away every row, where nobody is writing any.

        Raises:
            OSError, sqlite3.Error: it is locked, or cannot be removed.
        """
        if os.path.lexists(self._path):
            if self._expect_ours():
                database.expect_free(self._database)
            self._discard()

    def _discard(self) -> None:
        """Take the index away as a whole: a process that has it open goes on with what nobody sees any more.

        Raises:
            OSError: it cannot be moved.
        """
        name = f"{os.uname().nodename}.{os.getpid()}.{unguessable()}"
        self._directory.move("index", "incoming", name)
        if not self._directory.remove(f"incoming/{name}"):
            self._directory.remove_tree(f"incoming/{name}")


@contextmanager
def _opened(path: str) -> Iterator[diskcache.Cache]:
    # Not by calling the class: where its initialiser fails, its connection would stay open for nobody.
    cache: diskcache.Cache = object.__new__(_BoundedCache)
    try:
        cache.__init__(path, timeout=TIMEOUT_SECONDS, disk=_InlineDisk, **_SETTINGS)
        yield cache
    finally:
        with suppress(AttributeError):  # it failed before there was a connection
            cache.close()


def _is_busy(error: BaseException) -> bool:
    """Whether another process was writing for as long as is waited."""
    locked = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
    return locked or isinstance(error, diskcache.Timeout)
