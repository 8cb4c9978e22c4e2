"""Finding and rewriting the `#include` lines of one text.

The scan reads every branch of every `#if`, so what it finds is a superset of what the preprocessor will open: an edit
of a header that only another platform includes recompiles needlessly, and never the other way round.
"""

from __future__ import annotations

import re

from jitload.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_DIRECTIVE = re.compile(
    rb'^[ \t]*#[ \t]*(include(?:_next)?)[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>|([A-Za-z_]))', re.MULTILINE
)
# Also through a macro that forwards its argument, as CCCL's `_CCCL_HAS_INCLUDE(<x>)` does.
_PROBE = re.compile(rb'\w*has_include(_next)?\w*[ \t]*\([ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)', re.IGNORECASE)
# What `#include MACRO` may open without asking: NVRTC looks for an absolute path on the disk by itself.
_ABSOLUTE = re.compile(rb'^[ \t]*#[ \t]*define\b.*?["<](/[^">\n]+)[">]', re.MULTILINE)
_RAW_STRING = re.compile(rb'R"([^()\\\s"]{0,16})\(.*?\)\1"', re.DOTALL)


class Include(Value):
    """One reference to a header.

    Attributes:
        name: the include name as spelled.
        quoted: True for "name", False for <name>.
        next: True for `include_next`.
        start: offset of the directive's keyword in the text (of nothing, for a probe).
        end: offset just past the closing quote or bracket.
    """

    __slots__ = ("end", "name", "next", "quoted", "start")
    name: str
    quoted: bool
    next: bool
    start: int
    end: int

    def __init__(self, name: str, *, quoted: bool, next: bool = False, start: int = 0, end: int = 0) -> None:  # noqa: A002
        self._set(name=name, quoted=quoted, next=next, start=start, end=end)


class Scan(Value):
    """What one text refers to.

    Attributes:
        includes: its `#include` and `#include_next` lines with a literal name.
        probes: literal names inside `__has_include` and macros like it.
        absolute: absolute paths that a macro could include.
        macro_includes: True when it has an `#include MACRO`.
    """

    __slots__ = ("absolute", "includes", "macro_includes", "probes")
    includes: tuple[Include, ...]
    probes: tuple[Include, ...]
    absolute: tuple[str, ...]
    macro_includes: bool

    def __init__(
        self, includes: list[Include], probes: list[Include], absolute: list[str], macro_includes: bool
    ) -> None:
        self._set(
            includes=tuple(includes), probes=tuple(probes), absolute=tuple(absolute), macro_includes=macro_includes
        )


def scan(text: bytes) -> Scan:
    """Find what a text refers to."""
    visible = _RAW_STRING.sub(lambda match: b" " * len(match[0]), text) if b'R"' in text else text
    includes: list[Include] = []
    macro_includes = False
    if b"include" in visible:
        for match in _DIRECTIVE.finditer(visible):
            if match[4]:
                macro_includes = True
                continue
            name = _decode(match[2] or match[3])
            span = {"start": match.start(1), "end": match.end(2) + 1 if match[2] else match.end(3) + 1}
            includes.append(Include(name, quoted=bool(match[2]), next=match[1] == b"include_next", **span))
    probes: list[Include] = []
    if b"has_include" in visible.lower():
        probes = [
            Include(_decode(match[2] or match[3]), quoted=bool(match[2]), next=bool(match[1]))
            for match in _PROBE.finditer(visible)
        ]
    absolute = [_decode(path) for path in _ABSOLUTE.findall(visible)] if b'"/' in visible or b"</" in visible else []
    return Scan(includes, probes, absolute, macro_includes)


def rewrite(text: bytes, includes: tuple[Include, ...], name_of: Callable[[Include], str | None]) -> bytes:
    """The text with every include that `name_of` can name pointing to that name; lines stay where they are."""
    parts: list[bytes] = []
    done = 0
    for include in includes:
        name = name_of(include)
        if name is None or '"' in name:
            continue
        parts += (text[done : include.start], b'include "', name.encode("utf-8", "surrogateescape"), b'"')
        done = include.end
    return b"".join((*parts, text[done:]))


def _decode(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
