"""The disk tier: one self-verifying file per key, and one closure record per request.

    DIRECTORY/objects/ab/cdef...      entries (artifact.py), by key
    DIRECTORY/manifests/ab/cdef...    which headers a request had (headers/record.py), by request digest
    DIRECTORY/index/                  diskcache: what entries are, sizes, uses, counts; may be deleted at any time
    DIRECTORY/journal                 what processes have counted and used, on its way to the index
    DIRECTORY/locks/                  one file per part of the key space; empty
    DIRECTORY/incoming/               files being written; renamed when complete
    DIRECTORY/quarantine/             what failed verification, for a look; never read again

Nothing in here can fail a compile: every fault is a miss or a lost entry, and one line in the log.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress

from jitload import events, log
from jitload.artifact import decode_kept
from jitload.errors import ArtifactError, JitloadError, LoadError
from jitload.files.directory import Directory
from jitload.files.ownership import Foreign, Refused
from jitload.format.entry import MAX_ENTRY_BYTES, encode_entry
from jitload.lazy import lazy
from jitload.tiers.counters import counters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from jitload.artifact import Kept
    from jitload.headers import record as records
    from jitload.headers.record import Variant
else:
    records = lazy("jitload.headers.record")  # blobs have none

#: The time of use is noted in the file's mtime, at most this often: a hit should not write.
TOUCH_SECONDS = 3600
#: Uses that are remembered until the index is told.
MAX_TOUCHED = 1000
#: How often a process tells what it has counted, while it is at work.
DUE_SECONDS = 60.0
#: What a collection leaves free below the bound, so that the next put does not collect again.
HEADROOM = 0.9
#: What an entry in its place would not answer: a link, a FIFO, a directory, a file that is too large.
_DAMAGE = frozenset({errno.ELOOP, errno.EINVAL, errno.EFBIG, errno.EISDIR, errno.ENXIO})
_HEX = frozenset("0123456789abcdef")
#: A file in incoming/ older than this has no living writer.
STALE_SECONDS = 3600


class DiskStore:
    """A `Tier` in a private directory.

    Args:
        path: absolute path of the directory; made at the first write.
        max_bytes: bound on the entries, in bytes.
        read_only: nothing is written, made, touched or removed.
        verify: the structural check of an image, `verify(kind, data)`, raising LoadError.
    """

    name = "disk"
    checks_toolkit = True

    def __init__(
        self, path: str, *, max_bytes: int, read_only: bool = False, verify: Callable[[str, bytes], None]
    ) -> None:
        self.directory = Directory(path, read_only=read_only)
        self.place = f"disk {path}"
        self.max_bytes = max_bytes
        #: Key -> time of use, of those that were noted in files and not yet told to the index.
        self.touched: dict[str, float] = {}
        self.asked = False
        self._due = 0.0
        self._when_due: Callable[[], object] | None = None
        self._verify = verify

    def call_at_intervals(self, when_due: Callable[[], object]) -> None:
        """Call this with a read or write of an entry, at most once in `DUE_SECONDS`."""
        self._due = time.time() + DUE_SECONDS
        self._when_due = when_due

    def read(self, key: str) -> tuple[Kept | None, str]:
        """The verified artifact of that key and "hit"; or None and "absent", "damaged" or "unreadable"."""
        relative = _shard("objects", key)
        file, reason = self._read_file(relative, MAX_ENTRY_BYTES)
        if file is None:
            return None, reason
        data, status = file
        try:
            artifact = decode_kept(data, key)
            self._verify(artifact.kind, artifact.data)
        except (ArtifactError, LoadError) as error:
            self._quarantine(relative, str(error))
            return None, "damaged"
        self.asked = True
        now = time.time()
        if now - status.st_mtime > TOUCH_SECONDS:
            self._touch(key, now)
        if now > self._due:
            self._tick(now)
        return artifact, "hit"

    def peek(self, key: str) -> tuple[Kept | None, str]:
        """What `read` would give; nothing is touched, put aside or logged."""
        try:
            return self.read_entry(key)[0], "hit"
        except FileNotFoundError:
            return None, "absent"
        except OSError as error:
            return None, f"unreadable ({error.strerror or error})"
        except JitloadError:
            return None, "damaged"

    def read_entry(self, key: str) -> tuple[Kept, bytes]:
        """The verified artifact of that key and the bytes of its entry. This is no use of it: nothing is touched.

        Raises:
            OSError: it is missing, or cannot be read.
            ArtifactError, LoadError: it is damaged.
        """
        data = self.directory.read(_shard("objects", key), MAX_ENTRY_BYTES)
        artifact = decode_kept(data, key)
        self._verify(artifact.kind, artifact.data)
        return artifact, data

    def put_aside(self, key: str, error: Exception) -> str | None:
        """Move an entry that `read_entry` refused with that error into quarantine, and give its path there.

        None when it stays where it is: what merely could not be read may be good, and a read-only cache moves nothing.
        """
        if isinstance(error, OSError) and error.errno not in _DAMAGE and not isinstance(error, Foreign):
            return None
        return self._move_aside(_shard("objects", key))

    def put(self, artifact: Kept, factors: bytes = b"{}") -> bool:
        """Keep an artifact; False (and one warning) when it could not be kept."""
        return not self.directory.read_only and self.put_entry(artifact.key, encode_entry(artifact, factors))

    def put_entry(self, key: str, entry: bytes) -> bool:
        """Keep an entry that was made or verified here; False (and one warning) when it could not be kept."""
        kept = self._write_file(_shard("objects", key), entry, durable=True)
        if kept:
            self.asked = True
            counters().count_stored(len(entry))
            if (now := time.time()) > self._due:
                self._tick(now)
        return kept

    def variants(self, request_digest: str) -> tuple[tuple[Variant, ...], str]:
        """Those that the closure record of a request has, the newest first; a damaged one is put aside."""
        relative = _shard("manifests", request_digest)
        file, reason = self._read_file(relative, records.MAX_RECORD_BYTES)
        if file is None:
            return (), reason
        try:
            return records.decode_record(file[0], request_digest), "hit"
        except ArtifactError as error:
            self._quarantine(relative, str(error))
            return (), "damaged"

    def read_record(self, request_digest: str) -> tuple[Variant, ...]:
        """The same of a record that is there; a damaged one stays where it is.

        Raises:
            OSError: it is missing, or cannot be read.
            ArtifactError: it is damaged.
        """
        return records.decode_record(
            self.directory.read(_shard("manifests", request_digest), records.MAX_RECORD_BYTES), request_digest
        )

    def scan_records(self) -> Iterator[str]:
        """The digest of every request that has a closure record."""
        for relative, _ in self.directory.files("manifests"):
            if _is_shard(relative):
                yield relative[-65:-63] + relative[-62:]

    def add_variant(self, request_digest: str, variant: Variant) -> None:
        """Put one first in the closure record of a request, with what other processes have put there meanwhile.

        It is not synced: one that is lost costs a scan of the headers, no more.
        """
        if not self.directory.read_only:
            others = records.without_variant(variant, self.variants(request_digest)[0])
            data = records.encode_record(request_digest, (variant, *others))
            self._write_file(_shard("manifests", request_digest), data, durable=False)

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
        status = self.directory.status(_shard("objects", key))
        return status.st_size, status.st_mtime

    def measure_record(self, request_digest: str) -> int:
        """The size of the closure record of a request in bytes.

        Raises:
            OSError: it is missing, or cannot be asked.
        """
        return self.directory.status(_shard("manifests", request_digest)).st_size

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
        return self.directory.remove(_shard("objects", key))

    def drop_record(self, request_digest: str) -> bool:
        """Remove the closure record of a request; False when it was not there or could not be removed."""
        return self.directory.remove(_shard("manifests", request_digest))

    def collect(self, max_bytes: int | None = None) -> tuple[list[str], int]:
        """Drop the least recently used entries until they fit, and sweep what dead writers left.

        Every file is looked at: this is for where there is no index (account.py).

        Returns:
            The keys that went, and the bytes that are left, closure records among them.
        """
        bound = self.max_bytes if max_bytes is None else max_bytes
        entries = sorted(self.scan_keys(), key=lambda item: item[1].st_mtime)
        records = sum(status.st_size for _, status in self.directory.files("manifests"))
        total = sum(status.st_size for _, status in entries) + min(records, max(0, bound) // 2)
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

    def _read_file(self, relative: str, max_bytes: int) -> tuple[tuple[bytes, os.stat_result] | None, str]:
        # A second try: over a network file system a file that was just renamed can be missing for a moment.
        for attempt in (1, 2):
            try:
                return self.directory.read_file(relative, max_bytes), "hit"
            except Refused as error:
                self.directory.say_refused(error)
                _tell_rejected(relative, str(error.strerror))
                return None, "unreadable"
            except FileNotFoundError:
                return None, "absent"
            except Foreign as error:
                text = f"cache entry {relative} of {self.directory.path} is not used: {error.strerror}"
                log.warn_once(("foreign", self.directory.path, relative), text)
                _tell_rejected(relative, str(error.strerror))
                self._move_aside(relative)
                return None, "damaged"
            except OSError as error:
                if error.errno == errno.ESTALE and attempt == 1:
                    continue
                if error.errno in _DAMAGE:
                    self._quarantine(relative, str(error))
                    return None, "damaged"
                log.warn_once(("read", self.directory.path), f"cannot read the cache {self.directory.path}: {error}")
                _tell_rejected(relative, str(error))
                return None, "unreadable"
        return None, "unreadable"

    def _write_file(self, relative: str, data: bytes, *, durable: bool) -> bool:
        if self.directory.read_only:
            return False
        for attempt in (1, 2):
            try:
                self.directory.write(relative, data, durable=durable)
                return True
            except Refused as error:
                self.directory.say_refused(error)
                return False
            except OSError as error:
                if attempt == 1 and error.errno == errno.ENOENT:
                    continue  # removed under us: it is made again
                if attempt == 1 and error.errno in {errno.ENOSPC, errno.EDQUOT}:
                    self._make_room(len(data))
                    continue
                log.warn_once(
                    ("write", self.directory.path),
                    f"cannot write to the cache {self.directory.path} ({error}): carrying on without keeping kernels",
                )
                return False
        return False

    def _make_room(self, needed: int) -> None:
        total = sum(status.st_size for _, status in self.scan_keys())
        dropped, _ = self.collect(max(0, min(int(total * 0.95), total - needed)))
        counters().count_evictions(len(dropped))
        tell_evicted("disk", dropped)

    def _quarantine(self, relative: str, reason: str) -> None:
        log.warn(f"cache entry {relative} of {self.directory.path} is not used: {reason}")
        _tell_rejected(relative, reason)
        self._move_aside(relative)

    def _move_aside(self, relative: str) -> str | None:
        if self.directory.read_only:
            return None
        try:
            place = self.directory.move(relative, "quarantine", f"{relative.replace('/', '-')}.{os.getpid()}")
        except OSError:
            return None
        counters().count_quarantined()
        return place

    def _touch(self, key: str, now: float) -> None:
        if self.directory.read_only:
            return
        with suppress(OSError):
            self.directory.touch(_shard("objects", key))
            if len(self.touched) < MAX_TOUCHED:
                self.touched[key] = now

    def _tick(self, now: float) -> None:
        self._due = now + DUE_SECONDS
        if self._when_due is not None:
            self._when_due()

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


def tell_evicted(tier: str, keys: Iterable[str]) -> None:
    """Tell whoever listens which entries were dropped to keep to a bound."""
    if events.listeners:
        for key in keys:
            events.tell("evict", key=key, tier=tier)


def _tell_rejected(relative: str, reason: str) -> None:
    if events.listeners:
        events.tell("reject", key=relative[-65:].replace("/", ""), tier="disk", reason=reason)


def _is_shard(relative: str) -> bool:
    """Whether a path ends like those of `_shard`."""
    _, shard, name = relative.split("/")
    return _is_shard_name(shard) and len(name) == 62 and _HEX.issuperset(name)


def _is_shard_name(name: str) -> bool:
    return len(name) == 2 and _HEX.issuperset(name)


def _shard(kind: str, digest: str) -> str:
    return f"{kind}/{digest[:2]}/{digest[2:]}"
