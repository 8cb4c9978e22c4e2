"""Work that is over at a moment, whatever it waits for: the caller goes on, and what hangs is left to a thread."""

from __future__ import annotations

import time
from threading import Lock, Thread, local
from typing import TYPE_CHECKING

from jitload import forks
from jitload.tiers.remote.store import AWAY, DAMAGED, TIMED_OUT, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")

#: To reach a server.
CONNECT_SECONDS = 0.5
#: For everything that one look-up asks of a remote, the connection included.
OPERATION_SECONDS = 2.0
#: For what is written, which nobody waits for.
WRITE_SECONDS = 20.0
#: For each page of a listing, which somebody has asked for by hand.
PAGE_SECONDS = 20.0
#: For all pages of a listing together, and how many names it may have: a server can go on without end.
LISTING_SECONDS, MAX_NAMES = 600.0, 1 << 24
#: So many threads may hang; more work is refused.
MAX_HANGING = 8

_here = local()
_running: set[Thread] = set()


def wait_nowhere() -> None:
    """From now on this thread does by itself what `run_within` is to bound: nobody waits for it."""
    _here.patient = True


class Listing:
    """How long a listing may go on, by what has come of it."""

    def __init__(self) -> None:
        self._left_seconds = LISTING_SECONDS
        self._left_names = MAX_NAMES

    def page(self, ask: Callable[[float], Result], names_in: Callable[[Result], int]) -> Result:
        """The next page, from a function that is told when that has to be over.

        Raises:
            StoreError: the page does not come, or too much came before it.
        """
        if self._left_seconds <= 0 or self._left_names <= 0:
            raise StoreError(DAMAGED, "its listing does not end")
        begun = time.monotonic()
        found = ask(begun + min(PAGE_SECONDS, self._left_seconds))
        self._left_seconds -= time.monotonic() - begun
        self._left_names -= names_in(found)
        return found


def run_within(until: float, work: Callable[[], Result]) -> Result:
    """What a function gives; it runs in a thread, which is given up when the time is over.

    Args:
        until: when it has to be done, as `time.monotonic` counts.
        work: the function.

    Raises:
        StoreError: it is not done in time, or too many before it were not.
    """
    if getattr(_here, "patient", False):
        return work()
    if len(_running) >= MAX_HANGING:
        raise StoreError(AWAY, f"{len(_running)} earlier operations have not come back")
    found: list[Result] = []
    failed: list[BaseException] = []
    done = Lock()
    done.acquire()

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is waited for
            failed.append(error)
        finally:
            _running.discard(thread)
            done.release()

    thread = Thread(target=run, name="jitload-remote", daemon=True)
    _running.add(thread)
    try:
        thread.start()
    except RuntimeError:  # no more threads, or the interpreter ends
        _running.discard(thread)
        raise StoreError(AWAY, "no thread can be started") from None
    if not done.acquire(timeout=max(0.0, until - time.monotonic())):
        raise StoreError(TIMED_OUT, "no answer in time")
    if failed:
        raise failed[0]
    return found[0]


def _forget() -> None:
    """After a fork: those threads do not exist in the child, and its only thread may be what was one of them."""
    _running.clear()
    _here.__dict__.clear()  # of this thread; there is no other


forks.after_fork(_forget)
