"""Replies of a server, read off a socket by its bytes: whole strings, or nothing."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from jitload.format.arriving import Arrived, receive_whole
from jitload.format.entry import encode_entry
from jitload.tiers.remote.bound_socket import BoundSocket, TooMuchError
from tests.tiers.conftest import make_artifact

ENTRY = encode_entry(make_artifact(1, padding=300_000))


class Connection:
    def __init__(self, seconds=20.0, most_bytes=1 << 20):
        self.until = time.monotonic() + seconds
        self.bytes_left = most_bytes


@pytest.fixture
def answered():
    """`answered(bytes)`: a bound socket at whose other end somebody has sent them, and closed."""
    opened = []

    def make(data, **options):
        near, far = socket.socketpair()

        def send():
            with far, contextlib.suppress(OSError):
                far.sendall(data)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        opened.append((near, sender))
        return BoundSocket(near, Connection(**options))

    yield make
    for near, sender in opened:
        near.close()
        sender.join(20)


def reply(data):
    return b"$%d\r\n%s\r\n" % (len(data), data)


@pytest.mark.parametrize("size", [0, 1, 100, 65530, 65531, 65532, 65533, 65536, 65537, 131072, len(ENTRY)])
def test_a_string_comes_whole_wherever_its_parts_end(answered, size):
    assert answered(reply(ENTRY[:size])).read_string(receive_whole) == ENTRY[:size]


def test_what_comes_in_parts_is_taken_as_is_asked(answered):
    arrived = answered(reply(ENTRY)).read_string(Arrived)
    assert b"".join(arrived.pieces) == ENTRY
    assert answered(reply(ENTRY[:100])).read_string(Arrived) == ENTRY[:100]


@pytest.mark.parametrize(
    "other", [b"-ERR no\r\n", b"$-1\r\n", b"+OK\r\n", b"$12", b"$" + b"9" * 30 + b"\r\n", b"$x\r\n"]
)
def test_what_is_no_string_is_left_to_the_client(answered, other):
    first, second, buffer = answered(other), answered(other), bytearray(65536)
    assert first.read_string(Arrived) is second.read_string(receive_whole) is None
    assert first.recv(65536) == other
    assert bytes(buffer[: second.recv_into(buffer)]) == other


@pytest.mark.parametrize("take", [Arrived, receive_whole])
@pytest.mark.parametrize(
    ("data", "options", "error"),
    [
        (b"", {}, ConnectionResetError),
        (reply(ENTRY)[:-3], {}, ConnectionResetError),
        (reply(b"abc")[:-1], {}, ConnectionResetError),
        (b"$2\r\nabc\r\n", {}, ValueError),
        (reply(ENTRY), {"most_bytes": 100_000}, TooMuchError),
        (b"$999999999999\r\nabc", {}, TooMuchError),
        (reply(b"abc"), {"seconds": 0}, TimeoutError),
    ],
)
def test_what_does_not_come_whole_is_an_error(answered, data, options, error, take):
    with pytest.raises(error):
        answered(data, **options).read_string(take)
