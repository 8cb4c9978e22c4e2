"""Signatures: who signed, who is trusted, and every way in which that must fail."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

import jitload
from jitload.bundles import format as jlb
from jitload.bundles.sign import generate_keys, sign_bundle
from jitload.bundles.trust import decode_trust_file, key_id, parse_public_key, read_policy
from jitload.errors import BundleError, TrustError


@pytest.fixture
def copy(signed, tmp_path):
    path = tmp_path / "copy.jlb"
    path.write_bytes(signed.read_bytes())
    return path


def id_of(public):
    return key_id(parse_public_key(public))


def trust_file(path, keys, **fields):
    rows = [{"key": public, "name": name} for name, (_, public) in keys.items()]
    path.write_text(json.dumps({"jitload trust": 1, "keys": rows, **fields}))
    return path


def test_a_trusted_signature_opens(signed, keys):
    for trust in ([keys["ci"][1]], keys["ci"][1], [f"{keys['ci'][0]}.pub"], f"{keys['ci'][0]}.pub"):
        bundle = jitload.Bundle.open(signed, trust=trust)
        assert len(bundle.signers) == 1
    assert jitload.Bundle.open(signed, trust=[f"{keys['ci'][0]}.pub"]).signers == ("ci",)


def test_the_setting_trust_counts(signed, keys):
    with jitload.configure(trust=keys["ci"][1]):
        assert jitload.Bundle.open(signed).signers
    with pytest.raises(TrustError, match="no key is trusted"):
        jitload.Bundle.open(signed)


def test_another_key_is_refused(signed, keys):
    with pytest.raises(TrustError, match="is not trusted"):
        jitload.Bundle.open(signed, trust=[keys["other"][1]])


def test_a_removed_signature_block_is_refused(signed, unsigned, keys):
    data = signed.read_bytes()[: unsigned.stat().st_size]
    assert data == unsigned.read_bytes()
    with pytest.raises(TrustError, match="not signed"):
        jitload.Bundle.from_bytes(data, trust=[keys["ci"][1]])


def test_a_signature_of_another_bundle_is_refused(built, signed, keys, tmp_path):
    """Index swapped, manifest edited: whatever the header covers is signed."""
    end = jitload.Bundle.open(signed, trust="unsigned").unsigned_bytes
    block = signed.read_bytes()[end:]
    other = jitload.Bundle.create(tmp_path / "other.jlb", built[1][:2], cache=built[2])
    edited = jitload.Bundle.create(tmp_path / "edited.jlb", built[1], cache=built[2], builder="somebody else")
    for bundle in (other, edited):
        data = pathlib.Path(bundle.path).read_bytes()
        with pytest.raises(TrustError, match="altered after it was signed"):
            jitload.Bundle.from_bytes(data + block, trust=[keys["ci"][1]])


def test_a_revoked_key_is_refused(signed, keys, tmp_path):
    path = trust_file(tmp_path / "trust.json", keys, revoked=[id_of(keys["ci"][1])])
    with pytest.raises(TrustError, match="is revoked"):
        jitload.Bundle.open(signed, trust=[path])
    with pytest.raises(TrustError, match="is revoked"):
        jitload.Bundle.open(signed, trust=[keys["ci"][1], path])


def test_a_threshold_counts_different_keys(copy, keys, tmp_path):
    path = trust_file(tmp_path / "trust.json", keys, threshold=2)
    with pytest.raises(TrustError, match="of 2 trusted keys and has 1"):
        jitload.Bundle.open(copy, trust=path)
    sign_bundle(copy, keys["ci"][0])
    with pytest.raises(TrustError):
        jitload.Bundle.open(copy, trust=path)
    sign_bundle(copy, keys["other"][0])
    assert set(jitload.Bundle.open(copy, trust=path).signers) == {"ci", "other"}


def test_a_signature_twice_counts_once(copy, keys, tmp_path):
    bundle = jitload.Bundle.open(copy, trust="unsigned")
    data = copy.read_bytes()[: bundle.unsigned_bytes] + jlb.encode_signatures(bundle.signatures * 2)
    with pytest.raises(TrustError):
        jitload.Bundle.from_bytes(data, trust=trust_file(tmp_path / "t.json", keys, threshold=2))


def test_unsigned_is_said_aloud_and_alone(unsigned, signed, keys):
    assert jitload.Bundle.open(unsigned, trust="unsigned").signers == ()
    assert jitload.Bundle.open(signed, trust=["unsigned"]).signers == ()
    with pytest.raises(TrustError, match="choose one"):
        jitload.Bundle.open(unsigned, trust=["unsigned", keys["ci"][1]])
    with pytest.raises(TrustError, match="no key is trusted"):
        jitload.Bundle.open(unsigned, trust=[])


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        "{",
        '{"jitload trust": 2, "keys": []}',
        '{"jitload trust": 1, "keys": [], "treshold": 2}',
        '{"jitload trust": 1, "keys": [], "threshold": 0}',
        '{"jitload trust": 1, "keys": [], "threshold": true}',
        '{"jitload trust": 1, "keys": [], "revoked": ["../x"]}',
        '{"jitload trust": 1, "keys": ["ed25519:00"]}',
        '{"jitload trust": 1, "keys": [{"key": "ed25519:zz"}]}',
        "[" * 100000,
    ],
)
def test_a_trust_file_that_is_not_right_to_the_letter_is_refused(text):
    with pytest.raises(TrustError):
        decode_trust_file(text)


@pytest.mark.parametrize("trust", ["ed25519:00", ["/does/not/exist"], [7], "ed25519:" + "AA" * 32])
def test_what_is_no_key_is_refused(trust):
    with pytest.raises(TrustError):
        read_policy(trust)


def test_a_damaged_bundle_is_not_signed(unsigned, keys, tmp_path):
    data = bytearray(unsigned.read_bytes())
    data[-100] ^= 1
    path = tmp_path / "k.jlb"
    path.write_bytes(data)
    with pytest.raises(BundleError):
        sign_bundle(path, keys["ci"][0])
    assert path.read_bytes() == data


def test_a_private_key_is_private_and_is_never_overwritten(tmp_path):
    generate_keys(tmp_path / "key")
    assert os.stat(tmp_path / "key").st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        generate_keys(tmp_path / "key")


def test_unsigned_bundles_need_no_cryptography(unsigned):
    code = f"""
import sys
sys.modules["cryptography"] = None
import jitload
assert jitload.Bundle.open({str(unsigned)!r}, trust="unsigned").verify() == 3
try:
    jitload.Bundle.open({str(unsigned)!r}, trust="ed25519:" + "00" * 32)
except jitload.TrustError as error:
    print(error)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "not signed" in out
