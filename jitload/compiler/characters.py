"""Characters that NVRTC does not read outside of comments and strings, and what to write in their place.

It reads bytes: of a letter beyond ASCII it complains byte by byte, and its carets count bytes as well.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jitload.lazy import lazy

if TYPE_CHECKING:
    import unicodedata
else:  # a program with such a character alone asks for it
    unicodedata = lazy("unicodedata")

_UNREAD = re.compile(r"\): error: unrecognized token\n(?P<line>.*)\n(?P<blanks> *)\^")
_CARET = re.compile(r"^(?P<line>  .*[^\x00-\x7f].*)\n(?P<blanks> +)\^$", re.MULTILINE)
#: What word processors and web pages make of characters of C++, where Unicode itself names no equal one.
_MEANT = {
    **dict.fromkeys("“”„‟«»", '"'),
    **dict.fromkeys("‘’‚‛´", "'"),  # noqa: RUF001
    **dict.fromkeys("‐‑‒–—―−", "-"),  # noqa: RUF001 - these are what it is about
    **dict.fromkeys("×∗", "*"),  # noqa: RUF001
    **dict.fromkeys("÷∕", "/"),  # noqa: RUF001
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
}


def about_characters(log: str) -> str | None:
    """What to write for the first character of a program that NVRTC could not read; None where all are of ASCII."""
    for found in _UNREAD.finditer(log):
        rest = _bytes(found["line"])[len(found["blanks"]) :].decode("utf-8", "ignore")
        if rest and not rest[0].isascii():
            return _about(rest[0])
    return None


def _about(character: str) -> str:
    name = unicodedata.name(character, "").lower()
    shown = f"{character!r} (U+{ord(character):04X}{f', {name}' if name else ''})"
    meant = _MEANT.get(character) or unicodedata.normalize("NFKC", character)
    kind = unicodedata.category(character)
    if meant == " ":
        return f"{shown} is no blank of C++: write a plain one"
    if meant.isascii():
        return f"{shown} is no character of C++: write {meant} in its place"
    if kind == "Cf":
        return f"{shown} is not seen and no character of C++: take it out"
    if kind[0] in "LMN":
        return f"{shown} stands in a name, and NVRTC takes names of A-Z, a-z, 0-9 and _ alone"
    return f"{shown} may stand in comments and strings alone"


def carets_by_character(log: str) -> str:
    """A log in which carets below lines with characters beyond ASCII count characters: NVRTC counts their bytes."""
    if log.isascii():
        return log
    return _CARET.sub(lambda found: f"{found['line']}\n{' ' * _characters(found['line'], len(found['blanks']))}^", log)


def _characters(line: str, at: int) -> int:
    """How many characters stand before a byte of a line: as many, where the line ends before it."""
    encoded = _bytes(line)
    return len(encoded[:at].decode("utf-8", "ignore")) + max(at - len(encoded), 0)


def _bytes(line: str) -> bytes:
    return line.encode("utf-8", "surrogateescape")
