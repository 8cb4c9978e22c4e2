"""Ed25519 by `cryptography`, which is imported here alone, at the first key that is made, used or checked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from jitload.bundles.build import write_bundle
from jitload.bundles.bundle import Bundle
from jitload.bundles.format import encode_signatures
from jitload.bundles.trust import PREFIX, key_id
from jitload.errors import TrustError

if TYPE_CHECKING:
    from types import ModuleType

#: Before what is signed, so that a signature made for something else never fits.
_CONTEXT = b"jitload bundle signature 1\n"
_INSTALL = "signatures need the package cryptography: pip install 'jitload[sign]'"


def generate_keys(private_path: str | os.PathLike[str], name: str = "") -> str:
    """Make a pair of keys: the private one in a file that only its owner can read, the public one beside it in .pub.

    Args:
        private_path: the file for the private key (PKCS #8, PEM, not encrypted); it must not exist.
        name: a comment for the public key's file, shown when it vouches for a bundle.

    Returns:
        The public key, "ed25519:...".

    Raises:
        OSError: a file exists, or cannot be written.
        TrustError: `cryptography` is not installed.
    """
    serialization, ed25519 = _module("serialization"), _module("asymmetric.ed25519")
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = f"{PREFIX}{_public_bytes(key).hex()}"
    target = os.fspath(private_path)
    for path, content, mode in ((f"{target}.pub", f"{public} {name}".strip() + "\n", 0o644), (target, private, 0o600)):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
    return public


def sign_bundle(path: str | os.PathLike[str], private_path: str | os.PathLike[str]) -> str:
    """Add the signature of a key to a bundle; its own earlier one is replaced, those of others stay.

    Returns:
        The id of the key.

    Raises:
        BundleError: the bundle is damaged; what is signed is verified first, every entry of it.
        TrustError: the key cannot be used.
        OSError: the file cannot be written.
    """
    key = _read_private(os.fspath(private_path))
    with open(path, "rb") as file:
        data = file.read()
    # One reading of the file is verified, signed and written, so that nothing can change in between.
    bundle = Bundle.from_bytes(data, os.fspath(path), trust="unsigned")
    bundle.verify()
    own = key_id(_public_bytes(key))
    signature = key.sign(_CONTEXT + bundle.statement)
    others = [(signer, theirs) for signer, theirs in bundle.signatures if signer != own]
    write_bundle(path, data[: bundle.unsigned_bytes] + encode_signatures([*others, (own, signature)]))
    return own


def verify_signature(public: bytes, signature: bytes, statement: bytes, name: str) -> None:
    """Check one signature.

    Raises:
        TrustError: it does not fit, or `cryptography` is not installed.
    """
    invalid = _module("exceptions", package="cryptography").InvalidSignature
    try:
        _module("asymmetric.ed25519").Ed25519PublicKey.from_public_bytes(public).verify(signature, _CONTEXT + statement)
    except (invalid, ValueError):
        raise TrustError(f"the signature of {name} does not fit: the bundle was altered after it was signed") from None


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
