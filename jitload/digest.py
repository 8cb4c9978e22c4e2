"""SHA-256 and the canonical framing of labelled factors.

A digest over several values is only a digest of *those* values when no two different lists of values give the same
bytes. So every factor is written as

    factor := u32 label length | label (UTF-8) | u64 value length | value

and a digest is SHA-256 over the factors in the order given. Labels are length-prefixed too, so that no label can
swallow part of a value.
"""

from __future__ import annotations

import hashlib
from struct import pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

DIGEST_BYTES = 32


def frame(label: str, value: bytes) -> bytes:
    """One factor in its canonical framing."""
    name = label.encode("utf-8", "surrogateescape")  # a label can be a file name, and those need not be UTF-8
    return pack("<I", len(name)) + name + pack("<Q", len(value)) + value


def frame_all(factors: Iterable[tuple[str, bytes]]) -> bytes:
    """Factors in their canonical framing, one after the other."""
    return b"".join([frame(label, value) for label, value in factors])


def sha256(data: bytes | bytearray | memoryview) -> bytes:
    """SHA-256 of data, 32 bytes. `usedforsecurity=False`: FIPS builds allow it for keys."""
    return hashlib.sha256(data, usedforsecurity=False).digest()


def sha256_hex(data: bytes | bytearray | memoryview) -> str:
    """SHA-256 of data, 64 lower-case hex digits."""
    return hashlib.sha256(data, usedforsecurity=False).hexdigest()


def sha256_parts(parts: Iterable[bytes]) -> bytes:
    """SHA-256 of some bytes that come in parts, 32 bytes."""
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
