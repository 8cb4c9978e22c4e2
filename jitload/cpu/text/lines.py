"""Which line of CUDA an instruction comes from, and where that line was inlined (PTX ISA section 11.5.3, `.loc`)."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jitload.images.ptx.tokens import Cursor

    Position = tuple[int, int, int]

#: What jitload calls the source itself, before its name.
_SOURCE = "/jitload/source/"
#: How the names that jitload gives to NVRTC begin; what follows is as in the user's `#include`.
_VIRTUAL = re.compile(r"^/jitload/(?:source|headers|include/\d+|toolkit/[^/]+|absolute)/")
_MOST_LEVELS = 64
_LONGEST_EXCERPT = 200


class Users:
    """What users call the lines of a program, and what stands there.

    Args:
        program: the name of the program.
        text: its source, where that is known.
        file: the file that the source is a part of, as a docstring of a Python file; None for none.
        line_in_file: the line of that file for a line of the source.
    """

    def __init__(
        self,
        program: str = "",
        text: str = "",
        file: str | None = None,
        line_in_file: Callable[[int], int] | None = None,
    ) -> None:
        self._source = f"{_SOURCE}{program}"
        self._lines: Sequence[str] = text.split("\n")
        self._file = file
        self._line_in_file = line_in_file

    def spell(self, file: str, line: int) -> str:
        """A line for people, "saxpy.cu:7": the file as an `#include` of the user names it."""
        name = self._file if self._file is not None and file == self._source else _VIRTUAL.sub("", file)
        return f"{name}:{self._number(file, line)}"

    def excerpt(self, file: str, line: int, column: int) -> str:
        """The line with its number, and a caret below the column; "" where the text is not known, or too long."""
        if file != self._source or not 0 < line <= len(self._lines):
            return ""
        text = self._lines[line - 1].rstrip("\r")
        before = text.encode("utf-8", "surrogateescape")[: max(column - 1, 0)].decode("utf-8", "replace")
        if not text.strip() or len(text) > _LONGEST_EXCERPT or not text.replace("\t", " ").isprintable():
            return ""
        number = f"{self._number(file, line):>5}"
        shown = f"{number} | {text}"
        if column <= 0 or len(before) >= len(text):
            return shown
        return f"{shown}\n{' ' * len(number)} | {''.join(char if char == chr(9) else ' ' for char in before)}^"

    def _number(self, file: str, line: int) -> int:
        return line if self._line_in_file is None or file != self._source else self._line_in_file(line)


class Lines(NamedTuple):
    """Where an instruction comes from.

    Attributes:
        line: "file:line", or None.
        inlined_at: the lines at which it was inlined, the innermost first.
        excerpt: gives the text of that line, with a caret; None where nothing is known.
    """

    line: str | None
    inlined_at: tuple[str, ...]
    excerpt: Callable[[], str] | None


NOWHERE = Lines(None, (), None)


class LineTracker:
    """Follows the `.loc` directives of one function.

    A directive of inlined code names one call, by file, line and column; the directive of that call stands before it.

    Args:
        files: `.file` names by number; may still grow, since those directives stand at the end of the text.
        users: what users call the lines.

    Attributes:
        current: where the next instruction comes from.
    """

    def __init__(self, files: Mapping[int, str], users: Users) -> None:
        self._files = files
        self._users = users
        self._calls: dict[Position, Position | None] = {}
        self.current = NOWHERE

    def read(self, cursor: Cursor) -> None:
        """Read a directive, behind its name."""
        position = _read_position(cursor)
        end = cursor.source.line_end(cursor.index - 1)
        call: Position | None = None
        while cursor.index < end:
            if cursor.take() == "inlined_at":
                call = _read_position(cursor)
        cursor.index = end
        self._calls[position] = call
        chain: list[str] = []
        while call is not None and len(chain) < _MOST_LEVELS:
            chain.append(self._spell(call))
            call = self._calls.get(call)
        if position[1]:  # line 0: code that a compiler moved or merged; it counts to the line before it
            excerpt = partial(self._users.excerpt, self._files.get(position[0], "?"), *position[1:])
            self.current = Lines(self._spell(position), tuple(chain), excerpt)

    def _spell(self, position: Position) -> str:
        return self._users.spell(self._files.get(position[0], "?"), position[1])


def _read_position(cursor: Cursor) -> Position:
    return cursor.integer(), cursor.integer(), cursor.integer()
