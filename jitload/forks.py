"""Forks: what a child must not find locked, or half done.

A child has one thread, the one that forked. A lock that another thread held at that moment stays held in the child for
ever, and what that thread was changing stays half changed. So whoever has a lock registers what puts it right: it is
called in the child, before anything else of ours can run there. Every lock of jitload is registered here.

Locks of others cannot be put right. `Calls` tells the child of those that another thread may have held; for an import
and for short calls the fork waits until they are over.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from _thread import allocate_lock, get_ident
from _weakref import ref
from functools import partial
from types import MethodType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import FrameType

    Reset = Callable[[], None]

#: A fork waits no longer for the imports and short calls of other threads.
WAIT_SECONDS = 5.0
_LOOK_SECONDS = 0.001
_IMPORTING = "<frozen importlib"  # the file of importlib's own code
_HERE = __file__.rpartition("forks.py")[0]

#: What a child calls, in the order of registration.
resets: dict[int, Reset] = {}
_short: list[Calls] = []
_numbers = itertools.count()


def after_fork(reset: Reset) -> None:
    """Call this in every child that is forked from now on, in the order of registration.

    Args:
        reset: puts new locks in the place of the old ones, and whole state in the place of what another thread may have
            been changing. Not the old locks made free: the thread that forked may itself hold one, and gives it back
            later. A method is forgotten with its object.
    """
    number = next(_numbers)
    if isinstance(reset, MethodType):
        # What it needs is bound to it: it is also called when the interpreter ends, and has no modules any more.
        forget = partial(_forget, resets, number)
        resets[number] = partial(_call_method, ref(reset.__self__, forget), reset.__func__)
    else:
        resets[number] = reset


class ProcessLock:
    """A lock of this process: `with lock.here:`. A child has another one, that nobody holds.

    Args:
        kind: what makes it.

    Attributes:
        here: the lock itself. Who holds it while it forks gives the old one back.
    """

    __slots__ = ("__weakref__", "_kind", "here")

    def __init__(self, kind: Callable[[], AbstractContextManager[bool]] = allocate_lock) -> None:
        self._kind = kind
        self.here = kind()
        after_fork(self._renew)

    def _renew(self) -> None:
        self.here = self._kind()


def _forget(resets: dict[int, Reset], number: int, _dead: object) -> None:
    resets.pop(number, None)


def _call_method(owner: Callable[[], object], function: Callable[[object], None]) -> None:
    alive = owner()
    if alive is not None:
        function(alive)


class Calls:
    """Calls into a library with locks of its own: `with calls:` around each of them, in any thread.

    Args:
        short: True when they are over soon: a fork then waits for them.

    Attributes:
        torn: True in a child that was forked while another thread was inside: the library may stop there for ever.
    """

    def __init__(self, *, short: bool = False) -> None:
        self.torn = False
        self._inside: list[int] = []  # thread numbers; the list's own operations are atomic
        after_fork(self._look)
        if short:
            _short.append(self)

    def __enter__(self) -> None:
        self._inside.append(get_ident())

    def __exit__(self, *exc_info: object) -> None:
        self._inside.remove(get_ident())

    def inside(self) -> bool:
        """Whether this thread is in such a call: this is then a signal handler or a finalizer in the middle of it."""
        return get_ident() in self._inside

    def others_inside(self) -> bool:
        """Whether another thread is in such a call."""
        return any(thread != get_ident() for thread in list(self._inside))

    def _look(self) -> None:
        self.torn = self.torn or self.others_inside()
        self._inside = [thread for thread in self._inside if thread == get_ident()]


def _wait_for_others() -> None:
    """Before a fork: let other threads finish what is soon over and what a child could not put right."""
    end = time.monotonic() + WAIT_SECONDS
    while (_others_import() or any(calls.others_inside() for calls in _short)) and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)


def _others_import() -> bool:
    """Whether another thread is in an import that code of ours has begun: a child would wait for its lock for ever."""
    frames = sys._current_frames() if hasattr(sys, "_current_frames") else {}
    for thread, frame in frames.items():
        importing = False
        at: FrameType | None = frame if thread != get_ident() else None
        while at is not None:
            file = at.f_code.co_filename
            if importing and file.startswith(_HERE):
                return True
            importing = importing or file.startswith(_IMPORTING)
            at = at.f_back
    return False


def _reset_all() -> None:
    failed: BaseException | None = None
    for reset in list(resets.values()):
        try:
            reset()
        except BaseException as error:  # noqa: BLE001 - the others must be reset all the same
            failed = error
    if failed is not None:
        raise failed  # the interpreter shows it: nobody is there who could catch it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_wait_for_others, after_in_child=_reset_all)
