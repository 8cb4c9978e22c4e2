"""The digest that is made while an entry comes is that of its bytes, however they come, or none at all."""

from __future__ import annotations

import pytest

from jitload.artifact import decode_kept
from jitload.digest import DIGEST_BYTES, sha256
from jitload.errors import ArtifactError
from jitload.format import entry as entries
from jitload.format.arriving import Arriving
from jitload.format.entry import HEADER, encode_entry
from tests.tiers.conftest import make_artifact

ARTIFACT = make_artifact(1, padding=5000)
ENTRY = encode_entry(ARTIFACT)
END = len(ENTRY) - DIGEST_BYTES


def came(*parts: bytes) -> Arriving:
    arriving = Arriving()
    for part in parts:
        arriving.add(part)
    return arriving


@pytest.mark.parametrize("first", [HEADER.size, HEADER.size + 1, 1000, END - 1, END, END + 1, len(ENTRY)])
@pytest.mark.parametrize("behind", [b"", b"a signature"])
def test_it_is_that_of_the_bytes_wherever_they_are_cut(first, behind):
    whole = ENTRY + behind
    assert came(whole[:first], whole[first:]).digest(END) == sha256(ENTRY[:END])


def test_it_is_none_where_it_is_not_that_of_what_is_asked_for():
    assert came().digest(END) is None
    assert came(ENTRY[:10], ENTRY[10:]).digest(END) is None
    assert came(ENTRY[: END - 1]).digest(END) is None
    assert came(ENTRY).digest(END - 1) is None
    begun_anew = came(ENTRY[:1000])
    begun_anew.begin()
    assert begun_anew.digest(END) is None
    begun_anew.add(ENTRY)
    assert begun_anew.digest(END) == sha256(ENTRY[:END])


def test_what_came_is_read_without_another_digest(monkeypatch):
    arriving = came(ENTRY[:1000], ENTRY[1000:])
    monkeypatch.setattr(entries, "sha256", None)
    assert decode_kept(ENTRY, ARTIFACT.key, came=arriving.digest) == ARTIFACT


@pytest.mark.parametrize("place", [8, 12, 20, 28, 200, 3000, END, len(ENTRY) - 1])
def test_what_came_damaged_is_refused(place):
    harmed = ENTRY[:place] + bytes([ENTRY[place] ^ 1]) + ENTRY[place + 1 :]
    with pytest.raises(ArtifactError):
        decode_kept(harmed, ARTIFACT.key, came=came(harmed[:1000], harmed[1000:]).digest)
