"""`Writer`: what is kept for others is kept behind the back of everybody, in order; losing it loses nothing."""

from __future__ import annotations

import atexit
import sys
import time
import weakref
from collections import deque
from contextvars import copy_context
from functools import partial
from threading import Condition, Thread
from typing import TYPE_CHECKING

from jitload import forks, log
from jitload.tiers.remote.deadline import wait_nowhere

if TYPE_CHECKING:
    from collections.abc import Callable

    Work = Callable[[], object]

#: What waits to be written is no more than this; what comes then is lost.
MAX_WAITING, MAX_WAITING_BYTES = 4096, 256 << 20
#: A process that ends waits no longer for what is still to be written.
EXIT_SECONDS = 5.0


class Writer:
    """A bounded queue of work, done in order by one thread of this process, which starts with the first.

    Args:
        place: the remote, as a message names it.
        look_seconds: the thread looks for work so often, and nobody wakes it: waking one costs who adds work more than
            the work itself. 0 where it begins at once.
    """

    def __init__(self, place: str, look_seconds: float = 0.0) -> None:
        self._place = place
        self._look_seconds = look_seconds
        self._changed = Condition()
        self._waiting: deque[tuple[Work, int]] = deque()
        self._bytes = 0
        self._busy = False
        self._started = False
        self._hooked = False
        forks.after_fork(self._begin_anew)

    def add(self, work: Work, nbytes: int = 0) -> bool:
        """Have something done later; False where too much waits already, or nothing is begun any more.

        Args:
            work: what is done; it handles its own failures.
            nbytes: what it holds in memory meanwhile.
        """
        with self._changed:
            if len(self._waiting) >= MAX_WAITING or self._bytes + nbytes > MAX_WAITING_BYTES:
                log.debug("%s: too much waits to be written: one more is dropped", self._place)
                return False
            if not self._start():
                return False
            # In the session of who adds it: what is counted counts there.
            self._waiting.append((partial(copy_context().run, work), nbytes))
            self._bytes += nbytes
            if not self._look_seconds:
                self._changed.notify_all()
        return True

    def flush(self, seconds: float = EXIT_SECONDS) -> bool:
        """Wait until all that was added is done, but no longer than that; whether it is."""
        end = time.monotonic() + seconds
        with self._changed:
            self._changed.notify_all()
            while self._waiting or self._busy:
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def _start(self) -> bool:
        if self._started:
            return True
        try:
            # It does not keep the writer alive, which would keep its cache: it ends with it.
            Thread(target=_work_off, args=(weakref.ref(self),), name="jitload-remote-writer", daemon=True).start()
        except RuntimeError:  # no more threads, or the interpreter ends
            return False
        self._started = True
        if not self._hooked:
            self._hooked = True
            here = weakref.ref(self)
            atexit.register(_flush_at_exit, here)
            # A process that multiprocessing forked ends without `atexit`, and by this.
            processes = sys.modules.get("multiprocessing.util")
            if processes is not None:
                processes.Finalize(None, _flush_at_exit, args=(here,), exitpriority=10)
        return True

    def work_off(self) -> bool:
        """Do what waits, all of it; False where nothing came for a while."""
        with self._changed:
            end = time.monotonic() + (IDLE_SECONDS if not self._look_seconds else IDLE_LOOKS * self._look_seconds)
            while not self._waiting:
                if time.monotonic() >= end:
                    return False
                self._changed.wait(self._look_seconds or IDLE_SECONDS)
            # As a whole: who adds and who works take turns at the lock as seldom as can be.
            begun, self._waiting = self._waiting, deque()
            self._busy = True
        done = 0
        try:
            while begun:
                work, nbytes = begun.popleft()
                done += nbytes
                try:
                    work()
                except Exception as error:  # noqa: BLE001 - the next piece is done all the same
                    log.debug("%s: %s while writing", self._place, type(error).__name__)
                del work  # and what it holds
                if done > MAX_WAITING_BYTES // 16:
                    self._forget(done)
                    done = 0
        finally:
            with self._changed:
                self._busy = False
                self._bytes -= done
                self._changed.notify_all()
        return True

    def _forget(self, nbytes: int) -> None:
        with self._changed:
            self._bytes -= nbytes

    def retire(self) -> bool:
        """Whether the thread may end: nothing came. The next piece of work starts another."""
        with self._changed:
            if self._waiting:
                return False
            self._started = False
            return True

    def _begin_anew(self) -> None:
        """After a fork: the thread, and what waits for it, are the parent's."""
        self._changed = Condition()
        self._waiting = deque()
        self._bytes = 0
        self._busy = self._started = self._hooked = False


#: A thread that has nothing to do ends.
IDLE_SECONDS, IDLE_LOOKS = 10.0, 50


def _work_off(writer: weakref.ref[Writer]) -> None:
    wait_nowhere()
    while True:
        alive = writer()
        if alive is None:
            return
        if not alive.work_off() and alive.retire():
            return
        del alive


def _flush_at_exit(writer: weakref.ref[Writer]) -> None:
    alive = writer()
    if alive is not None:
        alive.flush()
