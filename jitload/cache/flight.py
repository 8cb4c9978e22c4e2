"""Single flight: one compile per key on this host, over threads and processes.

The lock is the kernel's (flock), so a killed holder frees it. It guards work, never correctness: when the wait is over
its bound, or there is no place for a lock file, the compile happens anyway.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock

from jitload import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from jitload.cache.directory import Directory

#: How long to wait for another process before compiling what it is compiling.
WAIT_SECONDS = 600.0

_threads: dict[str, tuple[Lock, list[int]]] = {}
_guard = Lock()


@contextmanager
def single_flight(digest: str, directory: Directory | None, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the right to compile `digest`; look again for a result after getting it.

    Args:
        digest: 64 hex digits of the request.
        directory: where lock files may lie, or None for this process alone.
        wait_seconds: bound on the wait, for threads and processes each.
    """
    lock, users = _enter(digest)
    held = lock.acquire(timeout=wait_seconds)
    if not held:
        log.warn(f"another thread has been compiling {digest[:12]} for {wait_seconds:g} s: compiling it as well")
    try:
        with _process_lock(digest, directory, wait_seconds):
            yield
    finally:
        if held:
            lock.release()
        _leave(digest, users)


def _enter(digest: str) -> tuple[Lock, list[int]]:
    with _guard:
        lock, users = _threads.setdefault(digest, (Lock(), [0]))
        users[0] += 1
        return lock, users


def _leave(digest: str, users: list[int]) -> None:
    with _guard:
        users[0] -= 1
        if not users[0]:
            _threads.pop(digest, None)


@contextmanager
def _process_lock(digest: str, directory: Directory | None, wait_seconds: float) -> Iterator[None]:
    if directory is None or directory.read_only:
        yield
        return
    try:
        from filelock import FileLock, Timeout
    except ImportError as error:  # an install without its dependencies still compiles, alone
        log.warn_once("filelock", f"processes cannot wait for each other's compiles ({error}): pip install filelock")
        yield
        return
    lock = None
    try:
        # 4096 files at most, however many kernels there are; two keys may share one and then wait for each other.
        lock = FileLock(f"{directory.make('locks')}/{digest[:3]}", timeout=wait_seconds, mode=0o600, thread_local=False)
        lock.acquire(poll_interval=0.01)
    except Timeout:
        lock = None
        log.warn(f"another process has been compiling {digest[:12]} for {wait_seconds:g} s: compiling it as well")
    except (OSError, NotImplementedError) as error:
        lock = None
        log.warn_once(
            ("lock", directory.path), f"no lock file can be used in {directory.path} ({error}): compiling without one"
        )
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _forget_threads() -> None:
    """After a fork: the threads that held these locks do not exist in the child."""
    global _guard
    _guard = Lock()
    _threads.clear()


def _register() -> None:
    import os

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget_threads)


_register()
