"""Signatures: who signed, who is trusted, and every way in which that must fail."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest
from cryptography.hazmat.primitives import serialization

import jitload
from jitload.bundles.build import create
from jitload.bundles.sign import generate_keys, sign_bundle
from jitload.bundles.signature import Signature, encode_signatures
from jitload.bundles.trust import key_id, parse_public_key
from jitload.bundles.trust_file import find_key
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
    with pytest.raises(TrustError, match=r"is not trusted; where you trust that key, name its \.pub file in trust= or"):
        jitload.Bundle.open(signed, trust=[keys["other"][1]])


def test_a_removed_signature_block_is_refused(signed, unsigned, keys):
    data = signed.read_bytes()[: unsigned.stat().st_size]
    assert data == unsigned.read_bytes()
    with pytest.raises(TrustError, match=r"not signed; have it signed by one \(jitload bundle sign\)$"):
        jitload.Bundle.from_bytes(data, trust=[keys["ci"][1]])


def test_a_signature_of_another_bundle_is_refused(built, signed, keys, tmp_path):
    """Index swapped, manifest edited: whatever the header covers is signed."""
    end = jitload.Bundle.open(signed, trust="unsigned").unsigned_bytes
    block = signed.read_bytes()[end:]
    other = jitload.Bundle.create(tmp_path / "other.jlb", built[1][:2], cache=built[2])
    edited = jitload.Bundle.create(tmp_path / "edited.jlb", built[1], cache=built[2], builder="somebody else")
    for bundle in (other, edited):
        data = pathlib.Path(bundle.path).read_bytes()
        with pytest.raises(TrustError, match=r"altered after it was signed; get it again$"):
            jitload.Bundle.from_bytes(data + block, trust=[keys["ci"][1]])


def test_a_revoked_key_is_refused(signed, keys, tmp_path):
    path = trust_file(tmp_path / "trust.json", keys, revoked=[id_of(keys["ci"][1])])
    with pytest.raises(TrustError, match="is revoked; have it signed by one"):
        jitload.Bundle.open(signed, trust=[path])
    with pytest.raises(TrustError, match="is revoked"):
        jitload.Bundle.open(signed, trust=[keys["ci"][1], path])


def test_a_threshold_counts_different_keys(copy, keys, tmp_path):
    path = trust_file(tmp_path / "trust.json", keys, threshold=2)
    with pytest.raises(TrustError, match=r"of 2 trusted keys and has 1: .* have it signed by them"):
        jitload.Bundle.open(copy, trust=path)
    sign_bundle(copy, keys["ci"][0])
    with pytest.raises(TrustError):
        jitload.Bundle.open(copy, trust=path)
    sign_bundle(copy, keys["other"][0])
    assert set(jitload.Bundle.open(copy, trust=path).signers) == {"ci", "other"}


@pytest.mark.parametrize("trust", ["unsigned", "trust.json"])
def test_a_signature_twice_is_refused(copy, keys, tmp_path, trust):
    bundle = jitload.Bundle.open(copy, trust="unsigned")
    data = bundle.read_unsigned() + encode_signatures(bundle.signatures * 2)
    trust_file(tmp_path / "trust.json", keys, threshold=2)
    with pytest.raises(BundleError, match="twice"):
        jitload.Bundle.from_bytes(data, trust=trust if trust == "unsigned" else tmp_path / trust)


def test_unsigned_is_said_aloud_and_alone(unsigned, signed, keys):
    assert jitload.Bundle.open(unsigned, trust="unsigned").signers == ()
    assert jitload.Bundle.open(signed, trust=["unsigned"]).signers == ()
    with pytest.raises(TrustError, match="choose one"):
        jitload.Bundle.open(unsigned, trust=["unsigned", keys["ci"][1]])
    with pytest.raises(TrustError, match="no key is trusted"):
        jitload.Bundle.open(unsigned, trust=[])


def test_a_file_that_only_revokes_goes_with_keys_from_elsewhere(signed, keys, tmp_path):
    path = tmp_path / "revoked.json"
    path.write_text(json.dumps({"jitload trust": 1, "keys": [], "revoked": [id_of(keys["other"][1])]}))
    assert jitload.Bundle.open(signed, trust=[keys["ci"][1], path]).signers
    with pytest.raises(TrustError, match="no key is trusted"):
        jitload.Bundle.open(signed, trust=[path])


@pytest.mark.parametrize("wrong", [None, 3, b"key", "x\0y"])
def test_what_is_no_path_is_a_usage_error(wrong, tmp_path):
    for call in (
        generate_keys,
        lambda path: sign_bundle(tmp_path / "a.jlb", path),
        lambda path: sign_bundle(path, "k"),
    ):
        with pytest.raises(jitload.UsageError, match=r"path(=.*| is a path .*, got)"):
            call(wrong)


def test_a_key_is_found_by_whatever_names_it(keys, tmp_path):
    ids = {name: id_of(public) for name, (_, public) in keys.items()}
    for text in (f"{keys['ci'][0]}.pub", keys["ci"][1], ids["ci"], ids["ci"][:12]):
        assert find_key(text, ids.values()) == ids["ci"]
    assert find_key("ab" * 16, ids.values()) == "ab" * 16  # one that is not named: the id alone is enough
    both = trust_file(tmp_path / "both.json", keys)
    for text, words in (
        ("", "fits 2 of them"),
        ("zz", "is no key"),
        ("0" * 31, "fits none"),
        (str(both), "names 2 keys"),
    ):
        with pytest.raises(TrustError, match=words):
            find_key(text, ids.values())


def test_a_damaged_bundle_is_not_signed(unsigned, keys, tmp_path):
    data = bytearray(unsigned.read_bytes())
    data[-100] ^= 1
    path = tmp_path / "k.jlb"
    path.write_bytes(data)
    with pytest.raises(BundleError):
        sign_bundle(path, keys["ci"][0])
    assert path.read_bytes() == data


@pytest.mark.parametrize("exists", ["key", "key.pub"])
@pytest.mark.parametrize("what", ["file", "link"])
def test_a_pair_of_keys_appears_whole_or_not_at_all(tmp_path, exists, what):
    (tmp_path / exists).symlink_to("nowhere") if what == "link" else (tmp_path / exists).write_text("old")
    with pytest.raises(FileExistsError, match="never overwritten"):
        generate_keys(tmp_path / "key")
    assert [path.name for path in tmp_path.iterdir()] == [exists]
    assert what == "link" or (tmp_path / exists).read_text() == "old"


def test_no_private_key_is_left_where_the_public_one_cannot_be_written(tmp_path):
    """The name of the private key is as long as a name may be, so that there is no room for ".pub"."""
    with pytest.raises(OSError, match="too long"):
        generate_keys(tmp_path / ("k" * 255))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_a_private_key_is_private_whatever_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        public = generate_keys(tmp_path / "key", "ci 2026")
    finally:
        os.umask(before)
    assert os.stat(tmp_path / "key").st_mode & 0o777 == 0o600
    os.chmod(tmp_path / "key.pub", 0o644)
    assert (tmp_path / "key.pub").read_text() == f"{public} ci 2026\n"
    with pytest.raises(FileExistsError):
        generate_keys(tmp_path / "key")


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[2J", "x" * 201, 7])
def test_a_name_that_does_not_print_is_refused_before_anything_is_written(tmp_path, copy, keys, name):
    with pytest.raises(TrustError, match="in one line"):
        generate_keys(tmp_path / "key", name)
    assert not (tmp_path / "key").exists()
    with pytest.raises(TrustError, match="in one line"):
        sign_bundle(copy, keys["ci"][0], name=name)


def test_a_signature_says_who_and_when(copy, keys):
    before = time.time()
    (signature,) = jitload.Bundle.open(copy, trust="unsigned").signatures
    assert (signature.name, signature.key) == ("ci", id_of(keys["ci"][1]))
    assert 0 <= before - signature.time < 3600
    made = sign_bundle(copy, keys["ci"][0], name="release 7", time=1_700_000_000)
    assert (made.name, made.time) == ("release 7", 1_700_000_000)
    assert jitload.Bundle.open(copy, trust=keys["ci"][1]).signatures == (made,)


def test_signing_again_at_the_same_time_gives_the_same_bytes(copy, keys):
    sign_bundle(copy, keys["ci"][0], time=5)
    once = copy.read_bytes()
    sign_bundle(copy, keys["ci"][0], time=5)
    assert copy.read_bytes() == once


@pytest.mark.parametrize("change", [{"name": "other"}, {"time": 6}, {"name": "", "time": None}])
def test_name_and_time_are_signed(copy, keys, change):
    """Whoever can write the file cannot make a signature look younger, or somebody else's."""
    sign_bundle(copy, keys["ci"][0], time=5)
    bundle = jitload.Bundle.open(copy, trust="unsigned")
    (signature,) = bundle.signatures
    fields = {"key": signature.key, "data": signature.data, "name": signature.name, "time": signature.time, **change}
    data = bundle.read_unsigned() + encode_signatures([Signature(**fields)])
    with pytest.raises(TrustError, match="altered after it was signed"):
        jitload.Bundle.from_bytes(data, trust=keys["ci"][1])


def test_a_signature_of_the_first_kind_still_counts(copy, keys):
    """As it was written before signatures had names: verified, kept beside a new one, and replaced by its own key."""
    key = serialization.load_pem_private_key(keys["ci"][0].read_bytes(), None)
    with jitload.Bundle.open(copy, trust="unsigned") as bundle:
        data = key.sign(b"jitload bundle signature 1\n" + bundle.header)
        body = json.dumps([[id_of(keys["ci"][1]), data.hex()]], separators=(",", ":")).encode()
        copy.write_bytes(bundle.read_unsigned() + b"JLBSIGN\n" + len(body).to_bytes(4, "little") + body)
    with jitload.Bundle.open(copy, trust=keys["ci"][1]) as bundle:
        assert [(one.name, one.time) for one in bundle.signatures] == [("", None)]
    sign_bundle(copy, keys["other"][0])
    for name in keys:
        assert jitload.Bundle.open(copy, trust=keys[name][1]).signers
    sign_bundle(copy, keys["ci"][0])
    assert {one.name for one in jitload.Bundle.open(copy, trust="unsigned").signatures} == {"ci", "other"}


def test_an_old_bundle_cannot_be_put_back(built, keys, tmp_path):
    """A trust file can demand a serial: what is signed and older, of another name, or of none, is refused."""
    for name, serial in (("ops", 6), ("ops", 7), ("other", 9), ("", 0)):
        path = tmp_path / f"{name}-{serial}.jlb"
        create(path, built[1][:1], cache=built[2], name=name, serial=serial)
        sign_bundle(path, keys["ci"][0])
    strict = trust_file(tmp_path / "strict.json", keys, not_older_than={"ops": 7})
    loose = trust_file(tmp_path / "loose.json", keys, not_older_than={"ops": 7, "*": 0})
    assert jitload.Bundle.open(tmp_path / "ops-7.jlb", trust=strict).manifest["serial"] == 7
    assert jitload.Bundle.open(tmp_path / "ops-6.jlb", trust=keys["ci"][1])
    for trust in (strict, loose):
        with pytest.raises(TrustError, match="takes none before serial 7"):
            jitload.Bundle.open(tmp_path / "ops-6.jlb", trust=trust)
    for file in ("other-9.jlb", "-0.jlb"):
        assert jitload.Bundle.open(tmp_path / file, trust=loose)
        for trust in (strict, [loose, strict]):
            with pytest.raises(TrustError, match="takes only ops"):
                jitload.Bundle.open(tmp_path / file, trust=trust)


def test_a_serial_is_covered_by_the_signature(built, keys, tmp_path):
    create(tmp_path / "k.jlb", built[1][:1], cache=built[2], name="ops", serial=6)
    signature = sign_bundle(tmp_path / "k.jlb", keys["ci"][0])
    with create(tmp_path / "k.jlb", built[1][:1], cache=built[2], name="ops", serial=7) as newer:
        data = newer.read_unsigned() + encode_signatures([signature])
    with pytest.raises(TrustError, match="altered after it was signed"):
        jitload.Bundle.from_bytes(data, trust=keys["ci"][1])


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "a\nb"},
        {"name": 7},
        {"serial": -1},
        {"serial": True},
        {"serial": 1 << 63},
        {"builder": "\udce4"},
        {"builder": 7},
        {"licences": ["x" * (5 << 20)]},
    ],
)
def test_a_name_or_serial_that_cannot_be_is_refused(built, tmp_path, fields):
    with pytest.raises(BundleError):
        create(tmp_path / "k.jlb", built[1][:1], cache=built[2], **fields)
    assert not (tmp_path / "k.jlb").exists()


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
