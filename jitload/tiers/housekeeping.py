"""What is done with a cache beside looking kernels up in it: its directory is listed, measured, verified, collected.

No hit comes here; a process does at its end.
"""

from __future__ import annotations

import errno
import os

from jitload import log
from jitload.errors import UsageValueError
from jitload.given import given_count, given_directory, given_list
from jitload.lazy import lazy
from jitload.tiers.disk import disk_store
from jitload.trace import is_mistake, short_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from jitload.artifact import Kept
    from jitload.tiers import account as accounts
    from jitload.tiers import audit
    from jitload.tiers import merge as merging
    from jitload.tiers import stats as statistics
    from jitload.tiers import summary as summaries
    from jitload.tiers import upkeep as upkeeps
    from jitload.tiers.audit import CacheStats, EntryInfo, Rebuilt
    from jitload.tiers.counters import Counters
    from jitload.tiers.disk import DiskStore
    from jitload.tiers.index import Index
    from jitload.tiers.memory import MemoryStore
    from jitload.tiers.merge import Merged
    from jitload.tiers.remote.late import LateRemote
    from jitload.tiers.stats import Stats
    from jitload.tiers.summary import Summary
    from jitload.tiers.upkeep import Upkeep
    from jitload.values import Blob
else:  # what a process asks for that looks after a cache
    accounts = lazy("jitload.tiers.account")
    audit = lazy("jitload.tiers.audit")
    merging = lazy("jitload.tiers.merge")
    statistics = lazy("jitload.tiers.stats")
    summaries = lazy("jitload.tiers.summary")
    upkeeps = lazy("jitload.tiers.upkeep")

__tracebackhide__ = is_mistake


class Housekeeping:
    """What a `Cache` offers those who look after it.

    Attributes:
        memory: its memory.
        disk: its directory, or None.
    """

    memory: MemoryStore
    disk: DiskStore | None
    _remote: LateRemote | None
    _counters: Counters
    _upkeeps: dict[DiskStore, Upkeep]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.directory!r}{', read_only=True' if self.read_only else ''})"

    @property
    def directory(self) -> str | None:
        """The directory, or None for a cache in memory only."""
        return None if self.disk is None else self.disk.directory.path

    @property
    def read_only(self) -> bool:
        """True when nothing is written to the directory."""
        return self.disk is not None and self.disk.directory.read_only

    @short_errors
    def entries(self) -> Iterator[EntryInfo]:
        """What the disk tier holds, in order of key; what the index does not know is read from the entry itself."""
        return self.survey(audit.IndexState())

    def survey(self, state: audit.IndexState) -> Iterator[EntryInfo]:
        """The same, and how far the index and the entries agree.

        Args:
            state: is told that, and is complete at the end.
        """
        if self.disk is not None and self._upkeep is not None:
            upkeep = self._upkeep
            yield from audit.list_entries(self.disk, upkeep.index, upkeep.pending(), upkeep.noted_uses(), state)

    def summary(self) -> Summary:
        """What the disk tier holds, in figures: by the sums of its index, as far as those are right."""
        if self.disk is None or self._upkeep is None:
            return summaries.Summary()
        upkeep = self._upkeep
        return summaries.summarise(self.disk, upkeep.index, upkeep.pending(), upkeep.noted_uses())

    @short_errors
    def stats(self) -> CacheStats:
        """Number and size of the entries on the disk."""
        if self.disk is None:
            return audit.CacheStats(None, 0, 0, 0)
        return audit.CacheStats(self.directory, *accounts.count_entries(self.disk, self.index), self.disk.max_bytes)

    @short_errors
    def counted(self, since: str = "") -> tuple[str | None, Stats]:
        """What all processes of all hosts that use the directory have counted, as far as they have told it.

        A process tells it at its end, and once a minute while it compiles or reads entries from the disk.

        Args:
            since: the first day to count, "2026-11-28" in UTC; default: the first that is known.

        Returns:
            The first day of which something is known, or None; and the counts from then on.
        """
        return (None, statistics.Stats.of_counts({})) if self._upkeep is None else self._upkeep.counted(since)

    @short_errors
    def counted_by_day(self) -> dict[str, Stats]:
        """What `counted` sums up, by day ("2026-11-28" in UTC), the earliest first."""
        return {} if self._upkeep is None else self._upkeep.counted_by_day()

    @short_errors
    def verify(self) -> tuple[int, list[str]]:
        """Read and verify every entry; damaged ones are put aside.

        Returns:
            How many are good, and the keys of those that are not.
        """
        if self.disk is None:
            return 0, []

        rows, damaged = audit.verify_entries(self.disk, self.index)
        for damage in damaged:
            log.warn(f"cache entry {damage.key} of {self.directory} is not used: {damage.reason}")
        return len(rows), [damage.key for damage in damaged]

    @short_errors
    def rebuild(self) -> Rebuilt | None:
        """Make the index anew from the entries, which are verified; None where there can be no index.

        Raises:
            OSError: the index cannot be written.
        """
        index = self.index
        if self.disk is None or index is None:
            return None
        rebuilt = audit.rebuild_index(self.disk, index)
        if self._upkeep is not None:
            self._upkeep.unindexed.clear()
        return rebuilt

    @short_errors
    def merge(self, directories: Iterable[str | os.PathLike[str]]) -> Merged:
        """Take in what other cache directories hold: verified entries, and what is known of the headers of requests.

        Nothing changes there. What is damaged is left out, and named in what is given back.

        Args:
            directories: cache directories; they are only read.

        Raises:
            UsageValueError: there is no directory to take it into, nothing may be written there, or it is among them.
            OSError: one of them does not exist, or others could have filled it.
        """
        own = self.disk
        if own is None or self.read_only:
            raise UsageValueError("merge needs a cache directory that may be written: Cache('/a/directory')")
        places = [given_directory("directories", place) for place in given_list("directories", directories)]
        others = [disk_store(place, 0, read_only=True) for place in places]
        for other in others:
            path = other.directory.path
            if os.path.realpath(path) == os.path.realpath(own.directory.path):
                raise UsageValueError(f"{path} is the cache itself: name others")
            if not os.path.isdir(path):
                raise FileNotFoundError(errno.ENOENT, "no such directory", path)
            other.directory.check()
        merged = merging.merge_stores(own, others, self._note_row)
        self.flush()
        return merged

    @short_errors
    def gc(self, max_bytes: int | None = None) -> int:
        """Drop the least recently used entries until they fit into `max_bytes`; gives how many went.

        Args:
            max_bytes: the bound; default: that of the cache.
        """
        if self.disk is None or self._upkeep is None or self.read_only:
            return 0
        bound = self.disk.max_bytes if max_bytes is None else given_count("max_bytes", max_bytes)
        self.flush()
        return self._upkeep.collect(bound)

    @short_errors
    def clear(self) -> int:
        """Drop everything, in memory and on the disk, quarantine included; gives how many entries went."""
        self.memory.clear()
        self.memory.forget_variants()
        if self._upkeep is not None:
            self._upkeep.clear()
        return 0 if self.disk is None or self.read_only else self.disk.contents.clear()

    def flush(self) -> None:
        """Write what the index does not know yet, and collect. Called at exit; losing it loses nothing.

        What came from a remote and is on its way to the disk is waited for, and what goes there.
        """
        if self._remote is not None:
            self._remote.flush()
        if self._upkeep is not None:
            self._upkeep.flush()

    def note(self) -> int:
        """Note what was counted and used since the last time, for the index; gives how long the notes are, in bytes.

        It is called at exit and at intervals, and costs a line appended to a file.
        """
        return 0 if self._upkeep is None else self._upkeep.note()

    @property
    def index(self) -> Index | None:
        """The index of the disk tier, or None where there is none."""
        return None if self._upkeep is None else self._upkeep.index

    @property
    def _upkeep(self) -> Upkeep | None:
        """That of the directory, which a hit does not need; None where there is none."""
        if self.disk is None:
            return None
        known = self._upkeeps.get(self.disk)
        return known or self._upkeeps.setdefault(self.disk, upkeeps.Upkeep(self.disk, self._counters))

    def put_here(self, blob: Blob) -> None:
        """Keep a `blob` in the directory alone: neither in memory nor where others could take it from."""
        if self.disk is not None and self.disk.put(blob):
            self._note_row(blob, {})

    def _note_row(self, artifact: Kept, factors: Mapping[str, object]) -> None:
        if self._upkeep is not None:
            self._upkeep.add(artifact, factors)
