"""Ed25519 by `cryptography`, which is imported here alone, at the first key that is made, used or checked."""

from __future__ import annotations

import errno
import os
import time as clock
from typing import TYPE_CHECKING, Any

from jitload.bundles.bundle import Bundle
from jitload.bundles.signature import MAX_TIME, Signature, encode_signatures, signed_statement
from jitload.bundles.trust import PREFIX, key_id, read_policy
from jitload.errors import TrustError
from jitload.files.atomic import write_file
from jitload.format.json import name_of

if TYPE_CHECKING:
    from types import ModuleType

_INSTALL = "signatures need the package cryptography: pip install 'jitload[sign]'"


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
    """
    serialization, ed25519 = _module("serialization"), _module("asymmetric.ed25519")
    called = _checked_name(name)
    target = os.fspath(private_path)
    for path in (target, f"{target}.pub"):
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "exists, and a key is never overwritten: choose another file", path)
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = f"{PREFIX}{_public_bytes(key).hex()}"
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
    """
    key = _read_private(os.fspath(private_path))
    own = key_id(_public_bytes(key))
    called = _name_beside(os.fspath(private_path), own) if name is None else _checked_name(name)
    when = int(clock.time()) if time is None else time
    if type(when) is not int or not 0 <= when <= MAX_TIME:
        raise TrustError(f"{when!r} is no time: expected seconds since 1970")
    # What is verified is what is signed: the header stays in memory, and has the digest of all that follows.
    with Bundle.open(path, trust="unsigned") as bundle:
        bundle.verify()
        signature = Signature(own, key.sign(signed_statement(bundle.header, called, when)), called, when)
        others = [one for one in bundle.signatures if one.key != own]
        write_file(path, bundle.read_unsigned() + encode_signatures([*others, signature]))
    return signature


def verify_signature(public: bytes, signature: bytes, statement: bytes, name: str) -> None:
    """Check one signature.

    Raises:
        TrustError: it does not fit, or `cryptography` is not installed.
    """
    invalid = _module("exceptions", package="cryptography").InvalidSignature
    try:
        _module("asymmetric.ed25519").Ed25519PublicKey.from_public_bytes(public).verify(signature, statement)
    except (invalid, ValueError):
        raise TrustError(f"the signature of {name} does not fit: the bundle was altered after it was signed") from None


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


def _read_private(path: str) -> Any:
    serialization, ed25519 = _module("serialization"), _module("asymmetric.ed25519")
    try:
        with open(path, "rb") as file:
            key = serialization.load_pem_private_key(file.read(1 << 20), None)
    except OSError as error:
        raise TrustError(f"cannot read the private key {path}: {error.strerror}") from None
    except (ValueError, TypeError) as error:
        raise TrustError(f"{path} is not a private key in plain PEM: {error}") from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise TrustError(
            f"{path} holds a {type(key).__name__}, expected an Ed25519 key: jitload bundle keygen makes one"
        )
    return key


def _public_bytes(key: Any) -> bytes:
    serialization = _module("serialization")
    raw: bytes = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return raw


def _module(name: str, package: str = "cryptography.hazmat.primitives") -> ModuleType | Any:
    from importlib import import_module

    try:
        return import_module(f"{package}.{name}")
    except ImportError:
        raise TrustError(_INSTALL) from None
