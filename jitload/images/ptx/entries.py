"""What a PTX text declares, found without reading what is in its bodies: kernels with their heads, and variables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from jitload.errors import LoadError
from jitload.images.ptx.cursor import Cursor
from jitload.images.ptx.declaration import read_head
from jitload.images.ptx.tokens import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jitload.images.ptx.values import Function

# Comments and strings first, so that what they hold is not taken for a directive; an open comment goes to the end.
_PASSED = r'//[^\n]*|/\*[\s\S]*?(?:\*/|\Z)|"[^"\n]*"'
_ENTRY = re.compile(rf"{_PASSED}|\.entry\s+([A-Za-z_$%][\w$.]*)", re.ASCII)
_BRACE = re.compile(rf"{_PASSED}|(\{{)")
# PTX ISA section 10.1: linking, state space, alignment and other attributes, type, name.
_VARIABLE = re.compile(
    r"^[ \t]*(?:\.(?:visible|weak|common)[ \t]+)?\.(?:global|const)\b(?:[ \t]*\.\w+(?:[ \t]*\(?[\d,. \t]+\)?)?)*"
    r"[ \t]+([A-Za-z_$%][\w$]*)",
    re.MULTILINE | re.ASCII,
)


class Entry(NamedTuple):
    """A kernel in a text.

    Attributes:
        head: what stands before its body.
        body: where that begins in the text, after its brace.
    """

    head: Function
    body: int


def entry_names(data: bytes) -> tuple[str, ...]:
    """The kernels in a PTX text, in order (PTX ISA section 11.2.1, `.entry`)."""
    names = (match[1] for match in _ENTRY.finditer(_text(data)))
    return tuple(dict.fromkeys(name for name in names if name is not None))


def variable_names(data: bytes) -> tuple[str, ...]:
    """The variables at the outer level of a PTX text, in order."""
    return tuple(dict.fromkeys(match[1] for match in _VARIABLE.finditer(_text(data))))


def read_entries(text: str, symbol: str | None = None) -> Iterator[Entry]:
    """The kernels that a PTX text defines, in order.

    Args:
        text: PTX. What has no head of a kernel is passed over.
        symbol: the only one that is wanted.
    """
    for match in _ENTRY.finditer(text):
        if match[1] is None or symbol not in {None, match[1]}:
            continue
        end = next((brace.end() for brace in _BRACE.finditer(text, match.end()) if brace[1]), len(text))
        cursor = Cursor(Source(text[match.start() : end]), 1)
        try:
            head, opened = read_head(cursor, entry=True)
        except LoadError:
            continue
        if opened:
            yield Entry(head, end)


def _text(data: bytes) -> str:
    return data.decode("latin-1")  # a character for each byte, whatever it is: names are ASCII
