"""Leaves out of a text what can declare no type: most functions and variables, at the speed of one regular expression.

Reading all words of a large source takes longer than a twentieth of its compile. What is left out holds none of the
words that begin a declaration of interest and no macro; where the text is written in a way that needs a lexer to tell
(raw strings, digit separators, digraphs, words spliced over lines), nothing is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    #: Where a piece begins and ends, and the smaller pieces that may be left out of it.
    Piece = tuple[int, int, list["Piece"]]

#: What needs a lexer: digraphs, and words over two lines. And macros that open or close a namespace.
_HARD = (b"<%", b"%>", b"%:", b"NAMESPACE", b"BEGIN_NS", b"NS_BEGIN", b"END_NS", b"NS_END")
_HARD_SPLICE = re.compile(rb"\\(?<=\w\\)\r*\n\w")
_COMMENT = rb"//(?:[^\\\n]|\\\r*\n|\\)*|/\*.*?(?:\*/|\Z)"
_QUOTED = rb'"(?:[^"\\\n]|\\.)*"' + rb"|'(?:[^'\\\n]|\\.)*'"
_WORD = rb"(?:typedef|using|struct|class|union|enum|namespace|template|extern|__global__)\b"
_WORDS = re.compile(rb"\b(?:" + _WORD + rb")")
#: Brackets that hold no quotes, comments or braces are one event: most of all events.
_GROUP = rb"\((?:[^(){}\"'/#]|\((?:[^(){}\"'/#]|\([^(){}\"'/#]*\))*\))*\)"
_EVENT = re.compile(
    rb"(?P<comment>(?:" + _COMMENT + rb")\n?)|(?P<hard>\b(?:u8|[uUL])?R\"|(?<=\w)')|(?P<quoted>" + _QUOTED + rb")"
    rb"|(?P<group>" + _GROUP + rb")|(?P<block>\{[^{}\"'/#]*\})|(?P<sign>[{}();])"
    rb"|(?P<directive>^[ \t]*#(?:" + _QUOTED + rb"|" + _COMMENT + rb"|[^\\\n]|\\\r*\n|\\)*\n?)"
    rb"|(?P<stray>#)|\b(?P<word>" + _WORD + rb")",
    re.DOTALL | re.MULTILINE,
)
#: Before the brace of a class, where a ")" does not mean a function.
_ATTRIBUTE = re.compile(
    rb"(?:__align__|alignas|__attribute__|__builtin_align__|__declspec)\s*\((?:[^()]|\([^()]*\))*\)\s*\Z"
)
_FUNCTION = re.compile(rb"\)\s*(?:const|noexcept|override|final)?\s*\Z")
_BEFORE_BRACE = 200
_GOES_ON = re.compile(rb"\s*[;,.(\[]")
_NAME = re.compile(rb"\w+")
#: Braces, and a word that may be put together.
_DECLARES = re.compile(rb"[{}]|##|<%|%>")


class _NeedsLexer(Exception):  # noqa: N818 - never leaves this file
    """A text that cannot be read so simply, or whose brackets do not pair up, as in branches of an `#if`."""


def outline(text: bytes, macros: Collection[bytes]) -> bytes:
    """The text without statements that can declare no type.

    Args:
        text: a source or header.
        macros: those of the user's macros that may declare something; what uses one stays.
    """
    if any(sign in text for sign in _HARD) or _HARD_SPLICE.search(text):
        return text
    try:
        pieces = _Outline(text).pieces()
    except _NeedsLexer:
        return text
    kept: list[bytes] = []
    done = 0
    for start, end in _dull(text, pieces, frozenset(macros)):
        kept += (text[done:start], b" ")
        done = end
    return b"".join((*kept, text[done:]))


def declaring_macros(definitions: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    """The macros that may declare something, by what they or the macros in them stand for.

    Args:
        definitions: (name, replacement) of all macros.
    """
    known = list(definitions)
    found = {name for name, replacement in known if _WORDS.search(replacement) or _DECLARES.search(replacement)}
    size = -1
    while size != len(found):
        size = len(found)
        found |= {name for name, replacement in known if not found.isdisjoint(_NAME.findall(replacement))}
    return found


def _dull(text: bytes, pieces: list[Piece], macros: frozenset[bytes]) -> Iterator[tuple[int, int]]:
    """The pieces without macros, as large as possible."""
    for start, end, inner in pieces:
        if not macros or macros.isdisjoint(_NAME.findall(text, start, end)):
            yield start, end
        else:
            yield from _dull(text, inner, macros)


class _Frame:
    """What lies between two braces: where its present statement begins, and whether that may declare something."""

    __slots__ = ("any", "kept", "opened", "parentheses", "pieces", "start")

    def __init__(self, start: int) -> None:
        self.opened = start - 1
        self.start = start
        self.kept = False
        self.any = False
        self.parentheses = 0
        self.pieces: list[Piece] = []


class _Outline:
    """One text."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._frames = [_Frame(0)]

    def pieces(self) -> list[Piece]:
        """The statements that hold no word of interest."""
        for match in _EVENT.finditer(self._text):
            kind, start, end = match.lastgroup, match.start(), match.end()
            frame = self._frames[-1]
            if kind in {"hard", "stray"}:  # a raw string, a digit separator, a prefix; a # in the middle of a line
                raise _NeedsLexer
            if kind == "sign":
                self._sign(frame, match[0], end)
            elif kind == "block":
                block = _Frame(start + 1)
                block.any = _WORDS.search(self._text, start, end) is not None
                block.pieces = [] if block.any else [(start + 1, end - 1, [])]
                self._frames.append(block)
                self._close(end)
            elif kind == "word" or (kind == "group" and _WORDS.search(match[0])):  # an argument of a macro, perhaps
                frame.kept = frame.any = True
            elif kind in {"comment", "directive"}:
                is_between = not self._text[frame.start : start].strip()
                if is_between:
                    frame.start = end
                if kind == "directive":
                    frame.any = True
                    frame.kept = frame.kept or not is_between
        if len(self._frames) != 1:
            raise _NeedsLexer
        return self._frames[0].pieces

    def _sign(self, frame: _Frame, sign: bytes, end: int) -> None:
        if sign == b"(":
            frame.parentheses += 1
        elif sign == b")":
            frame.parentheses -= 1
        elif sign == b"{":
            self._frames.append(_Frame(end))
        elif sign == b"}":
            self._close(end)
        elif frame.parentheses == 0:
            if not frame.kept:
                frame.pieces.append((frame.start, end, []))
            frame.start, frame.kept = end, False

    def _close(self, end: int) -> None:
        inner = self._frames.pop()
        if not self._frames:
            raise _NeedsLexer
        frame = self._frames[-1]
        frame.any = frame.any or inner.any
        if frame.parentheses:
            frame.kept = frame.kept or inner.any
            return
        if not frame.kept and not inner.any:
            frame.pieces.append((frame.start, end, inner.pieces))
        else:
            frame.pieces += inner.pieces
            before = self._text[max(inner.opened - _BEFORE_BRACE, 0) : inner.opened]
            if not _is_function(before) or _GOES_ON.match(self._text, end):
                frame.kept = True  # a name may follow
                return
        frame.start, frame.kept = end, False


def _is_function(before: bytes) -> bool:
    return _FUNCTION.search(before) is not None and _ATTRIBUTE.search(before) is None
