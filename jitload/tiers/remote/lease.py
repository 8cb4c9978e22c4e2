"""One compile per fleet: who is to compile a request takes a lease in the remote first, or waits for who has it.

It guards work, never correctness. It runs out by itself where its holder is gone, and is renewed while the holder
lives. Where the store does not answer, or the wait is over its bound, the compile happens anyway.
"""

from __future__ import annotations

import os
import random
import time
from threading import Event, Thread
from typing import TYPE_CHECKING

from jitload import log
from jitload.tiers.counters import counters
from jitload.tiers.remote.deadline import OPERATION_SECONDS, wait_nowhere
from jitload.tiers.remote.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol, TypeVar

    from jitload.tiers.remote.tier import RemoteTier

    class Looked(Protocol):
        """What a look has found."""

        @property
        def artifact(self) -> object | None:
            """What is there now; None where nothing is."""

    Look = TypeVar("Look", bound=Looked)

    Waited = Callable[[float, str], object]

#: Who waits looks again after a tenth of the time that it has waited so far, within these bounds, and with jitter.
_SHORTEST_SECONDS, _LONGEST_SECONDS, _SHARE = 0.005, 0.5, 0.1
#: Who has waited for so long says what for.
SAY_SECONDS = 1.0


class Lease:
    """The lease on one request, wanted or held.

    Args:
        remote: where it is.
        digest: of the request.
    """

    def __init__(self, remote: RemoteTier, digest: str) -> None:
        self._remote = remote
        self._digest = digest
        self._token = f"{os.uname().nodename}:{os.getpid()}:{os.urandom(8).hex()}"
        self._ended = Event()
        self._held = self._failed = False

    def wait(self, look: Callable[[], Look], what: str, waited: Waited | None) -> Look | None:
        """What was found after a wait; or None where it is to be compiled, with the lease or without.

        Args:
            look: looks for the artifact again.
            what: what is compiled, for messages.
            waited: is told of waits, when they get long and when they are over.
        """
        started = time.monotonic()
        said, waits = "", 0
        answer: Look | None = None
        # Who waits asks in turn for the lease and for what comes of it: all of them have that at once, where getting
        # the lease to look would let them have it one after the other.
        while waits % 2 or not self._take():
            if waits % 2:
                answer = look()
                if answer.artifact is not None:
                    break
            waits += 1
            seconds = time.monotonic() - started
            if self._failed or not self._remote.leases:  # just now
                break
            if seconds >= self._remote.wait_seconds:
                log.warn(f"another machine has been compiling {what} for {seconds:.0f} s: compiling it as well")
                break
            if seconds >= SAY_SECONDS and not said:
                said = f"waiting for another machine to compile {what}, by {self._remote.place}"
                log.warn(said)
                if waited is not None:
                    waited(seconds, said)
            pause = min(max(_SHARE * seconds, _SHORTEST_SECONDS), _LONGEST_SECONDS)
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
        if self._held:
            answer = look()  # it may have been made between the look before and the lease
            if answer.artifact is None:
                self._start_renewing()
        if waits:
            counters().count_lease_wait(time.monotonic() - started)
            if waited is not None:
                waited(time.monotonic() - started, said)
        return answer if answer is not None and answer.artifact is not None else None

    def end(self) -> None:
        """Give the lease back, behind everything that is to be written before."""
        self._ended.set()
        if self._held:
            self._held = False
            self._remote.write_later(self._free)

    def _take(self) -> bool:
        until = time.monotonic() + OPERATION_SECONDS
        remote = self._remote
        seconds = remote.lease_seconds
        taken = remote.write_now(lambda: remote.store.take_lease(self._digest, self._token, seconds, until))
        self._held, self._failed = bool(taken), taken is None
        return self._held

    def _free(self, until: float) -> int:
        self._remote.store.free_lease(self._digest, self._token, until)
        return 0

    def _start_renewing(self) -> None:
        try:
            Thread(target=self._renew, name="jitload-remote-lease", daemon=True).start()
        except RuntimeError:  # no more threads: it runs out, and another machine compiles too
            return

    def _renew(self) -> None:
        wait_nowhere()
        seconds = self._remote.lease_seconds
        while not self._ended.wait(seconds / 3):
            try:
                until = time.monotonic() + OPERATION_SECONDS
                if not self._remote.store.renew_lease(self._digest, self._token, seconds, until):
                    return
            except StoreError:
                continue
