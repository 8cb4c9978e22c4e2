"""Which parameter of a template kernel decides a template argument that was left open.

C++ deduces `T` of `template <typename T> __global__ void scale(T *x, int n)` from the type of what is passed for `x`.
An array has such a type too. Read here is the text of the source, and only what is plain: the parameter must be a
pointer to T itself, and the only pointer in whose type T stands. Everything else is for the user to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.headers.cpp import BLANK, COMMENT, HASH, NEWLINE, spelling, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_QUALIFIERS = frozenset({"const", "volatile", "__restrict__", "__restrict", "restrict"})
_INTEGERS = frozenset({"int", "unsigned", "unsigned int", "long", "size_t", "std::size_t", "auto", "unsigned long"})
_AFTER_PARAMETERS = frozenset({"{", ";", "noexcept", "->", "requires"})
_OPEN, _CLOSE = {"(": ")", "[": "]", "{": "}", "<": ">"}, frozenset(")]}>")


class Template:
    """A kernel template as its declaration has it.

    Attributes:
        names: its template parameters, in order; "" for one that is no plain type.
        parameters: the tokens of each parameter of the kernel.
    """

    def __init__(self, names: Sequence[str], parameters: Sequence[Sequence[str]]) -> None:
        self.names = tuple(names)
        self.parameters = tuple(map(tuple, parameters))

    def deciding(self, name: str) -> tuple[int, ...]:
        """The positions of the pointer parameters in whose types a template parameter stands.

        None of them decides it unless it is the only one and points to that type itself: then the tuple has one number.
        """
        standing = [at for at, words in enumerate(self.parameters) if name in words and {"*", "["} & set(words)]
        plain = [at for at in standing if _is_plain_pointer(self.parameters[at], name)]
        return tuple(standing) if plain else ()


def find_template(sources: Iterable[str], kernel: str) -> Template | None:
    """The template of a kernel, when all its declarations agree.

    Args:
        sources: texts of CUDA C++.
        kernel: its name without namespaces.
    """
    found = [template for source in sources for template in _templates(_words(source), kernel)]
    first = found[0] if found else None
    same = first and all((one.names, one.parameters) == (first.names, first.parameters) for one in found)
    return first if same else None


class KernelTemplate:
    """A kernel template that a text declares.

    Attributes:
        name: its name, with the namespaces that it stands in.
        kinds: what each of its template parameters is declared as: "typename", "int", "bool", "class ...".
        parameters: their names; "" for one that has none.
    """

    def __init__(self, name: str, declared: Sequence[tuple[str, str]]) -> None:
        self.name = name
        self.kinds = tuple([kind for kind, _ in declared])
        self.parameters = tuple([parameter for _, parameter in declared])

    def example(self) -> str:
        """A name expression that instantiates it, as one might write it."""
        return f"{self.name}<{', '.join(map(_example_argument, self.kinds))}>"


def kernel_templates(source: str) -> list[KernelTemplate]:
    """The kernel templates that a text declares, each name once."""
    words = _words(source)
    found: dict[str, KernelTemplate] = {}
    for begin, end in _template_heads(words):
        name = _kernel_name(words, end)
        if name is not None:
            declared = [_declared_as(part) for part in _split(words[begin + 2 : end - 1])]
            full = "::".join([*_namespaces(words[:begin]), name])
            found.setdefault(full, KernelTemplate(full, declared))
    return list(found.values())


def split_arguments(expression: str) -> list[str]:
    """The template arguments in a name expression, as written: ["{T}", "256"] of "n::scale<{T}, 256>"."""
    start, end = expression.find("<"), expression.rfind(">")
    if start < 0 or end < start:
        return []
    parts, depth, begin = [], 0, start + 1
    for at in range(start + 1, end):
        if expression[at] in "<([":
            depth += 1
        elif expression[at] in ">)]":
            depth -= 1
        elif expression[at] == "," and not depth:
            parts.append(expression[begin:at].strip())
            begin = at + 1
    return [*parts, expression[begin:end].strip()]


def _words(source: str) -> list[str]:
    """The tokens of a text without blanks, comments and directives."""
    text = source.encode("utf-8", "surrogateescape")
    found, skipping = [], False
    for kind, start, end in tokens(text):
        if kind == NEWLINE:
            skipping = False
        elif kind == HASH:
            skipping = True
        elif not skipping and kind not in {BLANK, COMMENT}:
            found.append(spelling(text, start, end).decode("utf-8", "replace"))
    return found


def _template_heads(words: list[str]) -> Iterator[tuple[int, int]]:
    """Where each `template <...>` begins and what follows it."""
    end: int | None = 0
    for at, word in enumerate(words):
        if word != "template" or words[at + 1 : at + 2] != ["<"] or at < (end or 0):
            continue
        end = _closing(words, at + 1)
        if end is None:
            return
        yield at, end


def _templates(words: list[str], kernel: str) -> Iterator[Template]:
    """Every template of a kernel of that name that the words declare."""
    for at, end in _template_heads(words):
        head, opened = end, None
        while head < len(words) and words[head] not in {";", "{", "template"}:
            if words[head] == kernel and words[head + 1 : head + 2] == ["("]:
                opened = head + 1
                break
            head += 1
        closed = None if opened is None else _closing(words, opened)
        if opened is not None and closed is not None and "__global__" in words[end:opened]:
            names = [_type_name(part) for part in _split(words[at + 2 : end - 1])]
            yield Template(names, _split(words[opened + 1 : closed - 1]))


def _kernel_name(words: list[str], start: int) -> str | None:
    """The name of the kernel whose declaration goes on at `start`, or None for another declaration."""
    at = start
    while at < len(words) and words[at] not in {";", "{", "template"}:
        if words[at] != "(" or not words[at - 1].isidentifier():
            at += 1
            continue
        closed = _closing(words, at)
        if closed is None:
            return None
        if closed < len(words) and words[closed] in _AFTER_PARAMETERS:  # else it was __launch_bounds__(256) or the like
            return words[at - 1] if "__global__" in words[start:at] else None
        at = closed
    return None


def _closing(words: list[str], start: int) -> int | None:
    """The position behind what closes the bracket at `start`."""
    expected: list[str] = []
    for at in range(start, len(words)):
        word = words[at]
        if word in _OPEN:
            expected.append(_OPEN[word])
        elif word in _CLOSE:
            # "a > b" in a parenthesis closes nothing.
            if word != expected[-1]:
                if word == ">":
                    continue
                return None
            expected.pop()
            if not expected:
                return at + 1
    return None


def _split(words: list[str]) -> list[list[str]]:
    """The words between commas that stand in no brackets."""
    parts: list[list[str]] = [[]]
    depth = 0
    for word in words:
        depth += (word in _OPEN) - (word in _CLOSE)
        if word == "," and not depth:
            parts.append([])
        else:
            parts[-1].append(word)
    return [part for part in parts if part]


def _type_name(words: list[str]) -> str:
    """The name of a template parameter that is one type, else ""."""
    plain = len(words) >= 2 and words[0] in {"typename", "class"} and words[1].isidentifier()
    return words[1] if plain and words[2:3] in ([], ["="]) else ""


def _is_plain_pointer(words: Sequence[str], name: str) -> bool:
    """Whether a parameter is `T *x`, `const T *__restrict__ x`, `T x[]` and the like."""
    kept = [word for word in words if word not in _QUALIFIERS]
    if kept[:1] != [name]:
        return False
    rest = kept[1:]
    if rest[:1] == ["*"]:
        return len(rest) == 1 or (len(rest) == 2 and rest[1].isidentifier())
    return len(rest) >= 3 and rest[0].isidentifier() and rest[1] == "[" and rest[-1] == "]" and rest.count("[") == 1


def _namespaces(words: list[str]) -> list[str]:
    """The names of the namespaces that are open behind some words."""
    open_: list[list[str]] = []
    names: list[str] | None = None  # since the word "namespace"
    for word in words:
        if word == "namespace":
            names = []
        elif word == "{":
            open_.append(names or [])
            names = None
        elif word == "}" and open_:
            open_.pop()
        elif word in {";", "="}:
            names = None
        elif names is not None and word.isidentifier():
            names.append(word)
    return [name for part in open_ for name in part]


def _declared_as(words: list[str]) -> tuple[str, str]:
    """A template parameter without its default: ("typename", "T"), ("unsigned int", "N"), ("class ...", "")."""
    kept = words[: words.index("=")] if "=" in words else words
    named = len(kept) > 1 and kept[-1].isidentifier()
    return (" ".join(kept[:-1]), kept[-1]) if named else (" ".join(kept), "")


def _example_argument(kind: str) -> str:
    if kind in {"typename", "class", "typename ...", "class ..."}:
        return "float"
    if kind == "bool":
        return "true"
    return "256" if kind in _INTEGERS else "..."
