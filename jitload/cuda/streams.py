"""Streams of a launch: which device they belong to, what is captured on them, and how one waits for another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cuda import driver
from jitload.errors import LaunchError

if TYPE_CHECKING:
    from types import ModuleType

# CUevent_flags and CUresult values (cuda.h).
_DISABLE_TIMING = 2
_CAPTURE_IMPLICIT = 906
#: The legacy default stream under its two names, and the per-thread one: they belong to the current context.
DEFAULT_STREAMS = frozenset({0, 1, 2})


def capture_of(stream: int, what: str) -> int:
    """The number of the capture that a stream takes part in, or 0; `what` needs to know, for messages.

    Raises:
        LaunchError: the default stream, while a stream that it would wait for is captured.
        DriverError: a driver call failed.
    """
    bindings = driver.ensure_context()
    status, capturing, number, *_ = bindings.cuStreamGetCaptureInfo(stream)
    if int(status) == _CAPTURE_IMPLICIT:
        raise LaunchError(
            f"{what} has to use the default stream while another stream is captured that it waits for; "
            "launch on the stream that is captured, or begin the capture on a non-blocking stream"
        )
    driver.check("cuStreamGetCaptureInfo", (status,))
    return int(number) if int(capturing) else 0


def is_captured(stream: int) -> bool:
    """Whether launches on a stream are recorded instead of run."""
    bindings = driver.ensure_context()
    status, capturing = bindings.cuStreamIsCapturing(stream)
    return not int(status) and int(capturing) != 0


def wait_for(stream: int, other: int, what: str) -> None:
    """Let a stream wait for what is queued on another one, which `what` needs; the host does not wait.

    Raises:
        LaunchError: one of them is captured and the other is not, or into another graph.
        DriverError: a driver call failed.
    """
    bindings = driver.ensure_context()
    own, foreign = capture_of(stream, what), capture_of(other, what)
    if own != foreign:
        if not foreign and _is_idle(bindings, other):
            return  # its work is done, and no graph need know of it
        raise LaunchError(
            f"{what} gets an array that stream {other:#x} still works on, and of the two streams "
            f"{'only that one' if foreign else 'only the one of the launch'} is captured: a graph cannot wait for what "
            "is not in it; synchronize before the capture begins, or capture both streams"
        )
    event = driver.check("cuEventCreate", bindings.cuEventCreate(_DISABLE_TIMING))
    try:
        driver.check("cuEventRecord", bindings.cuEventRecord(event, other))
        driver.check("cuStreamWaitEvent", bindings.cuStreamWaitEvent(stream, event, 0))
    finally:
        bindings.cuEventDestroy(event)  # it goes when it has been waited for


def _is_idle(bindings: ModuleType, stream: int) -> bool:
    with driver.beside_captures(bindings):
        return int(bindings.cuStreamQuery(stream)[0]) == 0
