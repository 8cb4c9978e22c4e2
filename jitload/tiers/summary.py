"""A cache directory in figures: by the sums that its index keeps, and by its rows where those may not be right.

The sums of a shard are right where it is settled, or where the names in its directory are those of its rows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jitload.tiers.account import BATCH_ENTRIES
from jitload.tiers.audit import IndexState, list_entries
from jitload.tiers.records import count_records
from jitload.tiers.sums import KINDS, ShardSums, is_settled
from jitload.values import BLOB

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jitload.format.json import Json
    from jitload.tiers.disk import DiskStore
    from jitload.tiers.index import Index
    from jitload.tiers.sums import Groups

    Row = Mapping[str, Json]


class Summary:
    """What a directory holds.

    Attributes:
        groups: (kind, arch, namespace of blobs or "") -> [entries, their bytes, the seconds that their compiles took];
            the kind is "" for damaged ones.
        oldest: the first of the last noted uses, in seconds since the epoch; infinite where there is no entry.
        newest: the last of them.
        records: the number of closure records, and their bytes.
        state: how far the index and the entries agree.
    """

    __slots__ = ("groups", "newest", "oldest", "records", "state")

    def __init__(self) -> None:
        self.groups: Groups = {}
        self.oldest, self.newest = math.inf, -math.inf
        self.records = (0, 0)
        self.state = IndexState()

    def add(self, groups: Groups) -> None:
        """Add what others hold."""
        for group, sums in groups.items():
            known = self.groups.setdefault(group, [0, 0, 0.0])
            known[:] = [one + other for one, other in zip(known, sums, strict=True)]

    def see(self, used: float) -> None:
        """An entry was used then."""
        self.oldest, self.newest = min(self.oldest, used), max(self.newest, used)


def summarise(disk: DiskStore, index: Index | None, own: Mapping[str, Row], used: Mapping[str, float]) -> Summary:
    """What a directory holds.

    Args:
        disk: the directory.
        index: its index, or None.
        own: rows that the index does not know yet.
        used: key -> time of use, of those that it does not know yet.
    """
    summary = Summary()
    summary.records = count_records(disk, {} if index is None else index.record_sums())
    known = {} if index is None else _summed_shards(disk, index)
    changed = {key[:2] for key in own}  # what replaced an entry has its name
    summed = {shard: sums for shard, sums in known.items() if shard not in changed}
    if index is not None and any(sums.entries for sums in summed.values()):
        _see_uses(summary, disk, index, used, summed)
        if summary.oldest > summary.newest:  # rows that were there before: the index was emptied, or is busy
            summed = {}
    for sums in summed.values():
        summary.add(sums.groups or {})
    for entry in list_entries(disk, index, own, used, summary.state, skip=summed):
        blob = entry.kind == BLOB
        group = (entry.kind, "" if blob else entry.arch, entry.name if blob else "")
        summary.add({group: [1, entry.bytes, entry.compile_seconds]})
        summary.see(entry.used)
    return summary


def _summed_shards(disk: DiskStore, index: Index) -> dict[str, ShardSums]:
    """The shards of which the index has right sums."""
    shards, sums, groups = disk.contents.shards(), index.sums(), index.ranges()
    every = {shard: sums.get(shard, ShardSums(0, 0, 0, {})) for group in groups for shard in group}
    whole = {shard: one for shard, one in every.items() if _is_whole(one)}
    found = {shard: one for shard, one in whole.items() if is_settled(sums.get(shard), shards.get(shard))}
    for group in groups:
        asked = [shard for shard in group if shard in whole and shard in shards and shard not in found]
        sizes: dict[str, dict[str, int]] = {shard: {} for shard in asked}
        for key, size in index.sizes_of(group).items() if asked else ():
            if key[:2] in sizes:
                sizes[key[:2]][key] = size
        for shard, rows in sizes.items():
            is_right = (len(rows), sum(rows.values())) == (whole[shard].entries, whole[shard].bytes)
            if is_right and rows.keys() == set(disk.contents.keys_of(shard)):
                found[shard] = whole[shard]
    return found


def _is_whole(sums: ShardSums) -> bool:
    """Whether its groups tell what all entries of a shard are."""
    return sums.is_grouped and all(kind in KINDS for kind, _, _ in sums.groups or {})


def _see_uses(
    summary: Summary, disk: DiskStore, index: Index, used: Mapping[str, float], shards: Mapping[str, ShardSums]
) -> None:
    """The first and the last use of entries in some shards; the rows of others do not count, they may be stale."""
    for newest in (False, True):
        count, found = BATCH_ENTRIES, False
        while not found:
            rows = index.oldest(count, newest=newest)
            for key, (noted, _) in rows.items():
                if key[:2] in shards:
                    summary.see(max(noted, used.get(key, 0.0)))
                    found = found or key not in used  # none that comes after it was used before it
            found = found or len(rows) < count
            count *= 4
    for key, when in sorted(used.items(), key=lambda item: -item[1]):  # its row may be any
        if when <= summary.newest:
            break
        if key[:2] in shards and not disk.contents.is_gone(key):
            summary.newest = when
            break
