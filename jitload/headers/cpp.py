r"""The one lexer of C++ text: preprocessing tokens and where they stand.

It reads as NVRTC does (measured on 12.9), which is C++17 [lex.phases] and [lex.pptoken] with these choices:

- A line ends with "\n", and any "\r" before it belongs to the end; any other "\r" is a blank.
- A line is spliced to the next by "\" and such an end, nothing between the two: in a word, a number or a quote as well.
- A raw string is one to its end, and splices in it are text. Up to 16 characters of any kind but "(" and "\n" may be
  its delimiter; with more, R is a word and a plain string follows.
- A word that follows a quote at once is its suffix, so that "a"R"(b)" holds no raw string; FOOR"(b)" and 1R"(b)" hold
  none either.
- A string or character without an end goes to the end of its line, a comment or raw string to the end of the text.
- "$" and bytes beyond ASCII are no letters; \u00e9 is one.
- A directive may begin behind a comment that holds an end of line, whatever stands before the comment.

Not followed: trigraphs (until C++14), C++03, which has no raw strings, and that NVRTC takes the digit separators in
what `#if` skips for quotes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    # Kind, where it begins, where it ends: offsets into the text as it was given.
    Token = tuple[str, int, int]

#: The kinds. Side by side the tokens are the text: blanks (spliced lines among them), line ends and comments are some.
BLANK, NEWLINE, COMMENT = "blank", "newline", "comment"
WORD, NUMBER, STRING, CHARACTER, RAW = "word", "number", "string", "character", "raw"
#: The "#" that begins a directive; the name behind `#include` or in `__has_include()`, with its quotes or brackets.
HASH, HEADER = "hash", "header"
#: As long as possible, but that each ">" stands alone: lists of template arguments end by it.
PUNCTUATOR, OTHER = "punctuator", "other"

#: What joins a line to the next.
SPLICE = rb"\\\r*\n"
_S = rb"(?:" + SPLICE + rb")*"
_BLANK = rb"[ \t\v\f\r]+|" + SPLICE
_BLOCK = rb"\*[^*]*(?:\*(?!" + _S + rb"/)[^*]*)*(?:\*" + _S + rb"/)?"
_COMMENT = rb"/" + _S + rb"(?:/(?:[^\\\n]+|\\(?:\r*\n)?)*|" + _BLOCK + rb")"

_UCN = rb"\\[uU]"  # its digits are letters, and without them it is a word for all that
_WORD = rb"(?:[A-Za-z_]|" + _UCN + rb")\w*(?:" + _S + rb"(?:\w|" + _UCN + rb")\w*)*"
_NUMBER = (
    rb"(?:[0-9]|\." + _S + rb"[0-9])"
    rb"(?:\w+|(?<=[eEpP])" + _S + rb"[+-]|" + _S + rb"(?:'" + _S + rb"\w|\.|\w|" + _UCN + rb"))*"
)  # fmt: skip
_SUFFIX = rb"(?:" + _S + _WORD + rb")?"
_RAW = (
    rb"[uULR](?:(?<=R)|(?<=[uUL])" + _S + rb"R|(?<=u)" + _S + rb"8" + _S + rb"R)" + _S
    + rb'"(?P<delimiter>[^(\n]{0,16})\((?s:.*?)(?:\)(?P=delimiter)"' + _SUFFIX + rb"|\Z)"
)  # fmt: skip
_LONG = (
    b"%:%: ->* ... <=> <<= %: %> %= <% <= << :> :: .* -> -- -= ++ += && &= || |= *= /= ^= != == ##".split()
)  # fmt: skip
_PUNCTUATOR = (
    rb"[{}\[\]();?~>,]|<" + _S + rb":(?!:(?![:>]))|"
    + b"|".join([_S.join([re.escape(part[i : i + 1]) for i in range(len(part))]) for part in _LONG])
    + rb"|[%<:.\-+&|*/^!=#]"
)  # fmt: skip


def _quoted(quote: bytes) -> bytes:
    """A string or a character. Once begun it cannot fail, so that no text is looked at twice."""
    prefix = rb"(?:(?<=%b)|(?<=[uUL])%b%b|(?<=u)%b8%b%b)" % (quote, _S, quote, _S, _S, quote)
    body = rb"(?:[^%b\\\n]+|%b|\\%b[^\n]?)*" % (quote, SPLICE, _S)
    return rb"[uUL%b]" % quote + prefix + body + rb"(?:%b%b)?" % (quote, _SUFFIX)


_TOKEN = re.compile(
    rb"(?P<blank>(?:" + _BLANK + rb")+)|(?P<newline>\n)|(?P<comment>" + _COMMENT + rb")"
    rb"|(?P<raw>" + _RAW + rb")|(?P<string>" + _quoted(b'"') + rb")|(?P<character>" + _quoted(b"'") + rb")"
    rb"|(?P<word>" + _WORD + rb")|(?P<number>" + _NUMBER + rb")"
    rb"|(?P<punctuator>" + _PUNCTUATOR + rb")|(?P<other>(?s:.))"
)  # fmt: skip
#: The name of a header, where one has to come.
HEADER_NAME = re.compile(rb'<(?!>)[^>\\\n]*(?:\\(?:\r*\n)?[^>\\\n]*)*>|"(?!")[^"\\\n]*(?:\\(?:\r*\n)?[^"\\\n]*)*"')
_SPLICE = re.compile(SPLICE)
_NOT_A_LINE_END = re.compile(rb"[^\r\n]")
_DIGRAPHS = {b"<%": b"{", b"%>": b"}", b"<:": b"[", b":>": b"]", b"%:": b"#", b"%:%:": b"##"}
_NAMES_A_HEADER = frozenset({b"include", b"include_next"})
_ASKS_FOR_ONE = frozenset({b"__has_include", b"__has_include_next"})
# Where a token stands: outside of directives; where the directive's keyword, the "(" of a question or the name of a
# header has to come; anywhere else in a directive.
_CODE, _KEYWORD, _QUESTION, _NAME, _DIRECTIVE = "code", "keyword", "question", "name", "directive"


def tokens(text: bytes) -> Iterator[Token]:
    """The tokens of a text, in order and without gaps: (kind, start, end)."""
    position, place, fresh = 0, _CODE, True
    while position < len(text):
        for found in _TOKEN.finditer(text, position):
            kind: str = found.lastgroup  # type: ignore[assignment]  # every byte is in one of the groups
            start, position = found.span()
            if kind == BLANK:
                pass
            elif kind == NEWLINE:
                place, fresh = _CODE, True
            elif kind == COMMENT:
                fresh = fresh or text.find(b"\n", start, position) >= 0
            elif place == _CODE:
                if fresh and kind == PUNCTUATOR and spelling(text, start, position) == b"#":
                    kind, place = HASH, _KEYWORD
                fresh = False
            elif place == _NAME and (header := HEADER_NAME.match(text, start)):
                position, place = header.end(), _DIRECTIVE
                yield HEADER, start, position
                break  # only its place tells it from an operator or a string: go on behind it
            else:
                place = _after(place, spelling(text, start, position))
            yield kind, start, position


def _after(place: str, word: bytes) -> str:
    """Where in a directive this word or sign leads to."""
    if place == _KEYWORD:
        return _NAME if word in _NAMES_A_HEADER else _DIRECTIVE
    if place == _QUESTION:
        return _NAME if word == b"(" else _DIRECTIVE
    return _QUESTION if word in _ASKS_FOR_ONE else _DIRECTIVE


def token_at(text: bytes, start: int) -> Token:
    """The token that begins here, in code that is no directive."""
    found = _TOKEN.match(text, start)
    return (found.lastgroup or OTHER, *found.span()) if found else (OTHER, start, start)


def directives(text: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The directives of a text: (keyword or b"", offset behind it, offset where its line ends)."""
    keyword, begin, first = b"", -1, False
    for kind, start, end in tokens(text):
        if kind == HASH:
            keyword, begin, first = b"", end, True
        elif begin < 0 or kind in {BLANK, COMMENT}:
            continue
        elif kind == NEWLINE:
            yield keyword, begin, start
            begin = -1
        elif first:
            first = False
            if kind == WORD:
                keyword, begin = spelling(text, start, end), end
    if begin >= 0:
        yield keyword, begin, len(text)


def spelling(text: bytes, start: int, end: int) -> bytes:
    """A token that is no raw string as the compiler takes it: no splices in it, `{ } [ ] # ##` for their digraphs."""
    word = text[start:end]
    if b"\n" in word:
        word = _SPLICE.sub(b"", word)
    return _DIGRAPHS.get(word, word)


def blanked(text: bytes, kinds: Container[str]) -> bytes:
    """The text with blanks in the place of all tokens of these kinds; nothing moves, and lines end where they ended."""
    parts: list[bytes] = []
    done = 0
    for kind, start, end in tokens(text):
        if kind in kinds:
            parts += (text[done:start], _NOT_A_LINE_END.sub(b" ", text[start:end]))
            done = end
    return b"".join((*parts, text[done:]))
