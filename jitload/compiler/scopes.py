"""What a text declares where: types, namespaces and kernels, found by walking its scopes.

This is no C++ parser. Functions and variables are passed over; of a type it is noted what it is called and in which
words it is declared, and what those mean is worked out for the few that someone asks for (`written.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from jitload.compiler.lowered.cursor import ANONYMOUS
from jitload.compiler.unit import UNCLEAR

if TYPE_CHECKING:
    from collections.abc import Sequence

_CLASS_KEYS = {"struct", "class", "union"}
_STARTS = {*_CLASS_KEYS, "namespace", "typedef", "using", "template", "enum", "extern", "__global__"}
_CLOSING = {"(": ")", "[": "]", "{": "}"}
#: Words before a "(" that is not that of the parameters.
NOT_A_FUNCTION = {
    "__launch_bounds__", "__attribute__", "__declspec", "alignas", "__align__", "__builtin_align__", "decltype",
    "noexcept", "requires", "explicit", "sizeof", "alignof", "__block_size__", "__cluster_dims__", "__maxnreg__",
    "if", "while", "for", "switch", "static_assert", "_Static_assert", "asm", "throw",
}  # fmt: skip
_INTEGER_WORDS = {"int", "unsigned", "signed", "long", "short", "size_t", "std", "cuda", "::", "const", "..."}
_AFTER_PARAMETERS = {"{", ";", "->", "noexcept", "requires", "__attribute__", "[", ",", ""}
_WORD = re.compile(r"[^\W\d]\w*")
_HIDDEN_SCOPE = re.compile(
    r"\w*(?:NAMESPACE|NS)_?(?:BEGIN|END|OPEN|CLOSE)\w*|\w*(?:BEGIN|END|OPEN|CLOSE)_?(?:NAMESPACE|NS)\w*"
)


class TemplateParameter(NamedTuple):
    """One parameter of a template.

    Attributes:
        kind: "type", "template", "integer", "bool", or "value" of another type.
        name: its name, or "".
        default: the words of its default argument.
        pack: whether it takes any number of arguments.
    """

    kind: str
    name: str
    default: tuple[str, ...]
    pack: bool


class Entry(NamedTuple):
    """One declaration of a name.

    Attributes:
        kind: "alias", "class", "enum", "using", "namespace" or "same" (another name for a namespace).
        at: where it stands, as the number of its word.
        sure: whether it is compiled for certain.
        words: of an alias or typedef its declaration, of a using-declaration or namespace alias what it names.
        scope: what a class or namespace holds.
        parameters: those of a template, else None.
        arguments: the words of a specialization's arguments, else None.
    """

    kind: str
    at: int
    sure: bool
    words: tuple[str, ...] = ()
    scope: Scope | None = None
    parameters: tuple[TemplateParameter, ...] | None = None
    arguments: tuple[str, ...] | None = None


class Scope:
    """A namespace or class.

    Attributes:
        name: its own name, "" for the global one.
        parent: the scope around it.
        names: name -> its declarations.
        opened: what `using namespace` opens: (where, words of its name).
        bases: the words of each base class.
    """

    def __init__(self, name: str, parent: Scope | None, *, is_class: bool = False, is_inline: bool = False) -> None:
        self.name = name
        self.parent = parent
        self.is_class = is_class
        self.is_inline = is_inline
        self.names: dict[str, list[Entry]] = {}
        self.opened: list[tuple[int, tuple[str, ...]]] = []
        self.bases: list[tuple[str, ...]] = []

    def path(self) -> str:
        """Its name from the global scope on."""
        parent = self.parent.path() if self.parent is not None else ""
        return f"{parent}::{self.name}" if parent else self.name

    def add(self, name: str, entry: Entry) -> None:
        """Note a declaration."""
        self.names.setdefault(name, []).append(entry)

    def namespace(self, name: str, at: int, *, sure: bool, is_inline: bool) -> Scope:
        """The namespace of that name in it, new or opened again."""
        for entry in self.names.get(name, ()):
            if entry.kind == "namespace" and entry.scope is not None:
                return entry.scope
        scope = Scope(name, self, is_inline=is_inline)
        self.add(name, Entry("namespace", at, sure, scope=scope))
        return scope


class DeclaredKernel(NamedTuple):
    """A declaration of a kernel.

    Attributes:
        scope: where it stands.
        at: the number of its first word.
        sure: whether it is compiled for certain.
        parameters: the words of each parameter.
        template: its template parameters, None where it is no template.
    """

    scope: Scope
    at: int
    sure: bool
    parameters: tuple[tuple[str, ...], ...]
    template: tuple[TemplateParameter, ...] | None


class Declared:
    """The declarations of a unit.

    Args:
        words: its words.
        sure: for each, whether it is compiled for certain.

    Attributes:
        top: the global scope.
        kernels: name -> the declarations of kernels of that name, in any scope.
        hidden: whether something may be declared, or some scope opened, that does not show.
    """

    def __init__(self, words: Sequence[str], sure: Sequence[bool]) -> None:
        self._words = words
        self._sure = sure
        self.top = Scope("", None)
        self.kernels: dict[str, list[DeclaredKernel]] = {}
        self._close = _matching(words)
        self.hidden = self._close is None
        if self._close is not None:
            self._scan(self.top, 0, len(words))

    def _scan(self, scope: Scope, at: int, end: int) -> None:
        while at < end:
            at = max(self._statement(scope, at, end, None), at + 1)

    def _statement(self, scope: Scope, at: int, end: int, template: tuple[TemplateParameter, ...] | None) -> int:
        """Read one declaration; give where the next begins."""
        start = at
        at = self._skip_attributes(at, end)
        word = self._word(at)
        if word in {"inline", "extern"} and self._word(at + 1) == "namespace":
            return self._namespace(scope, at + 1, end, is_inline=True)
        if word == "namespace":
            return self._namespace(scope, at, end, is_inline=False)
        if word == "extern" and self._word(at + 1)[:1] == '"' and self._word(at + 2) == "{":
            self._scan(scope, at + 3, self._closing(at + 2))
            return self._closing(at + 2) + 1
        if word == "template" and self._word(at + 1) == "<":
            inside, body = self._template_head(at + 1, end)
            return self._statement(scope, body, end, (*(template or ()), *inside))
        if word == "using":
            return self._using(scope, at, end, template)
        if word == "typedef":
            return self._typedef(scope, at, end)
        if word in _CLASS_KEYS or word == "enum":
            after = self._class(scope, at, end, template)
            if after is not None:
                return after
        if word in {"public", "private", "protected"} and self._word(at + 1) == ":":
            return at + 2
        return self._other(scope, start, end, template)

    def _skip_attributes(self, at: int, end: int) -> int:
        """Pass attributes, and macros of the toolkit that stand for some."""
        while at < end:
            word, following = self._word(at), self._word(at + 1)
            if word == "[" and following == "[":
                at = self._closing(at) + 1
            elif word in {"__attribute__", "alignas", "__align__", "__declspec"} and following == "(":
                at = self._closing(at + 1) + 1
            elif word == UNCLEAR or _HIDDEN_SCOPE.fullmatch(word):
                self.hidden = True
                at += 1
            elif (
                _WORD.fullmatch(word)
                and word not in _STARTS
                and word not in {"inline", "friend"}
                and following in _STARTS
            ):
                at += 1
            else:
                break
        return at

    def _namespace(self, scope: Scope, at: int, end: int, *, is_inline: bool) -> int:
        """`namespace a::b {`, `namespace {` or `namespace a = b;`, with `at` at the first word."""
        first = at
        at = self._skip_attributes(at + 1, end)
        if self._word(at + 1) == "=":
            stop = self._find(";", at, end)
            words = tuple(self._words[at + 2 : stop])
            scope.add(self._word(at), Entry("same", first, self._sure[first], words))
            return stop + 1
        while self._word(at) not in {"{", ";", ""}:
            word = self._word(at)
            if word == "inline":
                is_inline = True
            elif _WORD.fullmatch(word) and self._word(at + 1) in {"::", "{", "["}:
                scope = scope.namespace(word, first, sure=self._sure[first], is_inline=is_inline)
                is_inline = False
            at += 1
        if self._word(at) != "{":
            return at + 1
        if self._word(at - 1) in {"namespace", "]"} and at - first < 2:
            scope = scope.namespace(ANONYMOUS, first, sure=True, is_inline=True)
        self._scan(scope, at + 1, self._closing(at))
        return self._closing(at) + 1

    def _template_head(self, at: int, end: int) -> tuple[tuple[TemplateParameter, ...], int]:
        """The parameters between the brackets that open at `at`, and where they end."""
        after = self._closing_angle(at, end)
        parts = split_list(self._words[at + 1 : after - 1])
        if self._word(after) == "requires":  # up to what is declared
            while after < end and self._word(after) not in {*_STARTS, ";", "{"}:
                after = self._closing(after) + 1 if self._word(after) in _CLOSING else after + 1
        return tuple([_template_parameter(part) for part in parts]), after

    def _using(self, scope: Scope, at: int, end: int, template: tuple[TemplateParameter, ...] | None) -> int:
        stop = self._find(";", at, end)
        words = tuple(self._words[at + 1 : stop])
        if words[:1] == ("namespace",):
            scope.opened.append((at, words[1:]))
        elif "=" in words:
            equals = words.index("=")
            scope.add(words[0], Entry("alias", at, self._sure[at], words[equals + 1 :], parameters=template))
        else:
            for part in split_list(words):
                scope.add(part[-1], Entry("using", at, self._sure[at], tuple(w for w in part if w != "typename")))
        return stop + 1

    def _typedef(self, scope: Scope, at: int, end: int) -> int:
        stop = self._find(";", at, end)
        start = self._skip_attributes(at + 1, end)
        base: tuple[str, ...] = ()
        if self._word(start) in {*_CLASS_KEYS, "enum"}:
            body = next((i for i in range(start, stop) if self._word(i) == "{"), None)
            if body is not None:
                close = self._closing(body)
                declarators = split_list(self._words[close + 1 : stop])
                plain = next((d[-1] for d in declarators if len(d) == 1), "")
                name = self._class_name(start, body)[0] or plain
                self._add_class(scope, name, start, body, None)
                base, start = (name,), close + 1
        for words in declarations(tuple(self._words[start:stop]), base):
            name = declared_name(words)
            if name and not (base and words == (name, name)):
                scope.add(name, Entry("alias", stop, self._sure[at], words))
        return stop + 1

    def _class(self, scope: Scope, at: int, end: int, template: tuple[TemplateParameter, ...] | None) -> int | None:
        """A class or enum, declared or defined; None where the words go on as a variable or function."""
        stop = at + 1
        while stop < end and self._word(stop) not in {"{", ";", "=", ")"}:
            stop = self._closing(stop) + 1 if self._word(stop) in {"(", "["} else stop + 1
        name, arguments = self._class_name(at, stop)
        if self._word(stop) == ";" and not self._only_a_name(at, stop):
            return None
        if self._word(stop) not in {"{", ";"} or not name:
            return None
        if self._word(stop) == ";":
            kind = "enum" if self._word(at) == "enum" else "class"
            scope.add(name, Entry(kind, at, self._sure[at], parameters=template, arguments=arguments))
            return stop + 1
        self._add_class(scope, name, at, stop, template, arguments)
        return self._find(";", self._closing(stop) + 1, end) + 1

    def _only_a_name(self, at: int, stop: int) -> bool:
        """Whether this is `struct NAME;`, perhaps with attributes, and no variable of that type."""
        words = [w for w in self._words[self._skip_attributes(at + 1, stop) : stop] if w not in {"class", "struct"}]
        return len(words) == 1 or "<" in words or (len(words) > 2 and words[1] == ":")

    def _class_name(self, at: int, stop: int) -> tuple[str, tuple[str, ...] | None]:
        """The name in the head of a class, and the arguments of a specialization."""
        at += 1
        while self._word(at) in {"class", "struct"}:
            at += 1
        name = ""
        while at < stop:
            word = self._word(at)
            if word in {":", "final"}:
                break
            if word == "<" and name:
                after = self._closing_angle(at, stop)
                return name, tuple(self._words[at + 1 : after - 1])
            if word == "::":
                return "", None  # defined outside of its scope
            if word in {"(", "["}:
                at = self._closing(at) + 1
                name = ""
                continue
            if _WORD.fullmatch(word):
                name = word
            at += 1
        return name, None

    def _add_class(
        self,
        scope: Scope,
        name: str,
        at: int,
        body: int,
        template: tuple[TemplateParameter, ...] | None,
        arguments: tuple[str, ...] | None = None,
    ) -> None:
        if self._word(at) == "enum":
            scope.add(name, Entry("enum", at, self._sure[at]))
            return
        inner = Scope(name, scope, is_class=True)
        colon = next((i for i in range(at, body) if self._word(i) == ":"), None)
        if colon is not None:
            access = {"public", "private", "protected", "virtual"}
            bases = split_list(self._words[colon + 1 : body])
            inner.bases = [tuple(w for w in base if w not in access) for base in bases]
        entry = Entry("class", at, self._sure[at], scope=inner, parameters=template, arguments=arguments)
        scope.add(name, entry)
        self._scan(inner, body + 1, self._closing(body))

    def _other(self, scope: Scope, at: int, end: int, template: tuple[TemplateParameter, ...] | None) -> int:
        """A function, variable or something else: passed over, and a kernel noted."""
        start, is_kernel, has_value = at, False, False
        while at < end:
            word = self._word(at)
            if word == ";":
                return at + 1
            if word == UNCLEAR:
                self.hidden = True
            is_kernel = is_kernel or word == "__global__"
            has_value = has_value or word == "="
            if word == "(" and is_kernel and self._is_parameters(at):
                self._add_kernel(scope, start, at, template)
                is_kernel = False
            if word in _CLOSING:
                at = self._closing(at)
                if word == "{" and not has_value and self._word(at + 1) not in {",", "{", ";"}:
                    return at + 1
            at += 1
        return end

    def _is_parameters(self, at: int) -> bool:
        before = self._word(at - 1)
        if not (_WORD.fullmatch(before) or before == ">") or before in NOT_A_FUNCTION:
            return False
        return self._word(self._closing(at) + 1) in _AFTER_PARAMETERS

    def _add_kernel(self, scope: Scope, start: int, at: int, template: tuple[TemplateParameter, ...] | None) -> None:
        name_at = at - 1
        if self._word(name_at) == ">":  # a specialization: back to the name before its arguments
            depth = 0
            while name_at > start:
                depth += {">": 1, "<": -1}.get(self._word(name_at), 0)
                name_at -= 1
                if depth == 0:
                    break
        words = split_list(self._words[at + 1 : self._closing(at)])
        parameters = () if words in ([], [("void",)]) else tuple(words)
        kernel = DeclaredKernel(scope, start, self._sure[name_at], parameters, template)
        self.kernels.setdefault(self._word(name_at), []).append(kernel)

    def _word(self, at: int) -> str:
        return self._words[at] if 0 <= at < len(self._words) else ""

    def _closing(self, at: int) -> int:
        assert self._close is not None
        return self._close.get(at, at)

    def _find(self, word: str, at: int, end: int) -> int:
        """The next such word outside of brackets."""
        while at < end and self._word(at) != word:
            at = self._closing(at) + 1
        return at

    def _closing_angle(self, at: int, end: int) -> int:
        """Where the template arguments that open at `at` end: behind their bracket."""
        depth = 0
        while at < end:
            word = self._word(at)
            depth += {"<": 1, ">": -1}.get(word, 0)
            if depth == 0:
                return at + 1
            at = self._closing(at) + 1
        return end


def _matching(words: Sequence[str]) -> dict[int, int] | None:
    """Where each bracket closes; None where they do not pair up."""
    found: dict[int, int] = {}
    pending: list[int] = []
    for at, word in enumerate(words):
        if word in _CLOSING:
            pending.append(at)
        elif word in {")", "]", "}"}:
            if not pending or _CLOSING[words[pending[-1]]] != word:
                return None
            found[pending.pop()] = at
    return None if pending else found


def split_list(words: Sequence[str]) -> list[tuple[str, ...]]:
    """The parts of a list with commas; those in brackets of any kind do not count."""
    parts: list[tuple[str, ...]] = []
    depth, start = 0, 0
    for at, word in enumerate(words):
        depth += {"(": 1, "[": 1, "{": 1, "<": 1, ")": -1, "]": -1, "}": -1, ">": -1}.get(word, 0)
        if word == "," and depth == 0:
            parts.append(tuple(words[start:at]))
            start = at + 1
    rest = tuple(words[start:])
    return [*parts, rest] if rest or parts else []


def _template_parameter(words: tuple[str, ...]) -> TemplateParameter:
    default: tuple[str, ...] = ()
    if "=" in words:
        equals = words.index("=")
        words, default = words[:equals], words[equals + 1 :]
    name = words[-1] if len(words) > 1 and _WORD.fullmatch(words[-1]) else ""
    kind = {"template": "template", "class": "type", "typename": "type", "bool": "bool"}.get(words[0], "value")
    if kind == "value" and {*words[:-1]} <= _INTEGER_WORDS and words[:-1]:
        kind = "integer"
    return TemplateParameter(kind, name, default, "..." in words)


def declarations(words: tuple[str, ...], base: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """`float real, *pointer` as one declaration each: `float real` and `float *pointer`."""
    parts = split_list(words)
    if base:
        return [(*base, *part) for part in parts]
    if len(parts) < 2:
        return parts
    first = declared_name(parts[0])
    start = parts[0].index(first) if first in parts[0] else 0
    while start and parts[0][start - 1] in {"*", "&", "&&", "(", "const"} and parts[0][start - 1] != "const":
        start -= 1
    return [parts[0], *((*parts[0][:start], *part) for part in parts[1:])]


def declared_name(words: Sequence[str]) -> str:
    """The name that a declaration gives: the last word of it that is outside of all later brackets."""
    depth = 0
    found = ""
    for at, word in enumerate(words):
        following = words[at + 1] if at + 1 < len(words) else ""
        if word == "(" and following in {"*", "&", "&&"} and depth == 0:
            inner = [
                w for w in words[at + 1 :] if _WORD.fullmatch(w) and w not in {"const", "volatile", "__restrict__"}
            ]
            return inner[0] if inner else ""
        depth += {"(": 1, "[": 1, "<": 1, ")": -1, "]": -1, ">": -1}.get(word, 0)
        if depth == 0 and _WORD.fullmatch(word) and word not in {"const", "volatile"}:
            found = word
    return found
