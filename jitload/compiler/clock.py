"""Where a text reads the clock: `__DATE__`, `__TIME__` or `__TIMESTAMP__` in its code (C++17 [cpp.predefined]).

Not in a comment and not in a string, which no macro can turn into code. A text whose comments and strings cannot be
told for certain (a quote without its end, a raw string) is code from end to end: a word too many costs a compile each
time, a word too few would keep a stale date. A word that ## puts together is not seen.
"""

from __future__ import annotations

import re

_CLOCK = re.compile(rb"\b__(?:DATE|TIME|TIMESTAMP)__\b")
_SPLICE = re.compile(rb"\\\r?\n")
# Tokens as C++17 [lex.pptoken] makes them out, the longest first: 1'000 opens no character, and FOOR"( no raw string.
_TOKEN = re.compile(
    rb'(?P<doubt>(?:u8|[uUL])?R")'
    rb"|[A-Za-z_$\x80-\xfe][\w$\x80-\xfe]*"
    rb"|\.?[0-9](?:[eEpP][+-]|'?\w|\.)*"
    rb'|(?P<prose>"(?:[^"\\\n]|\\[^\n])*"|\'(?:[^\'\\\n]|\\[^\n])+\'|//[^\n]*|/\*.*?\*/)'
    rb"|(?P<open>[\"']|/\*)",
    re.DOTALL,
)
# A line end to some; and the byte that NVRTC is given another one for.
_DOUBTFUL = re.compile(rb"\r(?!\n)|\xff")


def clock_word(text: bytes) -> tuple[str, int] | None:
    """The first such word in the code of a text, and its line; None where there is none."""
    joined = _SPLICE.sub(b"", text)  # before all else (C++17 [lex.phases]): a line comment can go on below
    if _CLOCK.search(joined) is None:
        return None
    word = _CLOCK.search(_code(joined))
    if word is None:
        return None
    taken = 0
    for splice in _SPLICE.finditer(text):
        if splice.start() - taken > word.start():
            break
        taken += len(splice[0])
    return word[0].decode(), 1 + text.count(b"\n", 0, word.start() + taken)


def _code(text: bytes) -> bytes:
    """The text with its comments and strings blanked, line by line; as it is where they cannot be told."""
    if _DOUBTFUL.search(text):
        return text
    parts: list[bytes] = []
    done = 0
    for match in _TOKEN.finditer(text):
        if match["doubt"] or match["open"]:
            return text
        if match["prose"]:
            parts += (text[done : match.start()], re.sub(rb"[^\n]", b" ", match[0]))
            done = match.end()
    return b"".join((*parts, text[done:]))
