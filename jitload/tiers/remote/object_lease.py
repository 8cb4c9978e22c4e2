"""Leases in a store of objects: a small object each, that says who compiles a request and for how long.

It is taken by a put that only makes, and taken over, renewed and given back by one that only replaces the version that
was read. It is never deleted: no store deletes on a condition, and who was too slow would delete the lease of the next
one. What is given back stays there as a lease that is over, which the next one takes over at once.

Where a store has no conditions, a directory, who is not sure to have a lease still leaves it alone: it runs out.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from jitload.format.json import canonical_json

if TYPE_CHECKING:
    from typing import Any, Protocol

    #: What a store tells two states of an object by: some by the one, some by the other.
    Version = tuple[str, str | None]

    class Objects(Protocol):
        """What leases need of a store; its own methods say more."""

        def create(self, name: str, data: bytes, until: float) -> bool:
            """Put bytes where nothing stands."""

        def version(self, name: str, most_bytes: int, until: float) -> tuple[Version, bytes] | None:
            """What stands there."""

        def replace(self, name: str, data: bytes, version: Version, until: float, *, anyway: bool) -> bool:
            """Put bytes where that version stands."""


#: A lease whose holder's clock says that it is over since then is over, whatever that clock is.
CLOCK_SECONDS = 60.0
_MAX_LEASE_SECONDS = 600.0
_MAX_LEASE_BYTES = 1 << 10


class ObjectLeases:
    """The leases of a store.

    Args:
        objects: the store.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        # (digest of a request) -> (what its lease was, and since when it is that), by our own clock.
        self._seen: dict[str, tuple[Version, float]] = {}
        # (digest of a request, token) -> until when a lease that was taken here is nobody else's, by the same clock.
        self._own: dict[tuple[str, str], float] = {}

    def take(self, digest: str, token: str, seconds: float, until: float) -> bool:
        """See `Store.take_lease`."""
        name, begun = f"l/{digest}", time.monotonic()
        if self._objects.create(name, _lease(token, seconds), until):
            self._note_own(digest, token, begun + seconds)
            return True
        found = self._objects.version(name, _MAX_LEASE_BYTES, until)
        if found is None:  # somebody has tidied up: the next look gets it
            return False
        version, held = found[0], _read_lease(found[1])
        seen, since = self._seen.get(digest, (None, 0.0))
        if seen != version:
            self._seen[digest] = (version, time.monotonic())
        its_seconds = min(held["seconds"], _MAX_LEASE_SECONDS) if held is not None else 0.0
        over = seen == version and time.monotonic() - since > (its_seconds or seconds)
        if not over and (held is None or time.time() < held["expires"] + CLOCK_SECONDS):
            return False
        # Where there are no conditions, two that come at once may both have it.
        if not self._objects.replace(name, _lease(token, seconds), version, until, anyway=True):
            return False
        self._note_own(digest, token, begun + seconds)
        return True

    def renew(self, digest: str, token: str, seconds: float, until: float) -> bool:
        """See `Store.renew_lease`."""
        begun = time.monotonic()
        if not self._replace_own(digest, token, _lease(token, seconds), until):
            return False
        self._note_own(digest, token, begun + seconds)
        return True

    def free(self, digest: str, token: str, until: float) -> None:
        """See `Store.free_lease`."""
        self._replace_own(digest, token, _lease("", 0.0, expires=0.0), until)
        self._own.pop((digest, token), None)

    def _replace_own(self, digest: str, token: str, lease: bytes, until: float) -> bool:
        """Put a lease where that of this holder stands; False where it does not, or may not by then."""
        found = self._objects.version(f"l/{digest}", _MAX_LEASE_BYTES, until)
        held = None if found is None else _read_lease(found[1])
        if found is None or held is None or held["token"] != token:
            return False
        surely_own = time.monotonic() < self._own.get((digest, token), 0.0)
        return self._objects.replace(f"l/{digest}", lease, found[0], until, anyway=surely_own)

    def _note_own(self, digest: str, token: str, until: float) -> None:
        self._seen.pop(digest, None)
        self._own[digest, token] = until


def _lease(token: str, seconds: float, expires: float | None = None) -> bytes:
    end = time.time() + seconds if expires is None else expires
    return canonical_json({"expires": end, "seconds": seconds, "token": token})


def _read_lease(data: bytes) -> dict[str, Any] | None:
    try:
        held = json.loads(data)
        good = type(held["token"]) is str and 0 <= float(held["expires"]) < 1e12 and 0 <= float(held["seconds"]) < 1e12
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return held if good else None
