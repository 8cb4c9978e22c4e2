"""`Breaker`: a remote that fails is left alone for a while, and asked again by nobody who waits for an answer."""

from __future__ import annotations

import random
import time
from threading import Lock, Thread
from typing import TYPE_CHECKING

from jitload import forks, log
from jitload.tiers.remote.deadline import OPERATION_SECONDS, wait_nowhere
from jitload.tiers.remote.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

#: The first pause and the longest one; each is twice the one before, and ends at random in its second half.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0


class Breaker:
    """Whether a remote is asked. Closed, it is; after a failure it is open, and closed again by a probe that succeeds.

    A probe runs in a thread of its own, one at a time, when somebody asks after the pause: so a server that has stopped
    costs its deadline once. There is one line in the log when it opens, and one when it closes.

    Args:
        place: the remote, as a message names it.
        consequence: what that means, for the message: "kernels are compiled here meanwhile".
        probe: asks the remote, by a moment, or raises a StoreError.
    """

    def __init__(self, place: str, consequence: str, probe: Callable[[float], object]) -> None:
        self._place = place
        self._consequence = consequence
        self._probe = probe
        self._lock = Lock()
        self._why: StoreError | None = None
        self._pause = 0.0
        self._again = 0.0
        self._probing = False
        forks.after_fork(self._settle)

    @property
    def why(self) -> StoreError | None:
        """What opened it; None where it is closed."""
        return self._why

    @property
    def pause_left(self) -> float:
        """After so many seconds it is asked again, if anybody asks."""
        return max(0.0, self._again - time.monotonic())

    def allows(self) -> bool:
        """Whether to ask the remote now. Takes no time; where the pause is over, a probe begins."""
        if self._why is None:
            return True
        if time.monotonic() >= self._again:
            self._begin_probe()
        return False

    def note_failure(self, error: StoreError) -> None:
        """An operation failed, and the next one would."""
        with self._lock:
            opened = self._why is None
            self._why = error
            if opened:
                self._pause = FIRST_PAUSE_SECONDS
                self._set_pause()
        if opened:
            log.warn(f"{self._place} {error.word}: {error.text}. It is left alone for a while; {self._consequence}")

    def note_success(self) -> None:
        """An operation succeeded."""
        if self._why is None:
            return
        with self._lock:
            closed = self._why is not None
            self._why = None
        if closed:
            log.warn(f"{self._place} answers again")

    def _set_pause(self) -> None:
        self._again = time.monotonic() + self._pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret

    def _begin_probe(self) -> None:
        with self._lock:
            if self._probing or self._why is None:
                return
            self._probing = True
        try:
            Thread(target=self._run_probe, name="jitload-remote-probe", daemon=True).start()
        except RuntimeError:  # no more threads, or the interpreter ends
            self._probing = False

    def _run_probe(self) -> None:
        wait_nowhere()
        try:
            self._probe(time.monotonic() + OPERATION_SECONDS)
        except StoreError as error:
            with self._lock:
                self._why = error
                self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
                self._set_pause()
                self._probing = False
            return
        self._probing = False
        self.note_success()

    def _settle(self) -> None:
        """After a fork: another thread may have been changing it, and a probe of the parent does not exist here."""
        self._lock = Lock()
        self._probing = False
