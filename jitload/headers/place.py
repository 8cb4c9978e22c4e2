"""Where in a C++ text a word stands, told from what is near it instead of by lexing all that comes before."""

from __future__ import annotations

import re

from jitload.headers.cpp import SPLICE

_BLANKS = rb"(?:[ \t\v\f\r]|" + SPLICE + rb")*"
_INCLUDES = re.compile(_BLANKS + rb"(?:#|%:)" + _BLANKS + rb"include")
_PROSE = re.compile(rb"[\"']|/[/*\\]")
_ENDS = {b"/*": re.compile(rb"\*/|\n"), b'"': re.compile(rb'["\\\n]')}
# Behind these a word may be the rest of a number or of a universal character.
_JOINING = frozenset({b"\\", b".", b"+", b"-"})
_MANY = 8


class Place:
    """Answers for the words of one text, asked about in their order. What it says is certain; often it says None."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._line = self._asked = 0
        self._opened = self._closed = -1  # the last /* and */
        self._compared = 0  # how far they were looked for
        self._judged = -1  # the last line that was asked about
        self._is_code: bool | None = None
        self._clean = 0  # how far it was looked at

    def line_of(self, position: int) -> int:
        """The offset where the line of the file begins."""
        end = self._text.rfind(b"\n", self._asked, position)
        if end >= 0:
            self._line = end + 1
        self._asked = position
        return self._line

    def is_spliced(self, line: int) -> bool:
        """Whether the line that begins here may continue the one before it."""
        before = self._text[max(0, line - _MANY) : max(0, line - 1)].rstrip(b"\r")
        return before.endswith(b"\\") or (not before and line > _MANY)

    def is_outside_comments(self, position: int) -> bool:
        """True when no /* can be open here: what closed the last one closed all that was open."""
        looked = max(0, self._compared - 1)
        self._opened = max(self._opened, self._text.rfind(b"/*", looked, position))
        self._closed = max(self._closed, self._text.rfind(b"*/", looked, position))
        self._compared = position
        return self._opened < 0 or self._closed > self._opened + 1

    def is_code(self, position: int) -> bool | None:
        """Whether this word is code and begins here; False in prose, None where only the lexer can tell."""
        line = self.line_of(position)
        if line != self._judged:
            self._judged, self._is_code = line, True
            self._clean = self._whole_line(line)
            if self._clean < 0 or _INCLUDES.match(self._text, self._clean):
                self._is_code = None
        if self._is_code:
            prose = _PROSE.search(self._text, self._clean, position)
            self._clean = position
            if prose is not None:
                self._is_code = False if prose[0] == b"//" else None
                end = _ENDS.get(prose[0])
                if end is not None and end.search(self._text, prose.end(), position) is None:
                    return False  # this one; what comes behind it on the line is anyone's guess
        before, first = self._text[max(0, position - 1) : position], self._text[position : position + 1]
        certain = before not in _JOINING and not first.isdigit() and self.is_outside_comments(position)
        return self._is_code if certain else None

    def _whole_line(self, line: int) -> int:
        """Where the line begins that this one continues; -1 where that is too far up."""
        for _ in range(_MANY):
            if not self.is_spliced(line):
                return line
            line = self._text.rfind(b"\n", 0, line - 1) + 1
        return -1
