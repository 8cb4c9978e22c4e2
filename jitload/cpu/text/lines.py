"""Which line of CUDA an instruction comes from, and where that line was inlined (PTX ISA section 11.5.3, `.loc`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jitload.images.ptx.tokens import Cursor

    Position = tuple[int, int, int]
    Spell = Callable[[str, int], str]

#: What jitload calls the source itself, before its name.
_SOURCE = "/jitload/source/"
#: How the names that jitload gives to NVRTC begin; what follows is as in the user's `#include`.
_VIRTUAL = re.compile(r"^/jitload/(?:source|headers|include/\d+|toolkit/[^/]+|absolute)/")
_MOST_LEVELS = 64


def spell_line(file: str, line: int) -> str:
    """A line for people, "saxpy.cu:7": the file as an `#include` of the user names it."""
    return f"{_VIRTUAL.sub('', file)}:{line}"


def spell_lines_of(program: str, users_file: str, line_in_file: Callable[[int], int]) -> Spell:
    """`spell_line` where the source is a part of another file.

    Args:
        program: the name of the program.
        users_file: the file in which the source stands.
        line_in_file: the line of that file for a line of the source.
    """
    source = f"{_SOURCE}{program}"

    def spell(file: str, line: int) -> str:
        return f"{users_file}:{line_in_file(line)}" if file == source else spell_line(file, line)

    return spell


class LineTracker:
    """Follows the `.loc` directives of one function.

    A directive of inlined code names one call, by file, line and column; the directive of that call stands before it.

    Args:
        files: `.file` names by number; may still grow, since those directives stand at the end of the text.
        spell: a file's name and a line, for people.

    Attributes:
        current: (CUDA line or None, lines at which it was inlined) of the next instruction.
    """

    def __init__(self, files: Mapping[int, str], spell: Spell) -> None:
        self._files = files
        self._spell_line = spell
        self._calls: dict[Position, Position | None] = {}
        self.current: tuple[str | None, tuple[str, ...]] = (None, ())

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
            self.current = self._spell(position), tuple(chain)

    def _spell(self, position: Position) -> str:
        return self._spell_line(self._files.get(position[0], "?"), position[1])


def _read_position(cursor: Cursor) -> Position:
    return cursor.integer(), cursor.integer(), cursor.integer()
