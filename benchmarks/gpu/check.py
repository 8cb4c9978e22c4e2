"""A check: a name, a question to the machine, and what came of it.

A step is a module with `checks(short)`, which gives its checks by name. A check is a function of no arguments. It
returns what it saw (text, or `Seen`), raises `NotHere` where it cannot be asked, `NoTime` where it could not end, and
anything else where it failed.
"""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

PASS, FAIL, NOT_HERE, NO_TIME = OUTCOMES = ("pass", "fail", "not here", "no time")
#: Of a check that says nothing else.
LIMIT_SECONDS = 20.0
#: What it takes to tell the end.
ENDING_SECONDS = 2.0
MOST_TEXT = 4000


class NotHere(Exception):
    """What the check needs is not on this machine; the text says what."""


class NoTime(Exception):
    """Nothing failed as far as the check came, and it did not come to its end; the text says how far."""


class Seen(NamedTuple):
    """What a check saw: a line for people, and figures for programs."""

    text: str
    figures: dict[str, Any]


class Result(NamedTuple):
    """What came of one check; `seconds` is its wall time."""

    name: str
    outcome: str
    seen: str
    seconds: float
    figures: dict[str, Any]


def within(seconds: float) -> Callable[[Any], Any]:
    """Decorator: how long the check may take before it counts as hanging."""

    def mark(check: Any) -> Any:
        check.limit_seconds = seconds
        return check

    return mark


def limit_of(check: Any) -> float:
    """Seconds after which the check counts as hanging."""
    return float(getattr(check, "limit_seconds", LIMIT_SECONDS)) * Time.slack


class Time:
    """What is left of the step's time, in this process.

    Attributes:
        until: when the step ends, on `time.monotonic`.
        slack: by what every limit is multiplied: machines that only check this program may be slow.
    """

    until = float("inf")
    slack = 1.0


def left() -> float:
    """Seconds until the step ends."""
    return Time.until - time.monotonic()


def allowed(seconds: float) -> float:
    """Seconds for a part of a check that is to end before the step does, so that it can be told how far it came."""
    return max(1.0, min(seconds * Time.slack, left() - ENDING_SECONDS))


def ask(name: str, check: Callable[[], Any]) -> Result:
    """Run one check; whatever it raises is its outcome."""
    started = time.perf_counter()
    figures: dict[str, Any] = {}
    try:
        said = check()
        outcome, text = PASS, "" if said is None else said
        if isinstance(said, Seen):
            text, figures = said
    except NotHere as reason:
        outcome, text = NOT_HERE, str(reason)
    except NoTime as reason:
        outcome, text = NO_TIME, str(reason)
    except TimeoutError as error:
        outcome, text = NO_TIME if left() < 2 * ENDING_SECONDS else FAIL, str(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what came of the check
        outcome, text = FAIL, f"{type(error).__name__}: {error}{_place(error)}"
    return Result(name, outcome, str(text)[:MOST_TEXT], round(time.perf_counter() - started, 3), figures)


def _place(error: Exception) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    return f" [{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}]" if frames else ""


def needs(module: str) -> Any:
    """The module of an installed package.

    Raises:
        NotHere: it is not installed, or cannot be imported.
    """
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise NotHere(f"{module} is not installed ({error})") from error
    except Exception as error:
        raise NotHere(f"{module} cannot be imported: {type(error).__name__}: {error}") from error
