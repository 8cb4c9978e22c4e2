"""What the toolkit's headers declare under a name, found by searching their texts.

They are too large to be walked, and their namespaces open in macros. So a name has all the meanings that it has
anywhere in them, and is known only where those agree.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from jitload.headers.cpp import BLANK, COMMENT, NEWLINE, spelling, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Typedefs of NVRTC's own and of the most used headers: 1.3 MB for cuda_fp16.h alone need not be searched for them.
TYPEDEFS = {
    "size_t": "unsigned long",
    "ptrdiff_t": "long",
    "clock_t": "long",
    "cudaTextureObject_t": "unsigned long long",
    "cudaSurfaceObject_t": "unsigned long long",
    **dict.fromkeys(("half", "nv_half"), "__half"),
    **dict.fromkeys(("half2", "nv_half2"), "__half2"),
    "nv_bfloat16": "__nv_bfloat16",
    "nv_bfloat162": "__nv_bfloat162",
    **dict.fromkeys(("cuComplex", "cuFloatComplex"), "float2"),
    "cuDoubleComplex": "double2",
}
#: Classes of the same.
CLASSES = re.compile(
    r"u?(?:char|short|int|long|longlong)[1-4]|(?:float|double)[1-4]|dim3|u?(?:long|longlong)4_(?:16|32)a|"
    r"double4_(?:16|32)a|__half2?|__nv_bfloat162?|__half2?_raw|__nv_bfloat162?_raw|cuda(?:Extent|Pos|PitchedPtr)"
)
_BEHIND = rb"(?=\s*(?:[;={<\[]|:(?!:)|final\b))"
_TYPEDEF = re.compile(rb"\btypedef\b(?!.*\btypedef\b)(.*)\Z", re.DOTALL)
_USING = re.compile(rb"\busing\s+(?:typename\s+)?((?:::\s*)?(?:\w+\s*::\s*)*)\Z")
#: The head of a class up to its name; before that may stand attributes, or macros that stand for some.
_CLASS = re.compile(
    rb"(?:template\s*<(?P<head>[^;{}]*)>\s*)?\b(?:struct|class|union|enum(?:\s+class|\s+struct)?)\s+"
    rb"(?:(?:__attribute__|alignas|__align__|[A-Z_]\w*)\s*\((?:[^()]|\([^()]*\))*\)\s*|\[\[[^\]]*\]\]\s*|[A-Z_]\w*\s+)*\Z"
)
_LONGEST_HEAD = 2000
_LINE_START = re.compile(rb"[ \t]*(?:inline[ \t]+)?\w*")
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
        texts: what they hold.
    """

    def __init__(self, texts: Iterable[bytes]) -> None:
        self._texts = tuple(texts)
        self._found: dict[str, Found] = {}

    def defines(self, name: bytes) -> bool:
        """Whether any of them has a `#define` of that name."""
        return any(name in _defined_in(text) for text in self._texts)

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
        pieces = [_search(name.encode(), text) for text in self._texts]
        return Found(
            [words for piece in pieces for words in piece.aliases],
            [head for piece in pieces for head in piece.classes],
            [named for piece in pieces for named in piece.usings],
            self.defines(name.encode()),
            all(piece.is_global for piece in pieces),
        )


# The toolkit's headers are the same objects for every kernel of a process.
@lru_cache(maxsize=4096)
def _defined_in(text: bytes) -> frozenset[bytes]:
    """The macros that a text defines."""
    return frozenset(re.findall(rb"#[ \t]*define[ \t]+(\w+)", text))


@lru_cache(maxsize=1 << 16)
def _search(name: bytes, text: bytes) -> Found:
    """What one text declares under a name."""
    found = Found([], [], [], is_macro=False, is_global=True)
    for start in _places(name, text):
        head = _head(text, start)
        declared = _declared(name.decode(), head, text, start)
        if isinstance(declared, tuple):
            found.aliases.append(declared)
        elif isinstance(declared, str):
            found.usings.append(declared)
        elif match := _CLASS.search(head):
            found.classes.append((match["head"] or b"").decode("latin-1"))
            found = found._replace(is_global=found.is_global and not _in_namespace(text, start))
    return found


def _places(word: bytes, text: bytes) -> Iterator[int]:
    """Where a name stands that may be declared there: before `;`, `=`, a bracket or a base class."""
    if word not in text:
        return
    escaped = re.escape(word)
    # It begins with the name itself, for which the engine then looks by its fastest means.
    for match in re.finditer(escaped + rb"(?<=\b" + escaped + rb")" + _BEHIND, text):
        yield match.start()


def _in_namespace(text: bytes, start: int) -> bool:
    """Whether a namespace, or a macro that may open one, begins before a place."""
    for word in (b"namespace", b"NAMESPACE"):
        at = text.find(word, 0, start)
        while at >= 0:
            if _LINE_START.fullmatch(text, text.rfind(b"\n", 0, at) + 1, at):
                return True
            at = text.find(word, at + 1, start)
    return False


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
