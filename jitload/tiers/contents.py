"""What lies in the directory of a disk tier: listed, measured and dropped. A hit has no use for it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from jitload import events
from jitload.digest import shard_path
from jitload.tiers.counters import counters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jitload.files.directory import Directory

#: What a collection leaves free below the bound, so that the next put does not collect again.
HEADROOM = 0.9
_HEX = frozenset("0123456789abcdef")
#: A file in incoming/ older than this has no living writer.
STALE_SECONDS = 3600


class Contents:
    """The entries, closure records and leavings in the directory of a `DiskStore`.

    Args:
        directory: it.
        max_bytes: bound on the entries, in bytes.
    """

    def __init__(self, directory: Directory, max_bytes: int) -> None:
        self.directory = directory
        self.max_bytes = max_bytes

    def scan_keys(self) -> Iterator[tuple[str, os.stat_result]]:
        """(key, file status) of every entry."""
        for relative, status in self.directory.files("objects"):
            # Whatever else lies there is not ours to list, move or remove.
            if _is_shard(relative):
                yield relative[-65:-63] + relative[-62:], status

    def shards(self, kind: str = "objects") -> dict[str, int]:
        """Shard ("ab") -> when its directory changed last, in nanoseconds since the epoch.

        Args:
            kind: "objects" for those of entries, "manifests" for those of closure records.
        """
        return {name: status.st_mtime_ns for name, status in self.directory.scan(kind) if _is_shard_name(name)}

    def list_shard(self, shard: str, kind: str = "objects") -> dict[str, tuple[int, float]]:
        """Key, or digest of a request -> (size in bytes, last noted use or writing) of every file of a shard."""
        found = self.directory.scan(f"{kind}/{shard}")
        return {
            shard + name: (status.st_size, status.st_mtime)
            for name, status in found
            if _is_shard(f"{kind}/{shard}/{name}")
        }

    def keys_of(self, shard: str) -> list[str]:
        """The keys of the entries of a shard, sorted; their files are not looked at."""
        names = self.directory.names(f"objects/{shard}")
        return sorted(shard + name for name in names if _is_shard(f"objects/{shard}/{name}"))

    def measure(self, key: str) -> tuple[int, float]:
        """The size of an entry in bytes, and its last noted use.

        Raises:
            OSError: it is missing, or cannot be asked.
        """
        status = self.directory.status(shard_path("objects", key))
        return status.st_size, status.st_mtime

    def measure_record(self, request_digest: str) -> int:
        """The size of the closure record of a request in bytes.

        Raises:
            OSError: it is missing, or cannot be asked.
        """
        return self.directory.status(shard_path("manifests", request_digest)).st_size

    def is_gone(self, key: str) -> bool:
        """Whether there is certainly no entry of that key."""
        try:
            self.measure(key)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False
        return False

    def drop(self, key: str) -> bool:
        """Remove an entry; False when it was not there or could not be removed."""
        return self.directory.remove(shard_path("objects", key))

    def drop_record(self, request_digest: str) -> bool:
        """Remove the closure record of a request; False when it was not there or could not be removed."""
        return self.directory.remove(shard_path("manifests", request_digest))

    def collect(self, max_bytes: int | None = None) -> tuple[list[str], int]:
        """Drop the least recently used entries until they fit, and sweep what dead writers left.

        Every file is looked at: this is for where there is no index (account.py).

        Returns:
            The keys that went, and the bytes that are left, closure records among them.
        """
        bound = self.max_bytes if max_bytes is None else max_bytes
        records = sum(status.st_size for _, status in self.directory.files("manifests"))
        return self._collect(bound, min(records, max(0, bound) // 2))

    def _collect(self, bound: int, others: int) -> tuple[list[str], int]:
        """The same, where what is not an entry counts for so many bytes."""
        entries = sorted(self.scan_keys(), key=lambda item: item[1].st_mtime)
        total = sum(status.st_size for _, status in entries) + others
        dropped: list[str] = []
        target = bound if total <= bound else bound * HEADROOM
        for key, status in entries:
            if total <= target:
                break
            if self.drop(key):
                total -= status.st_size
                dropped.append(key)
        self.sweep()
        return dropped, total

    def clear(self) -> int:
        """Drop every entry and closure record, and what is in quarantine; gives the number of entries."""
        dropped, _ = self.collect(max_bytes=-1)
        for relative, _ in list(self.directory.files("manifests")):
            if _is_shard(relative):
                self.directory.remove(relative)
        for name, _ in list(self.quarantined()):
            if not self.directory.remove(f"quarantine/{name}"):
                self.directory.remove_tree(f"quarantine/{name}")  # it lay in the place of an entry
        return len(dropped)

    def quarantined(self) -> Iterator[tuple[str, int]]:
        """(file name, bytes) of what is in quarantine."""
        for name, status in self.directory.scan("quarantine"):
            yield name, status.st_size

    def scan_records(self) -> Iterator[str]:
        """The digest of every request that has a closure record."""
        for relative, _ in self.directory.files("manifests"):
            if _is_shard(relative):
                yield relative[-65:-63] + relative[-62:]

    def make_room(self, needed: int) -> None:
        """Drop what was not used for longest, so that so many bytes find room where there was none."""
        total = sum(status.st_size for _, status in self.scan_keys())
        dropped, _ = self._collect(max(0, min(int(total * 0.95), total - needed)), 0)
        counters().count_evictions(len(dropped))
        tell_evicted(dropped)

    def sweep(self) -> None:
        """Remove what dead writers left half written."""
        if self.directory.read_only:
            return
        host = os.uname().nodename
        for name, status in self.directory.scan("incoming"):
            if _is_orphan(name, status, host):
                self.directory.remove(f"incoming/{name}")


def _is_orphan(temporary: str, status: os.stat_result, host: str) -> bool:
    """Whether the process that was writing this file is gone."""
    name, _, rest = temporary.rpartition(".")[0].rpartition(".")
    if name == host and rest.isdigit():
        try:
            os.kill(int(rest), 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass
    return time.time() - status.st_mtime > STALE_SECONDS


def tell_evicted(keys: Iterable[str]) -> None:
    """Tell whoever listens which entries of the disk were dropped to keep to a bound."""
    if events.listeners:
        for key in keys:
            events.tell("evict", key=key, tier="disk")


def _is_shard(relative: str) -> bool:
    """Whether a path ends like those of `shard_path`."""
    _, shard, name = relative.split("/")
    return _is_shard_name(shard) and len(name) == 62 and _HEX.issuperset(name)


def _is_shard_name(name: str) -> bool:
    return len(name) == 2 and _HEX.issuperset(name)
