r"""Finding the references to headers in one text.

Every branch of every `#if` is read, so what is found is a superset of what the preprocessor will open: an edit of a
header that only another platform includes recompiles needlessly, and never the other way round.

Two roads lead to one result. Lexing takes many times as long as looking for two words, and CUB has nine hundred
headers; so the words are looked for, and judged by what stands beside them. Where that could mislead (a raw string, a
comment that may be open, a spliced word, `/**/ #include`), the lexer reads the whole text.
"""

from __future__ import annotations

import re
from itertools import islice, tee, zip_longest
from typing import TYPE_CHECKING

from jitload.headers import cpp
from jitload.headers.cpp import HASH, HEADER, HEADER_NAME, NEWLINE, RAW, SPLICE, WORD, spelling
from jitload.headers.includes import Include, Scan, decode_name
from jitload.headers.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jitload.headers.cpp import Token

_INCLUDING = frozenset({b"include", b"include_next"})
#: Also in a macro that forwards its argument, as CCCL's `_CCCL_HAS_INCLUDE(<x>)` does. In a condition such a macro may
#: have any name: nothing else in it takes a string or a name in brackets.
_ASKING = b"has_include"
_CONDITIONS = frozenset({b"if", b"elif"})
_SPLICE = re.compile(SPLICE)
_REST_OF_LINE = re.compile(rb"[^\\\n]*(?:(?:" + SPLICE + rb"|\\)[^\\\n]*)*")
_LETTER = re.compile(rb"[A-Za-z_]")
_BETWEEN = frozenset({cpp.BLANK, cpp.COMMENT})
_NOTHING: Token = (cpp.OTHER, 0, 0)

_make_include = Include._maker()  # CUB has two thousand of them

# The usual forms, and in each the beginning of those that the lexer has to read.
_WORD = re.compile(
    rb"include(?:_next)?(?!\w)([ \t]*)"
    rb'(?:"([^"\\\n]+)"|<([^>\\\n]+)>|([A-Za-z_])|[\v\f\r/\\]|"[^"\\\n]*\\|<[^>\\\n]*\\)'
)
_QUESTION = re.compile(
    rb'([ \t]*\([ \t]*)(?:"([^"\\\n]+)"|<([^>\\\n]+)>)'
    rb'|[ \t]*(?:\([ \t]*)?(?:[\v\f/\\]|\r(?!\n)|"[^"\\\n]*\\|<[^>\\\n]*\\)'
)
_REST_OF_WORD = re.compile(rb"\w*")
_BEFORE = re.compile(rb"[ \t]*#[ \t]*\Z")
# What may be a directive all the same ends so on its own line: not prose, nor a comment about one.
_ODD = re.compile(rb"(?:^/?|\*/)[ \t\v\f\r]*(?:#|%?:)[ \t\v\f\r]*\Z|(?:^|\*)/[ \t\v\f\r]*\Z")
_SPLICED_WORD = re.compile(rb"\\(?<=\w\\)\r*\n(?:\\\r*\n)*(?=\w)")
_PERHAPS_RAW = re.compile(rb'\b\w*R["\\]')
# The conditions that may hold a question by a macro of any name; all the others are left at their line's end.
_CONDITION = re.compile(rb"#[ \t]*(?:el)?if\b[^\\\n\"</]*[\\\"</]")
_ODD_DIGRAPH = re.compile(rb"%[:\\]")
_ODD_HASH = re.compile(rb"#[ \t]*[\\/\v\f\r]")
_ASKED = re.compile(rb"(\w*)[\s\\]*\([\s\\]*[\"<]")
_NEAR = 80  # bytes before a word; nobody indents a directive further


def scan(text: bytes) -> Scan:
    """Find what a text refers to."""
    found = scan_words(text)
    return scan_tokens(text) if found is None else found


def scan_tokens(text: bytes) -> Scan:
    """`scan` by all the tokens of the text."""
    includes: list[Include] = []
    probes: list[Include] = []
    expressions: list[bytes] = []
    unknown = False
    done = 0
    in_condition = False
    for token, second, third in _triples(token for token in cpp.tokens(text) if token[0] not in _BETWEEN):
        kind, start, end = token
        if kind in {HASH, NEWLINE}:
            in_condition = kind == HASH and second[0] == WORD and spelling(text, *second[1:]) in _CONDITIONS
        if kind == HASH and second[0] == WORD and spelling(text, *second[1:]) in _INCLUDING:
            if third[0] == HEADER:
                includes.append(_reference(text, second, third[1]))
            elif _LETTER.match(text, third[1]):
                expressions.append(_rest_of_line(text, third[1]))
        elif kind == WORD and start >= done:
            is_asking = _ASKING in spelling(text, start, end).lower()
            if not is_asking and not in_condition:
                continue
            if spelling(text, *second[1:]) == b"(" and HEADER_NAME.match(text, third[1]):
                probes.append(_reference(text, token, third[1]))
                done = probes[-1].end
            else:
                unknown = unknown or is_asking
    return Scan(includes, probes, probes_macro=unknown, expressions=expressions)


def _triples(code: Iterable[Token]) -> Iterator[tuple[Token, Token, Token]]:
    """Each token with the two behind it."""
    first, second, third = tee(code, 3)
    return zip_longest(first, islice(second, 1, None), islice(third, 2, None), fillvalue=_NOTHING)


def _reference(text: bytes, word: Token, start: int) -> Include:
    """The reference by this word to the name that begins here."""
    keyword = spelling(text, *word[1:])
    written: bytes = HEADER_NAME.match(text, start)[0]  # type: ignore[index]  # the caller has looked
    spliced = _SPLICE.findall(text[word[1] : word[2]]) + _SPLICE.findall(written)
    gap = text[word[2] : start] + b"".join(spliced)
    name = _SPLICE.sub(b"", written)[1:-1]
    quoted = written.startswith(b'"')
    end = start + len(written)
    return _make_include(
        end=end,
        gap=gap,
        keyword=decode_name(keyword),
        name=decode_name(name),
        next=_is_next(keyword),
        quoted=quoted,
        start=word[1],
    )


def _rest_of_line(text: bytes, start: int) -> bytes:
    return _REST_OF_LINE.match(text, start)[0]  # type: ignore[index]  # it matches b""


def scan_words(text: bytes) -> Scan | None:
    """`scan` by the words that matter; None where only the lexer can tell."""
    visible = _without_raw_strings(text)
    if visible is None or _SPLICED_WORD.search(text) or _may_ask_by_another_name(visible):
        return None
    asking = _questions(visible)
    if asking is None:
        return None
    place = Place(visible)
    includes: list[Include] = []
    expressions: list[bytes] = []
    for match in _WORD.finditer(visible):
        start = match.start()
        line = place.line_of(start)
        before = visible[max(line, start - _NEAR) : start]
        if _BEFORE.match(before) and start - line <= _NEAR:
            if place.is_spliced(line) or not place.is_outside_comments(start) or match.lastindex == 1:
                return None
            if match[4]:
                expressions.append(_rest_of_line(text, match.start(4)))
            else:
                includes.append(_plain(match, text[start : match.start(1)], start))
        elif _ODD.search(before) or (not before.strip() and place.is_spliced(line)):
            return None
    return Scan(includes, asking[0], probes_macro=asking[1], expressions=expressions)


def _may_ask_by_another_name(text: bytes) -> bool:
    """Whether some condition may ask for a header by a macro whose name does not say so."""
    if _ODD_HASH.search(text) or _ODD_DIGRAPH.search(text):
        return True
    for match in _CONDITION.finditer(text):
        line = _rest_of_line(text, match.start())
        _, opened, comment = line.rpartition(b"/*")
        if opened and (b"*/" not in comment or b'"' in line or b"<" in line):
            return True
        if any(_ASKING not in word.lower() for word in _ASKED.findall(line)):
            return True
    return False


def _without_raw_strings(text: bytes) -> bytes | None:
    """The text with its raw strings as closed parentheses, behind which no directive begins; None as above."""
    if b'R"' not in text and b"R\\" not in text:
        return text
    place = Place(text)
    parts: list[bytes] = []
    done = 0
    for match in _PERHAPS_RAW.finditer(text):
        start = match.start()
        if start < done:
            continue
        is_code = place.is_code(start)
        if is_code is False:
            continue
        if is_code is None or b"\\" in match[0]:
            return None
        kind, _, end = cpp.token_at(text, start)
        if kind == RAW:
            parts += (text[done:start], b")" * (end - start))
            done = end
    return b"".join((*parts, text[done:]))


def _questions(text: bytes) -> tuple[list[Include], bool] | None:
    """The questions for a literal name, and whether there are others; None where only the lexer can tell."""
    lowered = text.lower()
    place = Place(text)
    probes: list[Include] = []
    unknown = False
    done = 0
    while (found := lowered.find(_ASKING, done)) >= 0:
        start = found
        while start > done and (lowered[start - 1 : start].isalnum() or lowered[start - 1 : start] == b"_"):
            start -= 1
        done = _REST_OF_WORD.match(text, found).end()  # type: ignore[union-attr]  # it matches b""
        is_code = place.is_code(start)
        if is_code is False:
            continue
        match = _QUESTION.match(text, done)
        if is_code is None or (match is not None and match[1] is None):
            return None
        if match is None:
            unknown = True
        else:
            probes.append(_plain(match, text[start:done], start))
            done = match.end()
    return probes, unknown


def _plain(match: re.Match[bytes], word: bytes, start: int) -> Include:
    """The reference by this word; the match has groups for the gap, the name in quotes and the name in brackets."""
    name = decode_name(match[3] if match[2] is None else match[2])
    return _make_include(
        end=match.end(),
        gap=match[1],
        keyword=decode_name(word),
        name=name,
        next=_is_next(word),
        quoted=match[2] is not None,
        start=start,
    )


def _is_next(word: bytes) -> bool:
    return word == b"include_next" or word.lower().rpartition(_ASKING)[2].startswith(b"_next")
