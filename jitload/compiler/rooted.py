"""A call that takes the working directory into what it gives, made as if that were "/".

The working directory belongs to a process, and other threads open files by it. Linux can give a thread one of its own
(unshare(2), CLONE_FS), which asks for no rights, but for those of a container whose system calls are filtered.
"""

from __future__ import annotations

import ctypes
import functools
import os
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Given = TypeVar("Given")
_CLONE_FS = 0x200


def call_in_root(call: Callable[[], Given]) -> Given:
    """What a call gives that is made with "/" as working directory; with that of the process where it cannot be.

    It is made in another thread. A Ctrl-C is raised when it is over, as of any call that Python waits for.
    """
    made: list[Given] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            if _unshare() == 0:
                os.chdir("/")  # of this thread alone
            made.append(call())
        except BaseException as error:  # noqa: BLE001 - raised where it was called
            failed.append(error)

    thread = Thread(target=work, name="jitload-compiler")
    try:
        thread.start()
    except RuntimeError:  # no more threads to be had
        return call()
    _join(thread)
    if failed:
        raise failed[0]
    return made[0]


def _join(thread: Thread) -> None:
    """Wait for a thread to its end."""
    try:
        thread.join()
    except BaseException:
        _join(thread)
        raise


def _unshare() -> int:
    """Give this thread a working directory of its own; not 0 where that cannot be done."""
    function = _system_call()
    return -1 if function is None else int(function(_CLONE_FS))


@functools.cache
def _system_call() -> Callable[[int], int] | None:
    return getattr(ctypes.CDLL(None), "unshare", None)
