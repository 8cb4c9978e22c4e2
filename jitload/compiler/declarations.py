"""Kernel declarations in CUDA C++ text: the names, C++ types and constness that PTX does not tell.

This is no C++ parser. It reads plain declarations, and the answer to everything else is "not known". Its one promise is
never to say `const` of a pointer that is not: an array that a kernel writes to would then be lost. So a claim of const
is dropped as soon as a macro could make the text mean something else, or a kernel could be declared out of sight.
"""

from __future__ import annotations

import re

from jitload.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SPLICE = re.compile(r"\\\r?\n")
_RAW_STRING = r'R"(?P<mark>[^()\\\s"]{0,16})\(.*?\)(?P=mark)"'
_COMMENT_OR_STRING = re.compile(
    _RAW_STRING + r'|//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|(?<![0-9a-fA-F])\'(?:[^\'\\\n]|\\.)*\'', re.DOTALL
)
_DIRECTIVE = re.compile(r"^[ \t]*(?:#|%:)[^\n]*", re.MULTILINE)
_MACRO = re.compile(r"^[ \t]*(?:#|%:)[ \t]*define[ \t]+(\w+)(\([^)\n]*\))?([^\n]*)", re.MULTILINE)
_IF, _ENDIF = "\x01", "\x02"
_HARMLESS = re.compile(r"[\w:<>,. \t]*\Z")
_QUALIFIER = re.compile(r"\b(?:__restrict__|__restrict|restrict|__grid_constant__|volatile)\b")
_ATTRIBUTE = re.compile(r"\[\[.*?\]\]|\b(?:alignas|__align__|__attribute__|__declspec)\s*\((?:[^()]|\([^()]*\))*\)")
_NAME_AND_OPEN = re.compile(r"[^(){};]*?([A-Za-z_]\w*)\s*(<[^(){};]*>)?\s*\(")
_AFTER_PARAMETERS = re.compile(r"\s*(?:[{;,]|->|noexcept\b|requires\b|__attribute__\b|\[\[|\Z)")
_NOT_A_FUNCTION = {"sizeof", "decltype", "alignof", "noexcept", "requires", "alignas", "explicit"}
_TYPE_WORDS = {"int", "float", "double", "char", "long", "short", "bool", "unsigned", "signed", "half", "void", "auto"}
_UNNAMED = {"const", "struct", "class", "union", "enum", "typename"}


class Declared(Value):
    """One parameter as its declaration has it.

    Attributes:
        type: the C++ type as written, with one blank between words.
        name: the C++ name, or "".
        pointer: True for a pointer or reference that shows as one.
        const: True when what it points to is const for certain.
    """

    __slots__ = ("const", "name", "pointer", "type")
    type: str
    name: str
    pointer: bool
    const: bool

    def __init__(self, type: str, name: str, *, pointer: bool, const: bool) -> None:  # noqa: A002 - the field's word
        self._set(type=type, name=name, pointer=pointer, const=const)


class Declarations:
    """The kernels that some texts declare.

    Args:
        kernels: name without namespace -> the parameter lists it was declared with.
        plain: the same as text, None for each that a macro or a condition could change.
    """

    def __init__(
        self, kernels: Mapping[str, list[tuple[Declared, ...]]], plain: Mapping[str, list[tuple[str, ...] | None]]
    ) -> None:
        self._kernels = kernels
        self._plain = plain

    def find(self, name: str, count: int) -> tuple[Declared, ...] | None:
        """The parameters of the kernel of that name with `count` of them, when all its declarations agree."""
        fitting = [params for params in self._kernels.get(name, ()) if len(params) == count]
        return fitting[0] if fitting and all(params == fitting[0] for params in fitting) else None

    def plain_texts(self, name: str, count: int) -> list[tuple[str, ...]] | None:
        """The parameter lists of the kernel of that name with `count` of them, if nothing can change their meaning."""
        lists = self._plain.get(name, [None])
        fitting = [texts for texts in lists if texts is None or len(texts) == count]
        return None if None in fitting else [texts for texts in fitting if texts is not None]


def read_declarations(sources: Iterable[str], defines: Iterable[tuple[str, str | None]] = ()) -> Declarations:
    """The kernels declared in a source, its headers and nowhere else.

    Args:
        sources: the texts.
        defines: (name, value) of the macros that the compile gets.
    """
    texts = [_COMMENT_OR_STRING.sub(" ", _SPLICE.sub("", source)) for source in sources]
    macros: list[tuple[str, bool, str]] = [(name, False, value or "1") for name, value in defines]
    for text in texts:
        macros += [(match[1], match[2] is not None, match[3]) for match in _MACRO.finditer(text)]
    marks = {"__global__"} | {name for name, takes, body in macros if "__global__" in body and not takes}
    hidden = any("__global__" in body and takes for _, takes, body in macros)
    harmful = _harmful(macros)
    mark = re.compile(rf"\b(?:{'|'.join(sorted(marks))})\b")
    names = {name for name, _, _ in macros}
    found: dict[str, list[list[str]]] = {}
    plain: dict[str, list[tuple[str, ...] | None]] = {}
    for text in texts:
        code, conditions = _DIRECTIVE.sub(" ", text), _DIRECTIVE.sub(_condition_mark, text)
        for match in mark.finditer(code):
            parsed = _parse(code, match.end())
            if parsed is None:
                hidden = True
                continue
            name, params, end = parsed
            found.setdefault(name, []).append(params)
            depth = conditions.count(_IF, 0, match.start()) - conditions.count(_ENDIF, 0, match.start())
            is_plain = depth == 0 and _IF not in conditions[match.start() : end]
            is_plain = is_plain and names.isdisjoint(re.findall(r"\w+", code[match.start() : end]))
            plain.setdefault(name, []).append(tuple(params) if is_plain else None)
    return Declarations(
        {
            name: [tuple(_declared(text, None if hidden else harmful) for text in params) for params in lists]
            for name, lists in found.items()
        },
        {} if hidden else plain,
    )


def _condition_mark(directive: re.Match[str]) -> str:
    """One character for a directive, as in the text without directives, that tells `#if` and `#endif`."""
    keyword = directive[0].lstrip(" \t#%:")
    return _IF if keyword.startswith("if") else _ENDIF if keyword.startswith("endif") else " "


def _harmful(macros: list[tuple[str, bool, str]]) -> set[str]:
    """The macros that could add a `*` or a `const` to a type: all but plain names of types and numbers."""
    harmful = {
        name
        for name, takes, body in macros
        if takes or name == "const" or not _HARMLESS.match(body) or re.search(r"\bconst\b", body)
    }
    grown = True
    while grown:
        more = {name for name, _, body in macros if harmful.intersection(re.findall(r"\w+", body))}
        grown = not more <= harmful
        harmful |= more
    return harmful


def _parse(text: str, position: int) -> tuple[str, list[str], int] | None:
    """(name, parameters, end) of the function declared at `position`, or None when it is too clever to read."""
    while match := _NAME_AND_OPEN.match(text, position):
        end = _closing(text, match.end() - 1)
        if end is None:
            return None
        # What is followed by more of a declaration was an attribute, or a macro like __launch_bounds__(256).
        if match[1] not in _NOT_A_FUNCTION and _AFTER_PARAMETERS.match(text, end):
            return match[1], _split_parameters(text[match.end() : end - 1]), end
        position = end
    return None


def _closing(text: str, start: int) -> int | None:
    """The position just after the parenthesis that closes the one at `start`."""
    depth = 0
    for match in re.compile(r"[()]").finditer(text, start):
        depth += 1 if match[0] == "(" else -1
        if depth == 0:
            return match.end()
    return None


def _split_parameters(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        if character in "<([{":
            depth += 1
        elif character in ">)]}":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    parts.append(text[start:])
    stripped = [part.strip() for part in parts]
    return [] if stripped in (["void"], [""]) else stripped


def _declared(text: str, harmful: set[str] | None) -> Declared:
    """One parameter; `harmful` are the macros not to trust, None when nothing is to be trusted."""
    written, name = _split_declarator(text)
    outer = _without_template_arguments(written)
    if outer is None or "(" in outer:  # a pointer to a function or an array, or an expression
        return Declared(written, name, pointer=False, const=False)
    stars = [position for position, character in enumerate(outer) if character in "*&"]
    pointee = outer[: stars[-1]].replace("&", " ") if stars else ""
    innermost = pointee[pointee.rfind("*") + 1 :]
    const = "const" in innermost.split()
    if harmful is None or harmful.intersection(re.findall(r"\w+", text)):
        const = False
    return Declared(written, name, pointer=bool(stars), const=const)


def _split_declarator(text: str) -> tuple[str, str]:
    """("const float *", "x") of "const float* __restrict__ x"."""
    text = _QUALIFIER.sub(" ", _ATTRIBUTE.sub(" ", text).split("=", maxsplit=1)[0]).strip()
    text = re.sub(r"\[[^\]]*\]", "*", text)
    match = re.fullmatch(r"(.*?[\s*&>])([A-Za-z_]\w*)\s*(\**)", text, re.DOTALL)
    written, name = (match[1] + match[3], match[2]) if match else (text, "")
    if name in _TYPE_WORDS or written.strip() in _UNNAMED:
        written, name = text, ""
    written = re.sub(r"\s+", " ", written.replace("*", " * ").replace("&", " & ")).strip()
    return re.sub(r"([*&]) (?=[*&])", r"\1", written), name


def _without_template_arguments(text: str) -> str | None:
    """The text with every <...> blanked out, or None when they do not pair up."""
    while (shorter := re.sub(r"<[^<>]*>", " ", text)) != text:
        text = shorter
    return None if "<" in text or ">" in text else text
