"""The protocol of Redis: how a command is sent, and what a reply to it must be.

Whoever sends another one is out of step, or no Redis.
"""

from __future__ import annotations

from jitload.format.arriving import Arrived

_LARGE_BYTES = 64 << 10


def is_string(reply: object) -> bool:
    """A string, whole or in pieces, or nothing."""
    return reply is None or type(reply) in {bytes, Arrived}


def is_strings(reply: object) -> bool:
    """A list of strings, or nothing."""
    return reply is None or (isinstance(reply, list) and all(type(one) is bytes for one in reply))


def is_page(reply: object) -> bool:
    """A part of a listing: where it goes on, and a list of names."""
    if not isinstance(reply, list) or [type(part) for part in reply] != [bytes, list]:
        return False
    return is_strings(reply[1])


def packed(command: tuple[str | bytes | int, ...]) -> list[bytes]:
    """A command as it is sent; what is large is not copied."""
    parts = [b"*%d\r\n" % len(command)]
    for part in command:
        data = part if isinstance(part, bytes) else str(part).encode()
        parts += [b"$%d\r\n" % len(data), data, b"\r\n"]
    return parts if max(map(len, parts)) > _LARGE_BYTES else [b"".join(parts)]
