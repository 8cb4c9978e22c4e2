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
from jitload.digest import shard_path
from jitload.errors import ArtifactError, JitloadError, LoadError
from jitload.files.directory import Directory
from jitload.files.ownership import Foreign, Refused
from jitload.format.entry import MAX_ENTRY_BYTES, encode_entry
from jitload.lazy import lazy
from jitload.tiers.counters import counters
from jitload.values import BLOB

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.artifact import Kept
    from jitload.headers import record as records
    from jitload.headers.record import Variant
    from jitload.images import check as images
    from jitload.tiers import contents as holdings
    from jitload.tiers.contents import Contents
else:
    records = lazy("jitload.headers.record")  # blobs have none
    images = lazy("jitload.images.check")  # what comes with the first entry that is read
    holdings = lazy("jitload.tiers.contents")  # no hit looks through it

#: The time of use is noted in the file's mtime, at most this often: a hit should not write.
TOUCH_SECONDS = 3600
#: Uses that are remembered until the index is told.
MAX_TOUCHED = 1000
#: How often a process tells what it has counted, while it is at work.
DUE_SECONDS = 60.0
#: What an entry in its place would not answer: a link, a FIFO, a directory, a file that is too large.
_DAMAGE = frozenset({errno.ELOOP, errno.EINVAL, errno.EFBIG, errno.EISDIR, errno.ENXIO})


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

    @property
    def contents(self) -> Contents:
        """What lies in the directory: listed, measured, dropped."""
        return holdings.Contents(self.directory, self.max_bytes)

    def call_at_intervals(self, when_due: Callable[[], object]) -> None:
        """Call this with a read or write of an entry, at most once in `DUE_SECONDS`."""
        self._due = time.time() + DUE_SECONDS
        self._when_due = when_due

    def read(self, key: str) -> tuple[Kept | None, str]:
        """The verified artifact of that key and "hit"; or None and "absent", "damaged" or "unreadable"."""
        relative = shard_path("objects", key)
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
        data = self.directory.read(shard_path("objects", key), MAX_ENTRY_BYTES)
        artifact = decode_kept(data, key)
        self._verify(artifact.kind, artifact.data)
        return artifact, data

    def put_aside(self, key: str, error: Exception) -> str | None:
        """Move an entry that `read_entry` refused with that error into quarantine, and give its path there.

        None when it stays where it is: what merely could not be read may be good, and a read-only cache moves nothing.
        """
        if isinstance(error, OSError) and error.errno not in _DAMAGE and not isinstance(error, Foreign):
            return None
        return self._move_aside(shard_path("objects", key))

    def put(self, artifact: Kept, factors: bytes = b"{}") -> bool:
        """Keep an artifact; False (and one warning) when it could not be kept."""
        return not self.directory.read_only and self.put_entry(artifact.key, encode_entry(artifact, factors))

    def put_entry(self, key: str, *pieces: bytes) -> bool:
        """Keep an entry that was made or verified here; False (and one warning) when it could not be kept.

        Args:
            key: the key.
            *pieces: what it consists of, one behind the other.
        """
        kept = self._write_file(shard_path("objects", key), *pieces, durable=True)
        if kept:
            self.asked = True
            counters().count_stored(sum(map(len, pieces)))
            if (now := time.time()) > self._due:
                self._tick(now)
        return kept

    def variants(self, request_digest: str) -> tuple[tuple[Variant, ...], str]:
        """Those that the closure record of a request has, the newest first; a damaged one is put aside."""
        relative = shard_path("manifests", request_digest)
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
            self.directory.read(shard_path("manifests", request_digest), records.MAX_RECORD_BYTES), request_digest
        )

    def add_variant(self, request_digest: str, variant: Variant) -> None:
        """Put one first in the closure record of a request, with what other processes have put there meanwhile.

        It is not synced: one that is lost costs a scan of the headers, no more.
        """
        if not self.directory.read_only:
            others = records.without_variant(variant, self.variants(request_digest)[0])
            data = records.encode_record(request_digest, (variant, *others))
            self._write_file(shard_path("manifests", request_digest), data, durable=False)

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

    def _write_file(self, relative: str, *pieces: bytes, durable: bool) -> bool:
        if self.directory.read_only:
            return False
        for attempt in (1, 2):
            try:
                self.directory.write(relative, *pieces, durable=durable)
                return True
            except Refused as error:
                self.directory.say_refused(error)
                return False
            except OSError as error:
                if attempt == 1 and error.errno == errno.ENOENT:
                    continue  # removed under us: it is made again
                if attempt == 1 and error.errno in {errno.ENOSPC, errno.EDQUOT}:
                    self.contents.make_room(sum(map(len, pieces)))
                    continue
                log.warn_once(
                    ("write", self.directory.path),
                    f"cannot write to the cache {self.directory.path} ({error}): carrying on without keeping kernels",
                )
                return False
        return False

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
            self.directory.touch(shard_path("objects", key))
            if len(self.touched) < MAX_TOUCHED:
                self.touched[key] = now

    def _tick(self, now: float) -> None:
        self._due = now + DUE_SECONDS
        if self._when_due is not None:
            self._when_due()


def _tell_rejected(relative: str, reason: str) -> None:
    if events.listeners:
        events.tell("reject", key=relative[-65:].replace("/", ""), tier="disk", reason=reason)


def disk_store(place: str, max_bytes: int, *, read_only: bool) -> DiskStore:
    """The store of a directory by its absolute path, with the check of images that `verify_kept` is."""
    return DiskStore(place, max_bytes=max_bytes, read_only=read_only, verify=verify_kept)


def verify_kept(kind: str, data: bytes) -> None:
    """Nothing for an image that is whole, and for a blob, of which nothing is known but its digest.

    Raises:
        LoadError: an image that is not.
    """
    if kind != BLOB:
        images.verify_image(kind, data)
