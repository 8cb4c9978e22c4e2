"""Streams, events and graphs: work is queued, and runs when somebody must have its result and never before.

That is the worst that a GPU may do within the rules: whoever forgets to wait reads old bytes here, every time. What
orders two pieces of work: one stream, the legacy default stream against blocking ones, and events (CUDA driver API,
"Stream synchronization behavior").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import status
from .status import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from .device import Context


class Work:
    """One piece of queued work.

    Attributes:
        what: its name, for reports.
        before: what must have run first.
        done: whether it has run.
    """

    def __init__(self, what: str, action: Callable[[], None], context: Context, before: list[Work]) -> None:
        self.what = what
        self.action = action
        self.context = context
        self.before = before
        self.done = False

    def run(self) -> None:
        """Run what comes first, then this; after a fault of the context nothing runs any more."""
        stack = [self]
        while stack:
            work = stack[-1]
            waiting = [one for one in work.before if not one.done]
            if waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            if not work.done:
                work.done = True
                work.before = []
                work.context.carry_out(work)


class Graph:
    """What was captured, in order."""

    def __init__(self) -> None:
        self.works: list[tuple[str, Callable[[], None]]] = []


class Stream:
    """A stream of one context.

    Attributes:
        blocking: ordered with the legacy default stream.
        graph: what it captures into, or None.
        broken: the capture was made invalid.
    """

    def __init__(self, context: Context, *, blocking: bool) -> None:
        self.context = context
        self.blocking = blocking
        self.last: Work | None = None
        self.awaited: list[Work] = []
        self.graph: Graph | None = None
        self.broken = False

    @property
    def legacy(self) -> bool:
        return self is self.context.legacy

    def submit(self, what: str, action: Callable[[], None]) -> None:
        """Queue work, or put it into the graph that is being captured."""
        if self.graph is not None:
            if self.broken:
                raise Refused(status.STREAM_CAPTURE_INVALIDATED, f"{what} into a broken capture")
            self.graph.works.append((what, action))
            return
        if self.legacy and self.context.capturing():
            self.context.break_captures()
            raise Refused(status.STREAM_CAPTURE_IMPLICIT, f"{what} on the default stream while another one captures")
        before = [work for work in (self.last, *self.awaited) if work is not None]
        self.awaited = []
        if self.legacy:
            before += [one.last for one in self.context.streams if one.blocking and one.last is not None]
        elif self.blocking and self.context.legacy.last is not None:
            before.append(self.context.legacy.last)
        self.last = Work(what, action, self.context, before)

    def wait(self) -> None:
        """Run everything that was queued (cuStreamSynchronize)."""
        for work in [self.last, *self.awaited]:
            if work is not None:
                work.run()

    def idle(self) -> bool:
        return self.last is None or self.last.done


class Event:
    """A mark in a stream; without one it is complete at once."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.work: Work | None = None
        self.captured: Stream | None = None

    def record(self, stream: Stream) -> None:
        self.captured = stream if stream.graph is not None else None
        if self.captured is None:
            self.work = stream.last


def calls(driver: Any) -> dict[str, Callable[..., Any]]:
    """The functions of the API that this file models, by name."""
    handles = driver.handles

    def stream_of(handle: int) -> Stream:
        return driver.stream(handle)

    def no_capture(name: str, stream: Stream) -> None:
        if stream.graph is not None:
            stream.broken = True
            raise Refused(status.STREAM_CAPTURE_UNSUPPORTED, f"{name} on a stream that captures")

    def create(out: int, flags: int, _priority: int = 0) -> None:
        context = driver.current()
        if flags not in (0, 1):
            raise Refused(status.INVALID_VALUE, f"stream flags {flags:#x}")
        stream = Stream(context, blocking=flags == 0)
        context.streams.append(stream)
        driver.write(out, handles.add(stream, "stream"))

    def destroy(handle: int) -> None:
        stream = handles.get(handle, Stream)
        stream.wait()  # its work goes on; the model lets it finish now
        stream.context.streams.remove(stream)
        handles.remove(handle)

    def synchronize(handle: int) -> None:
        stream = stream_of(handle)
        no_capture("cuStreamSynchronize", stream)
        if stream.legacy and stream.context.capturing():
            stream.context.break_captures()
            raise Refused(status.STREAM_CAPTURE_IMPLICIT, "cuStreamSynchronize of the default stream in a capture")
        stream.wait()
        stream.context.raise_fault()

    def query(handle: int) -> None:
        stream = stream_of(handle)
        no_capture("cuStreamQuery", stream)
        if not stream.idle():
            stream.wait()
            stream.context.raise_fault()

    def get_context(handle: int, out: int) -> None:
        driver.write(out, stream_of(handle).context.handle)

    def get_device(handle: int, out: int) -> None:
        driver.write(out, stream_of(handle).context.device.ordinal, 4)

    def wait_event(handle: int, event: int, flags: int) -> None:
        stream, mark = stream_of(handle), handles.get(event, Event)
        if flags not in (0, 1):
            raise Refused(status.INVALID_VALUE, f"flags {flags}")
        if mark.captured is not None and mark.captured.graph is not None:
            stream.graph = mark.captured.graph  # joins the capture
        elif stream.graph is not None and mark.work is not None:
            stream.broken = True
            raise Refused(status.STREAM_CAPTURE_UNSUPPORTED, "a capture cannot wait for work outside it")
        elif mark.work is not None:
            stream.awaited.append(mark.work)

    def is_capturing(handle: int, out: int) -> None:
        stream = stream_of(handle)
        if stream.legacy and stream.context.capturing():
            raise Refused(status.STREAM_CAPTURE_IMPLICIT, "cuStreamIsCapturing of the default stream in a capture")
        driver.write(out, 0 if stream.graph is None else 2 if stream.broken else 1, 4)

    def begin(handle: int, mode: int) -> None:
        stream = stream_of(handle)
        if stream.legacy:
            raise Refused(status.STREAM_CAPTURE_UNSUPPORTED, "the legacy default stream cannot be captured")
        if stream.graph is not None or mode not in (0, 1, 2):
            raise Refused(status.INVALID_VALUE, f"already capturing, or mode {mode}")
        stream.graph, stream.broken = Graph(), False

    def end(handle: int, out: int) -> None:
        stream = stream_of(handle)
        graph, broken = stream.graph, stream.broken
        if graph is None:
            raise Refused(status.INVALID_VALUE, "cuStreamEndCapture of a stream that does not capture")
        for one in stream.context.streams:
            if one.graph is graph:
                one.graph, one.broken = None, False
        if broken:
            driver.write(out, 0)
            raise Refused(status.STREAM_CAPTURE_INVALIDATED, "the capture was broken")
        driver.write(out, handles.add(graph, "graph"))

    def instantiate(out: int, graph: int, _flags: int) -> None:
        driver.write(out, handles.add(list(handles.get(graph, Graph).works), "graph exec"))

    def launch(executable: int, handle: int) -> None:
        for what, action in handles.get(executable, list):
            stream_of(handle).submit(what, action)

    def event_create(out: int, _flags: int) -> None:
        driver.write(out, handles.add(Event(driver.current()), "event"))

    def event_record(event: int, handle: int) -> None:
        stream, mark = stream_of(handle), handles.get(event, Event)
        if mark.context is not stream.context:
            raise Refused(status.INVALID_HANDLE, "event and stream of different contexts")
        mark.record(stream)

    def event_wait(event: int) -> None:
        mark = handles.get(event, Event)
        if mark.captured is not None:
            mark.captured.broken = True
            raise Refused(status.STREAM_CAPTURE_UNSUPPORTED, "waiting for a captured event")
        if mark.work is not None:
            mark.work.run()
        mark.context.raise_fault()

    return {
        "cuStreamCreate": create,
        "cuStreamCreateWithPriority": create,
        "cuStreamDestroy": destroy,
        "cuStreamSynchronize": synchronize,
        "cuStreamQuery": query,
        "cuStreamGetCtx": get_context,
        "cuStreamGetDevice": get_device,
        "cuStreamWaitEvent": wait_event,
        "cuStreamIsCapturing": is_capturing,
        "cuStreamBeginCapture": begin,
        "cuStreamEndCapture": end,
        "cuGraphInstantiateWithFlags": instantiate,
        "cuGraphLaunch": launch,
        "cuGraphDestroy": handles.remove,
        "cuGraphExecDestroy": handles.remove,
        "cuEventCreate": event_create,
        "cuEventRecord": event_record,
        "cuEventSynchronize": event_wait,
        "cuEventQuery": event_wait,
        "cuEventDestroy": handles.remove,
    }
