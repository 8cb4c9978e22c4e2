"""The memory tier: artifacts of this process, bounded by bytes, least recently used first to go."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from jitload import events, forks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jitload.artifact import Artifact

DEFAULT_MEMORY_BYTES = 256 << 20


class MemoryStore:
    """A `Store` in this process.

    Args:
        max_bytes: bound on the images held, in bytes; one larger image is not kept.
    """

    tier = "memory"

    def __init__(self, max_bytes: int = DEFAULT_MEMORY_BYTES) -> None:
        self.max_bytes = max_bytes
        self._entries: OrderedDict[str, Artifact] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()
        forks.after_fork(self._settle)

    def read(self, key: str) -> tuple[Artifact | None, str]:
        """The artifact and "hit", or None and "absent"."""
        with self._lock:
            artifact = self._entries.get(key)
            if artifact is None:
                return None, "absent"
            self._entries.move_to_end(key)
            return artifact, "hit"

    def put(self, artifact: Artifact, factors: bytes = b"{}") -> bool:  # noqa: ARG002 - factors are for the disk
        """Keep an artifact, dropping the least recently used ones to make room."""
        size = len(artifact.data)
        if size > self.max_bytes:
            return False
        gone: list[Artifact] = []
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

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def _settle(self) -> None:
        """After a fork: another thread may have been putting or dropping an artifact."""
        self._lock = Lock()
        self._bytes = sum(len(artifact.data) for artifact in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)
