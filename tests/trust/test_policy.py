"""Who is trusted: keys, trust files, and the policy that they make, to the letter."""

from __future__ import annotations

import json
import os

import pytest

from jitload.bundles.trust_file import encode_trust_file
from jitload.errors import TrustError
from jitload.trust.policy import decode_trust_file, key_id, parse_public_key, read_policy

KEY = "ed25519:" + "11" * 32
OTHER = "ed25519:" + "22" * 32
ID = key_id(parse_public_key(KEY))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "{",
        '{"jitload trust": 2, "keys": [{"key": "KEY"}]}',
        '{"jitload trust": 0, "keys": [{"key": "KEY"}]}',
        '{"jitload trust": true, "keys": [{"key": "KEY"}]}',
        '{"jitload trust": 1.0, "keys": [{"key": "KEY"}]}',
        '{"jitload trust": "1", "keys": [{"key": "KEY"}]}',
        '{"jitload trust": 1, "jitload trust": 1, "keys": [{"key": "KEY"}]}',
        '{"jitload trust": 1, "keys": []}',
        '{"jitload trust": 1, "keys": {}}',
        '{"jitload trust": 1, "keys": "KEY"}',
        '{"jitload trust": 1, "keys": ["KEY"]}',
        '{"jitload trust": 1, "keys": [["key"]]}',
        '{"jitload trust": 1, "keys": ["ed25519:00"]}',
        '{"jitload trust": 1, "keys": [{"key": "ed25519:zz"}]}',
        '{"jitload trust": 1, "keys": [{"key": 7}]}',
        '{"jitload trust": 1, "keys": [{"key": "KEY", "name": null}]}',
        '{"jitload trust": 1, "keys": [{"key": "KEY", "name": "\\u001b[2Jx"}]}',
        '{"jitload trust": 1, "keys": [{"key": "KEY", "name": "\\ud800"}]}',
        '{"jitload trust": 1, "keys": [{"key": "KEY", "key": "OTHER"}]}',
        '{"jitload trust": 1, "keys": [{"key": "KEY"}, {"key": "KEY"}], "threshold": 2}',
        '{"jitload trust": 1, "keys": [{"key": "KEY", "not_after": 1}]}',
        '{"jitload trust": 1, "keys": [{"key": "KEY"}], "treshold": 2}',
        '{"jitload trust": 1, "keys": [{"key": "KEY"}], "threshold": 0}',
        '{"jitload trust": 1, "keys": [{"key": "KEY"}], "threshold": true}',
        '{"jitload trust": 1, "keys": [{"key": "KEY"}], "threshold": NaN}',
        '{"jitload trust": 1, "keys": [{"key": "KEY"}], "threshold": 1, "threshold": 2}',
        '{"jitload trust": 1, "keys": [{"key": "KEY"}], "threshold": %s}' % ("9" * 5000),
        '{"jitload trust": 1, "keys": [{"key": "KEY"}], "revoked": ["../x"]}',
        '{"jitload trust": 1, "keys": [{"key": "KEY"}], "revoked": {}}',
        '{"jitload trust": 1, "keys": [{"key": "KEY"}], "revoked": "ID"}',
        '{"jitload trust": 1, "keys": [{"key": "KEY"}], "revoked": ["ID", "ID"]}',
        '{"jitload trust": 1, "keys": [{"key": "KEY"}], "revoked": ["ID"], "revoked": []}',
        '{"jitload trust": 1, "keys": [{"key": "KEY"}], "not_older_than": {}}',
        '{"jitload trust": 1, "keys": [{"key": "KEY"}], "not_older_than": 7}',
        '{"jitload trust": 1, "keys": [{"key": "KEY"}], "not_older_than": {"ops": -1}}',
        '{"jitload trust": 1, "keys": [{"key": "KEY"}], "not_older_than": {"ops": true}}',
        '{"jitload trust": 1, "keys": [{"key": "KEY"}], "not_older_than": {"ops": 7, "ops": 0}}',
        '{"jitload trust": 1, "keys": [{"key": "KEY"}], "not_older_than": {"o\\nps": 7}}',
        '{"jitload trust": 1, "keys": [{"key": "KEY"}]} {}',
        '\ufeff{"jitload trust": 1, "keys": [{"key": "KEY"}]}',
        "[" * 100000,
        '{"jitload trust": ' + "[" * 100000,
        '{"jitload trust": 1, "keys": [' + "{}," * 200_000 + "{}]}",
        "\ud800",
    ],
    ids=lambda text: repr(text[:60]),
)
def test_a_trust_file_that_is_not_right_to_the_letter_is_refused(text):
    with pytest.raises(TrustError):
        decode_trust_file(text.replace("KEY", KEY).replace("OTHER", OTHER).replace("ID", ID))


def test_a_trust_file_that_is_right_is_read():
    rows = [{"key": KEY, "name": "ci"}, {"key": OTHER}]
    fields = {"threshold": 2, "revoked": [ID], "not_older_than": {"ops": 7}}
    policy = decode_trust_file(json.dumps({"jitload trust": 1, "keys": rows, **fields}))
    assert [name for name, _ in policy.keys.values()] == ["ci", key_id(parse_public_key(OTHER))]
    assert (policy.threshold, policy.revoked, policy.serials) == (2, {ID}, ({"ops": 7},))
    assert decode_trust_file(encode_trust_file(policy)) == policy


@pytest.mark.parametrize(
    "trust",
    ["ed25519:00", ["/does/not/exist"], [7], "ed25519:" + "AA" * 32, 7, b"unsigned", [b"x"], [None], "a\0b", "\ud800"],
)
def test_what_is_no_key_is_refused(trust):
    with pytest.raises(TrustError):
        read_policy(trust)


@pytest.mark.parametrize(
    "content", ["", "\n", f"{KEY} a\n{OTHER} b\n", f"{KEY} \x1b[2J", f"x {KEY}", "\xff", " " * (1 << 20) + KEY]
)
def test_a_file_with_something_other_than_one_key_is_refused(tmp_path, content):
    (tmp_path / "k.pub").write_bytes(content.encode("latin-1"))
    with pytest.raises(TrustError, match=r"k\.pub"):
        read_policy(tmp_path / "k.pub")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_key_beside_trust_files_does_not_lower_the_number_of_signatures(tmp_path, place):
    """The highest threshold counts, wherever it stands in the list."""
    keys = [f"ed25519:{number:064x}" for number in range(4)]
    trust = [keys[2], keys[3]]
    (tmp_path / "two.json").write_text(
        json.dumps({"jitload trust": 1, "keys": [{"key": key} for key in keys[:2]], "threshold": 2})
    )
    trust.insert(place, str(tmp_path / "two.json"))
    assert read_policy(trust).threshold == 2


def test_a_fifo_or_a_directory_in_place_of_a_trust_file_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path, why in ((tmp_path / "fifo", "not a regular file"), (tmp_path, "Is a directory")):
        with pytest.raises(TrustError, match=why):
            read_policy(path)


def test_unsigned_is_no_word_beside_others():
    assert read_policy("unsigned") == read_policy(["unsigned"])
    assert (read_policy("unsigned").unsigned, read_policy(KEY).unsigned) == (True, False)
    for trust in (["unsigned", KEY], [KEY, "unsigned"], ["unsigned", "unsigned"]):
        with pytest.raises(TrustError, match="choose one"):
            read_policy(trust)
