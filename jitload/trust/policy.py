r"""Who is trusted: public keys, trust files, and the policy that they make. All offline.

    public key   ed25519:HEX          64 hex digits; a file with one has it as its first word, then a name, in one line
    key id       the first 32 hex digits of SHA-256 over the 32 bytes of a public key
    trust file   {"jitload trust": 1, "keys": [{"key": "ed25519:...", "name": "ci-2026"}, ...], "threshold": 1,
                  "revoked": ["KEY ID", ...], "not_older_than": {"BUNDLE NAME": SERIAL, "*": SERIAL}}
                  (keys have names or not; the last three fields may be left out)

A signature counts when it is by an allowed key that is not revoked. As many different keys as the threshold demands
must have signed. A signature of an allowed key that does not fit the bytes refuses the bundle, whoever else has signed.
Where a trust file has `not_older_than`, every bundle needs the serial that stands there under its name, or under "*":
an old bundle, signed as well as ever, cannot be put back. One that the table does not speak of is refused.
Unsigned bundles are opened with the word "unsigned" in place of keys, and in no other way.
"""

from __future__ import annotations

import os

from jitload import config
from jitload.digest import sha256_hex
from jitload.errors import TrustError
from jitload.files.regular import open_regular
from jitload.format.json import all_different, count_of, decode_json, list_of, name_of, object_of
from jitload.frozen import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

UNSIGNED = "unsigned"
PREFIX = "ed25519:"
MAX_TRUST_BYTES = 1 << 20
KEY_ID_DIGITS = 32
_HEX = frozenset("0123456789abcdef")


class Policy(Value):
    """What a bundle must meet.

    Attributes:
        keys: key id -> (name, the 32 bytes of the public key).
        threshold: how many of them must have signed.
        revoked: ids of keys whose signatures do not count.
        serials: tables of bundle name (or "*") -> the least serial, all of which must be met.
        unsigned: True when nothing need be signed.
    """

    __slots__ = ("keys", "revoked", "serials", "threshold", "unsigned")
    keys: Mapping[str, tuple[str, bytes]]
    threshold: int
    revoked: frozenset[str]
    serials: tuple[Mapping[str, int], ...]
    unsigned: bool

    def __init__(
        self,
        keys: Mapping[str, tuple[str, bytes]],
        threshold: int = 1,
        revoked: Iterable[str] = (),
        serials: Iterable[Mapping[str, int]] = (),
        *,
        unsigned: bool = False,
    ) -> None:
        self._set(
            keys=dict(keys),
            threshold=threshold,
            revoked=frozenset(revoked),
            serials=tuple(serials),
            unsigned=unsigned,
        )


def key_id(public: bytes) -> str:
    """The id of a public key."""
    return sha256_hex(public)[:KEY_ID_DIGITS]


def is_key_id(text: str) -> bool:
    """Whether a text is spelled like a key id."""
    return len(text) == KEY_ID_DIGITS and _HEX.issuperset(text)


def parse_public_key(text: str) -> bytes:
    """The 32 bytes of "ed25519:HEX".

    Raises:
        TrustError: it is something else.
    """
    given: object = text
    stripped = given.strip() if isinstance(given, str) else repr(given)
    digits = stripped.removeprefix(PREFIX)
    if not stripped.startswith(PREFIX) or len(digits) != 64 or not _HEX.issuperset(digits):
        raise TrustError(f"{stripped[:80]!r} is not a public key: expected {PREFIX} and 64 lower-case hex digits")
    return bytes.fromhex(digits)


def read_policy(trust: Iterable[object] | str | os.PathLike[str] | None) -> Policy:
    """The policy that keys, files and words make together: all keys, revocations and serials, the highest threshold.

    Raises:
        TrustError: nothing is trusted, a file cannot be read, or something is no key.
    """
    items = _items(config.current().trust if trust is None else trust)
    if any(item == UNSIGNED for item in items):
        if len(items) > 1:
            raise TrustError("trust holds 'unsigned' and keys: with 'unsigned' no key would count, so choose one")
        return Policy({}, 0, unsigned=True)
    policies = [_read_item(item) for item in items]
    keys = {key: row for policy in policies for key, row in policy.keys.items()}
    if not keys:
        raise TrustError(
            "no key is trusted: name public keys or a trust file in trust=[...] (--trust on the command line) or in "
            "JITLOAD_TRUST, or write 'unsigned' there to take bundles that nobody vouches for"
        )
    return Policy(
        keys,
        max(policy.threshold for policy in policies),
        [key for policy in policies for key in policy.revoked],
        [table for policy in policies for table in policy.serials],
    )


def decode_trust_file(text: str) -> Policy:
    """The policy in the text of a trust file.

    Raises:
        TrustError: it is not one, to the letter: a misspelled field must not lower the bar.
    """
    try:
        value = decode_json(text.encode(), max_bytes=MAX_TRUST_BYTES, max_marks=MAX_TRUST_BYTES // 8)
        object_of(value, ("jitload trust", "keys"), ("revoked", "threshold", "not_older_than"))
        if count_of(value["jitload trust"]) != 1:
            raise ValueError(f"version {value['jitload trust']}, this jitload reads 1")
        rows = [object_of(row, ("key",), ("name",)) for row in list_of(value["keys"], dict)]
        publics = [parse_public_key(row["key"]) for row in rows]
        all_different(map(key_id, publics), "a key")
        names = [name_of(row.get("name", "")) for row in rows]
        keys = {key_id(public): (name or key_id(public), public) for name, public in zip(names, publics, strict=True)}
        revoked = list_of(value.get("revoked", []), str)
        all_different(revoked, "a revoked key")
        if not all(map(is_key_id, revoked)):
            raise ValueError(f"revoked is a list of key ids, {KEY_ID_DIGITS} lower-case hex digits each")
        serials = [_serials_from_json(value["not_older_than"])] if "not_older_than" in value else []
        if not (keys or revoked or serials):
            raise ValueError("it names no key, revokes none and demands no serial")
        return Policy(keys, count_of(value.get("threshold", 1), 1), revoked, serials)
    except ValueError as error:
        raise TrustError(f"not a trust file: {error}") from None


def _items(trust: object) -> list[object]:
    if isinstance(trust, (str, os.PathLike)):
        return [trust]
    if isinstance(trust, bytes) or not hasattr(trust, "__iter__"):
        raise TrustError(f"trust is a list of keys and files, got {type(trust).__name__}")
    return list(trust)


def _serials_from_json(value: object) -> dict[str, int]:
    if not isinstance(value, dict) or not value:
        raise ValueError('not_older_than is an object like {"ops": 7}')
    return {name_of(name): count_of(serial) for name, serial in value.items()}


def _read_item(item: object) -> Policy:
    text = os.fspath(item) if isinstance(item, (str, os.PathLike)) else None
    if not isinstance(text, str):
        raise TrustError(f"trust holds keys and files, got {type(item).__name__}")
    if text.startswith(PREFIX):
        return _one_key(text, "")
    try:
        content = _read_text(os.path.expanduser(text))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise TrustError(f"cannot read the trusted key or trust file {text}: {reason}") from None
    try:
        if content.lstrip().startswith("{"):
            return decode_trust_file(content)
        lines = content.strip().splitlines()
        if len(lines) != 1:
            raise ValueError(f"{len(lines)} lines, and a file with a public key has one: {PREFIX}HEX and a name")
        key, _, name = lines[0].partition(" ")
        return _one_key(key, name_of(name.strip()))
    except (TrustError, ValueError) as error:
        raise TrustError(f"{text}: {error}") from None


def _read_text(path: str) -> str:
    """The text of a regular file; a FIFO in its place must not hang the application."""
    with open_regular(path) as file:
        data = file.read(MAX_TRUST_BYTES + 1)
    if len(data) > MAX_TRUST_BYTES:
        raise ValueError(f"longer than {MAX_TRUST_BYTES} bytes")
    return data.decode("utf-8")


def _one_key(text: str, name: str) -> Policy:
    public = parse_public_key(text)
    return Policy({key_id(public): (name or key_id(public), public)})
