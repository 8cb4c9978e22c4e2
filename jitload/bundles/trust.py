r"""Who is trusted: public keys, trust files, and the policy that a bundle must meet when it is opened. All offline.

    public key   ed25519:HEX          64 hex digits; in a file, the first word of the first line
    key id       the first 32 hex digits of SHA-256 over the 32 bytes of a public key
    trust file   {"jitload trust": 1, "keys": [{"key": "ed25519:...", "name": "ci-2026"}, ...], "threshold": 1,
                  "revoked": ["KEY ID", ...]}

A signature counts when it is by an allowed key that is not revoked. As many different keys as the threshold demands
must have signed. A signature of an allowed key that does not fit the bytes refuses the bundle, whoever else has signed.
Unsigned bundles are opened with the word "unsigned" in place of keys, and in no other way.
"""

from __future__ import annotations

import json
import os

from jitload import config
from jitload.digest import sha256_hex
from jitload.errors import TrustError
from jitload.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

UNSIGNED = "unsigned"
PREFIX = "ed25519:"
MAX_TRUST_BYTES = 1 << 20
_FIELDS = {"jitload trust", "keys", "revoked", "threshold"}
_HEX = frozenset("0123456789abcdef")
# (statement digest, signatures, policy) that were verified in this process: one file, one verification.
_verified: dict[tuple[object, ...], tuple[str, ...]] = {}


class Policy(Value):
    """What a bundle must meet.

    Attributes:
        keys: key id -> (name, the 32 bytes of the public key).
        threshold: how many of them must have signed.
        revoked: ids of keys whose signatures do not count.
        unsigned: True when nothing need be signed.
    """

    __slots__ = ("keys", "revoked", "threshold", "unsigned")
    keys: Mapping[str, tuple[str, bytes]]
    threshold: int
    revoked: frozenset[str]
    unsigned: bool

    def __init__(
        self, keys: Mapping[str, tuple[str, bytes]], threshold: int, revoked: Iterable[str], *, unsigned: bool
    ) -> None:
        self._set(keys=dict(keys), threshold=threshold, revoked=frozenset(revoked), unsigned=unsigned)


def key_id(public: bytes) -> str:
    """The id of a public key."""
    return sha256_hex(public)[:32]


def parse_public_key(text: str) -> bytes:
    """The 32 bytes of "ed25519:HEX".

    Raises:
        TrustError: it is something else.
    """
    digits = text.strip().removeprefix(PREFIX)
    if not text.strip().startswith(PREFIX) or len(digits) != 64 or not _HEX.issuperset(digits):
        raise TrustError(f"{text.strip()[:80]!r} is not a public key: expected {PREFIX} and 64 lower-case hex digits")
    return bytes.fromhex(digits)


def read_policy(trust: Iterable[Any] | str | os.PathLike[str] | None) -> Policy:
    """The policy that keys, files and words make together: all their keys, all revocations, the highest threshold.

    Raises:
        TrustError: nothing is trusted, a file cannot be read, or something is no key.
    """
    given: Any = config.current().trust if trust is None else trust
    items = [given] if isinstance(given, (str, os.PathLike)) else list(given)
    if not items:
        raise TrustError(
            "no key is trusted: name public keys or a trust file in trust=[...] (--trust on the command line) or in "
            "JITLOAD_TRUST, or write 'unsigned' there to take bundles that nobody vouches for"
        )
    if any(item == UNSIGNED for item in items):
        if len(items) > 1:
            raise TrustError("trust holds 'unsigned' and keys: with 'unsigned' no key would count, so choose one")
        return Policy({}, 0, (), unsigned=True)
    keys: dict[str, tuple[str, bytes]] = {}
    revoked: set[str] = set()
    threshold = 1
    for item in items:
        policy = _read_item(item)
        keys.update(policy.keys)
        revoked |= policy.revoked
        threshold = max(threshold, policy.threshold)
    return Policy(keys, threshold, revoked, unsigned=False)


def decode_trust_file(text: str) -> Policy:
    """The policy in the text of a trust file.

    Raises:
        TrustError: it is not one, to the letter: a misspelled field must not lower the bar.
    """
    try:
        value = json.loads(text)
        if not isinstance(value, dict) or not {"jitload trust", "keys"} <= set(value) <= _FIELDS:
            raise ValueError(f"expected the fields {', '.join(sorted(_FIELDS))}")
        if value["jitload trust"] != 1:
            raise ValueError(f"version {value['jitload trust']!r}, this jitload reads 1")
        keys = {}
        for row in value["keys"]:
            if not set(row) <= {"key", "name"}:
                raise ValueError(f"a key has the fields key and name, got {sorted(row)}")
            public = parse_public_key(row["key"])
            keys[key_id(public)] = (str(row.get("name") or key_id(public)), public)
        threshold, revoked = value.get("threshold", 1), value.get("revoked", [])
        if type(threshold) is not int or threshold < 1 or not isinstance(revoked, list):
            raise ValueError("threshold is a number from 1 on, and revoked a list of key ids")
        if any(not isinstance(item, str) or len(item) != 32 or not _HEX.issuperset(item) for item in revoked):
            raise ValueError("revoked is a list of key ids, 32 lower-case hex digits each")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise TrustError(f"not a trust file: {error}") from None
    return Policy(keys, threshold, revoked, unsigned=False)


def verify_trust(
    name: str, statement: bytes, signatures: list[tuple[str, bytes]], trust: Iterable[Any] | str | None
) -> tuple[str, ...]:
    """The names of the trusted keys that signed a statement.

    Args:
        name: what to call the bundle in a message.
        statement: what was signed.
        signatures: (key id, signature) pairs that came with it.
        trust: as `read_policy` takes it.

    Raises:
        TrustError: the policy is not met.
    """
    try:
        policy = read_policy(trust)
        if policy.unsigned:
            return ()
        state = (statement, tuple(signatures), tuple(policy.keys.items()), policy.threshold, policy.revoked)
        if state not in _verified:
            _verified[state] = _signers(policy, statement, signatures)
        return _verified[state]
    except TrustError as error:
        raise TrustError(f"{name} is not used: {error}") from None


def _read_item(item: Any) -> Policy:
    text = os.fspath(item) if isinstance(item, (str, os.PathLike)) else None
    if text is None:
        raise TrustError(f"trust holds keys and files, got {type(item).__name__}")
    if text.startswith(PREFIX):
        return _one_key(text, None)
    try:
        with open(os.path.expanduser(text), encoding="utf-8") as file:
            content = file.read(MAX_TRUST_BYTES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise TrustError(f"cannot read the trusted key or trust file {text}: {reason}") from None
    try:
        if content.lstrip().startswith("{"):
            return decode_trust_file(content)
        words = content.split()
        return _one_key(words[0] if words else "", " ".join(words[1:]))
    except TrustError as error:
        raise TrustError(f"{text}: {error}") from None


def _one_key(text: str, name: str | None) -> Policy:
    public = parse_public_key(text)
    return Policy({key_id(public): (name or key_id(public), public)}, 1, (), unsigned=False)


def _signers(policy: Policy, statement: bytes, signatures: list[tuple[str, bytes]]) -> tuple[str, ...]:
    signed: dict[str, str] = {}
    rejected = []
    for signer, signature in signatures:
        if signer in policy.revoked:
            rejected.append(f"key {signer} is revoked")
        elif signer not in policy.keys:
            rejected.append(f"key {signer} is not trusted")
        else:
            from jitload.bundles.sign import verify_signature

            name, public = policy.keys[signer]
            verify_signature(public, signature, statement, name)
            signed[signer] = name
    if len(signed) < policy.threshold:
        why = "; ".join(rejected) or ("it is not signed" if not signatures else "too few have signed")
        raise TrustError(
            f"it needs the signature{'s of' if policy.threshold > 1 else ' of'} {policy.threshold} trusted "
            f"key{'s' if policy.threshold > 1 else ''} and has {len(signed)}: {why}"
        )
    return tuple(signed.values())
