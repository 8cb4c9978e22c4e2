"""The memory tier: artifacts of this process, bounded by bytes, least recently used first to go."""

from __future__ import annotations

from _thread import allocate_lock
from collections import OrderedDict

from jitload import events, forks
from jitload.lazy import lazy
from jitload.values import Blob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jitload.artifact import Kept
    from jitload.headers import record as records
    from jitload.headers.record import Variant
else:
    records = lazy("jitload.headers.record")  # blobs have none

DEFAULT_MEMORY_BYTES = 256 << 20
#: Requests whose variants are remembered.
MAX_REQUESTS = 4096


class MemoryStore:
    """A `Tier` in this process.

    Args:
        max_bytes: bound on the images held, in bytes; one larger image is not kept.
        place: what an explanation calls it.
        checks_toolkit: as those have it whose artifacts it keeps.
    """

    name = "memory"

    def __init__(
        self, max_bytes: int = DEFAULT_MEMORY_BYTES, *, place: str = "memory", checks_toolkit: bool = True
    ) -> None:
        self.max_bytes = max_bytes
        self.place = place
        self.checks_toolkit = checks_toolkit
        self._variants: dict[str, tuple[Variant, ...]] = {}
        self._entries: OrderedDict[str, Kept] = OrderedDict()
        self._bytes = 0
        self._lock = allocate_lock()
        forks.after_fork(self._settle)

    def variants(self, request_digest: str) -> tuple[tuple[Variant, ...], str]:
        """Those under which a request was served in this process, the last one first, and "hit"; or "absent"."""
        known = self._variants.get(request_digest)
        return ((), "absent") if known is None else (known, "hit")

    def add_variant(self, request_digest: str, variant: Variant) -> None:
        """Remember one, as the last."""
        known = records.without_variant(variant, self._variants.get(request_digest, ()))
        if len(self._variants) >= MAX_REQUESTS:
            self._variants.clear()
        self._variants[request_digest] = (variant, *known[: records.MAX_VARIANTS - 1])

    def read(self, key: str) -> tuple[Kept | None, str]:
        """The artifact and "hit", or None and "absent"."""
        with self._lock:
            artifact = self._entries.get(key)
            if artifact is None:
                return None, "absent"
            self._entries.move_to_end(key)
            return artifact, "hit"

    def peek(self, key: str) -> tuple[Kept | None, str]:
        """The same, without being a use of it."""
        artifact = self._entries.get(key)
        return artifact, "absent" if artifact is None else "hit"

    def put(self, artifact: Kept, factors: bytes = b"{}") -> bool:  # noqa: ARG002 - factors are for the disk
        """Keep an artifact, dropping the least recently used ones to make room."""
        size = len(artifact.data)
        if size > self.max_bytes:
            return False
        gone: list[Kept] = []
        with self._lock:
            old = self._entries.pop(artifact.key, None)
            self._bytes += size - (len(old.data) if old is not None else 0)
            self._entries[artifact.key] = artifact
            while self._bytes > self.max_bytes:
                _, dropped = self._entries.popitem(last=False)
                self._bytes -= len(dropped.data)
                gone.append(dropped)
        if gone and events.listeners:
            for dropped in gone:
                events.tell_of("evict", dropped, tier="memory")
        return True

    def drop(self, key: str) -> bool:
        """Forget one; False when it was not there."""
        with self._lock:
            old = self._entries.pop(key, None)
            if old is not None:
                self._bytes -= len(old.data)
            return old is not None

    def blobs(self) -> list[Blob]:
        """The blobs among them."""
        with self._lock:
            return [kept for kept in self._entries.values() if isinstance(kept, Blob)]

    def clear(self) -> None:
        """Forget every artifact."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def forget_variants(self) -> None:
        """Forget which headers requests had."""
        self._variants.clear()

    def _settle(self) -> None:
        """After a fork: another thread may have been putting or dropping an artifact."""
        self._lock = allocate_lock()
        self._bytes = sum(len(artifact.data) for artifact in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)
