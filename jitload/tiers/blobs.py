"""`BlobStore`: bytes that another system keeps here, under keys of its own.

A blob is an entry like any other (format/entry.py), and what is true of entries is true of it: it is verified when
read, found in memory, layers, directory and remote, signed where entries are, and counts to the bound. Its key is the
digest of namespace and foreign key, and both stand in it again: neither a path nor a name comes from what is stored.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from jitload import events, log
from jitload.digest import digest_factors
from jitload.errors import UsageTypeError, UsageValueError
from jitload.format.entry import MAX_ENTRY_BYTES
from jitload.given import given_name
from jitload.lazy import lazy
from jitload.tiers.counters import counters
from jitload.tiers.lookup import read_key, reason_of
from jitload.values import BLOB, Blob

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from typing import Protocol

    from typing_extensions import Buffer

    from jitload.tiers import audit, flight
    from jitload.tiers.audit import CacheStats, EntryInfo
    from jitload.tiers.disk import DiskStore
    from jitload.tiers.memory import MemoryStore
    from jitload.tiers.remote.tier import RemoteTier
    from jitload.tiers.tier import Tier

    class Keeper(Protocol):
        """What a cache is to the blobs in it."""

        tiers: tuple[Tier, ...]
        memory: MemoryStore
        disk: DiskStore | None

        @property
        def directory(self) -> str | None:
            """Its directory."""

        @property
        def remote(self) -> RemoteTier | None:
            """What machines share, where they share anything."""

        def begin(self, key: str) -> None:
            """A key is asked for that belongs to no request."""

        def put(self, artifact: Blob) -> None:
            """Keep it in every tier."""

        def drop(self, key: str, *, here_only: bool = False) -> bool:
            """Drop it from every tier."""

        def entries(self) -> Iterator[EntryInfo]:
            """What the directory has."""
else:  # not on the way to a hit
    audit = lazy("jitload.tiers.audit")
    flight = lazy("jitload.tiers.flight")

#: Of what the key of a blob is made. What it was before stays where it is, and is not found any more.
_SCHEMA = b"1"
MAX_NAMESPACE_CHARS = 100
#: So long another producer is waited for.
WAIT_SECONDS = 600.0
#: Of an entry, beside the bytes of a blob: header, digest, and its key and namespace.
_ROOM_BYTES = 1 << 20


class BlobStore:
    """Bytes under foreign keys, in one cache. Made by `Cache.blobs`; two of one namespace are the same.

    A key is bytes of any length, or a str, which is its UTF-8. What is put under a key replaces what was there. Nothing
    in here fails because of what a cache does: bytes that cannot be kept are lost, with a line in the log, and damaged
    ones are a miss.

    Args:
        cache: where they are kept.
        namespace: whose keys they are; an attribute, too.

    Raises:
        UsageTypeError, UsageValueError: the namespace is not 1 to 100 printable characters.
    """

    def __init__(self, cache: Keeper, namespace: str) -> None:
        self._cache = cache
        self.namespace = _checked_namespace(namespace)

    def get(self, key: Buffer | str) -> bytes | None:
        """The bytes that were put under a key, verified; or None. It counts as a hit of a tier, or as a miss.

        Args:
            key: the key.

        Raises:
            UsageTypeError: it is neither bytes-like nor a str.
        """
        foreign = foreign_key(key)
        found, said = self._read(foreign)
        if found is None:
            counters().count_miss(said)
            if events.listeners:
                events.tell("miss", kernel=self.namespace, key=self._key(foreign), kind=BLOB, reason=said)
        return found

    def put(self, key: Buffer | str, data: Buffer) -> None:
        """Keep bytes under a key, in every tier.

        Args:
            key: the key.
            data: the bytes.

        Raises:
            UsageTypeError: the key or the data is not what it must be.
        """
        foreign = foreign_key(key)
        try:
            kept = bytes(memoryview(data))
        except TypeError:
            raise UsageTypeError(f"the data of a blob is bytes-like, got {type(data).__name__}") from None
        if len(kept) + 2 * len(foreign) + _ROOM_BYTES > MAX_ENTRY_BYTES:
            log.warn(f"{len(kept)} bytes of {self.namespace} are not kept: that is more than an entry may have")
            return
        self._cache.put(Blob(self.namespace, foreign, kept, self._key(foreign)))

    def delete(self, key: Buffer | str) -> bool:
        """Drop what is kept under a key: in memory, in the directory, and in the remote if it may be written.

        What a layer has, or a remote that is only read, is found there again.

        Args:
            key: the key.

        Returns:
            Whether memory or the directory had it.

        Raises:
            UsageTypeError: the key is neither bytes-like nor a str.
        """
        return self._cache.drop(self._key(foreign_key(key)))

    def keys(self) -> list[bytes]:
        """The keys under which this process or the directory has something, sorted; each is read from its entry.

        A remote and layers are asked for what one knows, and are not listed.
        """
        found = {blob.key: blob.foreign_key for blob in self._in_memory()}
        disk = self._cache.disk
        for key in self._on_disk():
            kept = None if disk is None or key in found else disk.peek(key)[0]
            if isinstance(kept, Blob) and kept.namespace == self.namespace:
                found[key] = kept.foreign_key
        return sorted(found.values())

    def __len__(self) -> int:
        """How many keys this process or the directory has something under."""
        return len({*self._on_disk(), *(blob.key for blob in self._in_memory())})

    def clear(self) -> int:
        """Drop everything of this namespace from memory and the directory; gives how much that was.

        Other namespaces and kernels stay, as does what a remote or a layer has.
        """
        keys = {*self._on_disk(), *(blob.key for blob in self._in_memory())}
        return sum(self._cache.drop(key, here_only=True) for key in keys)

    def stats(self) -> CacheStats:
        """Number and size of what the directory has of this namespace; the bound is that of all entries."""
        sizes = list(self._on_disk().values())
        whole = self._cache.disk
        bound = 0 if whole is None else whole.max_bytes
        return audit.CacheStats(self._cache.directory, len(sizes), sum(sizes), bound)

    def lock(self, key: Buffer | str, wait_seconds: float = WAIT_SECONDS) -> AbstractContextManager[bytes | None]:
        """Hold the right to produce what is to be put under a key, over threads, processes and, by a remote, machines.

            with blobs.lock(key) as found:
                if found is None:
                    blobs.put(key, produce())

        It guards work, never correctness: a holder that dies frees it, and whoever has waited for `wait_seconds` goes
        on without it. The thread that holds it may take it again.

        Args:
            key: the key.
            wait_seconds: bound on the wait for another thread, and for another process.

        Returns:
            A context manager, which gives what is there under the key once the right is had; None where nothing is.
        """
        return self._hold(foreign_key(key), wait_seconds)

    @contextmanager
    def _hold(self, foreign: bytes, wait_seconds: float) -> Iterator[bytes | None]:
        cache, digest = self._cache, self._key(foreign)
        directory = None if cache.disk is None else cache.disk.directory
        what = f"{self.namespace} {digest[:12]}"
        with flight.single_flight(digest, directory, wait_seconds, what) as first:
            found = self._read(foreign)[0]
            if found is not None or not first:
                yield found
                return
            with flight.fleet_flight(cache.remote, digest, lambda: _Looked(self._read(foreign)[0]), what) as looked:
                yield None if looked is None else looked.artifact

    def _read(self, foreign: bytes) -> tuple[bytes | None, str]:
        """What is kept, and "hit"; or None and the reason."""
        key = self._key(foreign)
        self._cache.begin(key)
        kept, _, said = read_key(self._cache.tiers, key)
        if isinstance(kept, Blob) and kept.foreign_key == foreign and kept.namespace == self.namespace:
            return kept.data, "hit"
        return None, reason_of(said)

    def _key(self, foreign: bytes) -> str:
        return blob_key(self.namespace, foreign)

    def _on_disk(self) -> dict[str, int]:
        """Key of ours -> bytes of its entry, of this namespace in the directory."""
        entries = self._cache.entries()
        return {entry.key: entry.bytes for entry in entries if entry.kind == BLOB and entry.name == self.namespace}

    def _in_memory(self) -> list[Blob]:
        return [blob for blob in self._cache.memory.blobs() if blob.namespace == self.namespace]

    def __repr__(self) -> str:
        return f"<BlobStore {self.namespace} of {self._cache.directory or 'memory'}>"


class _Looked:
    """What a look for a blob has found, as `fleet_flight` takes it."""

    def __init__(self, artifact: bytes | None) -> None:
        self.artifact = artifact


def blob_key(namespace: str, foreign: bytes) -> str:
    """The key of ours under which a blob is kept, 64 lower-case hex digits."""
    return digest_factors([("blob", _SCHEMA), ("namespace", namespace.encode()), ("key", foreign)])


def foreign_key(key: object) -> bytes:
    """A foreign key as bytes; that of a str is its UTF-8.

    Raises:
        UsageTypeError: it is neither bytes-like nor a str.
    """
    if isinstance(key, str):
        return key.encode("utf-8", "surrogatepass")
    if isinstance(key, (bytes, bytearray, memoryview)):
        return bytes(key)
    raise UsageTypeError(f"the key of a blob is bytes or str, got {type(key).__name__}")


def _checked_namespace(namespace: object) -> str:
    name = given_name("namespace", namespace)
    if not (0 < len(name) <= MAX_NAMESPACE_CHARS and name.isprintable()):
        raise UsageValueError(f"namespace={name[:40]!r}: 1 to {MAX_NAMESPACE_CHARS} printable characters are needed")
    return name
