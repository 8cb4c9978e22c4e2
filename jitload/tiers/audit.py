"""What a cache directory holds: listed with the index or without it, verified, and the index made anew from it.

None of this is on the way to a hit, and none of it counts as a use of an entry.
"""

from __future__ import annotations

from jitload.errors import ArtifactError, LoadError
from jitload.format.entry import decode_factors
from jitload.frozen import Value
from jitload.values import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jitload.artifact import Artifact
    from jitload.format.json import Json
    from jitload.tiers.disk import DiskStore
    from jitload.tiers.index import Index

    Row = Mapping[str, Json]

#: No compile takes a year.
MAX_SECONDS = 365 * 86400.0
#: What the index keeps of the names of kernels, and of the options: enough to tell entries apart.
MAX_KERNEL_CHARS, MAX_OPTION_CHARS = 1024, 512


class EntryInfo(Value):
    """One entry of the disk tier.

    Attributes:
        key: its key.
        bytes: size of the entry's file.
        used: time of the last noted use, seconds since the epoch.
        kind: its kind, or "" for an entry that the index does not know and that fails verification.
        arch: its arch, or "".
        name: its program name, or "".
        kernels: the names of its kernels, sorted; the last is "..." where there are more.
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
    """What the disk tier holds.

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


class IndexState(Value):
    """How far the index and the entries agree.

    Attributes:
        missing: entries without a row.
        stale: rows without an entry.
    """

    __slots__ = ("missing", "stale")
    missing: int
    stale: int

    def __init__(self, missing: int, stale: int) -> None:
        self._set(missing=missing, stale=stale)


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


def row_of(artifact: Artifact, factors: Mapping[str, object]) -> dict[str, object]:
    """What the index keeps of an entry."""
    request = factors.get("request")
    return {
        "arch": artifact.arch,
        "compile_seconds": artifact.compile_seconds,
        "kernels": _kernel_names(artifact),
        "kind": artifact.kind.value,
        "name": artifact.name,
        "options": written_options(factors)[:MAX_OPTION_CHARS],
        **({"request": request} if isinstance(request, str) else {}),
    }


def written_options(factors: Mapping[str, object]) -> str:
    """The macros and options of a compile as they would be written: "-DN=4 --use_fast_math"."""
    defines, undefines, options = (factors.get(name) for name in ("defines", "undefines", "options"))
    words = []
    if isinstance(defines, dict):
        words += [f"-D{name}" if value is None else f"-D{name}={value}" for name, value in sorted(defines.items())]
    words += [f"-U{name}" for name in undefines] if isinstance(undefines, list) else []
    words += map(str, options) if isinstance(options, list) else []
    return " ".join(words)


def is_row(row: Row) -> bool:
    """Whether a row has what a listing needs; others can write to the index."""
    texts = [row.get(field) for field in ("kind", "arch", "name")]
    seconds: Json = row.get("compile_seconds")
    return (
        all(isinstance(text, str) for text in texts)
        and texts[0] in {kind.value for kind in Kind}
        and type(seconds) in {int, float}
        and 0 <= seconds < MAX_SECONDS  # this refuses NaN and infinity too
        and isinstance(row.get("options", ""), str)
    )


def list_entries(disk: DiskStore, rows: Mapping[str, Row]) -> Iterator[EntryInfo]:
    """Every entry in order of key, from its row; an entry without a row that makes sense is read and verified.

    So is one whose row was written before rows had the names of kernels.
    """
    for key, status in disk.scan_keys():
        row = rows.get(key, {})
        if not (is_row(row) and _has_names(row)):
            try:
                artifact, data = disk.read_entry(key)
                read = row_of(artifact, _factors_of(data))
                row = {**read, **row} if is_row(row) and "kernels" not in row else read
            except FileNotFoundError:
                continue  # dropped meanwhile
            except (OSError, ArtifactError, LoadError):
                row = row if is_row(row) and "kernels" not in row else {}
        yield EntryInfo(
            key=key,
            bytes=status.st_size,
            used=status.st_mtime,
            kind=row.get("kind", ""),
            arch=row.get("arch", ""),
            name=row.get("name", ""),
            kernels=tuple(row.get("kernels", ())),
            options=row.get("options", ""),
            compile_seconds=float(row.get("compile_seconds", 0.0)),
        )


def _has_names(row: Row) -> bool:
    kernels = row.get("kernels")
    return isinstance(kernels, list) and all(isinstance(name, str) for name in (*kernels, row.get("options")))


def _kernel_names(artifact: Artifact) -> list[str]:
    names: list[str] = []
    chars = 0
    for name in sorted(artifact.kernels):
        chars += len(name)
        if chars > MAX_KERNEL_CHARS:
            return [*names, "..."]
        names.append(name)
    return names


def verify_entries(disk: DiskStore, index: Index | None) -> tuple[dict[str, Row], list[Damage]]:
    """Read and verify every entry; damaged ones are put aside, and their rows removed.

    Returns:
        The row of every good entry by its key, and what is not good.
    """
    rows: dict[str, Row] = {}
    damaged: list[Damage] = []
    for key in [key for key, _ in disk.scan_keys()]:
        try:
            artifact, data = disk.read_entry(key)
        except FileNotFoundError:
            continue  # dropped meanwhile
        except (OSError, ArtifactError, LoadError) as error:
            damaged.append(Damage(key, _reason_of(error), disk.put_aside(key, error)))
        else:
            rows[key] = row_of(artifact, _factors_of(data))
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
    return Rebuilt(
        entries=len(rows),
        added=len(rows.keys() - before.keys()),
        changed=sum(1 for key, row in rows.items() if key in before and before[key] != row),
        removed=len(before.keys() - rows.keys()),
        damaged=tuple(damaged),
    )


def compare_index(disk: DiskStore, index: Index) -> IndexState:
    """Compare the keys of the index with those of the entries; no entry is read."""
    rows = {key for key, row in index.rows() if is_row(row)}
    keys = {key for key, _ in disk.scan_keys()}
    return IndexState(len(keys - rows), len(rows - keys))


def _reason_of(error: Exception) -> str:
    """The error in words, without its number."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _factors_of(data: bytes) -> dict[str, object]:
    try:
        return decode_factors(data)
    except ArtifactError:  # only `explain` needs them: the entry itself is good
        return {}
