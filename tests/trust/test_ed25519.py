"""Ed25519: the vectors of its standard, and keys that are none."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from jitload.errors import TrustError
from jitload.trust.ed25519 import new_key, public_bytes_of, read_private, verify_signature

# RFC 8032, section 7.1: secret key, public key, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
            "655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
            "b00d291612bb0c00"
        ),
    ),
]


def write_pem(path, key, encryption=None):
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption or serialization.NoEncryption()
        )
    )
    return path


@pytest.mark.parametrize(("secret", "public", "message", "signature"), VECTORS)
def test_the_vectors_of_the_standard(tmp_path, secret, public, message, signature):
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
    read = read_private(str(write_pem(tmp_path / "key", key)))
    assert public_bytes_of(read).hex() == public
    assert read.sign(bytes.fromhex(message)).hex() == signature
    verify_signature(bytes.fromhex(public), bytes.fromhex(signature), bytes.fromhex(message), "ci")


@pytest.mark.parametrize("harm", ["message", "signature", "length", "key", "other key", "malleable"])
def test_what_does_not_fit_is_refused_with_who_and_what(harm):
    _, public, message, signature = (bytes.fromhex(text) for text in VECTORS[1])
    if harm == "message":
        message += b"\0"
    elif harm == "signature":
        signature = bytes([signature[0] ^ 1]) + signature[1:]
    elif harm == "length":
        signature = signature[:-1]
    elif harm == "key":
        public = public[:-1]
    elif harm == "other key":
        public = new_key()[1]
    else:  # S + L is the same signature to a verifier that does not ask for S < L (RFC 8032, 5.1.7)
        order = 2**252 + 27742317777372353535851937790883648493
        signature = signature[:32] + (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    with pytest.raises(TrustError, match="the signature of ci does not fit: the entry was altered"):
        verify_signature(public, signature, message, "ci", "entry")


def test_a_new_key_signs_what_its_public_key_verifies(tmp_path):
    private, public = new_key()
    (tmp_path / "key").write_bytes(private)
    key = read_private(str(tmp_path / "key"))
    assert public_bytes_of(key) == public
    verify_signature(public, key.sign(b"x"), b"x", "ci")
    assert new_key()[1] != public


def test_a_file_that_holds_no_such_key_is_refused_by_name(tmp_path):
    mine = ed25519.Ed25519PrivateKey.generate()
    public = mine.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public").write_bytes(public)
    (tmp_path / "noise").write_bytes(os.urandom(64))
    os.mkfifo(tmp_path / "fifo")
    cases = [
        (write_pem(tmp_path / "curve", ec.generate_private_key(ec.SECP256R1())), "expected an Ed25519 key"),
        (write_pem(tmp_path / "locked", mine, serialization.BestAvailableEncryption(b"word")), "not a private key"),
        (tmp_path / "public", "not a private key"),
        (tmp_path / "noise", "not a private key"),
        (tmp_path / "absent", "cannot read the private key"),
        (tmp_path / "fifo", "cannot read the private key"),
        (tmp_path, "cannot read the private key"),
    ]
    for path, words in cases:
        with pytest.raises(TrustError, match=words) as caught:
            read_private(str(path))
        assert str(path) in str(caught.value)


def test_without_the_package_the_extra_is_named():
    code = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from jitload.errors import TrustError\n"
        "from jitload.trust.ed25519 import new_key, read_private, require_ed25519, verify_signature\n"
        "for call in (require_ed25519, new_key, lambda: read_private('key'), lambda: verify_signature(b'', b'', b'', 'ci')):\n"
        "    try:\n        call()\n"
        "    except TrustError as error:\n        print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["signatures need the package cryptography: pip install 'jitload[sign]'"] * 4
