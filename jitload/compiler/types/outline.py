"""Leaves out of a text what can declare no type: most functions and variables, at the speed of one regular expression.

Variables of the device are left in for a program that has some.

Reading all words of a large source takes longer than a twentieth of its compile. What is left out holds none of the
words that begin a declaration of interest and no macro; where the text is written in a way that needs a lexer to tell
(raw strings, digit separators, digraphs, words spliced over lines), nothing is.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    #: Where a piece begins and ends, and the smaller pieces that may be left out of it.
    Piece = tuple[int, int, list["Piece"]]

#: What needs a lexer: digraphs, and words over two lines. And macros that open or close a namespace.
_HARD = (b"<%", b"%>", b"%:", b"NAMESPACE", b"BEGIN_NS", b"NS_BEGIN", b"END_NS", b"NS_END")
_HARD_SPLICE = re.compile(rb"\\(?<=\w\\)\r*\n\w")
_COMMENT = rb"//(?:[^\\\n]|\\\r*\n|\\)*|/\*.*?(?:\*/|\Z)"
_QUOTED = rb'"(?:[^"\\\n]|\\.)*"' + rb"|'(?:[^'\\\n]|\\.)*'"
_TYPES = rb"typedef|using|struct|class|union|enum|namespace|template|extern|__global__"
_VARIABLES = rb"__device__|__constant__|__managed__"
#: Brackets that hold no quotes, comments or braces are one event: most of all events.
_GROUP = rb"\((?:[^(){}\"'/#]|\((?:[^(){}\"'/#]|\([^(){}\"'/#]*\))*\))*\)"
_EVENT = (
    rb"(?P<comment>(?:" + _COMMENT + rb")\n?)|(?P<hard>\b(?:u8|[uUL])?R\"|(?<=\w)')|(?P<quoted>" + _QUOTED + rb")"
    rb"|(?P<group>" + _GROUP + rb")|(?P<block>\{[^{}\"'/#]*\})|(?P<sign>[{}();])"
    rb"|(?P<directive>^[ \t]*#(?:" + _QUOTED + rb"|" + _COMMENT + rb"|[^\\\n]|\\\r*\n|\\)*\n?)"
    rb"|(?P<stray>#)|\b(?P<word>"
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


class _Words(NamedTuple):
    """What begins a declaration of interest.

    Attributes:
        any: finds such a word.
        event: finds what matters about a text's structure.
    """

    any: re.Pattern[bytes]
    event: re.Pattern[bytes]


@functools.cache
def _words(*, variables: bool) -> _Words:
    word = rb"(?:" + _TYPES + (rb"|" + _VARIABLES if variables else b"") + rb")\b"
    return _Words(re.compile(rb"\b(?:" + word + rb")"), re.compile(_EVENT + word + rb")", re.DOTALL | re.MULTILINE))


class _NeedsLexer(Exception):  # noqa: N818 - never leaves this file
    """A text that cannot be read so simply, or whose brackets do not pair up, as in branches of an `#if`."""


def outline(text: bytes, macros: Collection[bytes], *, variables: bool = False) -> bytes:
    """The text without statements that can declare no type.

    Args:
        text: a source or header.
        macros: those of the user's macros that may declare something; what uses one stays.
        variables: whether variables of the device are of interest too.
    """
    if any(sign in text for sign in _HARD) or _HARD_SPLICE.search(text):
        return text
    try:
        pieces = _Outline(text, _words(variables=variables)).pieces()
    except _NeedsLexer:
        return text
    kept: list[bytes] = []
    done = 0
    for start, end in _dull(text, pieces, frozenset(macros)):
        kept += (text[done:start], b" ")
        done = end
    return b"".join((*kept, text[done:]))


def declaring_macros(definitions: Iterable[tuple[bytes, bytes]], *, variables: bool = False) -> set[bytes]:
    """The macros that may declare something, by what they or the macros in them stand for.

    Args:
        definitions: (name, replacement) of all macros.
        variables: whether variables of the device are of interest too.
    """
    known, words = list(definitions), _words(variables=variables).any
    found = {name for name, replacement in known if words.search(replacement) or _DECLARES.search(replacement)}
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

    def __init__(self, text: bytes, words: _Words) -> None:
        self._text = text
        self._words = words
        self._frames = [_Frame(0)]

    def pieces(self) -> list[Piece]:
        """The statements that hold no word of interest."""
        for match in self._words.event.finditer(self._text):
            kind, start, end = match.lastgroup, match.start(), match.end()
            frame = self._frames[-1]
            if kind in {"hard", "stray"}:  # a raw string, a digit separator, a prefix; a # in the middle of a line
                raise _NeedsLexer
            if kind == "sign":
                self._sign(frame, match[0], end)
            elif kind == "block":
                block = _Frame(start + 1)
                block.any = self._words.any.search(self._text, start, end) is not None
                block.pieces = [] if block.any else [(start + 1, end - 1, [])]
                self._frames.append(block)
                self._close(end)
            elif kind == "word" or (kind == "group" and self._words.any.search(match[0])):
                # In a group it is an argument of a macro, perhaps.
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
