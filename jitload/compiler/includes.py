"""Finding and rewriting the `#include` lines of one text.

The scan reads every branch of every `#if`, so what it finds is a superset of what the preprocessor will open: an edit
of a header that only another platform includes recompiles needlessly, and never the other way round.
"""

from __future__ import annotations

import re

from jitload.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# What may stand between the words of a directive: blanks, spliced lines, comments (C++17 [lex.phases]).
_GAP = rb"(?:[ \t\v\f]|\\\r?\n|/\*(?:[^*]|\*(?!/))*\*/)*"
# A line that continues a spliced one begins no directive: it may be the inside of a string.
_HASH = rb"(?<!\\\n)(?<!\\\r\n)^" + _GAP + rb"(?:#|%:)" + _GAP
_LITERAL = rb'(?:"([^"\n]+)"|<([^>\n]+)>'
_DIRECTIVE = re.compile(_HASH + rb"(include(?:_next)?)(?!\w)" + _GAP + _LITERAL + rb"|([A-Za-z_]))", re.MULTILINE)
# Nearly every directive is plain, and a pattern that begins with a word is found four times faster than one that begins
# with a line: candidates by the word, then a look at what stands before it.
_CANDIDATE = re.compile(rb"(include(?:_next)?)(?!\w)" + _GAP + _LITERAL + rb"|([A-Za-z_]))")
_PLAIN = re.compile(rb"[ \t]*#[ \t]*\Z")
# What is not plain and can be a directive all the same ends so on its own line: not prose, nor a comment about one.
_ODD = re.compile(rb"(?:^|\*/)[ \t\v\f]*(?:#|%:)[ \t\v\f]*\Z|\*/[ \t\v\f]*\Z")
# The keyword itself can be spliced; nobody writes that, but then the names are NVRTC's to ask for. The pattern begins
# with the rarest of its letters.
_SPLICED_WORD = re.compile(rb"\\(?<=[a-z_]\\)\r?\n")
_SPLICED = re.compile(_HASH + rb"[a-z_]+\\\r?\n", re.MULTILINE)
# Also through a macro that forwards its argument, as CCCL's `_CCCL_HAS_INCLUDE(<x>)` does.
_PROBE = re.compile(rb"(\w*has_include(_next)?\w*)" + _GAP + rb"\(" + _GAP + _LITERAL + rb")", re.IGNORECASE)
_DEFINED = re.compile(
    _HASH + rb"define\b" + _GAP + rb"\w+" + _GAP + _LITERAL + rb")" + _GAP + rb"(?://[^\n]*)?\r?$", re.MULTILINE
)
_ABSOLUTE = re.compile(rb'["<](/[^">\n]+)[">]')
_MACRO_LINE = re.compile(_HASH + rb"(?:define|include(?:_next)?)\b((?:\\\r?\n|[^\n])*)", re.MULTILINE)
_REST_OF_LINE = re.compile(rb"(?:\\\r?\n|[^\n])*")
_LOOSE_PATH = re.compile(rb"(?:^|(?<=[\s(,=]))/([A-Za-z_.][\w.+-]*)")
# Comments and strings are matched so that an R"( inside them opens nothing.
_RAW_STRING = re.compile(
    rb'R"([^()\\\s"]{0,16})\(.*?\)\1"|//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|(?<![0-9a-fA-F])\'(?:[^\'\\\n]|\\.)*\'',
    re.DOTALL,
)


class Include(Value):
    """One reference to a header.

    Attributes:
        name: the include name as spelled.
        quoted: True for "name", False for <name>.
        next: True for `include_next`.
        keyword: the word as written: "include", "__has_include", or a macro like it; "" for a name of no text.
        start: offset of that word in the text.
        end: offset just past the closing quote or bracket.
    """

    __slots__ = ("end", "keyword", "name", "next", "quoted", "start")
    name: str
    quoted: bool
    next: bool
    keyword: str
    start: int
    end: int

    def __init__(
        self,
        name: str,
        *,
        quoted: bool,
        next: bool = False,  # noqa: A002 - the directive's word
        keyword: str = "",
        start: int = 0,
        end: int = 0,
    ) -> None:
        self._set(name=name, quoted=quoted, next=next, keyword=keyword, start=start, end=end)


_make_include = Include._maker()  # CUB has two thousand of them


class Scan(Value):
    """What one text refers to.

    Attributes:
        includes: its `#include` and `#include_next` lines with a literal name.
        probes: literal names inside `__has_include` and macros like it.
        macro_includes: True when it may include what only NVRTC can spell: an `#include MACRO`.
        probes_macro: True when it asks `__has_include` about a macro.
        expressions: what stands behind `#include` where that is no name; not of a directive that is written oddly.
    """

    __slots__ = ("expressions", "includes", "macro_includes", "probes", "probes_macro")
    includes: tuple[Include, ...]
    probes: tuple[Include, ...]
    macro_includes: bool
    probes_macro: bool
    expressions: tuple[bytes, ...]

    def __init__(
        self,
        includes: Iterable[Include],
        probes: Iterable[Include],
        *,
        macro_includes: bool,
        probes_macro: bool,
        expressions: Iterable[bytes] = (),
    ) -> None:
        self._set(
            includes=tuple(includes),
            probes=tuple(probes),
            macro_includes=macro_includes,
            probes_macro=probes_macro,
            expressions=tuple(expressions),
        )


def scan(text: bytes) -> Scan:
    """Find what a text refers to."""
    visible = _RAW_STRING.sub(_blank_raw, text) if b'R"' in text else text
    includes: list[Include] = []
    expressions: list[bytes] = []
    macro_includes = _SPLICED_WORD.search(visible) is not None and _SPLICED.search(visible) is not None
    for match in _directives(visible):
        if match[4]:
            expressions.append(_REST_OF_LINE.match(visible, match.start(4))[0])  # type: ignore[index]  # it matches ""
            continue
        includes.append(_reference(match, match[1] == b"include_next", 2))
    lowered = visible.lower()
    asked = lowered.count(b"has_include")
    probes = [_reference(match, match[2] is not None, 3) for match in _probes(visible, lowered)] if asked else []
    return Scan(
        includes,
        probes,
        macro_includes=macro_includes or bool(expressions),
        probes_macro=asked > len(probes),
        expressions=expressions,
    )


def rewrite(text: bytes, references: Iterable[Include], name_of: Callable[[Include], str | None]) -> bytes:
    """The text with every reference that `name_of` can name pointing to that name; all else stays where it is."""
    parts: list[bytes] = []
    done = 0
    for include in sorted(references, key=lambda reference: reference.start):
        name = name_of(include)
        if name is None or '"' in name:
            continue
        keyword = include.keyword.encode()
        literal = include.end - len(_encode(include.name)) - 2
        gap = text[include.start + len(keyword) : literal]
        parts += (text[done : include.start], keyword.replace(b"_next", b""), gap, b'"', _encode(name), b'"')
        done = include.end
    return b"".join((*parts, text[done:]))


def defined_names(text: bytes) -> Iterator[Include]:
    """The header names that an `#include MACRO` of this text may mean: macros that stand for one literal name."""
    for match in _DEFINED.finditer(text):
        yield Include(_decode(match[1] or match[2]), quoted=bool(match[1]))


def absolute_names(text: bytes) -> Iterator[str]:
    """Every literal absolute path: NVRTC opens such a file by itself, wherever the name comes from (measured)."""
    return map(_decode, _ABSOLUTE.findall(text))


def loose_paths(text: bytes) -> Iterator[tuple[str, int]]:
    """First component and offset of what may become an absolute path by `#`: `#define ROOT /opt/x`."""
    for line in _MACRO_LINE.finditer(text):
        for match in _LOOSE_PATH.finditer(line[1]):
            yield _decode(match[1]), line.start(1) + match.start()


def _directives(text: bytes) -> list[re.Match[bytes]]:
    """The `#include` lines, in order."""
    found: list[re.Match[bytes]] = []
    for match in _CANDIDATE.finditer(text):
        line = text.rfind(b"\n", 0, match.start()) + 1
        before = text[line : match.start()]
        spliced = text[max(0, line - 3) : line].endswith((b"\\\n", b"\\\r\n"))
        if not spliced and b"\n" not in match[0] and _PLAIN.match(before):
            found.append(match)
        elif b"\n" in match[0] or _ODD.search(before) or (spliced and not before.strip()):
            return list(_DIRECTIVE.finditer(text))
    return found


def _probes(text: bytes, lowered: bytes) -> Iterator[re.Match[bytes]]:
    """What `_PROBE` finds, from the places that can be one."""
    done, word = 0, lowered.find(b"has_include")
    while word >= 0:
        start = word
        while start > done and (lowered[start - 1 : start].isalnum() or lowered[start - 1 : start] == b"_"):
            start -= 1
        match = _PROBE.match(text, start)
        if match is not None:
            yield match
        done = word + 11 if match is None else match.end()
        word = lowered.find(b"has_include", done)


def _reference(match: re.Match[bytes], is_next: bool, group: int) -> Include:
    """The reference whose quoted name is in this group of a match, or in brackets in the one after it."""
    quoted = match[group] is not None
    end = match.end(group if quoted else group + 1) + 1
    name = _decode(match[group] if quoted else match[group + 1])
    return _make_include(end, _decode(match[1]), name, is_next, quoted, match.start(1))


def _blank_raw(match: re.Match[bytes]) -> bytes:
    return b" " * len(match[0]) if match[0].startswith(b"R") else match[0]


def _decode(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _encode(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
