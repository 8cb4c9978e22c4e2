"""`Arriving`: the digest of an entry, made while its bytes come."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from jitload.format.entry import HEADER

if TYPE_CHECKING:
    from hashlib import _Hash


class Arriving:
    """SHA-256 over as much of what comes in parts as the header of an entry promises before the entry's own digest.

    Whoever sends works on the next part meanwhile. The header is believed for no more than how far to go.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """What came before does not count."""
        self._state: _Hash | None = None
        self._end = self._came = 0

    def add(self, part: bytes) -> None:
        """The next part; one that is too short for a header, as the first, gives no digest."""
        if not self._came and len(part) >= HEADER.size:
            self._state = hashlib.sha256(usedforsecurity=False)
            self._end = HEADER.size + sum(HEADER.unpack_from(part)[2:5])
        if self._state is not None and self._came < self._end:
            left = self._end - self._came
            self._state.update(part if len(part) <= left else memoryview(part)[:left])
        self._came += len(part)

    def digest(self, end: int) -> bytes | None:
        """Of the first `end` bytes; None where it was not made while they came."""
        return self._state.digest() if self._state is not None and self._end == end <= self._came else None
