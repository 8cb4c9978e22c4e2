"""How full a cache directory is, and what goes when it is too full: by its index, in steps that do not grow with it.

The index has the size and the last noted use of every entry, and what each shard of the directory holds (ledger.py). A
process writes to it what it has put, a few dozen entries at a time. With that it compares some shards with their
directories: each of them once, and after that those that have changed, so that what killed processes and other hands
have done is found in the end. And when the entries are more than the bound, those go that the index says were not used
for the longest time; the file of each is asked before, since a use is noted there first.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from jitload.tiers.contents import HEADROOM
from jitload.tiers.database import is_day, is_entry_key
from jitload.tiers.ledger import counts_of
from jitload.tiers.records import bytes_in_bound, list_records, settle_records
from jitload.tiers.stats import Stats
from jitload.tiers.sums import is_settled, shards_to_settle
from jitload.tiers.unused import drop_unused_records

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping
    from typing import Any

    from jitload.tiers.disk import DiskStore
    from jitload.tiers.index import Index
    from jitload.tiers.journal import Journal, Note
    from jitload.tiers.ledger import Ledger

    Row = Mapping[str, Any]

#: So many files are looked at with each writing, about: eight for each new entry.
SETTLE_FILES = 512
#: So many go at once when the bound is met: what that takes is what one process waits for.
STEP_ENTRIES = 256
#: Entries that are asked of the index in one go.
BATCH_ENTRIES = 256


class Account:
    """The account of one cache directory.

    Args:
        disk: the directory.
        index: its index.
    """

    def __init__(self, disk: DiskStore, index: Index) -> None:
        self._disk = disk
        self._index = index
        self._dropped: list[str] = []

    def write(self, rows: Mapping[str, Row], journal: Journal) -> list[str] | None:
        """Write down new entries and what processes noted, compare some shards, and keep to the bound.

        Args:
            rows: key -> what the index keeps of a new entry.
            journal: what processes noted; it is taken from there once the index is open for writing, since what is
                taken and then finds the index busy would be lost.

        Returns:
            The keys that went; None when the index cannot be written.
        """
        measured = self._measured(rows)
        listed = self._listed(self._shards_to_settle(SETTLE_FILES))
        records = list_records(self._disk, self._index.record_sums(), SETTLE_FILES)

        def work(ledger: Ledger) -> None:
            with ledger.changes():
                ledger.set_rows(measured)
                for note in journal.take():
                    ledger.set_rows(self._measured(note.rows))
                    ledger.note_uses(note.used)
                    ledger.add_counts(note.day, note.counts)
                self._settle(ledger, listed)
                settle_records(self._disk, ledger, records)
            self._collect(ledger, self._disk.max_bytes, STEP_ENTRIES)

        self._dropped = []
        done = self._index.work(work)
        return self._dropped if done or self._dropped else None

    def collect(self, bound: int) -> list[str] | None:
        """Compare every shard that has changed, and drop entries until they fit into a bound; all that go at once.

        Returns:
            The keys that went; None when the index cannot be written.
        """

        def work(ledger: Ledger) -> None:
            self._settle_all(ledger)
            self._collect(ledger, bound, None)

        self._dropped = []
        if not self._disk.contents.shards() and not self._index.sums():
            return []  # there may be no directory yet, and none is made for this
        done = self._index.work(work)
        return self._dropped if done else None

    def settle(self) -> bool:
        """Compare every shard that has changed with its directory; False when the index cannot be written."""
        return self._index.work(self._settle_all)

    def _measured(self, rows: Mapping[str, Row]) -> dict[str, Row]:
        """Rows with size and last use of the file of each; those that have none are left out."""
        measured: dict[str, Row] = {}
        for key in filter(is_entry_key, rows):  # those of a journal can be anybody's
            with suppress(OSError):  # dropped meanwhile
                size, used = self._disk.contents.measure(key)
                measured[key] = {**rows[key], "bytes": size, "used": used}
        return measured

    def _shards_to_settle(self, files: int | None) -> dict[str, int]:
        return shards_to_settle(self._index.sums(), self._disk.contents.shards(), files)

    def _listed(self, shards: Mapping[str, int]) -> dict[str, tuple[dict[str, tuple[int, float]], int]]:
        return {shard: (self._disk.contents.list_shard(shard), mtime) for shard, mtime in shards.items()}

    def _settle(self, ledger: Ledger, listed: Mapping[str, tuple[dict[str, tuple[int, float]], int]]) -> None:
        for shard, (found, mtime) in listed.items():
            ledger.settle_shard(shard, found, mtime, self._disk.contents.is_gone)

    def _settle_all(self, ledger: Ledger) -> None:
        for shard, mtime in self._shards_to_settle(None).items():
            with ledger.changes():
                self._settle(ledger, self._listed({shard: mtime}))
        records = list_records(self._disk, self._index.record_sums(), None)
        with ledger.changes():
            settle_records(self._disk, ledger, records)

    def _collect(self, ledger: Ledger, bound: int, step: int | None) -> None:
        """Drop what was used longest ago.

        Args:
            ledger: the index, open.
            bound: to what the entries must fit, in bytes.
            step: how many may go beyond what the bound asks for; None for all down to `HEADROOM`.
        """
        target = int(bound * HEADROOM)
        total = self._total(bound)
        if total <= bound:
            return
        while total > bound or (total > target and (step is None or len(self._dropped) < step)):
            oldest = self._index.oldest(BATCH_ENTRIES)
            share = self._entry_bytes() / total  # closure records go with their entries
            gone, used, dropped = self._drop_some(oldest, int((total - target) * share) + 1)
            if not (gone or used or dropped):
                return  # they cannot be removed
            requests = ledger.requests_of([*gone, *dropped])
            with ledger.changes():
                ledger.remove_rows([*gone, *dropped])
                ledger.note_uses(used)
            freed = drop_unused_records(self._disk, requests)
            if freed:
                with ledger.changes():
                    ledger.drop_records(freed)
            self._dropped += dropped
            total = self._total(bound)

    def _drop_some(
        self, oldest: Mapping[str, tuple[float, int]], excess: int
    ) -> tuple[list[str], dict[str, float], list[str]]:
        """(keys without a file, key -> use that the index did not know, keys that were dropped).

        What another process drops at the same moment counts too: else each would make the room that one has to make.
        """
        gone: list[str] = []
        used: dict[str, float] = {}
        files: list[tuple[float, str, int]] = []
        for key, (noted, known_size) in oldest.items():
            try:
                size, use = self._disk.contents.measure(key)
            except OSError:
                gone.append(key)
                excess -= known_size
                continue
            if noted and use > noted + 1:
                used[key] = use
            else:
                files.append((use, key, size))
        dropped: list[str] = []
        for _, key, size in sorted(files):
            if excess <= 0:
                break
            if self._disk.contents.drop(key):
                dropped.append(key)
                excess -= size
            elif self._disk.contents.is_gone(key):
                gone.append(key)
                excess -= size
        return gone, used, dropped

    def _entry_bytes(self) -> int:
        return sum(sums.bytes for sums in self._index.sums().values())

    def _total(self, bound: int) -> int:
        """What counts to a bound: the entries, and the closure records that lead to them."""
        records = sum(sums.bytes for sums in self._index.record_sums().values())
        return self._entry_bytes() + bytes_in_bound(records, bound)


def known_entries(
    disk: DiskStore,
    index: Index | None,
    own: Mapping[str, Row],
    stale: list[str] | None = None,
    skip: Container[str] = (),
) -> Iterator[tuple[str, Row]]:
    """(key, row) of every entry of a directory in order of key; the row is empty where none is known.

    A shard that is settled is not looked at; of others the names are listed.

    Args:
        disk: the directory.
        index: its index, or None.
        own: rows that the index does not know yet.
        stale: gets the keys of rows without an entry.
        skip: shards that are left out.
    """
    shards = {shard: mtime for shard, mtime in disk.contents.shards().items() if shard not in skip}
    if index is None:
        for shard in sorted(shards):
            yield from ((key, own.get(key, {})) for key in disk.contents.keys_of(shard))
        return
    sums = index.sums()
    for every in index.ranges():
        group = tuple(shard for shard in every if shard not in skip)
        if not group:
            continue
        rows: dict[str, dict[str, Row]] = {shard: {} for shard in group}
        for key, row in index.rows_of(group).items():
            rows.setdefault(key[:2], {})[key] = row
        for shard in group:
            known = rows[shard]
            settled = shard in shards and shard in sums and is_settled(sums[shard], shards[shard])
            trusted = settled and sums[shard].entries == len(known)
            keys = sorted(known) if trusted else disk.contents.keys_of(shard) if shard in shards else []
            if stale is not None and not trusted:
                stale += known.keys() - keys
            yield from ((key, own.get(key) or known.get(key, {})) for key in keys)


def count_entries(disk: DiskStore, index: Index | None) -> tuple[int, int]:
    """(number, bytes) of the entries of a directory; no file is looked at whose size the index has."""
    shards = disk.contents.shards()
    sums = {} if index is None else index.sums()
    settled = {shard for shard, mtime in shards.items() if shard in sums and is_settled(sums[shard], mtime)}
    entries = sum(sums[shard].entries for shard in settled)
    total = sum(sums[shard].bytes for shard in settled)
    for group in [tuple(shards)] if index is None else index.ranges():
        changed = [shard for shard in group if shard in shards and shard not in settled]
        sizes = index.sizes_of(group) if index is not None and changed else {}
        for shard in changed:
            for key in disk.contents.keys_of(shard):
                size = sizes.get(key) or _size_of(disk, key)
                entries += size is not None
                total += size or 0
    return entries, total


def count_days(
    days: Mapping[str, Mapping[str, float]], notes: Iterable[Note], since: str = ""
) -> tuple[str | None, Stats]:
    """(the first day of which something is known, or None; what was counted from then on).

    Args:
        days: what the index has, by day.
        notes: what it does not have yet.
        since: the first day to count.
    """
    told = [*days.items(), *((note.day, counts_of(note.counts)) for note in notes if is_day(note.day))]
    known = [(day, counts) for day, counts in told if counts and day >= since]
    total: dict[str, float] = {}
    for _, counts in known:
        for name, count in counts.items():
            total[name] = total.get(name, 0) + count
    return min((day for day, _ in known), default=None), Stats.of_counts(total)


def by_day(days: Mapping[str, Mapping[str, float]], notes: Iterable[Note]) -> dict[str, Stats]:
    """Day -> what was counted then, the earliest first; the arguments are those of `count_days`."""
    told = list(notes)
    names = sorted({*days, *(note.day for note in told if is_day(note.day))})
    return {day: count_days({day: days.get(day, {})}, [note for note in told if note.day == day])[1] for day in names}


def _size_of(disk: DiskStore, key: str) -> int | None:
    try:
        return disk.contents.measure(key)[0]
    except OSError:
        return None  # dropped meanwhile
