"""Single flight: one compile per key on this host, over threads and processes.

The lock between processes is the kernel's, so a killed holder frees it. It guards work, never correctness: when the
wait is over its bound, or there is no lock to be had, the compile happens anyway. Who waits says so.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock, current_thread, get_ident
from time import monotonic
from typing import TYPE_CHECKING

from jitload import forks, log
from jitload.files.lock import FileLock
from jitload.files.ownership import Refused
from jitload.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jitload.files.directory import Directory
    from jitload.tiers.remote import lease
    from jitload.tiers.remote.lease import Look
    from jitload.tiers.remote.tier import RemoteTier

    Waited = Callable[[float, str], object]
else:
    lease = lazy("jitload.tiers.remote.lease")

#: How long to wait for another process before compiling what it is compiling.
WAIT_SECONDS = 600.0
#: Who has waited for so long says what for.
SAY_SECONDS = 1.0
#: A lock file that is removed while it is waited for is opened anew, so often.
_MOST_FILES = 5


class _Turn:
    """The right of one thread to compile a key, and how many have it or wait for it.

    Attributes:
        lock: held by that thread.
        users: how many have it or wait for it.
        holder: the name of that thread.
        owner: its number, while it has it.
        file: the path of the lock file that it has for this, or "".
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.users = 0
        self.holder = self.file = ""
        self.owner = 0


class Turns:
    """Who compiles which key in this process; of no interest any more once nobody has or awaits it."""

    def __init__(self) -> None:
        self._of: dict[str, _Turn] = {}
        self._guard = Lock()
        forks.after_fork(self._forget)

    @contextmanager
    def at(self, digest: str) -> Iterator[_Turn]:
        """The turn of a key, to be waited for."""
        with self._guard:
            turn = self._of.setdefault(digest, _Turn())
            turn.users += 1
        try:
            yield turn
        finally:
            with self._guard:
                turn.users -= 1
                if not turn.users and self._of.get(digest) is turn:
                    del self._of[digest]

    def has_file(self, path: str) -> bool:
        """Whether this thread has that lock file already, for another key: it would wait for itself."""
        with self._guard:
            return any(turn.file == path and turn.owner == get_ident() for turn in self._of.values())

    def note_file(self, digest: str, path: str) -> None:
        """Who compiles a key has that lock file for it; or "" for none."""
        with self._guard:
            if digest in self._of:
                self._of[digest].file = path

    def __len__(self) -> int:
        return len(self._of)

    def _forget(self) -> None:
        """After a fork: the threads that held these locks do not exist in the child."""
        self._of = {}
        self._guard = Lock()


#: One compile per key, over all sessions.
turns = Turns()


@contextmanager
def single_flight(
    digest: str,
    directory: Directory | None,
    wait_seconds: float = WAIT_SECONDS,
    what: str = "",
    waited: Waited | None = None,
) -> Iterator[bool]:
    """Hold the right to compile `digest`; look again for a result after getting it.

    The thread that holds it may take it again, and the rights to others while it holds it.

    Args:
        digest: 64 hex digits of the request.
        directory: where lock files may lie, or None for this process alone.
        wait_seconds: bound on the wait, for threads and processes each.
        what: what is compiled, for messages.
        waited: is told of waits, when they get long and when they are over.

    Yields:
        False where this thread had it before.
    """
    what = what or digest[:12]
    with turns.at(digest) as turn:
        if turn.owner == get_ident():
            yield False
            return
        held = _wait(
            lambda seconds: turn.lock.acquire(timeout=seconds),
            wait_seconds,
            lambda: f"waiting for another thread of this process to compile {what}: {turn.holder}",
            waited,
        )
        if not held:
            log.warn(f"another thread has been compiling {what} for {wait_seconds:g} s: compiling it as well")
        try:
            if held:
                turn.holder, turn.owner = current_thread().name, get_ident()
            with _process_lock(digest, directory, wait_seconds, what, waited):
                yield True
        finally:
            if held:
                turn.owner = 0
                turn.lock.release()


@contextmanager
def fleet_flight(
    remote: RemoteTier | None, digest: str, look: Callable[[], Look], what: str, waited: Waited | None = None
) -> Iterator[Look | None]:
    """Hold the right of all machines that share a remote to compile `digest`, as far as they can agree on it.

    Args:
        remote: what they share; None for this machine alone.
        digest: 64 hex digits of the request.
        look: looks for the artifact again.
        what: what is compiled, for messages.
        waited: is told of waits, when they get long and when they are over.

    Yields:
        What another machine has compiled meanwhile; None where it is to be compiled here.
    """
    if remote is None or not remote.leases:
        yield None
        return
    held = lease.Lease(remote, digest)
    try:
        yield held.wait(look, what, waited)
    finally:
        held.end()


def _wait(
    acquire: Callable[[float], bool], wait_seconds: float, describe: Callable[[], str], waited: Waited | None
) -> bool:
    """Whether a lock was got within the bound; a wait that gets long is said once."""
    if acquire(0):
        return True
    started = monotonic()
    if acquire(min(wait_seconds, SAY_SECONDS)):
        if waited is not None:
            waited(monotonic() - started, "")
        return True
    if wait_seconds <= SAY_SECONDS:
        return False
    text = describe()
    log.warn(text)
    if waited is not None:
        waited(monotonic() - started, text)
    held = acquire(wait_seconds - SAY_SECONDS)
    if waited is not None:
        waited(monotonic() - started, text)
    return held


@contextmanager
def _process_lock(
    digest: str, directory: Directory | None, wait_seconds: float, what: str, waited: Waited | None
) -> Iterator[None]:
    lock = None
    # 4096 files at most, however many kernels there are; two keys may share one and then wait for each other.
    name = f"locks/{digest[:3]}"
    try:
        if directory is not None and not directory.read_only and not turns.has_file(f"{directory.path}/{name}"):
            lock = _take(name, directory, wait_seconds, what, waited)
            if lock is not None:
                turns.note_file(digest, f"{directory.path}/{name}")
        yield
    finally:
        if lock is not None:
            turns.note_file(digest, "")
            lock.release()


def _take(name: str, directory: Directory, wait_seconds: float, what: str, waited: Waited | None) -> FileLock | None:
    """The lock between processes, or None when it cannot be had."""
    try:
        for _ in range(_MOST_FILES):
            lock = FileLock(directory.open_own(name))
            if _hold(lock, f"{directory.path}/{name}", wait_seconds, what, waited):
                return lock
    except Refused as error:
        directory.say_refused(error)
    except OSError as error:
        log.warn_once(
            ("lock", directory.path), f"no lock file can be used in {directory.path} ({error}): compiling without one"
        )
    return None


def _hold(lock: FileLock, path: str, wait_seconds: float, what: str, waited: Waited | None) -> bool:
    """Whether to go on, with the lock or without; False when its file was removed: the others lock another one."""
    held = False
    try:
        held = _wait(
            lock.acquire,
            wait_seconds,
            lambda: f"waiting for another process to compile {what}: {lock.read_holder()} holds {path}",
            waited,
        )
        if not held:
            log.warn(
                f"another process has been compiling {what} for {wait_seconds:g} s: compiling it as well "
                f"({lock.read_holder()} holds {path})"
            )
            return True
        if lock.is_removed():
            held = False
            return False
        lock.write_holder()
    finally:
        if not held:
            lock.release()
    return True
