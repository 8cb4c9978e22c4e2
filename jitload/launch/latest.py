"""Which kernel was launched last on a stream: what to look at when a GPU says, later, that one has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from jitload.launch.bound import Launch

#: Streams that are remembered; programs that make more are told of the later ones.
MOST_STREAMS = 1024

#: Stream handle -> name of the kernel. Every launch in Python writes here itself, since a call would cost more.
by_stream: dict[int, str] = {}

# Launches in native code keep that themselves, and are asked.
_launches: WeakValueDictionary[int, Launch] = WeakValueDictionary()


def watch(launch: Launch) -> None:
    """Ask a launch in native code too, for as long as it lives."""
    _launches[id(launch)] = launch


def make_room() -> None:
    """Forget what was launched, when it has become too much; not while launching."""
    if len(by_stream) > MOST_STREAMS:
        by_stream.clear()


def told(stream: int | None) -> str:
    """A part of a sentence that names the kernel that was launched last on a stream, or on each where that is None."""
    asked = [launch.latest() for launch in [reference() for reference in _launches.valuerefs()] if launch is not None]
    found = {where: name for turn, where, name in sorted(asked) if turn}
    chosen = [
        name
        for streams in (found, by_stream)
        for where, name in list(streams.items())
        if stream is None or where == stream
    ]
    names = list(dict.fromkeys(chosen))[:8]
    if not names:
        return ""
    listed = " or ".join(map(repr, names))
    return f"; the last one{' on this stream' if stream is not None else ' on each stream'} was {listed}"
