"""The memo of a compiler's identity: what of it is believed."""

from __future__ import annotations

import pytest

from jitload.compiler.memo import note, recall
from jitload.files.directory import Directory
from jitload.format.json import encode_memo
from jitload.values import Toolchain

STAMPS = ((1, 2, 3, 4, 5), (6, 7, 8, 9, 10))
DIGEST = "0123456789abcdef" * 4


def recalled(directory, name, version, digest):
    """What is recalled of a memo that is whole, and says this."""
    body = {"stamps": STAMPS, "toolchain": [name, version, digest]}
    Directory(str(directory)).write("toolchain-2.json", encode_memo(body), durable=False)
    return recall(str(directory), STAMPS)


@pytest.mark.parametrize("version", ["12", "12.9", "12.9.86", "1.2.3.4.5", "999999999.0"])
def test_what_was_noted_is_recalled(tmp_path, version):
    known = Toolchain("nvrtc", version, DIGEST)
    note(str(tmp_path), STAMPS, known)
    assert recall(str(tmp_path), STAMPS) == known


def test_another_stamp_is_another_library(tmp_path):
    note(str(tmp_path), STAMPS, Toolchain("nvrtc", "12.9", DIGEST))
    assert recall(str(tmp_path), (STAMPS[0], (6, 7, 8, 9, 11))) is None


@pytest.mark.parametrize(
    ("name", "version", "digest"),
    [
        ("clang", "12.9", DIGEST),
        ("nvrtc", "", DIGEST),
        ("nvrtc", "12.", DIGEST),
        ("nvrtc", "12.9\n", DIGEST),
        ("nvrtc", "12.x", DIGEST),
        ("nvrtc", "-1", DIGEST),
        ("nvrtc", "١٢", DIGEST),
        ("nvrtc", "1.2.3.4.5.6", DIGEST),
        ("nvrtc", "1234567890", DIGEST),
        ("nvrtc", 12, DIGEST),
        ("nvrtc", None, DIGEST),
        ("nvrtc", "12.9", DIGEST[1:]),
        ("nvrtc", "12.9", DIGEST.upper()),
        ("nvrtc", "12.9", DIGEST[1:] + "\n"),
        ("nvrtc", "12.9", 1),
        (["nvrtc"], "12.9", DIGEST),
    ],
)
def test_a_toolchain_that_cannot_be_is_not_believed(tmp_path, name, version, digest):
    assert recalled(tmp_path, "nvrtc", "12.9", DIGEST) == Toolchain("nvrtc", "12.9", DIGEST)
    assert recalled(tmp_path, name, version, digest) is None
