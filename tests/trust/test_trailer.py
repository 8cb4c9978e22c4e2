"""Signatures behind bytes: which bytes a signature speaks of, under which name, and how many must have signed."""

from __future__ import annotations

import struct

import pytest

from jitload.bundles.sign import generate_keys
from jitload.digest import sha256
from jitload.errors import TrustError
from jitload.format.json import canonical_json
from jitload.trust.policy import Policy, key_id, parse_public_key, read_policy
from jitload.trust.trailer import Signer, split_trailer, verify_trailer

BODY = b"some bytes"
NAME = "cd" * 32


@pytest.fixture(scope="module")
def signers(tmp_path_factory):
    """Two who sign: (signer, its public key) each."""
    base = tmp_path_factory.mktemp("keys")
    return [(generate_keys(base / name), Signer(str(base / name)))[::-1] for name in ("ci", "other")]


def with_rows(rows, body=BODY):
    """A body with a trailer of these rows, whatever they are."""
    text = rows if isinstance(rows, bytes) else canonical_json(rows)
    return body + text + struct.pack("<I8s", len(text), b"JLSIGNED")


def rows_of(*signed):
    return sorted([[key, signature.hex()] for data in signed for key, signature in split_trailer(data)[1]])


def test_what_is_signed_is_split_and_verified(signers):
    signer, public = signers[0]
    body, rows = split_trailer(signer.sign(BODY, "entry", NAME))
    assert (body, [key for key, _ in rows]) == (BODY, [key_id(parse_public_key(public))])
    verify_trailer(read_policy([public]), rows, sha256(body), "entry", NAME)


def test_a_trailer_of_changed_bytes_verifies_nothing(signers):
    """Each byte of a signed body and of its trailer counts."""
    signer, public = signers[0]
    signed, policy = signer.sign(BODY, "entry", NAME), read_policy([public])
    for place in range(len(signed)):
        for bit in (1, 32, 128):
            harmed = signed[:place] + bytes([signed[place] ^ bit]) + signed[place + 1 :]
            body, rows = split_trailer(harmed)
            with pytest.raises(TrustError):
                verify_trailer(policy, rows, sha256(body), "entry", NAME)


def test_a_part_of_a_trailer_or_more_than_one_verifies_nothing(signers):
    signer, public = signers[0]
    signed, policy = signer.sign(BODY, "entry", NAME), read_policy([public])
    cases = [signed[:end] for end in range(len(signed))] + [signed + tail for tail in (b"\0", b"JLSIGNED", signed)]
    cases += [signer.sign(signed, "entry", NAME)[len(BODY) :]]
    for harmed in cases:
        body, rows = split_trailer(harmed)
        with pytest.raises(TrustError):
            verify_trailer(policy, rows, sha256(body), "entry", NAME)


@pytest.mark.parametrize(
    ("what", "name"), [("closure record", NAME), ("entry", "ce" * 32), ("entry", ""), (f'entry","{NAME}', NAME)]
)
def test_a_signature_is_for_one_thing_under_one_name(signers, what, name):
    signer, public = signers[0]
    body, rows = split_trailer(signer.sign(BODY, "entry", NAME))
    with pytest.raises(TrustError, match="altered after it was signed"):
        verify_trailer(read_policy([public]), rows, sha256(body), what, name)


def test_as_many_keys_must_have_signed_as_are_demanded(signers):
    (ci, ci_public), (other, other_public) = signers
    keys = read_policy([ci_public, other_public]).keys
    one, two = ci.sign(BODY, "entry", NAME), other.sign(BODY, "entry", NAME)
    for data, threshold, enough in ((one, 1, True), (one, 2, False), (with_rows(rows_of(one, two)), 2, True)):
        body, rows = split_trailer(data)
        if enough:
            verify_trailer(Policy(keys, threshold), rows, sha256(body), "entry", NAME)
        else:
            with pytest.raises(TrustError, match=f"it has 1 of {threshold} signatures"):
                verify_trailer(Policy(keys, threshold), rows, sha256(body), "entry", NAME)


def test_a_signature_that_does_not_fit_refuses_whoever_else_has_signed(signers):
    (ci, ci_public), (other, other_public) = signers
    rows = rows_of(ci.sign(BODY, "entry", NAME), other.sign(b"other bytes", "entry", NAME))
    body, read = split_trailer(with_rows(rows))
    with pytest.raises(TrustError, match="altered after it was signed"):
        verify_trailer(read_policy([ci_public, other_public]), read, sha256(body), "entry", NAME)


def test_a_revoked_key_and_a_foreign_one_do_not_count_and_are_named(signers):
    (ci, ci_public), (other, _) = signers
    body, rows = split_trailer(with_rows(rows_of(ci.sign(BODY, "entry", NAME), other.sign(BODY, "entry", NAME))))
    trusted = read_policy([ci_public])
    verify_trailer(trusted, rows, sha256(body), "entry", NAME)
    with pytest.raises(TrustError) as caught:
        verify_trailer(Policy(trusted.keys, revoked=[ci.key]), rows, sha256(body), "entry", NAME)
    assert f"key {ci.key} is revoked" in str(caught.value)
    assert f"key {other.key} is not trusted" in str(caught.value)


def test_where_nothing_need_be_signed_nothing_is_asked():
    verify_trailer(read_policy("unsigned"), (), sha256(BODY), "entry", NAME)


ID, SIGNATURE = "ab" * 16, "cd" * 64


@pytest.mark.parametrize(
    "rows",
    [
        [],
        {},
        [[ID, SIGNATURE], [ID, SIGNATURE]],
        [["b" * 32, SIGNATURE], ["a" * 32, SIGNATURE]],
        [[f"{number:032x}", ""] for number in range(17)],
        [[ID]],
        [[ID, SIGNATURE, 1]],
        [[ID, 7]],
        [[7, SIGNATURE]],
        [[ID.upper(), SIGNATURE]],
        [["../x", SIGNATURE]],
        [[ID, "zz"]],
        [[ID, "abc"]],
        [[ID, SIGNATURE.upper()]],
        [[ID, " ".join(["cd"] * 64)]],
        b'[["' + ID.encode() + b'", "' + SIGNATURE.encode() + b'"]]',
        b"[" * 8000,
        b"\xff",
        b"",
    ],
    ids=lambda rows: repr(rows)[:40],
)
def test_rows_that_are_not_right_to_the_letter_are_no_trailer(rows):
    """Then the bytes stand as they are, and whoever demands a signature finds none."""
    data = with_rows(rows)
    assert split_trailer(data) in ((data, ()), (BODY, ()))
    with pytest.raises(TrustError, match=r"not signed|not trusted"):
        verify_trailer(Policy({ID: ("ci", b"\1" * 32)}), split_trailer(data)[1], sha256(BODY), "entry", NAME)


@pytest.mark.parametrize("length", [1 << 31, (1 << 32) - 1, (8 << 10) + 1, 999])
def test_a_length_that_is_more_than_there_is_reads_nothing(length):
    data = BODY + struct.pack("<I8s", length, b"JLSIGNED")
    assert split_trailer(data) == (data, ())
