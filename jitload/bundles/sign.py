"""Making keys, and signing bundles with them."""

from __future__ import annotations

import errno
import os
import time as clock

from jitload.bundles.bundle import Bundle
from jitload.bundles.signature import MAX_TIME, Signature, encode_signatures, signed_statement
from jitload.bundles.trust import PREFIX, key_id, read_policy
from jitload.errors import TrustError
from jitload.files.atomic import write_file
from jitload.format.json import name_of
from jitload.given import given_path
from jitload.trust.ed25519 import new_key, public_bytes_of, read_private, require_ed25519


def generate_keys(private_path: str | os.PathLike[str], name: str = "") -> str:
    """Make a pair of keys: the private one in a file that only its owner can read, the public one beside it in .pub.

    Both files appear, or none: one that exists already is refused before anything is written.

    Args:
        private_path: the file for the private key (PKCS #8, PEM, not encrypted).
        name: what to call the key, one line: it stands in the public key's file and in what the key signs.

    Returns:
        The public key, "ed25519:..."; `jitload.bundles.trust.key_id` has its id.

    Raises:
        OSError: a file exists, or cannot be written.
        TrustError: a name that cannot be, or `cryptography` is not installed.
        UsageError: what is no path.
    """
    require_ed25519()
    called = _checked_name(name)
    target = given_path("private_path", private_path)
    for path in (target, f"{target}.pub"):
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "exists, and a key is never overwritten: choose another file", path)
    private, public_bytes = new_key()
    public = f"{PREFIX}{public_bytes.hex()}"
    # The private one first: a public key without it would be handed out and fit nothing.
    _write_new(target, private, 0o600)
    try:
        _write_new(f"{target}.pub", f"{public} {called}".strip().encode() + b"\n", 0o644)
    except BaseException:
        os.unlink(target)
        raise
    return public


def sign_bundle(
    path: str | os.PathLike[str],
    private_path: str | os.PathLike[str],
    *,
    name: str | None = None,
    time: int | None = None,
) -> Signature:
    """Add the signature of a key to a bundle; its own earlier one is replaced, those of others stay.

    Args:
        path: the bundle.
        private_path: the private key, as `generate_keys` writes it.
        name: what the key calls itself, which is signed; default: what the .pub file beside it says.
        time: when it is signed, which is signed too, in seconds since 1970 in UTC; default: now. With a time that is
            given, signing again gives the same bytes.

    Returns:
        The signature.

    Raises:
        BundleError: the bundle is damaged; what is signed is verified first, every entry of it.
        TrustError: the key cannot be used, or a name or time that cannot be.
        OSError: the file cannot be written.
        UsageError: what is no path.
    """
    target, private = given_path("path", path), given_path("private_path", private_path)
    key = read_private(private)
    own = key_id(public_bytes_of(key))
    called = _name_beside(private, own) if name is None else _checked_name(name)
    when = int(clock.time()) if time is None else time
    if type(when) is not int or not 0 <= when <= MAX_TIME:
        raise TrustError(f"{when!r} is no time: expected seconds since 1970")
    # What is verified is what is signed: the header stays in memory, and has the digest of all that follows.
    with Bundle.open(target, trust="unsigned") as bundle:
        bundle.verify()
        signature = Signature(own, key.sign(signed_statement(bundle.header, called, when)), called, when)
        others = [one for one in bundle.signatures if one.key != own]
        write_file(target, bundle.read_unsigned() + encode_signatures([*others, signature]))
    return signature


def _write_new(path: str, data: bytes, mode: int) -> None:
    """Write a file that must not exist, with that mode whatever the umask; no part of it is left after a failure."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if mode == 0o600:
                os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        os.unlink(path)
        raise


def _checked_name(name: str) -> str:
    try:
        return name_of(name).strip()
    except ValueError as error:
        raise TrustError(str(error)) from None


def _name_beside(private_path: str, key: str) -> str:
    """What the public key's file beside a private key calls it; "" where there is none, or one of another key."""
    try:
        name, _ = read_policy(f"{private_path}.pub").keys.get(key, ("", b""))
    except TrustError:
        return ""
    return "" if name == key else name
