"""What a cache directory holds: listed with the index or without it, verified, and the index made anew from it.

None of this is on the way to a hit, and none of it counts as a use of an entry.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from jitload.errors import ArtifactError, LoadError
from jitload.format.entry import decode_factors
from jitload.frozen import Value
from jitload.tiers.account import Account, known_entries
from jitload.tiers.row import row_of
from jitload.tiers.sums import has_names, is_row

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from jitload.format.json import Json
    from jitload.tiers.disk import DiskStore
    from jitload.tiers.index import Index

    Row = Mapping[str, Json]

#: No use was noted after the year 2100.
MAX_TIME = 4102444800.0


class EntryInfo(Value):
    """One entry of the disk tier, as `Cache.entries` gives them.

    Attributes:
        key: its key.
        bytes: size of the entry's file.
        used: time of the last noted use, seconds since the epoch.
        kind: its kind, "blob" for what another system keeps here (`Cache.blobs`), or "" for an entry that the index
            does not know and that fails verification.
        arch: its arch, or "".
        name: its program name, or ""; of a blob, its namespace.
        kernels: the names of its kernels, sorted; the last is "..." where there are more. Of a blob, the beginning of
            its key, as far as that can be read.
        options: the options and macros that it was compiled with, as they would be written, or "".
        compile_seconds: what its compile took, or 0.
    """

    __slots__ = ("arch", "bytes", "compile_seconds", "kernels", "key", "kind", "name", "options", "used")
    key: str
    bytes: int
    used: float
    kind: str
    arch: str
    name: str
    kernels: tuple[str, ...]
    options: str
    compile_seconds: float

    def __init__(self, **fields: object) -> None:
        self._set(**fields)


class CacheStats(Value):
    """What the disk tier holds, as `Cache.stats` gives it.

    Attributes:
        directory: where, or None for a cache in memory only.
        entries: how many entries.
        bytes: their size together.
        max_bytes: the bound.
    """

    __slots__ = ("bytes", "directory", "entries", "max_bytes")
    directory: str | None
    entries: int
    bytes: int
    max_bytes: int

    def __init__(self, directory: str | None, entries: int, total: int, max_bytes: int) -> None:
        self._set(directory=directory, entries=entries, bytes=total, max_bytes=max_bytes)


class Damage(Value):
    """One entry that failed verification.

    Attributes:
        key: the key under which it lay.
        reason: what is wrong with it.
        file: where it was put, or None when it is still in its place.
    """

    __slots__ = ("file", "key", "reason")
    key: str
    reason: str
    file: str | None

    def __init__(self, key: str, reason: str, file: str | None) -> None:
        self._set(key=key, reason=reason, file=file)


class IndexState:
    """How far the index and the entries agree; it is filled while they are listed.

    Attributes:
        missing: entries without a row that says what they are.
        stale: keys of rows without an entry.
    """

    __slots__ = ("missing", "stale")

    def __init__(self) -> None:
        self.missing = 0
        self.stale: list[str] = []

    @property
    def agrees(self) -> bool:
        """Whether they do."""
        return not (self.missing or self.stale)


class Rebuilt(Value):
    """What a rebuild of the index did.

    Attributes:
        entries: verified entries, each with its row now.
        added: rows that were not there.
        changed: rows that said something else.
        removed: rows whose entry is gone or damaged.
        damaged: the entries that failed verification.
    """

    __slots__ = ("added", "changed", "damaged", "entries", "removed")
    entries: int
    added: int
    changed: int
    removed: int
    damaged: tuple[Damage, ...]

    def __init__(self, **fields: object) -> None:
        self._set(**fields)


def list_entries(
    disk: DiskStore,
    index: Index | None,
    own: Mapping[str, Row],
    used: Mapping[str, float],
    state: IndexState | None = None,
    skip: Container[str] = (),
) -> Iterator[EntryInfo]:
    """Every entry in order of key, from its row; an entry without a row that makes sense is read and verified.

    So is one whose row was written before rows had the names of kernels.

    Args:
        disk: where they are.
        index: its index, or None.
        own: rows that the index does not know yet.
        used: key -> time of use, of those that it does not know yet.
        state: is told how far the index and the entries agree.
        skip: parts of the key space that are left out, by the first two digits.
    """
    seen = IndexState() if state is None else state
    for key, known in known_entries(disk, index, own, seen.stale, skip):
        row = known
        sound = is_row(row)
        seen.missing += not sound
        try:
            if not (sound and has_names(row)):
                row = _row_of_entry(disk, key, row)
            if not _has_measures(row):
                size, when = disk.contents.measure(key)
                row = {**row, "bytes": size, "used": when}
        except FileNotFoundError:
            continue  # dropped meanwhile
        except OSError:
            row = {**row, "bytes": 0, "used": 0.0}
        yield _made(
            key=key,
            bytes=row["bytes"],
            used=max(row["used"], used.get(key, 0.0)),
            kind=row.get("kind", ""),
            arch=row.get("arch", ""),
            name=row.get("name", ""),
            kernels=tuple(row.get("kernels", ())),
            options=row.get("options", ""),
            compile_seconds=float(row.get("compile_seconds", 0.0)),
        )


_made = EntryInfo._maker()


def _row_of_entry(disk: DiskStore, key: str, row: Row) -> Row:
    """The row of an entry by what is in it; or by the row it has, as far as that goes.

    Raises:
        FileNotFoundError: it was dropped meanwhile.
    """
    measures = {name: row[name] for name in ("bytes", "used") if name in row}
    plain = is_row(row) and "kernels" not in row
    try:
        artifact, data = disk.read_entry(key)
    except FileNotFoundError:
        raise
    except (OSError, ArtifactError, LoadError):
        return row if plain else measures
    read = row_of(artifact, _factors_of(data))
    return {**read, **row} if plain else {**read, **measures}


def _has_measures(row: Row) -> bool:
    size, used = row.get("bytes"), row.get("used")
    return type(size) is int and size >= 0 and type(used) in {int, float} and 0 <= used < MAX_TIME  # type: ignore[operator]


def verify_entries(disk: DiskStore, index: Index | None) -> tuple[dict[str, Row], list[Damage]]:
    """Read and verify every entry; damaged ones are put aside, and their rows removed.

    Returns:
        The row of every good entry by its key, and what is not good.
    """
    rows: dict[str, Row] = {}
    damaged: list[Damage] = []
    for key in [key for key, _ in disk.contents.scan_keys()]:
        try:
            artifact, data = disk.read_entry(key)
        except FileNotFoundError:
            continue  # dropped meanwhile
        except (OSError, ArtifactError, LoadError) as error:
            damaged.append(Damage(key, _reason_of(error), disk.put_aside(key, error)))
        else:
            with suppress(OSError):  # dropped meanwhile
                size, used = disk.contents.measure(key)
                rows[key] = {**row_of(artifact, _factors_of(data)), "bytes": size, "used": used}
    if index is not None:
        index.remove([damage.key for damage in damaged])
    return rows, damaged


def rebuild_index(disk: DiskStore, index: Index) -> Rebuilt:
    """Verify every entry, and make the index hold exactly the rows of the good ones.

    Raises:
        OSError: the index cannot be written.
    """
    index.discard_damaged()
    before = dict(index.rows())
    rows, damaged = verify_entries(disk, None)
    index.replace(rows)
    Account(disk, index).settle()
    return Rebuilt(
        entries=len(rows),
        added=len(rows.keys() - before.keys()),
        changed=sum(1 for key, row in rows.items() if key in before and _told(before[key]) != _told(row)),
        removed=len(before.keys() - rows.keys()),
        damaged=tuple(damaged),
    )


def _told(row: Row) -> dict[str, object]:
    """What a row says of an entry; its size and its use are as they are."""
    return {name: value for name, value in row.items() if name not in {"bytes", "used"}}


def _reason_of(error: Exception) -> str:
    """The error in words, without its number."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _factors_of(data: bytes) -> dict[str, object]:
    try:
        return decode_factors(data)
    except ArtifactError:  # only `explain` needs them: the entry itself is good
        return {}
