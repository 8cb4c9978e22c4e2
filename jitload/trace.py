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
    from types import FunctionType
    from typing import ParamSpec, TypeVar

    from jitload import calls, config, frames

    Taken = ParamSpec("Taken")
    Given = TypeVar("Given")
else:  # an error alone asks for them, and the registry of loaders is to be light
    calls = lazy("jitload.calls")
    config = lazy("jitload.config")
    frames = lazy("jitload.frames")


#: In the place of an argument that has to be given (`shown_without_misfits`).
LEFT_OUT = object()
_TAKES_MORE, _TAKES_ANY = 0x04, 0x04 | 0x08  # `inspect.CO_VARARGS`, `CO_VARKEYWORDS`, whose import costs 10 ms


def shorten(error: JitloadError | OSError) -> None:
    """Leave in the traceback of an error the user's frames, and the one of ours that they called.

    With `JITLOAD_FULL_TRACEBACK=1` nothing is taken out.
    """
    if not config.shows_all_frames():
        frames.shorten(error)


def short_errors(function: Callable[Taken, Given]) -> Callable[Taken, Given]:
    """A public function whose errors, and those of the system, show the frame of this wrapper alone.

    A call that does not fit its parameters is a usage error that says what was meant.
    """

    def call(*arguments: Taken.args, **keywords: Taken.kwargs) -> Given:
        try:
            return function(*arguments, **keywords)
        except (JitloadError, OSError) as error:
            shorten(error)
            raise
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is not None:  # the function's own
                raise
            raise calls.refused_call(function, arguments, keywords, error) from None

    return update_wrapper(call, function)


def shown_without_misfits(function: Callable[Taken, Given]) -> Callable[Taken, Given]:
    """A function that has `*excess`, and `**unknown`, to refuse them: `help` and `inspect` show it without these.

    They look at `__wrapped__`, which is its code with other marks; nobody calls that. What it cannot be called without
    is `LEFT_OUT` where it is left out, for the function to refuse that too; type checkers and `help` still ask for it.
    """
    taking: FunctionType = function  # type: ignore[assignment]
    code, types = taking.__code__, dict(taking.__annotations__)
    hidden = [name for name in ("excess", "unknown") if types.pop(name, None)]
    names, at = list(code.co_varnames), code.co_varnames.index("excess")
    names[at : at + 2] = reversed(names[at : at + 2])  # what is not hidden stands first then
    marks = code.co_flags & ~(_TAKES_ANY if "unknown" in hidden else _TAKES_MORE)
    shown = type(taking)(code.replace(co_flags=marks, co_varnames=tuple(names)), {}, code.co_name, taking.__defaults__)
    shown.__kwdefaults__, shown.__annotations__ = taking.__kwdefaults__, types
    shown.__doc__, shown.__module__ = taking.__doc__, taking.__module__
    taking.__dict__["__wrapped__"] = shown
    given = code.co_varnames[:at]
    by_position, by_name = given[: code.co_argcount], given[code.co_argcount :]
    lacking = code.co_argcount - len(taking.__defaults__ or ()) - (by_position[:1] == ("self",))
    taking.__defaults__ = (*(LEFT_OUT,) * lacking, *(taking.__defaults__ or ())) or None
    taking.__kwdefaults__ = {**dict.fromkeys(by_name, LEFT_OUT), **(taking.__kwdefaults__ or {})}
    return function


def is_mistake(found: object) -> bool:
    """Whether pytest is to hide the frames of a module: for errors that are about what the user wrote.

    Args:
        found: pytest's `ExceptionInfo`, or None.
    """
    return isinstance(getattr(found, "value", None), JitloadError)


__tracebackhide__ = is_mistake
