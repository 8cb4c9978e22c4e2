"""Sockets of a client that know when an operation has to be over, and how many bytes it may take.

Names are resolved in a thread, since nothing bounds a resolver.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from jitload.tiers.remote.deadline import CONNECT_SECONDS, run_within

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol, TypeAlias

    from jitload.format.arriving import Arrived, Receive

    #: Takes so many bytes of what comes.
    Take: TypeAlias = Callable[[Receive, int], bytes | Arrived]

    class Bound(Protocol):
        """A connection that says how long its operation may go on.

        Attributes:
            until: when it is over.
            bytes_left: so many bytes may still come.
        """

        until: float
        bytes_left: int


# So far the time-out of a socket may be off: to set it is a call of the system.
_SLIP_SECONDS = 0.02
# What is received at once, and what the first line of a string has at most.
_PART_BYTES, _LINE_BYTES = 64 << 10, 16


class TooMuchError(Exception):
    """A reply is longer than it may be."""


class BoundSocket:
    """A connected socket whose every call is over when the operation of its connection has to be."""

    def __init__(self, connected: socket.socket, connection: Bound) -> None:
        self._socket = connected
        self._connection = connection
        self._asked: float | None = CONNECT_SECONDS
        self._set = -1.0
        self._returned = b""

    def recv(self, most_bytes: int) -> bytes:
        """As a socket has it, but for what was given back."""
        if self._returned:
            data, self._returned = self._returned[:most_bytes], self._returned[most_bytes:]
            return data
        self._bound()
        data = self._socket.recv(most_bytes)
        self._connection.bytes_left -= len(data)
        if self._connection.bytes_left < 0:
            raise TooMuchError
        return data

    def recv_into(self, buffer: bytearray | memoryview) -> int:
        """The same."""
        if self._returned:
            data = self.recv(len(buffer))
            buffer[: len(data)] = data
            return len(data)
        self._bound()
        count = self._socket.recv_into(buffer)
        self._connection.bytes_left -= count
        if self._connection.bytes_left < 0:
            raise TooMuchError
        return count

    def read_string(self, take: Take) -> bytes | Arrived | None:
        """A reply that is a string, copied once where the client copies it four times; None where it is another.

        That is still to be read then, by the client.

        Args:
            take: takes a string that comes in parts, and what it gives is given.

        Raises:
            OSError: it does not come.
            TooMuchError: it is longer than it may be.
            ValueError: it does not end as a string does.
        """
        begun = self._receive(_PART_BYTES)
        line, mark, first = begun.partition(b"\r\n")
        if not (mark and line[:1] == b"$" and line[1:].isdigit() and len(line) < _LINE_BYTES):
            self._returned = begun
            return None
        size = int(line[1:])
        string: bytes | Arrived
        if size <= len(first):
            string, end = first[:size], first[size:]
        elif size - len(first) > self._connection.bytes_left:
            raise TooMuchError
        else:
            self._returned, end = first, b""
            string = take(self._fill, size)
        while len(end) < 2:
            end += self._receive(2 - len(end))
        if end != b"\r\n":
            raise ValueError("something follows the string")
        return string

    def _fill(self, buffer: memoryview) -> int:
        count = self.recv_into(buffer)
        if not count:
            raise ConnectionResetError
        return count

    def _receive(self, most_bytes: int) -> bytes:
        data = self.recv(most_bytes)
        if not data:
            raise ConnectionResetError
        return data

    def sendall(self, data: bytes) -> None:
        """As a socket has it."""
        self._asked = None
        self._bound()
        self._socket.sendall(data)

    def settimeout(self, seconds: float | None) -> None:
        """What the client would have it wait, where it does not write."""
        self._asked = seconds

    def _bound(self) -> None:
        left = self._connection.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        seconds = left if self._asked is None else min(self._asked, left)
        if abs(seconds - self._set) > _SLIP_SECONDS:
            self._socket.settimeout(seconds)
            self._set = seconds

    def __getattr__(self, name: str) -> object:
        return getattr(self._socket, name)


def find_places(host: str, port: int, until: float) -> list[tuple[int, tuple[object, ...]]]:
    """(family, address) of a host. One in numbers needs no thread, whose turn may be late on a busy machine."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            socket.inet_pton(family, host)
            return [(family, (host, port))]
    found = run_within(until, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    return [(family, address) for family, _, _, _, address in found]
