"""The upkeep of a cache directory by a process that uses it: what its index is told, and when; how its bound is kept.

New entries are remembered, and written to the index some dozens at a time; what was counted and used is noted in the
journal at intervals. The rest of both follows at exit, and losing it loses nothing.
"""

from __future__ import annotations

import os
from contextlib import suppress

from jitload import forks, log
from jitload.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from jitload.artifact import Kept
    from jitload.tiers import account as accounts
    from jitload.tiers import contents as holdings
    from jitload.tiers import database as databases
    from jitload.tiers import index as indexes
    from jitload.tiers import journal as journals
    from jitload.tiers import row as index_rows
    from jitload.tiers.counters import Counters
    from jitload.tiers.disk import DiskStore
    from jitload.tiers.index import Index
    from jitload.tiers.stats import Stats
else:  # a process that only read the memory notes nothing, not even at its end
    accounts = lazy("jitload.tiers.account")
    databases = lazy("jitload.tiers.database")
    holdings = lazy("jitload.tiers.contents")
    indexes = lazy("jitload.tiers.index")
    journals = lazy("jitload.tiers.journal")
    index_rows = lazy("jitload.tiers.row")

#: After so many new entries the index is written and the bound is enforced, without waiting for the exit.
FLUSH_EVERY = 64
#: And without waiting for so many where they are this part of the bound.
LARGE_SHARE = 8
#: New entries that are remembered for an index that cannot be written now.
MAX_UNINDEXED = 1024


class Upkeep:
    """That of one directory.

    Args:
        disk: the directory; of one that is read only, nothing is written and there is no index.
        counters: those of the session that its cache belongs to.

    Attributes:
        unindexed: key -> what the index will keep of a new entry.
    """

    def __init__(self, disk: DiskStore, counters: Counters) -> None:
        self._disk = disk
        self._counters = counters
        self.unindexed: dict[str, dict[str, object]] = {}
        self._unindexed_bytes = 0
        #: Several threads put, and what one of them remembers must be in what another one writes.
        self._guard = forks.ProcessLock()
        self._until_scan = FLUSH_EVERY
        self._index: Index | None = None

    @property
    def index(self) -> Index | None:
        """The index, or None where there is none."""
        if self._disk.directory.read_only or not os.path.isdir(self._disk.directory.path):
            return None
        if self._index is None:
            try:
                self._index = indexes.Index(self._disk.directory)
            except ImportError as error:  # diskcache missing or broken: statistics are, kernels are not
                log.warn_once("index", f"the cache has no index ({error}): pip install diskcache")
                return None
        return self._index

    def add(self, artifact: Kept, factors: Mapping[str, object]) -> None:
        """Remember a new entry, and write down what has come together: a process may run for weeks."""
        row = index_rows.row_of(artifact, factors)
        with self._guard.here:
            self.unindexed[artifact.key] = row
            self._unindexed_bytes += len(artifact.data)
            large = self._unindexed_bytes > self._disk.max_bytes // LARGE_SHARE
            due = large or len(self.unindexed) % FLUSH_EVERY == 0
        if due:
            self.flush()

    def pending(self) -> dict[str, dict[str, object]]:
        """Key -> row of new entries that the index does not know yet: of this process, and in the journal.

        Their size and use are those of the files, whatever a journal says.
        """
        rows = {key: row for note in journals.Journal(self._disk.directory).read() for key, row in note.rows.items()}
        unmeasured = {
            key: {name: value for name, value in row.items() if name not in {"bytes", "used"}}
            for key, row in rows.items()
            if databases.is_entry_key(key)
        }
        return {**unmeasured, **self.unindexed}

    def noted_uses(self) -> dict[str, float]:
        """Key -> time of use, of those that the index does not know yet."""
        notes = journals.Journal(self._disk.directory).read()
        used = {key: when for note in notes for key, when in note.used.items()}
        return {**used, **self._disk.touched}

    def counted(self, since: str) -> tuple[str | None, Stats]:
        """The first day of which something is known, and what all processes have counted from `since` on."""
        index = self.index
        days = {} if index is None else index.days()
        return accounts.count_days(days, journals.Journal(self._disk.directory).read(), since)

    def counted_by_day(self) -> dict[str, Stats]:
        """What all processes have counted, by day, the earliest first."""
        index = self.index
        days = {} if index is None else index.days()
        return accounts.by_day(days, journals.Journal(self._disk.directory).read())

    def note(self) -> int:
        """Note what was counted and used since the last time, for the index; gives how long the notes are, in bytes.

        That costs a line appended to a file. Nothing is noted of a cache that was not asked for anything, nor where
        there is no directory.
        """
        disk = self._disk
        if disk.directory.read_only or not disk.asked or not disk.directory.exists():
            return 0
        counts = self._counters.take()
        used, disk.touched = disk.touched, {}
        if not counts and not used:
            return 0
        length = journals.Journal(disk.directory).append(journals.Note(journals.today(), counts, used))
        if not length:
            self._counters.give_back(counts)
        return length

    def flush(self) -> None:
        """Write what the index does not know yet, and collect."""
        if self._disk.directory.read_only:
            return
        length = self.note()
        if self.unindexed or length > journals.LONG_BYTES:
            self._write_index()

    def collect(self, bound: int) -> int:
        """Drop the least recently used entries until they fit into a bound; gives how many went."""
        index = self.index
        dropped = None if index is None else accounts.Account(self._disk, index).collect(bound)
        if dropped is None:
            dropped, _ = self._disk.contents.collect(bound)
        self._disk.contents.sweep()
        return self._count_dropped(dropped)

    def clear(self) -> None:
        """Forget every entry, in the index as well."""
        self.unindexed.clear()
        index = self.index
        if index is not None:
            with suppress(OSError):  # rows without entries do no harm
                index.discard_damaged()
                index.replace({})

    def _write_index(self) -> None:
        disk, index = self._disk, self.index
        with self._guard.here:
            rows, self.unindexed, self._unindexed_bytes = self.unindexed, {}, 0
        dropped = None
        if index is not None:
            journal = journals.Journal(disk.directory)
            dropped = accounts.Account(disk, index).write(rows, journal)
            if dropped is None and rows and journal.append(journals.Note(journals.today(), {}, {}, rows)):
                rows = {}  # for the next process that writes: this one may end before the index is free
        if dropped is None:
            dropped = self._collect_by_files(rows)
        else:
            disk.contents.sweep()
        self._count_dropped(dropped)

    def _collect_by_files(self, rows: dict[str, dict[str, object]]) -> list[str]:
        """Keep to the bound where the index cannot be written: now and then, since every file is looked at."""
        if len(rows) < MAX_UNINDEXED:
            with self._guard.here:
                self.unindexed = {**rows, **self.unindexed}  # it may only be busy
        self._until_scan -= FLUSH_EVERY
        if self._until_scan > 0:
            return []
        dropped, _ = self._disk.contents.collect()
        self._until_scan = max(FLUSH_EVERY, sum(1 for _ in self._disk.contents.scan_keys()) // 10)
        return dropped

    def _count_dropped(self, dropped: list[str]) -> int:
        self._counters.count_evictions(len(dropped))
        holdings.tell_evicted(dropped)
        return len(dropped)
