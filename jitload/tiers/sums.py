"""What a shard of a cache directory holds, summed up in the index: together, and by kind, arch and namespace."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from jitload.values import BLOB, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    #: (kind, arch, namespace of blobs or "") -> [entries, their bytes, the seconds that their compiles took].
    Groups: TypeAlias = dict[tuple[str, str, str], list[float]]

#: No compile takes a year.
MAX_SECONDS = 365 * 86400.0
#: Of a shard; with more of them its sums by group are not kept, and its rows are read instead.
MAX_GROUPS = 32
#: What listing a shard costs besides its files, in files.
SHARD_FILES = 16
#: A group of longer names is none.
MAX_GROUP_CHARS = 80
#: What a row may say that an entry is.
KINDS = frozenset({BLOB, *(kind.value for kind in Kind)})
#: The group of what only its entry itself tells.
UNKNOWN = ("", "", "")


class ShardSums:
    """What one shard holds by its rows.

    Attributes:
        entries: how many.
        bytes: their size together.
        mtime: of its directory, in nanoseconds, when rows and files were the same; 0 where they may differ.
        groups: the same by group; None where that was never summed up, and empty where there are too many.
    """

    __slots__ = ("bytes", "entries", "groups", "mtime")

    def __init__(self, entries: int, total: int, mtime: int, groups: Groups | None = None) -> None:
        self.entries, self.bytes, self.mtime = entries, total, mtime
        self.groups = groups

    @staticmethod
    def of_row(row: Mapping[str, Any]) -> ShardSums | None:
        """What a row says, or None where that makes no sense."""
        figures = [row.get(name) for name in ("entries", "bytes", "mtime")]
        if not all(type(figure) is int and figure >= 0 for figure in figures):
            return None
        entries, total, mtime = map(int, figures)  # type: ignore[arg-type]
        return ShardSums(entries, total, mtime, _groups_of(row.get("groups")))

    def row(self) -> dict[str, object]:
        """The row that says it."""
        row: dict[str, object] = {"bytes": self.bytes, "entries": self.entries, "mtime": self.mtime}
        if self.groups is not None:
            row["groups"] = [[*group, *sums] for group, sums in sorted(self.groups.items())]
        return row

    @property
    def is_grouped(self) -> bool:
        """Whether its groups are all that it holds."""
        counts = list((self.groups or {}).values())
        return (sum(count for count, _, _ in counts), sum(size for _, size, _ in counts)) == (self.entries, self.bytes)


def is_row(row: Mapping[str, Any]) -> bool:
    """Whether a row has what a listing needs; others can write to the index."""
    texts = [row.get(field) for field in ("kind", "arch", "name")]
    seconds = row.get("compile_seconds")
    return (
        all(isinstance(text, str) for text in texts)
        and texts[0] in KINDS
        and type(seconds) in {int, float}
        and 0 <= seconds < MAX_SECONDS  # type: ignore[operator]  # this refuses NaN and infinity too
        and isinstance(row.get("options", ""), str)
    )


def has_names(row: Mapping[str, Any]) -> bool:
    """Whether a row has the names of kernels: those from before rows had them are read from the entry."""
    kernels = row.get("kernels")
    return isinstance(kernels, list) and all(isinstance(name, str) for name in (*kernels, row.get("options")))


def add_row(groups: Groups, row: Mapping[str, Any], size: int, sign: int) -> None:
    """Count an entry in, or with a sign of -1 out, by its row."""
    group, seconds = UNKNOWN, 0.0
    if is_row(row) and has_names(row):
        blob = row["kind"] == BLOB
        found = (row["kind"], "" if blob else row["arch"], row["name"] if blob else "")
        if sum(map(len, found)) <= MAX_GROUP_CHARS:
            group, seconds = found, float(row["compile_seconds"])
    sums = groups.setdefault(group, [0, 0, 0.0])
    sums[0] += sign
    sums[1] += sign * size
    sums[2] += sign * seconds


def merged(groups: Groups | None, moves: Groups) -> Groups | None:
    """Groups after some moves; None where they are not known, or cannot be what the moves say."""
    if groups is None or not moves:
        return groups
    found = {group: list(sums) for group, sums in groups.items()}
    for group, moved in moves.items():
        found[group] = [one + other for one, other in zip(found.get(group, (0, 0, 0.0)), moved, strict=True)]
    left = {group: [count, size, max(0.0, seconds)] for group, (count, size, seconds) in found.items() if count}
    if any(count < 0 or size < 0 for count, size, _ in left.values()):
        return None
    return left if len(left) <= MAX_GROUPS else {}


def is_settled(sums: ShardSums | None, mtime: int | None) -> bool:
    """Whether the index has of a shard what its directory has, as far as the time of its last change tells.

    Args:
        sums: what the index says, or None.
        mtime: of the directory; None where there is none.
    """
    if sums is None:
        return mtime is None
    return sums.entries == 0 if mtime is None else sums.mtime == mtime


def shards_to_settle(sums: Mapping[str, ShardSums], shards: Mapping[str, int], files: int | None) -> dict[str, int]:
    """Shard -> time of change of its directory, of those that may differ from the index: some, or all.

    Args:
        sums: what the index says of shards.
        shards: shard -> time of change, of those that there are.
        files: how many files may be looked at, about; None for all of them.
    """
    unknown = [shard for shard in shards if shard not in sums]
    changed = [shard for shard, known in sums.items() if not is_settled(known, shards.get(shard))]
    random.shuffle(changed)  # processes that come and go each take another one
    chosen = list(unknown)
    for shard in changed:
        cost = SHARD_FILES + sums[shard].entries
        # Of one that is larger than what is left the turn comes as often as that lasts for it.
        if files is not None and cost > files and random.random() * cost >= files:  # noqa: S311 - a fair choice
            break
        chosen.append(shard)
        files = files if files is None else max(0, files - cost)
    return {shard: shards.get(shard, 0) for shard in chosen}


def _groups_of(rows: object) -> Groups | None:
    """The groups of a row; None where there are none that make sense."""
    if not isinstance(rows, list) or len(rows) > MAX_GROUPS:
        return None
    groups: Groups = {}
    for row in rows:
        if not isinstance(row, list) or len(row) != 6 or not all(isinstance(text, str) for text in row[:3]):
            return None
        if not all(type(figure) is int and figure >= 0 for figure in row[3:5]) or type(row[5]) not in {int, float}:
            return None
        if not 0 <= row[5] < MAX_SECONDS * max(1, row[3]):
            return None
        groups[row[0], row[1], row[2]] = row[3:]
    return groups
