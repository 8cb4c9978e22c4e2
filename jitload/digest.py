"""SHA-256 and the canonical framing of labelled factors.

A digest over several values is only a digest of *those* values when no two different lists of values give the same
bytes. So every factor is written as

    factor := u32 label length | label (UTF-8) | u64 value length | value

and a digest is SHA-256 over the factors in the order given. Labels are length-prefixed too, so that no label can
swallow part of a value.

OpenSSL's SHA-256 is five times as fast as Python's own, and to load OpenSSL takes a tenth of a new process that has a
hit and ends. So a process begins with Python's own, unless something else has loaded OpenSSL before.
"""

from __future__ import annotations

import sys
from struct import pack

from jitload.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    import hashlib
    from collections.abc import Callable, Iterable
    from typing import Protocol

    class Digest(Protocol):
        """A digest that is made, as `hashlib` has it."""

        def digest(self) -> bytes:
            """It."""

        def hexdigest(self) -> str:
            """The same in hex digits."""

    Make = Callable[..., Digest]
else:
    hashlib = lazy("hashlib")

DIGEST_BYTES = 32
#: How much a process digests before OpenSSL is worth its load, which takes twice as long as Python's own for this.
OWN_BYTES = 512 << 10
_BLOCK_BYTES = 64  # of SHA-256, as HMAC has it


def frame(label: str, value: bytes) -> bytes:
    """One factor in its canonical framing."""
    name = label.encode("utf-8", "surrogateescape")  # a label can be a file name, and those need not be UTF-8
    return pack("<I", len(name)) + name + pack("<Q", len(value)) + value


def frame_all(factors: Iterable[tuple[str, bytes]]) -> bytes:
    """Factors in their canonical framing, one after the other."""
    return b"".join([frame(label, value) for label, value in factors])


class _Sha256:
    """Which SHA-256 this process uses.

    Attributes:
        make: gives the digest of data. `usedforsecurity=False`: FIPS builds allow it for keys.
    """

    def __init__(self) -> None:
        self._own = None if "_hashlib" in sys.modules else _own_sha256()
        self._left = OWN_BYTES
        self.make: Make = self._begin

    def _begin(self, data: bytes | bytearray | memoryview, *, usedforsecurity: bool) -> Digest:
        self._left -= len(data)
        if self._own is None or self._left < 0 or "_hashlib" in sys.modules:
            self.make = hashlib.sha256
            return self.make(data, usedforsecurity=usedforsecurity)
        return self._own(data, usedforsecurity=usedforsecurity)


def _own_sha256() -> Make | None:
    """Python's own; None where it was built without."""
    try:
        made: Make = __import__("_sha2" if sys.version_info >= (3, 12) else "_sha256").sha256
    except ImportError:
        return None
    return made


_sha256 = _Sha256()


def sha256(data: bytes | bytearray | memoryview) -> bytes:
    """SHA-256 of data, 32 bytes."""
    return _sha256.make(data, usedforsecurity=False).digest()


def sha256_hex(data: bytes | bytearray | memoryview) -> str:
    """SHA-256 of data, 64 lower-case hex digits."""
    return _sha256.make(data, usedforsecurity=False).hexdigest()


def keyed_sha256(secret: bytes, data: bytes) -> bytes:
    """HMAC of data (RFC 2104) with SHA-256, of a secret that is no longer than a block: `hmac` loads OpenSSL."""
    block = secret.ljust(_BLOCK_BYTES, b"\0")
    inner = sha256(bytes([one ^ 0x36 for one in block]) + data)
    return sha256(bytes([one ^ 0x5C for one in block]) + inner)


def sha256_parts(parts: Iterable[bytes]) -> bytes:
    """SHA-256 of some bytes that come in parts, of which there are many: 32 bytes."""
    state = hashlib.sha256(usedforsecurity=False)
    for part in parts:
        state.update(part)
    return state.digest()


def digest_factors(factors: Iterable[tuple[str, bytes]]) -> str:
    """SHA-256 over framed factors, 64 lower-case hex digits."""
    return sha256_hex(frame_all(factors))


def shard_path(kind: str, digest: str) -> str:
    """Where what has a digest lies among its kind: "objects/ab/cdef...", so that no directory has too many files."""
    return f"{kind}/{digest[:2]}/{digest[2:]}"
