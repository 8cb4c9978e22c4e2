"""One thread that makes machine code while the program goes on with lanes. It ends when nothing waits.

What happens in it is nobody's error. A child of a fork has no such thread, and nothing waits in it; at the end of the
interpreter what waits is dropped and the kernel at hand is finished, since LLVM must not be torn down under it.
"""

from __future__ import annotations

import atexit
import contextvars
import threading
from collections import deque
from typing import TYPE_CHECKING

from jitload import forks, log

if TYPE_CHECKING:
    from collections.abc import Callable

_EXIT_SECONDS = 30.0  # more than any one kernel takes that is compiled here


class Background:
    """Work for one thread.

    Attributes:
        ending: whether the interpreter ends: what is begun may be left.
    """

    def __init__(self) -> None:
        self.ending = False
        self._waiting: deque[Callable[[], None]] = deque()
        self._lock = threading.RLock()  # a signal handler may launch in the middle of it
        self._thread: threading.Thread | None = None
        self._hooked = False
        forks.after_fork(self._settle)

    def add(self, work: Callable[[], None]) -> bool:
        """Do some work later, with the settings that hold now; False where there can be no thread."""
        with self._lock:
            if self.ending:
                return False
            if not self._hooked:
                self._hooked = True
                atexit.register(self.end)
            context = contextvars.copy_context()
            self._waiting.append(lambda: context.run(work))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work_off, name="jitload-machine-code", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # no more threads
                    self._thread = None
                    self._waiting.clear()
                    return False
        return True

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is left to do, but no longer than that; whether it is so."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)
        return self._thread is None

    def end(self) -> None:
        """Begin nothing any more, and wait for what is at hand."""
        self.ending = True
        self._waiting.clear()
        self.wait(_EXIT_SECONDS)

    def _work_off(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                work = self._waiting.popleft()
            try:
                work()
            except Exception as error:  # noqa: BLE001 - lanes go on
                log.debug("%s while making machine code: %s", type(error).__name__, error)
            del work  # and what it holds

    def _settle(self) -> None:
        self._lock = threading.RLock()
        self._thread = None
        self._waiting.clear()


background = Background()
