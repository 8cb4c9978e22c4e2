"""What the toolkit's headers declare under a name, found by searching their texts.

They are too large to be walked, and their namespaces open in macros. So a name has all the meanings that it has
anywhere in them, and is known only where those agree.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from jitload.headers.cpp import BLANK, COMMENT, NEWLINE, spelling, tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Typedefs that NVRTC has without a header (measured with 12.9).
BUILT_IN = {
    "size_t": "unsigned long",
    "ptrdiff_t": "long",
    "clock_t": "long",
    "cudaTextureObject_t": "unsigned long long",
    "cudaSurfaceObject_t": "unsigned long long",
}
#: Classes that it has without a header.
BUILT_IN_CLASS = re.compile(
    r"u?(?:char|short|int|long|longlong)[1-4]|(?:float|double)[1-4]|dim3|u?(?:long|longlong)4_(?:16|32)a|double4_(?:16|32)a"
)
_LETTER = re.compile(rb"\w")
_BEHIND = re.compile(rb"\s*(?:[;={<\[]|:(?!:)|final\b)")
_TYPEDEF = re.compile(rb"\btypedef\b(?!.*\btypedef\b)(.*)\Z", re.DOTALL)
_USING = re.compile(rb"\busing\s+(?:typename\s+)?((?:::\s*)?(?:\w+\s*::\s*)*)\Z")
#: The head of a class up to its name; before that may stand attributes, or macros that stand for some.
_CLASS = re.compile(
    rb"(?:template\s*<(?P<head>[^;{}]*)>\s*)?\b(?:struct|class|union|enum(?:\s+class|\s+struct)?)\s+"
    rb"(?:(?:__attribute__|alignas|__align__|[A-Z_]\w*)\s*\((?:[^()]|\([^()]*\))*\)\s*|\[\[[^\]]*\]\]\s*|[A-Z_]\w*\s+)*\Z"
)
_LONGEST_HEAD = 2000
#: The beginning of a namespace, or of a macro that opens one.
_NAMESPACE = re.compile(rb"^[ \t]*(?:inline[ \t]+)?(?:namespace\b|\w*NAMESPACE)", re.MULTILINE)
#: `__device_builtin__` and the like; `__restrict__` changes no type either.
_ATTRIBUTE = re.compile(r"__\w+__")


class Found(NamedTuple):
    """The declarations of one name.

    Attributes:
        aliases: of each typedef and alias, the words of its declaration.
        classes: of each class or enum, the template's head before it, or "".
        usings: what each using-declaration names.
        is_macro: whether it is a macro too.
        is_global: whether no namespace was open where a class is declared, as far as the text shows.
    """

    aliases: list[tuple[str, ...]]
    classes: list[str]
    usings: list[str]
    is_macro: bool
    is_global: bool


class ToolkitNames:
    """The toolkit's headers of a compile.

    Args:
        texts: name -> text.
    """

    def __init__(self, texts: Mapping[str, bytes]) -> None:
        self._texts = texts
        self._found: dict[str, Found] = {}
        self._defined: dict[bytes, bool] = {}

    def defines(self, name: bytes) -> bool:
        """Whether any of them has a `#define` of that name."""
        if name not in self._defined:
            pattern = re.compile(rb"#[ \t]*define[ \t]+" + re.escape(name) + rb"\b")
            self._defined[name] = any(name in text and pattern.search(text) for text in self._texts.values())
        return self._defined[name]

    def has(self, name: str) -> bool:
        """Whether anything is declared under a name."""
        found = self.find(name)
        return bool(found.aliases or found.classes or found.usings or found.is_macro)

    def find(self, name: str) -> Found:
        """All that is declared under a name, in whatever scope."""
        if name not in self._found:
            self._found[name] = self._search(name)
        return self._found[name]

    def _search(self, name: str) -> Found:
        word = name.encode()
        found = Found([], [], [], self.defines(word), True)
        is_global = True
        for text in self._texts.values():
            for start in _places(word, text):
                head = _head(text, start)
                declared = _declared(name, head, text, start)
                if isinstance(declared, tuple):
                    found.aliases.append(declared)
                elif isinstance(declared, str):
                    found.usings.append(declared)
                elif match := _CLASS.search(head):
                    found.classes.append((match["head"] or b"").decode("latin-1"))
                    is_global = is_global and not _NAMESPACE.search(text, 0, start)
        return found._replace(is_global=is_global)


def _places(word: bytes, text: bytes) -> Iterator[int]:
    """Where a name stands that may be declared there: before `;`, `=`, a bracket or a base class."""
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        if not _LETTER.match(text, at - 1 if at else len(text)) and _BEHIND.match(text, end):
            yield at
        at = text.find(word, end)


def _head(text: bytes, start: int) -> bytes:
    """What stands before a name, from the end of the declaration before it on."""
    first = max(start - _LONGEST_HEAD, 0)
    return text[max(text.rfind(sign, first, start) + 1 for sign in (b";", b"{", b"}")) or first : start]


def _declared(name: str, head: bytes, text: bytes, start: int) -> tuple[str, ...] | str | None:
    """A typedef or alias as the words of its type, a using-declaration as what it names."""
    behind = text[start + len(name) : text.find(b";", start)].strip()
    if (match := _TYPEDEF.search(head)) and behind[:1] in {b"", b"["}:
        words = words_of(match[1] + behind)
    elif match := _USING.search(head):
        if not behind:
            return "".join(match[1].decode("latin-1").split()).lstrip(":") + name
        words = words_of(behind.partition(b"=")[2])
    elif not behind and text[start - len(head) - 1 : start - len(head)] == b"}":
        words = _typedef_of_class(name, text, start - len(head) - 1)
    else:
        words = ()
    return tuple([word for word in words if not _ATTRIBUTE.fullmatch(word)]) or None


def _typedef_of_class(name: str, text: bytes, close: int) -> tuple[str, ...]:
    """The type in `typedef struct TAG { ... } NAME;`, whose bracket closes at `close`."""
    depth, at = 0, close
    while at >= 0:
        depth += (text[at : at + 1] == b"}") - (text[at : at + 1] == b"{")
        if depth == 0:
            break
        at = max(text.rfind(b"{", 0, at), text.rfind(b"}", 0, at))
    head = _head(text, max(at, 0))
    if not (match := _TYPEDEF.search(head)):
        return ()
    depth, tag = 0, name
    for word in words_of(match[1]):
        depth += (word == "(") - (word == ")")
        if depth == 0 and word.isidentifier() and not _ATTRIBUTE.fullmatch(word) and not word.isupper():
            tag = word
    return ("struct", name if tag in {"struct", "union", "enum"} else tag)


def words_of(text: bytes | str) -> tuple[str, ...]:
    """The words and signs of a piece of C++."""
    data = text.encode() if isinstance(text, str) else text
    return tuple(
        [
            spelling(data, start, end).decode("utf-8", "replace")
            for kind, start, end in tokens(data)
            if kind not in {BLANK, COMMENT, NEWLINE}
        ]
    )
