"""`Arrived`: an entry that is received in pieces, each into its own place, and digested while it comes.

An image of a megabyte is copied by the system off the socket to where it is used, and nowhere else: every further copy
costs as much as a tenth of its digest, and three times that where its pages are new to the process.
"""

from __future__ import annotations

import hashlib
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING

from jitload.digest import DIGEST_BYTES
from jitload.format.entry import HEADER

if TYPE_CHECKING:
    from collections.abc import Callable
    from hashlib import _Hash
    from typing import TypeAlias

    #: Fills the beginning of a buffer with what comes next, and gives how much of it; waits for the first byte.
    Receive: TypeAlias = Callable[[memoryview], int]

#: What is received at once: little enough to be in the processor's caches still when it is digested, and enough that
#: what Python does for each part does not show (64 KB took a tenth longer).
PART_BYTES = 256 << 10


class Arrived:
    """An entry that came, all of it. Nothing in it is verified: `decode_kept` does that.

    Whoever sends works on the next part while one is digested. The header is believed for no more than where to cut.

    Args:
        receive: gives what comes.
        size: so many bytes come.

    Attributes:
        head: header, meta and factors.
        payload: the image.
        digest: the entry's own.
        behind: what follows it: signatures.
    """

    __slots__ = ("_made", "behind", "digest", "head", "payload")

    def __init__(self, receive: Receive, size: int) -> None:
        self._made = hashlib.sha256(usedforsecurity=False)
        parts = _Parts(receive, self._made)
        left = size

        def read(most_bytes: int) -> bytes:
            nonlocal left
            found = stream.read(min(most_bytes, left))
            left -= len(found)
            return found

        # A buffer of one byte is none: `read` makes the bytes that it gives and has them filled.
        with BufferedReader(parts, 1) as stream:
            header = read(HEADER.size)
            meta, factors, payload = HEADER.unpack(header)[2:5] if len(header) == HEADER.size else (0, 0, 0)
            self.head = header + read(meta + factors)
            self.payload = read(payload)
            parts.made = None
            self.digest = read(DIGEST_BYTES)
            self.behind = read(left)

    def __len__(self) -> int:
        return sum(map(len, self.pieces)) + len(self.behind)

    @property
    def pieces(self) -> tuple[bytes, bytes, bytes]:
        """What the entry consists of, one behind the other."""
        return self.head, self.payload, self.digest

    def sha256_before(self) -> bytes:
        """SHA-256 of what stands before the entry's own digest."""
        return self._made.digest()

    def sha256(self) -> bytes:
        """SHA-256 of all of it."""
        made = self._made.copy()
        made.update(self.digest + self.behind)
        return made.digest()

    def without(self, behind: bytes) -> Arrived:
        """The same, which ends with that instead of what is behind it."""
        other = object.__new__(Arrived)
        other._made, other.behind = self._made, behind
        other.head, other.payload, other.digest = self.pieces
        return other


def receive_whole(receive: Receive, size: int) -> bytes:
    """So many bytes of what comes."""
    with BufferedReader(_Parts(receive), 1) as stream:
        return stream.read(size)


class _Parts(RawIOBase):
    """What comes, as the parts of a file.

    Attributes:
        made: is told it, until it is None.
    """

    def __init__(self, receive: Receive, made: _Hash | None = None) -> None:
        self._receive = receive
        self.made = made

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        # Released, since they are views of bytes that are not there any more where it fails.
        with buffer, buffer[:PART_BYTES] as part:
            count = self._receive(part)
            if self.made is not None:
                with part[:count] as come:
                    self.made.update(come)
        return count
