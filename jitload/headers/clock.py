"""Where a text reads the clock: `__DATE__`, `__TIME__` or `__TIMESTAMP__` in its code (C++17 [cpp.predefined]).

Not in a comment, and not in a string, which no macro can turn into code. A word that ## puts together is not seen.
"""

from __future__ import annotations

import re

from jitload.headers.cpp import WORD, tokens

_CLOCK = re.compile(rb"\b__(?:DATE|TIME|TIMESTAMP)__\b")
_SPLICE = re.compile(rb"(?:\\|\?\?/)\r*\n")
# What old standards read otherwise than the lexer: ??/ is a "\", and without raw strings R"(" is a word and a string.
_READ_OTHERWISE = {"c++03": rb'R(?:\\\r*\n)*"|[?\xff]{2}', "c++11": rb"[?\xff]{2}", "c++14": rb"[?\xff]{2}"}


def clock_word(text: bytes, standard: str = "") -> tuple[str, int] | None:
    """The first such word in the code of a text, and its line; None where there is none.

    A word too many costs a compile each time, a word too few would keep a stale date: where an old standard reads the
    text otherwise than it is read here, all of it is code.

    Args:
        text: C++ text.
        standard: what `--std` says, or "".
    """
    if _CLOCK.search(_SPLICE.sub(b"", text)) is None:
        return None
    is_all_code = standard in _READ_OTHERWISE and re.search(_READ_OTHERWISE[standard], text) is not None
    for kind, start, end in tokens(text):
        if kind == WORD or is_all_code:
            word = _CLOCK.search(_SPLICE.sub(b"", text[start:end]))
            if word is not None:
                return word[0].decode(), 1 + text.count(b"\n", 0, start)
    return None
