"""Streams and events: work is queued, and runs when somebody must have its result and never before.

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

    from .capture import Capture
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


class Stream:
    """A stream of one context.

    Attributes:
        blocking: ordered with the legacy default stream.
        capture: what it captures into, or None.
    """

    def __init__(self, context: Context, *, blocking: bool) -> None:
        self.context = context
        self.blocking = blocking
        self.last: Work | None = None
        self.awaited: list[Work] = []
        self.capture: Capture | None = None

    @property
    def legacy(self) -> bool:
        return self is self.context.legacy

    def submit(self, what: str, action: Callable[[], None]) -> None:
        """Queue work, or put it into the graph that is being captured."""
        if self.capture is not None:
            self.capture.add(self, what, action)
            return
        self.must_not_touch_captures(what)
        before = self.ahead()
        self.awaited = []
        if self.legacy:
            before += [one.last for one in self.context.streams if one.blocking and one.last is not None]
        elif self.blocking and self.context.legacy.last is not None:
            before.append(self.context.legacy.last)
        self.last = Work(what, action, self.context, before)

    def must_not_touch_captures(self, what: str) -> None:
        """The legacy default stream waits for every blocking one, which one that captures cannot grant."""
        if self.legacy:
            for stream in self.context.capturing():
                if stream.blocking and stream.capture is not None:
                    stream.capture.broken = stream.capture.broken or what
                    raise Refused(status.STREAM_CAPTURE_IMPLICIT, f"{what} on the default stream during a capture")

    def must_not_capture(self, what: str) -> None:
        if self.capture is not None:
            self.capture.broken = self.capture.broken or what
            raise Refused(status.STREAM_CAPTURE_UNSUPPORTED, f"{what} on a stream that captures")
        self.must_not_touch_captures(what)

    def ahead(self) -> list[Work]:
        """What was queued, and what it was told to wait for since."""
        return [work for work in (self.last, *self.awaited) if work is not None]

    def wait(self) -> None:
        """Run everything that was queued."""
        for work in self.ahead():
            work.run()

    def idle(self) -> bool:
        return all(work.done for work in self.ahead())


class Event:
    """A mark in a stream; without one it is complete at once.

    Attributes:
        works: what it stands behind.
        captured: the capture that it was recorded in, the stream, and how far that was.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.works: list[Work] = []
        self.captured: tuple[Capture, Stream, int] | None = None

    def record(self, stream: Stream) -> None:
        capture = stream.capture
        if capture is None:
            self.captured, self.works = None, stream.ahead()
        else:
            self.captured, self.works = (capture, stream, capture.members[stream]), []

    def must_not_be_captured(self, what: str) -> None:
        if self.captured is not None:
            self.captured[0].broken = self.captured[0].broken or what
            raise Refused(status.CAPTURED_EVENT, f"{what} of an event that was captured")


def wait_for(stream: Stream, mark: Event) -> None:
    """cuStreamWaitEvent: within a capture, into one, or none of both."""
    if mark.captured is None:
        if stream.capture is not None and any(not work.done for work in mark.works):
            stream.capture.broken = stream.capture.broken or "cuStreamWaitEvent"
            raise Refused(status.STREAM_CAPTURE_ISOLATION, "a capture cannot wait for work outside it")
        if stream.capture is None:
            stream.awaited += mark.works
        return
    capture, other, position = mark.captured
    if stream.capture is not None and stream.capture is not capture:
        raise Refused(status.STREAM_CAPTURE_MERGE, "the event belongs to another capture")
    if stream.legacy:
        raise Refused(status.STREAM_CAPTURE_IMPLICIT, "the default stream cannot join a capture")
    capture.join(stream, other, position)


def calls(driver: Any) -> dict[str, Callable[..., Any]]:
    """The functions of the API that this file models, by name."""
    handles = driver.handles

    def create(out: int, flags: int, _priority: int = 0) -> None:
        context = driver.current()
        if flags not in (0, 1):
            raise Refused(status.INVALID_VALUE, f"stream flags {flags:#x}")
        stream = Stream(context, blocking=flags == 0)
        context.streams.append(stream)
        driver.write(out, handles.add(stream, "stream"))

    def destroy(handle: int) -> None:
        stream = handles.get(handle, Stream)
        stream.must_not_capture("cuStreamDestroy")
        stream.wait()  # its work goes on; the model lets it finish now
        stream.context.streams.remove(stream)
        handles.remove(handle, Stream)

    def synchronize(handle: int) -> None:
        stream = driver.stream(handle)
        stream.must_not_capture("cuStreamSynchronize")
        stream.wait()
        stream.context.raise_fault()

    def query(handle: int) -> None:
        stream = driver.stream(handle)
        stream.must_not_capture("cuStreamQuery")
        if not stream.idle():
            stream.wait()  # so that asking again and again ends
            raise Refused(status.NOT_READY, expected=True)
        stream.context.raise_fault()

    def get_device(handle: int, out: int) -> None:
        if driver.version < 12080:
            raise Refused(status.NOT_SUPPORTED, "cuStreamGetDevice came with CUDA 12.8")
        driver.write(out, driver.stream(handle).context.device.ordinal, 4)

    def wait_event(handle: int, event: int, flags: int) -> None:
        if flags not in (0, 1):
            raise Refused(status.INVALID_VALUE, f"flags {flags}")
        wait_for(driver.stream(handle), handles.get(event, Event))

    def event_create(out: int, flags: int) -> None:
        if flags & ~7:
            raise Refused(status.INVALID_VALUE, f"event flags {flags:#x}")
        driver.write(out, handles.add(Event(driver.current()), "event"))

    def event_record(event: int, handle: int) -> None:
        stream, mark = driver.stream(handle), handles.get(event, Event)
        if mark.context is not stream.context:
            raise Refused(status.INVALID_HANDLE, "event and stream of different contexts")
        stream.must_not_touch_captures("cuEventRecord")
        mark.record(stream)

    def event_wait(event: int) -> None:
        mark = handles.get(event, Event)
        mark.must_not_be_captured("cuEventSynchronize")
        for work in mark.works:
            work.run()
        mark.context.raise_fault()

    def event_query(event: int) -> None:
        driver.unsafe("cuEventQuery")
        mark = handles.get(event, Event)
        mark.must_not_be_captured("cuEventQuery")
        if not all(work.done for work in mark.works):
            for work in mark.works:  # so that asking again and again ends
                work.run()
            raise Refused(status.NOT_READY, expected=True)
        mark.context.raise_fault()

    return {
        "cuStreamCreate": create,
        "cuStreamCreateWithPriority": create,
        "cuStreamDestroy": destroy,
        "cuStreamSynchronize": synchronize,
        "cuStreamQuery": query,
        "cuStreamGetCtx": lambda handle, out: driver.write(out, driver.stream(handle).context.handle),
        "cuStreamGetDevice": get_device,
        "cuStreamWaitEvent": wait_event,
        "cuEventCreate": event_create,
        "cuEventRecord": event_record,
        "cuEventSynchronize": event_wait,
        "cuEventQuery": event_query,
        "cuEventDestroy": lambda handle: handles.remove(handle, Event),
    }
