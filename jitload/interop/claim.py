"""One producer for systems that ask for a thing in one call and put it in another, with nothing of ours around both."""

from __future__ import annotations

from contextlib import ExitStack
from threading import local
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from jitload.tiers.blobs import BlobStore

#: So long another producer is waited for. One that has failed, and says so to nobody, holds others up for as long.
WAIT_SECONDS = 120.0


class Claim(local):
    """The right to produce what a thread has asked for and not got, until it puts that or asks for something else.

    A thread that ends, or an object with the claim that goes away, gives it back.

    Args:
        blobs: where it is asked for and put.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._key: bytes | str | None = None
        self._held = ExitStack()

    def get(self, key: bytes | str) -> bytes | None:
        """What is there under a key, if need be after another producer's end; None where it is to be produced here."""
        found = self._blobs.get(key)
        if found is not None or key == self._key:
            return found
        self.end()
        found = self._held.enter_context(self._blobs.lock(key, WAIT_SECONDS))
        if found is None:
            self._key = key
        else:
            self.end()
        return found

    def peek(self, key: bytes | str) -> bytes | None:
        """What is there under a key; nothing is claimed."""
        return self._blobs.get(key)

    def put(self, key: bytes | str, data: Buffer) -> None:
        """Keep what was produced, and let the others have it."""
        self._blobs.put(key, data)
        if key == self._key:
            self.end()

    def end(self) -> None:
        """Give the right back; nothing where there is none."""
        self._key = None
        self._held.close()
