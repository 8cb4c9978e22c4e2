"""What a text says about headers: its references to them, rewriting those, and names that macros may stand for."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from jitload.frozen import Value
from jitload.headers.cpp import COMMENT, SPLICE, blanked, directives

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_BLANKS = rb"(?:[ \t\v\f\r]|" + SPLICE + rb")*"
# Of the usual form alone: one name too few costs a retry.
_DEFINED = re.compile(
    rb"^[ \t]*#[ \t]*define" + _BLANKS + rb"\w+" + _BLANKS + rb'(?:"([^"\n]+)"|<([^>\n]+)>)' + _BLANKS + rb"(?://.*)?$",
    re.MULTILINE,
)
_ABSOLUTE = re.compile(rb'["<](/[^">\n]+)[">]')
_ABOUT_NAMES = frozenset({b"define", b"include", b"include_next"})
_LOOSE_PATH = re.compile(rb"(?<=[\s(,=])/([A-Za-z_.][\w.+-]*)")


class Include(Value):
    """One reference to a header.

    Attributes:
        name: the include name as spelled.
        quoted: True for "name", False for <name>.
        next: True for `include_next`.
        keyword: the word: "include", "__has_include", or a macro like it; "" for a name of no text.
        gap: what stands between that word and the name, and after it every spliced line that was in one of the two.
        start: offset of the word in the text.
        end: offset just past the closing quote or bracket.
    """

    __slots__ = ("end", "gap", "keyword", "name", "next", "quoted", "start")
    name: str
    quoted: bool
    next: bool
    keyword: str
    gap: bytes
    start: int
    end: int

    def __init__(
        self,
        name: str,
        *,
        quoted: bool,
        next: bool = False,  # noqa: A002 - the directive's word
        keyword: str = "",
        gap: bytes = b"",
        start: int = 0,
        end: int = 0,
    ) -> None:
        self._set(name=name, quoted=quoted, next=next, keyword=keyword, gap=gap, start=start, end=end)


class Scan(Value):
    """What one text refers to.

    Attributes:
        includes: its `#include` and `#include_next` lines with a literal name.
        probes: literal names inside `__has_include` and macros like it.
        probes_macro: True when it asks `__has_include` about a macro.
        expressions: what stands behind `#include` where that is no name: what only NVRTC can spell for certain.
    """

    __slots__ = ("expressions", "includes", "probes", "probes_macro")
    includes: tuple[Include, ...]
    probes: tuple[Include, ...]
    probes_macro: bool
    expressions: tuple[bytes, ...]

    def __init__(
        self,
        includes: Iterable[Include],
        probes: Iterable[Include],
        *,
        probes_macro: bool,
        expressions: Iterable[bytes] = (),
    ) -> None:
        self._set(
            includes=tuple(includes),
            probes=tuple(probes),
            probes_macro=probes_macro,
            expressions=tuple(expressions),
        )

    @property
    def macro_includes(self) -> bool:
        """True when it includes a name that a macro makes."""
        return bool(self.expressions)


def rewrite(text: bytes, references: Iterable[Include], name_of: Callable[[Include], str | None]) -> bytes:
    """The text with every reference that `name_of` can name pointing to that name; all else stays on its line."""
    parts: list[bytes] = []
    done = 0
    for include in sorted(references, key=lambda reference: reference.start):
        name = name_of(include)
        if name is None or '"' in name:
            continue
        parts += (text[done : include.start], renamed(include, name))
        done = include.end
    return b"".join((*parts, text[done:]))


def renamed(include: Include, name: str) -> bytes:
    """A reference that points to another name, in the place of `text[include.start:include.end]`."""
    keyword = include.keyword.encode().replace(b"_next", b"")
    return b"".join((keyword, include.gap, b'"', name.encode("utf-8", "surrogateescape"), b'"'))


def defined_names(text: bytes) -> Iterator[Include]:
    """The header names that an `#include MACRO` of this text may mean: macros that stand for one literal name."""
    for match in _DEFINED.finditer(text):
        yield Include(decode_name(match[1] or match[2]), quoted=bool(match[1]))


def absolute_names(text: bytes) -> Iterator[str]:
    """Every literal absolute path: NVRTC opens such a file by itself, wherever the name comes from (measured)."""
    return map(decode_name, _ABSOLUTE.findall(text))


@lru_cache(maxsize=4096)  # each header is asked before and after a compile, and by every kernel that includes it
def loose_paths(text: bytes) -> tuple[tuple[str, int], ...]:
    """First component and offset of what may become an absolute path by `#`: `#define ROOT /opt/x`."""
    found: list[tuple[str, int]] = []
    for keyword, start, end in directives(text):
        if keyword in _ABOUT_NAMES and b"/" in text[start:end]:
            code = blanked(text[start:end], {COMMENT})
            found += [(decode_name(match[1]), start + match.start()) for match in _LOOSE_PATH.finditer(code)]
    return tuple(found)


def decode_name(name: bytes) -> str:
    """A name of a header as text; bytes that are not UTF-8 survive."""
    return name.decode("utf-8", "surrogateescape")
