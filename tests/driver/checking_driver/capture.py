"""Stream capture: what is recorded, what breaks it, and who may not call what while it goes on.

CUDA driver API, "Stream Management" (cuStreamBeginCapture, cuThreadExchangeStreamCaptureMode) and "Cross-stream
Dependencies and Events" in the CUDA C++ Programming Guide.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from . import status
from .status import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stream import Stream

GLOBAL, THREAD_LOCAL, RELAXED = 0, 1, 2


class Graph:
    """What was captured, in order."""

    def __init__(self) -> None:
        self.works: list[tuple[str, Callable[[], None]]] = []


class Capture:
    """One capture that goes on.

    Attributes:
        origin: the stream that it began on.
        thread: the thread that began it.
        members: each stream in it, with how far it got.
        joined: how far others have waited for each.
        broken: why it can only end with an error, or "".
    """

    _last = 0

    def __init__(self, origin: Stream, mode: int) -> None:
        Capture._last += 1
        self.number = Capture._last
        self.origin = origin
        self.mode = mode
        self.thread = threading.get_ident()
        self.graph = Graph()
        self.members: dict[Stream, int] = {origin: 0}
        self.joined: dict[Stream, int] = {}
        self.broken = ""

    def add(self, stream: Stream, what: str, action: Callable[[], None]) -> None:
        if self.broken:
            raise Refused(status.STREAM_CAPTURE_INVALIDATED, f"{what} into a capture that was broken by {self.broken}")
        self.graph.works.append((what, action))
        self.members[stream] += 1

    def join(self, stream: Stream, other: Stream, position: int) -> None:
        """`stream` waits for what `other` had captured up to a position."""
        self.joined[other] = max(position, self.joined.get(other, 0))
        stream.capture = self
        self.members[stream] = self.members.get(stream, 0) + (other is not self.origin)

    def unjoined(self) -> list[Stream]:
        """Streams with work that the first one will not wait for."""
        return [one for one, far in self.members.items() if one is not self.origin and far > self.joined.get(one, 0)]

    def end(self) -> None:
        for stream in self.members:
            stream.capture = None


def calls(driver: Any) -> dict[str, Callable[..., Any]]:
    """The functions of the API that this file models, by name."""
    modes = threading.local()

    def going_on() -> list[Capture]:
        found = [stream.capture for context in driver.contexts() for stream in context.streams if stream.capture]
        return list(dict.fromkeys(found))

    def unsafe(name: str) -> None:
        """A call that may wait for other work of the device: no thread may make it while a capture forbids that."""
        mode, own = getattr(modes, "mode", GLOBAL), threading.get_ident()
        for capture in going_on():
            mine = capture.thread == own and capture.mode != RELAXED
            others = mode == GLOBAL and capture.mode == GLOBAL
            if mode != RELAXED and (mine or others):
                capture.broken = capture.broken or name
                raise Refused(status.STREAM_CAPTURE_UNSUPPORTED, f"{name} during a capture")

    driver.unsafe = unsafe

    def exchange(mode: int) -> None:
        value = int.from_bytes(driver.read(mode, 4), "little")
        if value not in (GLOBAL, THREAD_LOCAL, RELAXED):
            raise Refused(status.INVALID_VALUE, f"capture mode {value}")
        driver.write(mode, getattr(modes, "mode", GLOBAL), 4)
        modes.mode = value

    def state(stream: Stream) -> int:
        if stream.legacy and any(one.blocking for one in stream.context.capturing()):
            why = "a question about the default stream in a capture"  # which breaks nothing
            raise Refused(status.STREAM_CAPTURE_IMPLICIT, why, expected=True)
        return 0 if stream.capture is None else 2 if stream.capture.broken else 1

    def is_capturing(handle: int, out: int) -> None:
        driver.write(out, state(driver.stream(handle)), 4)

    def get_info(handle: int, out: int, number: int) -> None:
        stream = driver.stream(handle)
        driver.write(out, state(stream), 4)
        if number and stream.capture is not None:
            driver.write(number, stream.capture.number)

    def begin(handle: int, mode: int) -> None:
        stream = driver.stream(handle)
        if stream.legacy:
            raise Refused(status.STREAM_CAPTURE_UNSUPPORTED, "the legacy default stream cannot be captured")
        if stream.capture is not None or mode not in (GLOBAL, THREAD_LOCAL, RELAXED):
            raise Refused(status.INVALID_VALUE, f"already capturing, or mode {mode}")
        stream.capture = Capture(stream, mode)

    def end(handle: int, out: int) -> None:
        stream = driver.stream(handle)
        capture = stream.capture
        if capture is None:
            raise Refused(status.INVALID_VALUE, "cuStreamEndCapture of a stream that does not capture")
        if capture.origin is not stream:
            raise Refused(status.STREAM_CAPTURE_UNMATCHED, "the capture began on another stream")
        if capture.mode != RELAXED and capture.thread != threading.get_ident():
            raise Refused(status.STREAM_CAPTURE_WRONG_THREAD, "the capture began in another thread")
        capture.end()
        driver.write(out, 0)
        if capture.broken:
            raise Refused(status.STREAM_CAPTURE_INVALIDATED, f"the capture was broken by {capture.broken}")
        if capture.unjoined():
            raise Refused(status.STREAM_CAPTURE_UNJOINED, "a stream that joined the capture was not waited for")
        driver.write(out, driver.handles.add(capture.graph, "graph"))

    def instantiate(out: int, graph: int, _flags: int) -> None:
        driver.write(out, driver.handles.add(list(driver.handles.get(graph, Graph).works), "graph exec"))

    def launch(executable: int, handle: int) -> None:
        works, stream = driver.handles.get(executable, list), driver.stream(handle)
        stream.context.raise_fault()
        for what, action in works:
            stream.submit(what, action)

    return {
        "cuThreadExchangeStreamCaptureMode": exchange,
        "cuStreamIsCapturing": is_capturing,
        "cuStreamGetCaptureInfo": get_info,
        "cuStreamBeginCapture": begin,
        "cuStreamEndCapture": end,
        "cuGraphInstantiateWithFlags": instantiate,
        "cuGraphLaunch": launch,
        "cuGraphDestroy": lambda handle: driver.handles.remove(handle, Graph),
        "cuGraphExecDestroy": lambda handle: driver.handles.remove(handle, list),
    }
