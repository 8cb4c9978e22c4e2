"""What other cache directories hold, taken into one's own: caches of a CI matrix become one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.artifact import decode_factors
from jitload.errors import ArtifactError, LoadError
from jitload.frozen import Value
from jitload.headers.record import without_variant
from jitload.tiers.audit import Damage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jitload.artifact import Kept
    from jitload.tiers.disk import DiskStore

    Note = Callable[[Kept, Mapping[str, object]], object]


class Merged(Value):
    """What was taken from other directories.

    Attributes:
        added: entries that were not here.
        present: entries that were here already.
        records: closure records that told something new.
        lost: entries that could not be written.
        damaged: entries and records that failed verification, with the file in which each still is.
    """

    __slots__ = ("added", "damaged", "lost", "present", "records")
    added: int
    present: int
    records: int
    lost: int
    damaged: tuple[Damage, ...]

    def __init__(self, **fields: object) -> None:
        self._set(**fields)


def merge_stores(own: DiskStore, others: list[DiskStore], note: Note) -> Merged:
    """Take verified entries and closure records of other directories into one's own.

    What is here stays as it is: entries are immutable, so one of the same key is the same; records add up.

    Args:
        own: where they go.
        others: where they come from; nothing is changed there.
        note: is told every entry that was added, and what its key is made of.
    """
    counts = {"added": 0, "present": 0, "records": 0, "lost": 0}
    damaged: list[Damage] = []
    for other in others:
        for key in [key for key, _ in other.contents.scan_keys()]:
            try:
                outcome = _take_entry(own, other, key, note)
            except FileNotFoundError:
                continue  # dropped meanwhile
            except (OSError, ArtifactError, LoadError) as error:
                damaged.append(_damage(other, "objects", key, error))
            else:
                counts[outcome] += 1
        for digest in list(other.contents.scan_records()):
            try:
                counts["records"] += _take_record(own, other, digest)
            except FileNotFoundError:
                continue
            except (OSError, ArtifactError) as error:
                damaged.append(_damage(other, "manifests", digest, error))
    return Merged(**counts, damaged=tuple(damaged))


def _take_entry(own: DiskStore, other: DiskStore, key: str, note: Note) -> str:
    """What became of an entry.

    Raises:
        OSError, ArtifactError, LoadError: it is missing, unreadable or damaged.
    """
    artifact, data = other.read_entry(key)
    if own.peek(key)[0] is not None:
        return "present"
    if not own.put_entry(key, data):
        return "lost"
    note(artifact, decode_factors(data, key))
    return "added"


def _take_record(own: DiskStore, other: DiskStore, digest: str) -> bool:
    """Whether a closure record told something new.

    Raises:
        OSError, ArtifactError: it is missing, unreadable or damaged.
    """
    known = own.variants(digest)[0]
    news = [variant for variant in other.read_record(digest) if len(without_variant(variant, known)) == len(known)]
    for variant in reversed(news):
        own.add_variant(digest, variant.unstamped())  # the other directory may come from another machine
    return bool(news)


def _damage(store: DiskStore, kind: str, key: str, error: Exception) -> Damage:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Damage(key, reason, f"{store.directory.path}/{kind}/{key[:2]}/{key[2:]}")
