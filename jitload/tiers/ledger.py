"""What is written into the index: rows of entries, and with them what each shard of the directory holds.

    64 hex digits      an entry: a JSON object (`row.row_of`) with the size of its file and its last noted use
    shard-ab           objects/ab: {"bytes", "entries", "mtime", "groups"}, the sums over its rows (sums.py)
    records-ab         manifests/ab: {"bytes", "entries", "mtime"} of the closure records in it
    day-2026-11-28     what all processes counted that day, by name: {"compiles": 3, "hits.disk": 40, ...}

A shard's sums change in the transaction that changes its rows, so they are right for the rows, whoever writes. In what
rows and files differ (a process was killed between the two, somebody removed files) is found by comparing a shard with
its directory, which is `settle_shard`. `mtime` is that of the directory when the two were the same, or 0 where that is
not known; a shard without sums was never compared.
"""

from __future__ import annotations

import json
import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jitload.format.json import canonical_json
from jitload.tiers.database import (
    MAX_ROW_BYTES,
    MAX_ROWS,
    MAX_SHARD_ROWS,
    day_key,
    is_day,
    is_entry_key,
    records_key,
    shard_key,
)
from jitload.tiers.sums import MAX_GROUPS, ShardSums, add_row, merged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from jitload.tiers.sums import Groups

    #: Key -> (size of the file in bytes, its last noted use in seconds since the epoch).
    Found = Mapping[str, tuple[int, float]]

#: A row "expires" so long after its last use (2**32 s, which keeps the fractions): diskcache has an index on that time,
#: so rows are found in the order of use.
CENTURY_SECONDS = float(1 << 32)
#: Counts are kept by day for so long.
MAX_DAYS = 400
#: Names of counts in one day; what comes beyond is counted under the last.
MAX_COUNTS = 60
OTHER = "other"
MAX_NAME_CHARS = 50
MAX_COUNT = 1e18
#: Two changes of a directory that are closer to each other can have the same time.
RACY_SECONDS = 2.0
#: A use that is noted later than this is news.
SAME_USE_SECONDS = 1.0


class SizedBytes(bytes):
    """The bytes of a row, with the size of the entry that it tells of."""

    size: int = 0


class Ledger:
    """An index that is open for writing.

    Args:
        cache: diskcache's cache.
        ask: runs a statement of SQL with its arguments, and gives all rows of the answer.
    """

    def __init__(self, cache: Any, ask: Callable[..., list[tuple[Any, ...]]]) -> None:
        self._cache = cache
        self._ask = ask
        #: Shard -> what moved in this transaction.
        self._moves: dict[str, Groups] = {}

    @contextmanager
    def changes(self) -> Iterator[None]:
        """A transaction: what is changed in it is changed as a whole, the sums of the shards included."""
        self._moves.clear()
        with self._cache.transact(retry=False):
            yield
            for shard, moves in self._moves.items():
                sums = self._sums(shard)
                if sums is not None:
                    entries = sums.entries + sum(int(count) for count, _, _ in moves.values())
                    total = sums.bytes + sum(int(size) for _, size, _ in moves.values())
                    self._set_sums(shard, ShardSums(max(0, entries), max(0, total), 0, merged(sums.groups, moves)))
        self._moves.clear()

    def set_rows(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Add or replace rows; one that is too long, or that there is no room for, is left out."""
        room = MAX_ROWS - len(self._cache)
        for key, row in rows.items():
            data = canonical_json(dict(row))
            if len(data) > MAX_ROW_BYTES:
                continue
            known = self._row(key)
            room -= known is None
            if room >= 0:
                self._move(key, known, -1)
                self._set(key, data, row)
                self._move(key, row, 1)

    def note_uses(self, used: Mapping[str, float]) -> None:
        """Entries were used at these times; one that has no row gets none."""
        for key, when in used.items():
            use = _use_of({"used": when})
            row = self._row(key) if is_entry_key(key) else None
            if row is not None and _use_of(row) < use:
                row = {**row, "used": use}
                self._set(key, canonical_json(row), row)

    def remove_rows(self, keys: list[str]) -> None:
        """Drop rows; missing ones are fine."""
        for key in keys:
            row = self._row(key)
            if row is not None:
                self._move(key, row, -1)
                self._cache.delete(key, retry=False)

    def requests_of(self, keys: Iterable[str]) -> list[str]:
        """The digests of the requests that entries were made for, as far as their rows say it."""
        requests = [(self._row(key) or {}).get("request") for key in keys]
        return [digest for digest in requests if isinstance(digest, str) and is_entry_key(digest)]

    def settle_shard(self, shard: str, found: Found, mtime: int, is_gone: Callable[[str], bool]) -> None:
        """Make the rows of a shard those of its files.

        Args:
            shard: its two digits.
            found: what was in its directory.
            mtime: of that directory before it was listed, in nanoseconds.
            is_gone: whether an entry that was not found is really not there: it may have come meanwhile.
        """
        known = self._measures_of(shard)
        gone = [key for key in known if key not in found and is_gone(key)]
        self.remove_rows(gone)
        for key in gone:
            del known[key]
        for key, (size, used) in found.items():
            known_size, known_use = known.get(key, (0, 0.0))
            if known_size != size or abs(known_use - used) > SAME_USE_SECONDS:
                before = self._row(key)
                row = {**(before or {}), "bytes": size, "used": used}
                self._move(key, before, -1)
                self._set(key, canonical_json(row), row)
                self._move(key, row, 1)
            known[key] = (size, used)
        settled = time.time() - mtime / 1e9 > RACY_SECONDS and known.keys() == found.keys()
        self._set_sums(shard, self._summed(shard, known, mtime if settled else 0))

    def _summed(self, shard: str, known: Found, mtime: int) -> ShardSums:
        """The sums over the rows of a shard. Its groups are summed up anew only where they are not what is known."""
        before, moves = self._sums(shard), self._moves.pop(shard, {})
        groups = None if before is None else merged(before.groups, moves)
        sums = ShardSums(len(known), sum(size for size, _ in known.values()), mtime, groups)
        if not sums.is_grouped and sums.groups != {}:
            anew: Groups = {}
            for key, (size, _) in known.items():
                add_row(anew, self._row(key) or {}, size, 1)
            sums.groups = anew if len(anew) <= MAX_GROUPS else {}
        return sums

    def set_record_sums(self, shard: str, sums: ShardSums) -> None:
        """A directory of closure records holds this."""
        self._cache.set(records_key(shard), canonical_json(sums.row()), retry=False)

    def drop_records(self, sizes: Mapping[str, int]) -> None:
        """Closure records went.

        Args:
            sizes: the digest of the request of each -> its bytes.
        """
        for digest, size in sizes.items():
            row = self._row(records_key(digest[:2]))
            sums = None if row is None else ShardSums.of_row(row)
            if sums is not None:
                left = ShardSums(max(0, sums.entries - 1), max(0, sums.bytes - size), 0)
                self.set_record_sums(digest[:2], left)

    def add_counts(self, day: str, counts: Mapping[str, float]) -> None:
        """Add what was counted to that of a day, and drop the days that are kept no longer."""
        added = counts_of(counts)
        if not added or not is_day(day):
            return
        key = day_key(day)
        known = counts_of(self._row(key) or {})
        for name, count in added.items():
            fitting = name if name in known or len(known) < MAX_COUNTS else OTHER
            known[fitting] = known.get(fitting, 0) + count
        self._cache.set(key, canonical_json(known), retry=False)
        days = self._ask("SELECT key FROM Cache WHERE key >= 'day-' AND key < 'day.' ORDER BY key DESC LIMIT 1000")
        for (old,) in days[MAX_DAYS:]:
            self._cache.delete(old, retry=False)

    def _measures_of(self, shard: str) -> dict[str, tuple[int, float]]:
        """Key -> (size, last noted use) of the rows of a shard."""
        statement = f"""SELECT key, size, expire_time FROM Cache WHERE key >= ? AND key < ? AND raw = 1
         AND typeof(size) = 'integer' AND length(key) = 64 LIMIT {MAX_SHARD_ROWS}"""  # noqa: S608 - a number of ours
        rows = self._ask(statement, (shard, f"{shard}g"))
        return {key: (size, use_of_expiry(expiry)) for key, size, expiry in rows if is_entry_key(key)}

    def _row(self, key: str) -> dict[str, Any] | None:
        data = self._cache.get(key, retry=False)
        return None if data is None else _decoded(data)

    def _set(self, key: str, data: bytes, row: Mapping[str, Any]) -> None:
        value = SizedBytes(data)
        value.size = _size_of(row)
        expire = CENTURY_SECONDS + _use_of(row) - time.time()
        self._cache.set(key, value, expire=expire, retry=False)

    def _move(self, key: str, row: Mapping[str, Any] | None, sign: int) -> None:
        if row is not None:
            add_row(self._moves.setdefault(key[:2], {}), row, _size_of(row), sign)

    def _sums(self, shard: str) -> ShardSums | None:
        row = self._row(shard_key(shard))
        return None if row is None else ShardSums.of_row(row)

    def _set_sums(self, shard: str, sums: ShardSums) -> None:
        data = canonical_json(sums.row())
        if len(data) > MAX_ROW_BYTES:
            sums.groups = {}
            data = canonical_json(sums.row())
        self._cache.set(shard_key(shard), data, retry=False)


def counts_of(row: Mapping[str, Any]) -> dict[str, float]:
    """The counts of a row of a day that make sense; others can write to the index."""
    return {
        name: value
        for name, value in row.items()
        if type(value) in {int, float} and 0 <= value < MAX_COUNT and name.isprintable() and len(name) <= MAX_NAME_CHARS
    }


def use_of_expiry(expiry: object) -> float:
    """The last noted use of an entry whose row expires then; 0 where that makes no sense."""
    return expiry - CENTURY_SECONDS if isinstance(expiry, float) and CENTURY_SECONDS <= expiry < math.inf else 0.0


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        row = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}


def _size_of(row: Mapping[str, Any]) -> int:
    size = row.get("bytes")
    return size if type(size) is int and 0 <= size < 1 << 40 else 0


def _use_of(row: Mapping[str, Any]) -> float:
    used = row.get("used")
    return float(used) if type(used) in {int, float} and 0 <= used < CENTURY_SECONDS else 0.0  # type: ignore[operator,arg-type]
