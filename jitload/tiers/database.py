"""The index's database as a file that others could have written: what is in it is looked at before diskcache opens it.

Everything here is by SQLite alone, with bounds on rows, bytes and time. A database that is anything but what diskcache
makes of rows of ours is thrown away: the entries themselves are what it can be made from again.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import stat
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Ask = Callable[..., list[tuple[Any, ...]]]

HEX = frozenset("0123456789abcdef")
TIMEOUT_SECONDS = 1.0
#: A look at a database takes no longer: more is asked of it than a sound one of that size takes.
LOOK_SECONDS = 5.0
#: Entries beyond these are listed without the index's help. A row takes some 500 bytes.
MAX_ROWS = 4_000_000
MAX_ROW_BYTES = 4096
MAX_BYTES = 4 << 30
#: So many rows are read in one go, about.
ROWS_AT_ONCE = 20_000
#: Keys are digests, so no 256th of a sound index has many more than that part of its rows.
MAX_SHARD_ROWS = MAX_ROWS // 64
#: No setting of diskcache's is longer, and it has some thirty.
_MAX_SETTING_BYTES = 1000
_MAX_SETTINGS = 100

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
#: Rows that this index wrote (mode 1: bytes inside the row), as far as SQL can tell, under keys from one to another.
_ROWS = f"""SELECT key, value FROM Cache WHERE raw = 1 AND mode = 1 AND filename IS NULL
 AND typeof(key) = 'text' AND key >= ? AND key < ? AND typeof(value) = 'blob' AND length(value) <= {MAX_ROW_BYTES}"""  # noqa: S608 - a number of ours
_COUNT = "SELECT value FROM Settings WHERE key = 'count' AND typeof(value) = 'integer'"
_OTHER_KEY = re.compile(r"(?:shard|records)-[0-9a-f]{2}|day-[0-9]{4}-[0-9]{2}-[0-9]{2}")


def is_entry_key(key: object) -> bool:
    """Whether a key is that of an entry."""
    return isinstance(key, str) and len(key) == 64 and HEX.issuperset(key)


def is_row_key(key: object) -> bool:
    """Whether a row may stand under a key: that of an entry, of a directory or of a day."""
    return is_entry_key(key) or (isinstance(key, str) and _OTHER_KEY.fullmatch(key) is not None)


def is_day(text: str) -> bool:
    """Whether a text is a day: "2026-11-28"."""
    return _OTHER_KEY.fullmatch(day_key(text)) is not None


def day_key(day: str) -> str:
    """The key of the row that has the counts of a day."""
    return f"day-{day}"


def shard_key(shard: str) -> str:
    """The key of the row that has the sums of a shard."""
    return f"shard-{shard}"


def records_key(shard: str) -> str:
    """The key of the row that has the sums of a directory of closure records."""
    return f"records-{shard}"


def is_ours(database: str, settings: frozenset[str]) -> bool:
    """Whether a database and what SQLite keeps beside it are what diskcache makes of rows of ours; an absent one is.

    One that is locked counts as ours, since it cannot be asked.

    Args:
        database: path of the file.
        settings: the names that diskcache writes into its table of settings.
    """
    if not _are_private(database):
        return False
    if not os.path.lexists(database):
        return True
    try:
        with _connected(database) as ask:
            objects = set(ask("SELECT type, name, sql FROM sqlite_master LIMIT 100"))
            if not objects <= _SCHEMA:
                return False
            tables = {name for kind, name, _ in objects if kind == "table"}
            return ("Settings" not in tables or _are_settings(ask, settings)) and (
                "Cache" not in tables or _has_room(ask)
            )
    except sqlite3.OperationalError as error:
        return not is_endless(error)  # locked, or full: not a reason to throw it away
    except (sqlite3.Error, ValueError, TypeError, MemoryError):
        return False


def is_endless(error: sqlite3.OperationalError) -> bool:
    """Whether a statement was given up that took longer than `LOOK_SECONDS`: pages lead to each other in many ways."""
    return "interrupted" in str(error)


def is_unmade(error: sqlite3.OperationalError) -> bool:
    """Whether a table was asked for that is not there yet: another process is making the database."""
    return "no such table" in str(error)


def is_sound(database: str, settings: frozenset[str]) -> bool:
    """Whether SQLite finds nothing wrong with any page: slower than `is_ours`, so only asked before a rebuild."""
    if not is_ours(database, settings):
        return False
    try:
        with _connected(database) as ask:
            return ask("PRAGMA integrity_check(1)") == [("ok",)]
    except sqlite3.OperationalError as error:
        return "locked" in str(error)  # somebody is writing to it
    except (sqlite3.Error, ValueError, MemoryError):
        return False


def read_rows(database: str, first: str, last: str, limit: int = MAX_SHARD_ROWS) -> dict[str, dict[str, object]]:
    """The rows of a database that `is_ours`, by key; those of others are passed over.

    Args:
        database: path of the file.
        first: the least key.
        last: what is greater than every key that is wanted.
        limit: of more rows the rest is left out.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    found: dict[str, dict[str, object]] = {}
    with _connected(database) as ask:
        for key, value in ask(f"{_ROWS} LIMIT {int(limit)}", (first, last)):
            if not is_row_key(key):
                continue
            try:
                row = json.loads(str(value, "utf-8"))  # else it looks for the encoding, a fifth of its time
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict):
                found[key] = row
    return found


def read_sizes(database: str, first: str, last: str) -> dict[str, int]:
    """Key -> size of every entry that has one, from one key to before another, in a database that `is_ours`.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    statement = f"""SELECT key, size FROM Cache WHERE raw = 1 AND key >= ? AND key < ? AND typeof(size) = 'integer'
     AND size > 0 LIMIT {MAX_SHARD_ROWS}"""  # noqa: S608 - a number of ours
    with _connected(database) as ask:
        return {key: size for key, size in ask(statement, (first, last)) if is_entry_key(key)}


def read_oldest(database: str, count: int, *, newest: bool = False) -> list[tuple[str, object, int]]:
    """(key, time of expiry, size) of the entries that would expire first, or last, in a database that `is_ours`.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    # The unary plus keeps SQLite to the index that has the order.
    statement = f"""SELECT key, expire_time, size FROM Cache WHERE +raw = 1 AND typeof(key) = 'text'
     AND length(key) = 64 ORDER BY expire_time {"DESC" if newest else ""} LIMIT {int(count)}"""  # noqa: S608 - a number of ours
    with _connected(database) as ask:
        return [
            (key, expiry, size if type(size) is int else 0) for key, expiry, size in ask(statement) if is_entry_key(key)
        ]


def row_count(database: str) -> int:
    """About how many rows a database has that `is_ours`.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    with _connected(database) as ask:
        return sum(int(count) for (count,) in ask(_COUNT))


def expect_free(database: str) -> None:
    """Wait for the database for a bounded time: diskcache itself tries for a minute, twice, to open a locked one.

    Raises:
        sqlite3.Error: another process keeps it locked.
    """
    with _connected(database) as ask:
        ask("BEGIN IMMEDIATE")
        ask("ROLLBACK")


def _are_settings(ask: Ask, known: frozenset[str]) -> bool:
    rows = ask(f"SELECT key, length(value) FROM Settings LIMIT {_MAX_SETTINGS}")  # noqa: S608 - a number of ours
    return all(name in known and (length or 0) <= _MAX_SETTING_BYTES for name, length in rows)


def _has_room(ask: Ask) -> bool:
    # By diskcache's own count: what rows there are besides is bounded by the size of the file.
    return all(count <= MAX_ROWS for (count,) in ask(_COUNT))


def _are_private(database: str) -> bool:
    """Whether the files are ours alone, and small enough: SQLite would follow a link, and wait for a pipe."""
    total = 0
    for path in (database, f"{database}-wal", f"{database}-shm", f"{database}-journal"):
        try:
            status = os.lstat(path)
        except OSError:
            continue
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            return False
        if status.st_nlink != 1 or status.st_mode & 0o022:
            return False
        total += status.st_size
    return total <= MAX_BYTES


@contextmanager
def _connected(database: str) -> Iterator[Ask]:
    """`ask(statement, arguments)` gives all rows of the answer; what does not come to an end is interrupted."""
    connection = sqlite3.connect(database, timeout=TIMEOUT_SECONDS, isolation_level=None)
    try:
        end = monotonic() + LOOK_SECONDS
        connection.set_progress_handler(lambda: monotonic() > end, 10_000)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        yield lambda statement, arguments=(): connection.execute(statement, arguments).fetchall()
    finally:
        connection.close()
