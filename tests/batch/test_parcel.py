"""Parcels and replies of the farm: what is encoded comes back, and whatever else comes is an `ArtifactError`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitload import Toolchain
from jitload.batch.parcel import Parcel, Reply, Row, decode_parcel, decode_reply
from jitload.errors import ArtifactError
from jitload.workloads.workload import Workload

NVRTC = Toolchain("nvrtc", "12.9.86", "ab" * 32)
PARCEL = Parcel(Workload(), ["cd" * 32], [NVRTC], "missing")
REPLY = Reply("ef" * 16, [Row("01" * 32, "compiled", "", b"entry\n"), Row("23" * 32, "failed", 'x.cu: "no"\n')])

texts = st.text(st.characters(codec="utf-8"), max_size=20)
failures = st.builds(Row, texts, st.sampled_from(["failed", "died"]), texts)
successes = st.builds(Row, texts, st.just("compiled"), st.just(""), st.binary(min_size=1, max_size=40))


@given(texts, st.lists(failures | successes, max_size=4), texts)
def test_a_reply_comes_back(worker, rows, refused):
    assert decode_reply(Reply(worker, rows, refused).encode()) == Reply(worker, rows, refused)


def test_a_parcel_comes_back():
    found = decode_parcel(PARCEL.encode())
    assert (found.requests, found.compilers, found.policy, found.version) == (
        PARCEL.requests,
        PARCEL.compilers,
        PARCEL.policy,
        PARCEL.version,
    )
    assert found.workload.encode() == Workload().encode()


@pytest.mark.parametrize(("decode", "good"), [(decode_parcel, PARCEL.encode()), (decode_reply, REPLY.encode())])
def test_a_byte_that_is_changed_is_an_error_or_another_value(decode, good):
    """Nothing but `ArtifactError` comes out, whatever the byte is; cut short or longer it is always one."""
    for at in range(len(good)):
        for byte in (0, 0x22, 0x5B, 0x7B, 0xFF, good[at] ^ 1):
            try:
                decode(good[:at] + bytes([byte]) + good[at + 1 :])
            except ArtifactError as error:
                assert "of a farm" in str(error)  # noqa: PT017 - most are errors, some are other values
    for at in range(0, len(good) - 1, 3):
        with pytest.raises(ArtifactError):
            decode(good[:at])
    with pytest.raises(ArtifactError):
        decode(good + b"x")


@pytest.mark.parametrize("value", [None, "text", 1, ["x"], bytearray(b"x"), b"[]\n", b"{}\n", b"[" * 100_000])
def test_what_is_no_reply_is_an_error(value):
    with pytest.raises(ArtifactError, match="not a reply of a farm"):
        decode_reply(value)


@pytest.mark.parametrize(
    "row",
    [
        '["a","compiled","",0]',
        '["a","failed","",1]',
        '["a","other","",0]',
        '["a"]',
        '["a","died",1,0]',
        '["a","compiled","",-1]',
        '["a","compiled","",99]',
        '["a","compiled","",true]',
    ],
)
def test_a_row_that_cannot_be_is_an_error(row):
    data = f'{{"jitload":"1","refused":"","rows":[{row}],"worker":""}}\nx'.encode()
    with pytest.raises(ArtifactError):
        decode_reply(data)
