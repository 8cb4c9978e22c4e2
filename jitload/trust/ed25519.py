"""Ed25519 by `cryptography`, which is imported here alone, at the first key that is made, used or checked."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from jitload.errors import TrustError
from jitload.files.regular import open_input

if TYPE_CHECKING:
    from types import ModuleType

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_INSTALL = "signatures need the package cryptography: pip install 'jitload[sign]'"


def require_ed25519() -> None:
    """Nothing where keys can be made and used.

    Raises:
        TrustError: `cryptography` is not installed.
    """
    _module("asymmetric.ed25519")


def new_key() -> tuple[bytes, bytes]:
    """A new private key as PEM (PKCS #8, not encrypted), and the 32 bytes of its public key."""
    serialization = _module("serialization")
    key = _module("asymmetric.ed25519").Ed25519PrivateKey.generate()
    private: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, public_bytes_of(key)


def read_private(path: str) -> Ed25519PrivateKey:
    """The private key in a file, as `cryptography` has it.

    Raises:
        TrustError: it cannot be read, or is no Ed25519 key in plain PEM.
    """
    serialization, ed25519 = _module("serialization"), _module("asymmetric.ed25519")
    try:
        with open_input(path) as file:
            key = serialization.load_pem_private_key(file.read(1 << 20), None)
    except OSError as error:
        raise TrustError(f"cannot read the private key {path}: {error.strerror}") from None
    except (ValueError, TypeError) as error:
        raise TrustError(f"{path} is not a private key in plain PEM: {error}") from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise TrustError(
            f"{path} holds a {type(key).__name__}, expected an Ed25519 key: jitload bundle keygen makes one"
        )
    private: Ed25519PrivateKey = key
    return private


def public_bytes_of(key: Ed25519PrivateKey) -> bytes:
    """The 32 bytes of the public key that goes with a private one."""
    serialization = _module("serialization")
    raw: bytes = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return raw


def verify_signature(public: bytes, signature: bytes, statement: bytes, name: str, what: str = "bundle") -> None:
    """Check one signature of a key that is called `name`, on what is called `what`.

    Raises:
        TrustError: it does not fit, or `cryptography` is not installed.
    """
    invalid = _module("exceptions", package="cryptography").InvalidSignature
    try:
        _module("asymmetric.ed25519").Ed25519PublicKey.from_public_bytes(public).verify(signature, statement)
    except (invalid, ValueError):
        raise TrustError(
            f"the signature of {name} does not fit: the {what} was altered after it was signed; get it again"
        ) from None


def _module(name: str, package: str = "cryptography.hazmat.primitives") -> ModuleType:
    try:
        return import_module(f"{package}.{name}")
    except ImportError:
        raise TrustError(_INSTALL) from None
