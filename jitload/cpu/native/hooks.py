"""What machine code calls in the middle of a launch: three functions of Python, for one launch after another."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int32)


class Called(Protocol):
    """A launch that machine code calls; each answer is 0 where it is to go on."""

    def look(self) -> int:
        """Look whether to go on: signals are dealt with here."""

    def shield(self) -> int:
        """Before a write to what must not be written."""

    def do_errand(self) -> int:
        """Threads have stopped for lanes."""


class Turn:
    """Whose launch it is.

    Attributes:
        launch: that is called.
        error: what came out of it, raised when the machine code has returned; nobody is called any more then.
    """

    __slots__ = ("error", "launch")

    def __init__(self) -> None:
        self.launch: Called | None = None
        self.error: BaseException | None = None


class Hooks:
    """The functions, and their addresses.

    Attributes:
        turn: whose launch it is; nothing here holds a launch that is over.
        poll, shield, errands: addresses of what calls `look`, `shield` and `do_errand`.
    """

    def __init__(self) -> None:
        self.turn = Turn()
        self._functions: list[object] = []
        self.poll = self._hook(lambda launch: launch.look())
        self.shield = self._hook(lambda launch: launch.shield())
        self.errands = self._hook(lambda launch: launch.do_errand())

    def _hook(self, call: Callable[[Called], int]) -> int:
        answers = _answers(self.turn, call)
        next(answers)
        function = _CALLBACK(answers.__next__)
        self._functions.append(function)
        return ctypes.c_int64.from_buffer(function).value


def _answers(turn: Turn, call: Callable[[Called], int]) -> Iterator[int]:
    """What one function gives.

    It is a bound method of this generator: what a signal handler raises comes out of its bytecode. It stands at a
    `yield` within `try` from the beginning, and goes round within it: what came out would end it, and machine code
    would never hear of it.
    """
    answer, launch = 0, turn.launch
    try:
        while True:
            yield answer
            launch = turn.launch
            answer = 1 if launch is None else call(launch)
            launch = None  # it is not kept until the next one
    except GeneratorExit:
        return
    except BaseException as error:  # noqa: BLE001 - it is raised when the machine code has returned
        turn.error = error
    launch = None
    yield 1
