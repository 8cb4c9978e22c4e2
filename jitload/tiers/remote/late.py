"""`LateRemote`: the remote of a cache, opened when it is first asked. A hit before it does not pay for its client."""

from __future__ import annotations

from threading import Lock

from jitload import forks
from jitload.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.artifact import Kept
    from jitload.config import Config
    from jitload.headers.record import Variant
    from jitload.tiers.remote import open as opener
    from jitload.tiers.remote.tier import Land, RemoteTier
else:
    opener = lazy("jitload.tiers.remote.open")


class LateRemote:
    """A `Tier`: what `open_remote` opens for these settings, once it is asked for anything.

    Args:
        settings: the settings: where it is, and how it is used.
        verify: the structural check of an image.
        land: keeps what comes from there.
    """

    name = "remote"
    checks_toolkit = True

    def __init__(self, settings: Config, verify: Callable[[str, bytes], None], land: Land) -> None:
        self.place = f"remote {settings.remote}"
        self._given = (settings, verify, land)
        self._lock = Lock()
        self._tried = False
        self._tier: RemoteTier | None = None
        forks.after_fork(self._settle)

    def opened(self) -> RemoteTier | None:
        """The tier; None where it cannot be used, which was said then."""
        if not self._tried:
            with self._lock:
                if not self._tried:
                    self._tier = opener.open_remote(*self._given)
                    self._tried = True
        return self._tier

    def variants(self, request_digest: str) -> tuple[tuple[Variant, ...], str]:
        """As `RemoteTier` has it; one that cannot be used is away."""
        tier = self.opened()
        return ((), "away") if tier is None else tier.variants(request_digest)

    def read(self, key: str) -> tuple[Kept | None, str]:
        """As `RemoteTier` has it."""
        tier = self.opened()
        return (None, "away") if tier is None else tier.read(key)

    def peek(self, key: str) -> tuple[Kept | None, str]:
        """As `RemoteTier` has it."""
        tier = self.opened()
        return (None, "away") if tier is None else tier.peek(key)

    def put(self, artifact: Kept, factors: bytes = b"{}") -> bool:
        """As `RemoteTier` has it."""
        tier = self.opened()
        return tier is not None and tier.put(artifact, factors)

    def begin(self, key: str) -> None:
        """As `RemoteTier` has it; nothing where nobody has asked."""
        if self._tier is not None:
            self._tier.begin(key)

    def drop(self, key: str) -> None:
        """As `RemoteTier` has it."""
        tier = self.opened()
        if tier is not None:
            tier.drop(key)

    def add_variant(self, request_digest: str, variant: Variant) -> None:
        """As `RemoteTier` has it."""
        tier = self.opened()
        if tier is not None:
            tier.add_variant(request_digest, variant)

    def flush(self) -> None:
        """As `RemoteTier` has it; nothing where nobody has asked."""
        if self._tier is not None:
            self._tier.flush()

    def _settle(self) -> None:
        """After a fork: another thread may have been opening it."""
        self._lock = Lock()
