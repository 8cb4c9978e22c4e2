"""The framing of factors: different lists of factors are different bytes."""

from __future__ import annotations

import hashlib
import hmac
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitload.digest import OWN_BYTES, digest_factors, frame, frame_all, keyed_sha256, sha256, sha256_hex

factors = st.lists(st.tuples(st.text(max_size=6), st.binary(max_size=6)), max_size=4)


def unframe(data):
    """The factors in a framing, read by its grammar."""
    found = []
    while data:
        label_bytes = int.from_bytes(data[:4], "little")
        label, data = data[4 : 4 + label_bytes], data[4 + label_bytes :]
        value_bytes = int.from_bytes(data[:8], "little")
        value, data = data[8 : 8 + value_bytes], data[8 + value_bytes :]
        found.append((label.decode(), value))
    return found


@given(factors)
def test_a_framing_can_be_read_back_so_no_two_lists_share_one(some):
    assert unframe(frame_all(some)) == some


def test_the_framing_by_hand():
    assert frame("ab", b"xyz") == b"\x02\0\0\0ab\x03\0\0\0\0\0\0\0xyz"


def test_a_label_cannot_swallow_a_value():
    assert digest_factors([("a", b"bc")]) != digest_factors([("ab", b"c")])
    assert digest_factors([("a", b""), ("b", b"")]) != digest_factors([("b", b""), ("a", b"")])
    assert digest_factors([]) != digest_factors([("", b"")])


def test_a_label_may_be_a_file_name_that_is_not_utf8():
    assert frame("v\udce9.h", b"")[4:8] == b"v\xe9.h"


@given(st.binary())
def test_it_is_sha256(data):
    assert sha256(data) == hashlib.sha256(data).digest()
    assert sha256_hex(bytearray(data)) == sha256(memoryview(data)).hex()


LITTLE_AND_MUCH = """
import sys
from jitload.digest import OWN_BYTES, sha256_hex
assert "_hashlib" not in sys.modules, "this Python loads OpenSSL at its start"
found = [sha256_hex(b"abc"), sha256_hex(b"x" * OWN_BYTES), sha256_hex(b"abc")]
print("_hashlib" in sys.modules, *found)
"""


def test_openssl_is_loaded_for_much_and_gives_the_same():
    """What a hit digests is little: OpenSSL takes longer to load than Python's own takes for it."""
    # What measures a process loads OpenSSL before anything of ours.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    little, much = (
        subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60, env=env
        ).stdout.split()
        for program in (LITTLE_AND_MUCH.replace('b"x" * OWN_BYTES', 'b"x" * 1000'), LITTLE_AND_MUCH)
    )
    assert [little[0], much[0]] == ["False", "True"]
    assert little[1] == little[3] == much[1] == much[3] == hashlib.sha256(b"abc").hexdigest()
    assert much[2] == hashlib.sha256(b"x" * OWN_BYTES).hexdigest()


@pytest.mark.parametrize("length", [0, 1, 32, 64])
def test_a_keyed_digest_is_hmac(length):
    secret = bytes(range(1, length + 1))
    for data in (b"", b"abc", bytes(1000)):
        assert keyed_sha256(secret, data) == hmac.digest(secret, data, "sha256")
