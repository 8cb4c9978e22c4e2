"""An entry that comes in pieces is what it would be as a whole, however its parts come, or it is refused."""

from __future__ import annotations

import pytest

from jitload.artifact import decode_entry, decode_factors, decode_kept
from jitload.digest import DIGEST_BYTES, sha256
from jitload.errors import ArtifactError
from jitload.format import entry as entries
from jitload.format.arriving import Arrived, receive_whole
from jitload.format.entry import HEADER, encode_entry
from tests.tiers.conftest import make_artifact

FACTORS = b'{"a":1}'
ARTIFACT = make_artifact(1, padding=5000)
ENTRY = encode_entry(ARTIFACT, FACTORS)
END = len(ENTRY) - DIGEST_BYTES
SIGNATURES = b"signatures"


def coming(data, at_once=1000):
    """What gives some bytes, so many at once at most."""
    left = memoryview(data)

    def receive(buffer):
        nonlocal left
        part, left = left[: min(len(buffer), at_once)], left[min(len(buffer), at_once) :]
        if not part:
            raise ConnectionResetError
        buffer[: len(part)] = part
        return len(part)

    return receive


def came(data, at_once=1000):
    return Arrived(coming(data, at_once), len(data))


def read(arrived):
    return decode_kept(arrived.head, ARTIFACT.key, came=arrived)


@pytest.mark.parametrize("at_once", [1, 59, 60, 61, 1000, END, 1 << 20])
def test_it_is_what_the_whole_entry_is_wherever_it_is_cut(at_once):
    arrived = came(ENTRY, at_once)
    assert read(arrived) == ARTIFACT
    assert decode_factors(arrived.head, ARTIFACT.key, arrived) == {"a": 1}
    assert b"".join(arrived.pieces) == ENTRY
    assert (len(arrived), arrived.behind) == (len(ENTRY), b"")
    assert receive_whole(coming(ENTRY, at_once), len(ENTRY)) == ENTRY


def test_its_image_is_copied_nowhere_and_digested_once(monkeypatch):
    arrived = came(ENTRY)
    monkeypatch.setattr(entries, "sha256", None)
    assert read(arrived).data is arrived.payload


def test_what_is_behind_it_is_none_of_it():
    arrived = came(ENTRY + SIGNATURES)
    assert (arrived.behind, arrived.sha256()) == (SIGNATURES, sha256(ENTRY + SIGNATURES))
    with pytest.raises(ArtifactError, match="promises"):
        read(arrived)
    alone = arrived.without(b"")
    assert (len(alone), alone.sha256(), read(alone)) == (len(ENTRY), sha256(ENTRY), ARTIFACT)


@pytest.mark.parametrize("place", [0, 8, 12, 20, 28, 200, 3000, END, len(ENTRY) - 1])
def test_what_came_damaged_is_refused_as_a_whole_entry_is(place):
    harmed = ENTRY[:place] + bytes([ENTRY[place] ^ 1]) + ENTRY[place + 1 :]
    with pytest.raises(ArtifactError) as whole:
        decode_entry(harmed, ARTIFACT.key)
    with pytest.raises(ArtifactError) as pieces:
        read(came(harmed))
    assert str(pieces.value) == str(whole.value)


@pytest.mark.parametrize("size", [0, 1, HEADER.size - 1, HEADER.size, HEADER.size + 1, 300, END, len(ENTRY) - 1])
def test_what_is_too_short_is_refused_as_a_whole_entry_is(size):
    with pytest.raises(ArtifactError) as whole:
        decode_entry(ENTRY[:size], ARTIFACT.key)
    with pytest.raises(ArtifactError) as pieces:
        read(came(ENTRY[:size]))
    assert str(pieces.value) == str(whole.value)


@pytest.mark.parametrize("field", [2, 3, 4])
@pytest.mark.parametrize("length", [0, 1, (1 << 32) - 1])
def test_a_header_is_believed_for_no_more_than_there_is(field, length):
    """Nothing is waited for, or made room for, beyond the bytes that come."""
    fields = list(HEADER.unpack_from(ENTRY))
    fields[field] = length
    arrived = came(HEADER.pack(*fields) + ENTRY[HEADER.size :])
    assert len(arrived) == len(ENTRY)
    with pytest.raises(ArtifactError):
        read(arrived)


@pytest.mark.parametrize("size", [0, 30, 200, 3000, END + 1])
def test_what_stops_in_the_middle_is_an_error_of_whoever_receives(size):
    """And no view of bytes that are not there any more is left in the error."""
    with pytest.raises(ConnectionResetError) as caught:
        Arrived(coming(ENTRY[:size]), len(ENTRY))
    views = [entry.frame.f_locals["buffer"] for entry in caught.traceback if "buffer" in entry.frame.f_locals]
    assert views
    for view in views:
        with pytest.raises(ValueError, match="released"):
            view.tobytes()
