"""Which kernel was launched last on a stream: what to look at when a GPU says, later, that one has failed."""

from __future__ import annotations

from types import CellType
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from typing import Protocol

    class NativeLaunch(Protocol):
        """A launch that native code carries out."""

        def latest(self) -> tuple[int, int, str]:
            """When this was launched last (0 is never), on which stream, and the kernel's name."""


#: Streams that are remembered; programs that make more are told of the later ones.
MOST_STREAMS = 1024

# Stream handle -> the variable with the name of the kernel. Launches in Python share it as their own: a call costs
# more, and writing to a list three times as much.
_by_stream: dict[int, CellType] = {}

# Launches in native code keep that themselves, and are asked.
_launches: WeakValueDictionary[int, NativeLaunch] = WeakValueDictionary()


def watch(launch: NativeLaunch) -> None:
    """Ask a launch in native code too, for as long as it lives."""
    _launches[id(launch)] = launch


def place(stream: int) -> CellType:
    """Where launches in Python on a stream write the name of their kernel; what is forgotten is not told any more."""
    if len(_by_stream) >= MOST_STREAMS:
        _by_stream.clear()
    return _by_stream.setdefault(stream, CellType(""))


def told(stream: int | None) -> str:
    """A part of a sentence that names the kernel that was launched last on a stream, or on each where that is None."""
    asked = [launch.latest() for launch in [reference() for reference in _launches.valuerefs()] if launch is not None]
    native = {where: name for turn, where, name in sorted(asked) if turn}
    in_python = [(where, cell.cell_contents) for where, cell in list(_by_stream.items())]
    chosen = [name for where, name in [*native.items(), *in_python] if name and (stream is None or where == stream)]
    names = list(dict.fromkeys(chosen))[:8]
    if not names:
        return ""
    listed = " or ".join(map(repr, names))
    return f"; the last one{' on this stream' if stream is not None else ' on each stream'} was {listed}"
