r"""Signatures at the end of a bundle: who signed, what the key calls itself, and when. Bytes in, checked values out.

    signatures := "JLBSIGN\n" bytes:u32 canonical JSON [plain, ...]
                | "JLBSIG2\n" bytes:u32 canonical JSON [plain | named, ...], one of them named
                  (sorted by key id, none twice)
    plain      := [key id, hex of 64 bytes]
    named      := [key id, hex of 64 bytes, name, time]             the time in seconds since 1970 in UTC
    signed     := "jitload bundle signature 1\n" header
                | "jitload bundle signature 2\n" canonical JSON [name, time] header
                  (the header has 128 bytes, so it is known where the JSON ends)

Name and time are signed: whoever can write the file can change neither. They are the signer's own words all the same;
who is trusted, a policy says (trust.py).
"""

from __future__ import annotations

import struct

from jitload.errors import BundleError
from jitload.format.json import all_different, canonical_json, count_of, decode_json, name_of
from jitload.frozen import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SIGNATURE_MAGIC, NAMED_MAGIC = b"JLBSIGN\n", b"JLBSIG2\n"
#: For far more keys than will ever sign one bundle.
MAX_SIGNATURES = 256
MAX_SIGNATURE_BYTES = 256 << 10
#: The last second of the year 9999.
MAX_TIME = 253_402_300_799

HEAD = struct.Struct("<8sI")
_HEX = frozenset("0123456789abcdef")
# Before what is signed, so that a signature made for something else never fits.
_CONTEXT, _NAMED_CONTEXT = b"jitload bundle signature 1\n", b"jitload bundle signature 2\n"


class Signature(Value):
    """One signature.

    Attributes:
        key: the id of the key.
        data: the 64 bytes of the signature.
        name: what the signer calls the key, "" where it does not say.
        time: when it was made, in seconds since 1970 in UTC; None where it does not say, and has no name either.
    """

    __slots__ = ("data", "key", "name", "time")
    key: str
    data: bytes
    name: str
    time: int | None

    def __init__(self, key: str, data: bytes, name: str = "", time: int | None = None) -> None:
        self._set(key=key, data=data, name=name, time=time)

    def statement(self, header: bytes) -> bytes:
        """What is signed, for a bundle with that header."""
        return signed_statement(header, self.name, self.time)


def signed_statement(header: bytes, name: str, time: int | None) -> bytes:
    """What a key signs that calls itself so, at that time."""
    if time is None:
        return _CONTEXT + header
    return b"".join((_NAMED_CONTEXT, canonical_json([name, time]), header))


def encode_signatures(signatures: Iterable[Signature]) -> bytes:
    """The signature block, b"" for none."""
    found = sorted(signatures, key=lambda signature: signature.key)
    if not found:
        return b""
    rows = [
        [one.key, one.data.hex()] if one.time is None else [one.key, one.data.hex(), one.name, one.time]
        for one in found
    ]
    body = canonical_json(rows)
    return HEAD.pack(NAMED_MAGIC if max(map(len, rows)) > 2 else SIGNATURE_MAGIC, len(body)) + body


def decode_signatures(data: bytes) -> tuple[Signature, ...]:
    """The signatures of a block, none for b"".

    Raises:
        BundleError: it is not one.
    """
    if not data:
        return ()
    if len(data) < HEAD.size or data[:8] not in {SIGNATURE_MAGIC, NAMED_MAGIC}:
        raise BundleError("bundle with something other than signatures at its end")
    body = data[HEAD.size :]
    if HEAD.unpack_from(data)[1] != len(body):
        raise BundleError("bundle with something behind its signatures, or not all of them: truncated or altered")
    try:
        rows = decode_json(body, max_bytes=MAX_SIGNATURE_BYTES, max_marks=MAX_SIGNATURE_BYTES)
        if type(rows) is not list or not 0 < len(rows) <= MAX_SIGNATURES:
            raise ValueError(f"expected a list of 1 to {MAX_SIGNATURES} signatures")
        found = tuple([_signature_from_json(row) for row in rows])
        all_different((signature.key for signature in found), "a key")
    except ValueError as error:
        raise BundleError(f"bundle with unreadable signatures ({error})") from None
    # One spelling only: not a bit of the block can change without notice.
    if encode_signatures(found) != data:
        raise BundleError("bundle with signatures that are not in canonical form")
    return found


def _signature_from_json(row: object) -> Signature:
    if type(row) is not list or len(row) not in {2, 4}:
        raise ValueError("a signature is [key id, hex] or [key id, hex, name, time]")
    name, time = (name_of(row[2]), count_of(row[3], 0, MAX_TIME)) if len(row) == 4 else ("", None)
    return Signature(_hex(row[0], 32), bytes.fromhex(_hex(row[1], 128)), name, time)


def _hex(value: object, digits: int) -> str:
    if type(value) is not str or len(value) != digits or not _HEX.issuperset(value):
        raise ValueError(f"expected {digits} lower-case hex digits, got {value!r:.40}")
    return value
