"""Forks: what a child must not find locked, or half done.

A child has one thread, the one that forked. A lock that another thread held at that moment stays held in the child for
ever, and what that thread was changing stays half changed. So whoever has a lock registers what puts it right: it is
called in the child, before anything else of ours can run there. Every lock of jitload is registered here.
"""

from __future__ import annotations

import itertools
import os
from types import MethodType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Reset = Callable[[], None]

_resets: dict[int, Callable[[], Reset | None]] = {}
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
        from weakref import WeakMethod

        _resets[number] = WeakMethod(reset, lambda _dead: _resets.pop(number, None))
    else:
        _resets[number] = lambda: reset


def _reset_all() -> None:
    failed: BaseException | None = None
    for found in list(_resets.values()):
        reset = found()
        try:
            if reset is not None:
                reset()
        except BaseException as error:  # noqa: BLE001 - the others must be reset all the same
            failed = error
    if failed is not None:
        raise failed  # the interpreter shows it: nobody is there who could catch it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)
