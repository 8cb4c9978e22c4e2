"""The protocol of a store: where artifacts are kept by key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from jitload.artifact import Artifact


class Store(Protocol):
    """Keeps artifacts by key, for as long as it sees fit. Every method may be called from any thread.

    A store never raises because of what it holds or where it lies: a damaged entry is a miss, an unwritable place
    loses the entry and says so once in the log.
    """

    tier: str

    def read(self, key: str) -> tuple[Artifact | None, str]:
        """The verified artifact of that key and "hit"; or None and the reason: "absent", "damaged", "unreadable"."""

    def put(self, artifact: Artifact, factors: bytes = b"{}") -> bool:
        """Keep an artifact; False when it could not be kept."""
