r"""Signatures behind bytes that are read without them too: a remote's entries and closure records.

    signed   := body trailer
    trailer  := rows bytes:u32 "JLSIGNED"                  all integers are little-endian
    rows     := canonical JSON [[key id, hex of 64 bytes], ...], sorted by key id, none twice
    signs    := "jitload remote 1\n" canonical JSON [what it is, under which name] SHA-256 of body

What it is and the name under which it lies are signed too: whoever can write there can move nothing to another place.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from jitload.digest import sha256
from jitload.errors import TrustError
from jitload.format.json import all_different, canonical_json, decode_json
from jitload.lazy import lazy
from jitload.trust.policy import is_key_id, key_id

if TYPE_CHECKING:
    from typing import Any

    from jitload.trust import ed25519
    from jitload.trust.policy import Policy

    Rows = tuple[tuple[str, bytes], ...]
else:
    ed25519 = lazy("jitload.trust.ed25519")

MAGIC = b"JLSIGNED"
_TAIL = struct.Struct("<I8s")
_CONTEXT = b"jitload remote 1\n"
_MAX_ROWS, _MAX_ROW_BYTES = 16, 8 << 10


class Signer:
    """Signs with a private key.

    Args:
        path: the file that holds it.

    Attributes:
        key: the id of the key.

    Raises:
        TrustError: it cannot be read, or `cryptography` is not installed.
    """

    def __init__(self, path: str) -> None:
        self._private = ed25519.read_private(path)
        self.key = key_id(ed25519.public_bytes_of(self._private))

    def sign(self, body: bytes, what: str, name: str) -> bytes:
        """The body with its trailer."""
        signature: bytes = self._private.sign(_statement(sha256(body), what, name))
        rows = _rows_to_json(((self.key, signature),))
        return b"".join((body, rows, _TAIL.pack(len(rows), MAGIC)))


def split_trailer(data: bytes) -> tuple[bytes, Rows]:
    """The body, and (key id, signature) of each signature; none where there is no trailer that can be read."""
    if not data.endswith(MAGIC) or len(data) < _TAIL.size:
        return data, ()
    length, _ = _TAIL.unpack_from(data, len(data) - _TAIL.size)
    start = len(data) - _TAIL.size - length
    if length > _MAX_ROW_BYTES or start < 0:
        return data, ()
    try:
        return data[:start], _rows_from_json(data[start : len(data) - _TAIL.size])
    except ValueError:
        return data, ()


def verify_trailer(policy: Policy, rows: Rows, digest: bytes, what: str, name: str) -> None:
    """Nothing where as many trusted keys have signed as a policy demands.

    Args:
        policy: the policy.
        rows: the signatures.
        digest: SHA-256 of the body.
        what: what it is.
        name: the name under which it lies.

    Raises:
        TrustError: they have not.
    """
    if policy.unsigned:
        return
    signed, rejected = 0, []
    for key, signature in rows:
        if key in policy.revoked:
            rejected.append(f"key {key} is revoked")
        elif key not in policy.keys:
            rejected.append(f"key {key} is not trusted")
        else:
            called, public = policy.keys[key]
            ed25519.verify_signature(public, signature, _statement(digest, what, name), called, what)
            signed += 1
    if signed < policy.threshold:
        why = "; ".join(rejected) or "it is not signed"
        raise TrustError(f"it has {signed} of {policy.threshold} signatures of trusted keys: {why}")


def _statement(digest: bytes, what: str, name: str) -> bytes:
    return b"".join((_CONTEXT, canonical_json([what, name]), digest))


def _rows_from_json(text: bytes) -> Rows:
    rows: Any = decode_json(text, max_bytes=_MAX_ROW_BYTES, max_marks=_MAX_ROW_BYTES)
    if type(rows) is not list or not 0 < len(rows) <= _MAX_ROWS:
        raise ValueError("a list of signatures")
    for row in rows:
        if type(row) is not list or [type(part) for part in row] != [str, str] or not is_key_id(row[0]):
            raise ValueError("a signature is [key id, hex]")
    all_different((row[0] for row in rows), "a key")
    found = tuple([(row[0], bytes.fromhex(row[1])) for row in rows])
    # One spelling only, also of the digits: not a bit of a trailer can change without notice.
    if _rows_to_json(found) != text:
        raise ValueError("not in canonical form")
    return found


def _rows_to_json(rows: Rows) -> bytes:
    return canonical_json([[key, signature.hex()] for key, signature in sorted(rows)])
