"""Finds what a text declares where: types, namespaces and kernels.

This is no C++ parser. Functions are passed over, and variables but those of the device. Of a type it is noted what it
is called and in which words it is declared, and what those mean is worked out for the few that someone asks for
(`meanings.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jitload.compiler.types.brackets import CLOSING, Brackets
from jitload.compiler.types.lowered.cursor import ANONYMOUS
from jitload.compiler.types.scopes import DeclaredKernel, DeclaredVariable, Entry, Scope, TemplateParameter
from jitload.compiler.types.unit import UNCLEAR
from jitload.compiler.types.variables import declared_variables
from jitload.compiler.types.words import WORD, declarations, declared_name, split_list

if TYPE_CHECKING:
    from collections.abc import Sequence

_CLASS_KEYS = {"struct", "class", "union"}
_STARTS = {*_CLASS_KEYS, "namespace", "typedef", "using", "template", "enum", "extern", "__global__"}
#: Words before a "(" that is not that of the parameters.
NOT_A_FUNCTION = {
    "__launch_bounds__", "__attribute__", "__declspec", "alignas", "__align__", "__builtin_align__", "decltype",
    "noexcept", "requires", "explicit", "sizeof", "alignof", "__block_size__", "__cluster_dims__", "__maxnreg__",
    "if", "while", "for", "switch", "static_assert", "_Static_assert", "asm", "throw",
}  # fmt: skip
_KINDS = {"template": "template", "class": "type", "typename": "type", "bool": "bool"}
_INTEGER_WORDS = {"int", "unsigned", "signed", "long", "short", "size_t", "std", "cuda", "::", "const", "..."}
_AFTER_PARAMETERS = {"{", ";", "->", "noexcept", "requires", "__attribute__", "[", ",", ""}
_HIDDEN_SCOPE = re.compile(
    r"\w*(?:NAMESPACE|NS)_?(?:BEGIN|END|OPEN|CLOSE)\w*|\w*(?:BEGIN|END|OPEN|CLOSE)_?(?:NAMESPACE|NS)\w*"
)


class Declared:
    """The declarations of a unit.

    Args:
        words: its words.
        sure: for each, whether it is compiled for certain.

    Attributes:
        top: the global scope.
        kernels: name -> the declarations of kernels of that name, in any scope.
        variables: name -> the declarations of variables of the device of that name, in any scope.
        hidden: whether something may be declared, or some scope opened, that does not show.
    """

    def __init__(self, words: Sequence[str], sure: Sequence[bool]) -> None:
        self._text = Brackets(words)
        self._sure = sure
        self.top = Scope("", None)
        self.kernels: dict[str, list[DeclaredKernel]] = {}
        self.variables: dict[str, list[DeclaredVariable]] = {}
        self.hidden = not self._text.paired
        if self._text.paired:
            self._scan(self.top, 0, len(words))

    def _scan(self, scope: Scope, at: int, end: int) -> None:
        while at < end:
            at = max(self._statement(scope, at, end, None), at + 1)

    def _statement(self, scope: Scope, at: int, end: int, template: tuple[TemplateParameter, ...] | None) -> int:
        """Read one declaration; give where the next begins."""
        start = at
        at = self._skip_attributes(at, end)
        word = self._text.word(at)
        if word in {"inline", "extern"} and self._text.word(at + 1) == "namespace":
            return self._namespace(scope, at + 1, end, is_inline=True)
        if word == "namespace":
            return self._namespace(scope, at, end, is_inline=False)
        if word == "extern" and self._text.word(at + 1)[:1] == '"' and self._text.word(at + 2) == "{":
            self._scan(scope, at + 3, self._text.closing(at + 2))
            return self._text.closing(at + 2) + 1
        if word == "template" and self._text.word(at + 1) == "<":
            inside, body = self._template_head(at + 1, end)
            return self._statement(scope, body, end, (*(template or ()), *inside))
        if word == "using":
            return self._using(scope, at, end, template)
        if word == "typedef":
            return self._typedef(scope, start, at, end)
        if word == "extern" and self._text.word(at + 1) in _CLASS_KEYS:
            at += 1
        if self._text.word(at) in _CLASS_KEYS or word == "enum":
            after = self._class(scope, at, end, template)
            if after is not None:
                return after
        if word in {"public", "private", "protected"} and self._text.word(at + 1) == ":":
            return at + 2
        return self._other(scope, start, end, template)

    def _skip_attributes(self, at: int, end: int) -> int:
        """Pass attributes, and macros of the toolkit that stand for some."""
        while at < end:
            word, following = self._text.word(at), self._text.word(at + 1)
            if word == "[" and following == "[":
                at = self._text.closing(at) + 1
            elif word in {"__attribute__", "alignas", "__align__", "__declspec"} and following == "(":
                at = self._text.closing(at + 1) + 1
            elif word == UNCLEAR or _HIDDEN_SCOPE.fullmatch(word):
                self.hidden = True
                at += 1
            else:
                return self._skip_words(at, end)
        return at

    def _skip_words(self, at: int, end: int) -> int:
        """Pass `static __device__`, `MACRO(x)` and the like before a declaration of interest."""
        ahead = at
        while ahead < end and self._text.word(ahead) not in _STARTS:
            word = self._text.word(ahead)
            if not WORD.fullmatch(word) or word in {"inline", "friend"}:
                return at
            ahead = self._text.closing(ahead + 1) + 1 if self._text.word(ahead + 1) == "(" else ahead + 1
        return ahead if ahead < end else at

    def _namespace(self, scope: Scope, at: int, end: int, *, is_inline: bool) -> int:
        """`namespace a::b {`, `namespace {` or `namespace a = b;`, with `at` at the first word."""
        first = at
        at = self._skip_attributes(at + 1, end)
        if self._text.word(at + 1) == "=":
            stop = self._text.find(";", at, end)
            words = tuple(self._text.words[at + 2 : stop])
            scope.add(self._text.word(at), Entry("same", first, self._sure[first], words))
            return stop + 1
        while self._text.word(at) not in {"{", ";", ""}:
            word = self._text.word(at)
            if word == "inline":
                is_inline = True
            elif WORD.fullmatch(word) and self._text.word(at + 1) in {"::", "{", "["}:
                scope = scope.namespace(word, first, sure=self._sure[first], is_inline=is_inline)
                is_inline = False
            at += 1
        if self._text.word(at) != "{":
            return at + 1
        if self._text.word(at - 1) in {"namespace", "]"} and at - first < 2:
            scope = scope.namespace(ANONYMOUS, first, sure=True, is_inline=True)
        self._scan(scope, at + 1, self._text.closing(at))
        return self._text.closing(at) + 1

    def _template_head(self, at: int, end: int) -> tuple[tuple[TemplateParameter, ...], int]:
        """The parameters between the brackets that open at `at`, and where they end."""
        after = self._text.closing_angle(at, end)
        parts = split_list(self._text.words[at + 1 : after - 1])
        if self._text.word(after) == "requires":  # up to what is declared
            while after < end and self._text.word(after) not in {*_STARTS, ";", "{"}:
                after = self._text.closing(after) + 1 if self._text.word(after) in CLOSING else after + 1
        return tuple([_template_parameter(part) for part in parts]), after

    def _using(self, scope: Scope, at: int, end: int, template: tuple[TemplateParameter, ...] | None) -> int:
        stop = self._text.find(";", at, end)
        words = tuple(self._text.words[at + 1 : stop])
        if words[:1] == ("namespace",):
            scope.opened.append((at, words[1:]))
        elif "=" in words:
            equals = words.index("=")
            scope.add(words[0], Entry("alias", at, self._sure[at], words[equals + 1 :], parameters=template))
        else:
            for part in filter(None, split_list(words)):
                scope.add(part[-1], Entry("using", at, self._sure[at], tuple(w for w in part if w != "typename")))
        return stop + 1

    def _typedef(self, scope: Scope, first: int, at: int, end: int) -> int:
        stop = self._text.find(";", at, end)
        if first < at and (
            self._text.word(at + 2) in {";", ",", "["} or self._text.word(at + 1) in {"*", "&"}
        ):  # `float typedef real;`
            self._add_aliases(scope, first, stop, [one for one in self._text.words[first:stop] if one != "typedef"])
            return stop + 1
        start = self._skip_attributes(at + 1, end)
        base: tuple[str, ...] = ()
        if self._text.word(start) in {*_CLASS_KEYS, "enum"}:
            body = next((i for i in range(start, stop) if self._text.word(i) == "{"), None)
            if body is not None:
                close = self._text.closing(body)
                declarators = split_list(self._text.words[close + 1 : stop])
                plain = next((d[-1] for d in declarators if len(d) == 1), "")
                name = self._class_name(start, body)[0] or plain
                self._add_class(scope, name, start, body, None)
                base, start = (name,), close + 1
        self._add_aliases(scope, at, stop, self._text.words[start:stop], base)
        return stop + 1

    def _add_aliases(
        self, scope: Scope, at: int, stop: int, declared: Sequence[str], base: tuple[str, ...] = ()
    ) -> None:
        """The names of a typedef that begins at `at` and is known from `stop` on."""
        for words in declarations(tuple(declared), base):
            name = declared_name(words)
            if name and not (base and words == (name, name)):
                scope.add(name, Entry("alias", stop, self._sure[at], words))

    def _class(self, scope: Scope, at: int, end: int, template: tuple[TemplateParameter, ...] | None) -> int | None:
        """A class or enum, declared or defined; None where the words go on as a variable or function."""
        stop = at + 1
        while stop < end and self._text.word(stop) not in {"{", ";", "=", ")"}:
            stop = self._text.closing(stop) + 1 if self._text.word(stop) in {"(", "["} else stop + 1
        name, arguments = self._class_name(at, stop)
        if self._text.word(stop) == ";" and not self._only_a_name(at, stop):
            return None
        if self._text.word(stop) not in {"{", ";"} or not name:
            return None
        if self._text.word(stop) == ";":
            kind = "enum" if self._text.word(at) == "enum" else "class"
            scope.add(name, Entry(kind, at, self._sure[at], parameters=template, arguments=arguments))
            return stop + 1
        self._add_class(scope, name, at, stop, template, arguments)
        return self._text.find(";", self._text.closing(stop) + 1, end) + 1

    def _only_a_name(self, at: int, stop: int) -> bool:
        """Whether this is `struct NAME;`, perhaps with attributes, and no variable of that type."""
        words = [
            w for w in self._text.words[self._skip_attributes(at + 1, stop) : stop] if w not in {"class", "struct"}
        ]
        return len(words) == 1 or "<" in words or (len(words) > 2 and words[1] == ":")

    def _class_name(self, at: int, stop: int) -> tuple[str, tuple[str, ...] | None]:
        """The name in the head of a class, and the arguments of a specialization."""
        at += 1
        while self._text.word(at) in {"class", "struct"}:
            at += 1
        name = ""
        while at < stop:
            word = self._text.word(at)
            if word in {":", "final"}:
                break
            if word == "<" and name:
                after = self._text.closing_angle(at, stop)
                if self._text.word(after) == "::":
                    return "", None
                return name, tuple(self._text.words[at + 1 : after - 1])
            if word == "::":
                return "", None  # defined outside of its scope
            if word in {"(", "["}:
                at = self._text.closing(at) + 1
                name = ""
                continue
            if WORD.fullmatch(word):
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
        if self._text.word(at) == "enum":
            scope.add(name, Entry("enum", at, self._sure[at]))
            return
        inner = Scope(name, scope, is_class=True, is_template=template is not None)
        colon = next((i for i in range(at, body) if self._text.word(i) == ":"), None)
        if colon is not None:
            access = {"public", "private", "protected", "virtual"}
            bases = split_list(self._text.words[colon + 1 : body])
            inner.bases = [tuple(w for w in base if w not in access) for base in bases]
        entry = Entry("class", at, self._sure[at], scope=inner, parameters=template, arguments=arguments)
        scope.add(name, entry)
        self._scan(inner, body + 1, self._text.closing(body))

    def _other(self, scope: Scope, at: int, end: int, template: tuple[TemplateParameter, ...] | None) -> int:
        """A function, variable or something else: passed over, and a kernel noted."""
        start, is_kernel, has_value = at, False, False
        while at < end:
            word = self._text.word(at)
            if word == ";":
                for name, words in declared_variables(self._text.words[start:at]):
                    self.variables.setdefault(name, []).append(DeclaredVariable(scope, start, words, template))
                return at + 1
            if word == UNCLEAR:
                self.hidden = True
            is_kernel = is_kernel or (word == "__global__" and self._text.word(start) != "template")
            has_value = has_value or word == "="
            if word == "(" and is_kernel and self._is_parameters(at):
                self._add_kernel(scope, start, at, template)
                is_kernel = False
            if word in CLOSING:
                at = self._text.closing(at)
                if word == "{" and not has_value and self._text.word(at + 1) not in {",", "{", ";"}:
                    return at + 1
            at += 1
        return end

    def _is_parameters(self, at: int) -> bool:
        before = self._text.word(at - 1)
        if not (WORD.fullmatch(before) or before == ">") or before in NOT_A_FUNCTION:
            return False
        return self._text.word(self._text.closing(at) + 1) in _AFTER_PARAMETERS

    def _add_kernel(self, scope: Scope, start: int, at: int, template: tuple[TemplateParameter, ...] | None) -> None:
        name_at = at - 1
        if self._text.word(name_at) == ">":  # a specialization: back to the name before its arguments
            depth = 0
            while name_at > start:
                depth += {">": 1, "<": -1}.get(self._text.word(name_at), 0)
                name_at -= 1
                if depth == 0:
                    break
        words = split_list(self._text.words[at + 1 : self._text.closing(at)])
        parameters = () if words in ([], [("void",)]) else tuple(words)
        kernel = DeclaredKernel(scope, start, self._sure[name_at], parameters, template)
        self.kernels.setdefault(self._text.word(name_at), []).append(kernel)


def _template_parameter(words: tuple[str, ...]) -> TemplateParameter:
    default: tuple[str, ...] = ()
    if "=" in words:
        equals = words.index("=")
        words, default = words[:equals], words[equals + 1 :]
    name = words[-1] if len(words) > 1 and WORD.fullmatch(words[-1]) else ""
    kind = {"template": "template", "class": "type", "typename": "type", "bool": "bool"}.get(
        "".join(words[:1]), "value"
    )
    if kind == "value" and {*words[:-1]} <= _INTEGER_WORDS and words[:-1]:
        kind = "unsigned" if {"unsigned", "size_t"} & {*words[:-1]} else "integer"
    elif kind == "value" and [word for word in words[:-1] if word != "const"] == ["char"]:
        kind = "char"
    return TemplateParameter(kind, name, default, "..." in words)
