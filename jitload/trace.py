"""Tracebacks of public functions: short, unless the settings ask for all of it.

A function is marked with `short_errors`; where a launch or a hit has no time for a decorator, that is written out:

    try:
        return road.compile_request(...)
    except JitloadError as error:
        shorten(error)
        raise

The `raise` adds no frame. A module that has this names what pytest asks for: `__tracebackhide__ = is_mistake`.
"""

from __future__ import annotations

from functools import update_wrapper

from jitload.errors import JitloadError
from jitload.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    from jitload import config, frames

    Taken = ParamSpec("Taken")
    Given = TypeVar("Given")
else:  # an error alone asks for them, and the registry of loaders is to be light
    config = lazy("jitload.config")
    frames = lazy("jitload.frames")


def shorten(error: JitloadError | OSError) -> None:
    """Leave in the traceback of an error the user's frames, and the one of ours that they called.

    With `JITLOAD_FULL_TRACEBACK=1` nothing is taken out.
    """
    if not config.shows_all_frames():
        frames.shorten(error)


def short_errors(function: Callable[Taken, Given]) -> Callable[Taken, Given]:
    """A public function whose errors, and those of the system, show the frame of this wrapper alone."""

    def call(*arguments: Taken.args, **keywords: Taken.kwargs) -> Given:
        try:
            return function(*arguments, **keywords)
        except (JitloadError, OSError) as error:
            shorten(error)
            raise

    return update_wrapper(call, function)


def is_mistake(found: object) -> bool:
    """Whether pytest is to hide the frames of a module: for errors that are about what the user wrote.

    Args:
        found: pytest's `ExceptionInfo`, or None.
    """
    return isinstance(getattr(found, "value", None), JitloadError)


__tracebackhide__ = is_mistake
