"""Which headers an `#include MACRO` can name: its expansion by every definition that is in sight.

NVRTC stops at a header that it was not given, and each stop repeats the front end; what is foreseen here costs nothing.
Conditions are not evaluated and no definition is ever undefined, so a macro has several values and an include several
names: a superset, and the same one whenever the texts are the same. What is not foreseen (a macro that the compiler
defines, say) NVRTC still asks for.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

from jitload.headers import cpp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    # Spelling, and the macros that may not be expanded in it again (C++17 [cpp.rescan]).
    Token = tuple[bytes, frozenset[bytes]]
    Definitions = dict[bytes, list["Macro"]]

#: More alternatives than a person would write; an expression that has more is left to NVRTC.
MAX_STEPS = 4096
#: A longer definition is not about the name of a file.
MAX_REPLACEMENT_BYTES = 1000
_MAX_DEPTH = 16

# Wherever it stands, in a comment too, and of the usual form alone: one definition too many or too few names no file.
_DEFINE = re.compile(rb"#[ \t]*define[ \t]+([A-Za-z_]\w*)(\([^()\n]*\))?((?:" + cpp.SPLICE + rb"|[^\n])*)")
_BETWEEN = frozenset({cpp.BLANK, cpp.COMMENT, cpp.NEWLINE})
_WORD = re.compile(rb"[A-Za-z_]\w*\Z")
_NAME = re.compile(rb'\s*(?:"([^"\\\n]+)"|<([^>\n]+)>)\s*\Z')


class Macro:
    """One definition.

    Attributes:
        parameters: their names, the variable one as `__VA_ARGS__`; None for an object-like macro.
        replacement: what it stands for, in tokens.
    """

    __slots__ = ("parameters", "replacement")

    def __init__(self, parameters: list[bytes] | None, replacement: list[bytes]) -> None:
        self.parameters = parameters
        self.replacement = replacement


def tokens_of(text: bytes) -> list[bytes]:
    """The preprocessing tokens of a line; blanks and comments between two are one blank."""
    line = text.strip()
    words: list[bytes] = []
    for kind, start, end in cpp.tokens(line):
        if kind not in _BETWEEN:
            words.append(line[start:end] if kind == cpp.RAW else cpp.spelling(line, start, end))
        elif words[-1:] != [b" "]:
            words.append(b" ")
    return words


@lru_cache(maxsize=4096)  # the toolkit's headers are the same objects for every kernel of a process
def definitions_of(text: bytes) -> tuple[tuple[bytes, bytes, bytes], ...]:
    """(name, parameters with parentheses or nothing, replacement) of every `#define` of a text."""
    return tuple(_DEFINE.findall(text))


class Macros:
    """All the definitions of some texts."""

    def __init__(self) -> None:
        self._raw: dict[bytes, dict[tuple[bytes, bytes], None]] = {}
        self._parsed: Definitions = {}
        self._may_come_later: set[bytes] = set()

    def add(self, text: bytes, *, is_users: bool) -> None:
        """Take in what a text defines. A macro of the user's may come after an include that has its name in it."""
        for name, parameters, replacement in definitions_of(text):
            if len(replacement) <= MAX_REPLACEMENT_BYTES:
                self._raw.setdefault(name, {})[parameters, replacement] = None
                self._parsed.pop(name, None)
                if is_users:
                    self._may_come_later.add(name)

    def header_names(self, expression: bytes) -> list[tuple[str, bool]]:
        """(name, quoted) of every header that `#include expression` may mean, as far as it can be told."""
        found: dict[tuple[str, bool], None] = {}
        try:
            for tokens in Expansion(self).expand([(token, frozenset()) for token in tokens_of(expression)]):
                match = _NAME.match(b"".join([token for token, _ in tokens]))
                if match is not None:
                    name = (match[1] or match[2].strip()).decode("utf-8", "surrogateescape")
                    found[name, match[1] is not None] = None
        except TooMany:
            return []
        return list(found)

    def alternatives(self, name: bytes) -> list[Macro | None]:
        """The definitions of a name; None stands for its being none here."""
        if name not in self._parsed:
            rows = self._raw.get(name, ())
            self._parsed[name] = [parse_macro(parameters, replacement) for parameters, replacement in rows]
        known = self._parsed[name]
        return [*known, None] if not known or name in self._may_come_later else list(known)


class TooMany(Exception):  # noqa: N818 - no error of a user
    """The expansion has more alternatives, or is deeper, than is worth following."""


class Expansion:
    """One expression, expanded by Prosser's algorithm with a choice at every macro that has several definitions."""

    def __init__(self, macros: Macros) -> None:
        self._macros = macros
        self._steps = 0
        self._depth = 0

    def expand(self, tokens: Sequence[Token]) -> list[list[Token]]:
        """Every expansion of these tokens."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise TooMany
        results: list[list[Token]] = []
        pending: list[tuple[list[Token], list[Token]]] = [([], list(tokens))]
        while pending:
            done, todo = pending.pop()
            choices = None
            for position in range(len(todo)):
                self._step(1)
                choices = self._choices(todo, position)
                if choices is not None:
                    break
            if choices is None:
                results.append(done + todo)
            else:
                pending += [(done + todo[:position] + kept, rest) for kept, rest in reversed(choices)]
        self._depth -= 1
        return results

    def _choices(self, todo: list[Token], position: int) -> list[tuple[list[Token], list[Token]]] | None:
        """What the token here may become, (finished, still to expand); None where it is no macro."""
        name, hidden = todo[position]
        if name in hidden or not _WORD.match(name):
            return None
        alternatives = self._macros.alternatives(name)
        if alternatives == [None]:
            return None
        choices: list[tuple[list[Token], list[Token]]] = []
        for macro in alternatives:
            call = None if macro is None or macro.parameters is None else _arguments(todo, position + 1)
            if macro is None or (macro.parameters is not None and call is None):
                choices.append(([todo[position]], todo[position + 1 :]))
                continue
            values, end = call or ([], position + 1)
            for tokens in self._substitute(macro, values, hidden | {name}):
                choices.append(([], tokens + todo[end:]))  # noqa: PERF401 - two loops in one line read worse
        return choices

    def _substitute(self, macro: Macro, values: list[list[Token]], hidden: frozenset[bytes]) -> list[list[Token]]:
        """The replacement with the arguments in it, once for each combination of what the arguments may be."""
        given = _bind(macro.parameters or [], values)
        if given is None:
            return []
        names = [name for name in given if name in macro.replacement]
        results = []
        for chosen in product(*(self.expand(given[name]) for name in names)):
            self._step(1 + len(macro.replacement))
            tokens = _replace(macro.replacement, given, dict(zip(names, chosen, strict=True)))
            results.append([(token, hides | hidden) for token, hides in tokens])
        return results

    def _step(self, size: int) -> None:
        self._steps += size
        if self._steps > MAX_STEPS:
            raise TooMany


def parse_macro(parameters: bytes, replacement: bytes) -> Macro:
    """A macro by its parameters, with their parentheses (b"" for an object-like one), and its replacement."""
    names = None
    if parameters:
        names = [name.strip() for name in parameters[1:-1].split(b",")]
        names = [b"__VA_ARGS__" if name == b"..." else name for name in names if name]
    return Macro(names, tokens_of(replacement))


def _arguments(todo: list[Token], start: int) -> tuple[list[list[Token]], int] | None:
    """The arguments of a call whose "(" comes next, and where it ends; None when it is no call."""
    while start < len(todo) and todo[start][0] == b" ":
        start += 1
    if start == len(todo) or todo[start][0] != b"(":
        return None
    values: list[list[Token]] = [[]]
    depth = 0
    for position in range(start, len(todo)):
        token = todo[position][0]
        depth += (token == b"(") - (token == b")")
        if depth == 0:
            return values, position + 1
        if token == b"," and depth == 1:
            values.append([])
        elif position > start:
            values[-1].append(todo[position])
    return None


def _bind(parameters: list[bytes], values: list[list[Token]]) -> dict[bytes, list[Token]] | None:
    """Parameter -> argument, blanks around it taken off; None where their numbers differ."""
    if parameters[-1:] == [b"__VA_ARGS__"]:
        fixed = len(parameters) - 1
        rest = [token for value in values[fixed:] for token in ((b",", frozenset[bytes]()), *value)][1:]
        values = [*values[:fixed], rest]
    if not parameters and len(values) <= 1:
        return {}
    if len(values) != len(parameters):
        return None
    return {name: _trimmed(value) for name, value in zip(parameters, values, strict=True)}


def _trimmed(tokens: list[Token]) -> list[Token]:
    start, end = 0, len(tokens)
    while start < end and tokens[start][0] == b" ":
        start += 1
    while end > start and tokens[end - 1][0] == b" ":
        end -= 1
    return tokens[start:end]


def _replace(
    replacement: list[bytes], given: dict[bytes, list[Token]], expanded: dict[bytes, list[Token]]
) -> Iterable[Token]:
    """A replacement with its parameters put in: expanded, or as written beside # and ## (C++17 [cpp.stringize])."""
    result: list[Token] = []
    position, pasting = 0, False
    while position < len(replacement):
        token = replacement[position]
        position += 1
        following = next((other for other in replacement[position:] if other != b" "), b"")
        if token == b"##":
            result, pasting = _trimmed(result), True
            continue
        if token == b" " and pasting:
            continue
        if token == b"#" and following in given:
            position = replacement.index(following, position) + 1
            new = [(_string(given[following]), frozenset[bytes]())]
        elif token in given:
            new = given[token] if pasting or following == b"##" else expanded[token]
        else:
            new = [(token, frozenset())]
        if pasting and result and new:
            new = [(result.pop()[0] + new[0][0], frozenset()), *new[1:]]
        result += new
        pasting = False
    return result


def _string(tokens: list[Token]) -> bytes:
    text = b"".join(
        [token.replace(b"\\", b"\\\\").replace(b'"', b'\\"') if token[:1] == b'"' else token for token, _ in tokens]
    )
    return b'"' + text + b'"'
