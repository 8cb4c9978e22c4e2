"""The user's part of a translation unit in words: macros expanded, left out what `#if` skips, as far as it is known.

The toolkit's headers are not walked, for time: cuda_fp16.h alone has a megabyte. What they define is looked up by name
(`toolkit_names.py`), and a condition on it is not decided. Both branches of such a condition are kept, and their words
are marked as not sure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.compiler.types.conditions import UNKNOWN, evaluate
from jitload.compiler.types.definitions import Definitions
from jitload.compiler.types.outline import outline
from jitload.headers.cpp import BLANK, COMMENT, HASH, HEADER, NEWLINE, WORD, spelling, tokens
from jitload.headers.macros import Macro, TooMany, parse_macro

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    #: Kind, spelling.
    Piece = tuple[str, bytes]

#: Stands for words that cannot be told.
UNCLEAR = "\0"
_MOST_WORDS = 2_000_000
_MOST_VISITS = 1000
_MOST_DEPTH = 50


class Unit:
    """The words of a source and of its user's headers.

    Args:
        headers: name -> text of every header that the compiler may open, with `#include` naming them.
        is_users: whether a header of that name is the user's.
        is_defined_elsewhere: whether some header that is not walked has a `#define` of that name.
        macros: those of the user's macros that may declare something; None to read every text whole.
        variables: whether variables of the device are of interest too.

    Attributes:
        words: what is left to parse; `UNCLEAR` where it cannot be told.
        sure: for each word, whether it is compiled for certain.
        macros: those in force.
    """

    def __init__(
        self,
        headers: Mapping[str, bytes],
        is_users: Callable[[str], bool],
        is_defined_elsewhere: Callable[[bytes], bool],
        macros: Collection[bytes] | None = None,
        *,
        variables: bool = False,
    ) -> None:
        self._has_variables = variables
        self.words: list[str] = []
        self.sure: list[bool] = []
        self._headers = headers
        self._is_users = is_users
        self._names_of_macros = macros
        self.macros = Definitions(is_defined_elsewhere)
        self._visits: dict[str, int] = {}
        self._once: set[str] = set()
        self._depth = 0

    def read(self, name: str, text: bytes, *, sure: bool = True) -> None:
        """Read a file and what it includes.

        Raises:
            TooMany: there is more than anyone writes.
        """
        if name in self._once:
            return
        visits = self._visits[name] = self._visits.get(name, 0) + 1
        if visits > _MOST_VISITS or self._depth > _MOST_DEPTH:
            raise TooMany
        self._depth += 1
        if self._names_of_macros is not None:
            text = outline(text, self._names_of_macros, variables=self._has_variables)
        _File(self, name, text, sure).read()
        self._depth -= 1

    # What a file asks for.

    def include(self, name: str, *, sure: bool) -> None:
        """Read a header, if it is one of the user's."""
        text = self._headers.get(name)
        if text is not None and self._is_users(name):
            self.read(name, text, sure=sure)

    def once(self, name: str) -> None:
        """Do not read that file again."""
        self._once.add(name)

    def has(self, name: str) -> bool:
        """Whether there is a header of that name."""
        return name in self._headers

    def give_up(self) -> None:
        """Say that nothing can be told, for a text that is too large."""
        self.words, self.sure = [UNCLEAR], [False]

    def emit(self, words: Iterable[str], *, sure: bool) -> None:
        """Append words."""
        before = len(self.words)
        self.words += words
        self.sure += [sure] * (len(self.words) - before)
        if len(self.words) > _MOST_WORDS:
            raise TooMany


class _File:
    """One reading of one file."""

    def __init__(self, unit: Unit, name: str, text: bytes, sure: bool) -> None:
        self._unit = unit
        self._name = name
        self._pieces = list(_pieces_of(text))
        self._at = 0
        # Of each open #if: whether what is around it is compiled, whether this branch is, whether one before it was.
        self._states: list[tuple[bool | None, bool | None, bool | None]] = []
        self._state: bool | None = True if sure else None

    def read(self) -> None:
        """Hand all of it to the unit."""
        unit, pieces = self._unit, self._pieces
        while self._at < len(pieces):
            kind, word = pieces[self._at]
            self._at += 1
            if kind == HASH:
                self._directive()
            elif kind == NEWLINE or self._state is False:
                continue
            elif kind == WORD and unit.macros.may_expand(word):
                self._expand(word)
            else:
                unit.emit([word.decode("utf-8", "replace")], sure=self._state is True)

    def _expand(self, word: bytes) -> None:
        call = [word, *(self._call() if self._unit.macros.takes_arguments(word) else [])]
        words = self._unit.macros.expand(call)
        texts = [UNCLEAR] if words is None else [one.decode("utf-8", "replace") for one in words]
        self._unit.emit(texts, sure=self._state is True)

    def _call(self) -> list[bytes]:
        """The arguments of a macro with their parentheses, if they come next."""
        pieces, at, depth = self._pieces, self._at, 0
        call: list[bytes] = []
        while at < len(pieces):
            kind, word = pieces[at]
            at += 1
            if kind == NEWLINE:
                continue
            if kind == HASH or (not call and word != b"("):
                return []
            call.append(word)
            depth += (word == b"(") - (word == b")")
            if depth == 0:
                self._at = at
                return call
        return []

    def _directive(self) -> None:
        line: list[Piece] = []
        while self._at < len(self._pieces) and self._pieces[self._at][0] != NEWLINE:
            line.append(self._pieces[self._at])
            self._at += 1
        words = [word for kind, word in line if kind not in {BLANK, COMMENT}]
        keyword = words[0] if words else b""
        if keyword in {b"if", b"ifdef", b"ifndef"}:
            holds = False if self._state is False else self._holds(keyword, words[1:])
            self._states.append((self._state, self._state, holds))
            self._state = _both(self._state, holds)
        elif keyword in {b"elif", b"elifdef", b"elifndef", b"else"} and self._states:
            around, _, taken = self._states.pop()
            open_ = _both(around, None if taken is None else not taken)
            holds = keyword == b"else" or (open_ is not False and self._holds(keyword[2:], words[1:]))
            self._states.append((around, around, True if taken or holds else None if None in {taken, holds} else False))
            self._state = _both(open_, holds)
        elif keyword == b"endif" and self._states:
            self._state = self._states.pop()[0]
        elif self._state is not False:
            self._obey(keyword, line, words)

    def _obey(self, keyword: bytes, line: list[Piece], words: list[bytes]) -> None:
        """A directive other than a condition."""
        unit, sure = self._unit, self._state is True
        if keyword == b"define" and [kind for kind, _ in line].count(WORD) > 1 and _is_word(words[1]):
            unit.macros.define_by(words[1], _macro(line), sure=sure)
        elif keyword == b"undef" and len(words) > 1:
            unit.macros.define_by(words[1], None, sure=sure)
        elif keyword == b"include" and len(words) > 1:
            quoted = words[1] if words[1][:1] in {b'"', b"<"} else b"".join(unit.macros.expand(words[1:]) or [])
            unit.include(quoted[1:-1].decode("utf-8", "surrogateescape"), sure=sure)
        elif words[:2] == [b"pragma", b"once"]:
            unit.once(self._name)

    def _holds(self, keyword: bytes, words: list[bytes]) -> bool | None:
        """Whether a condition holds."""
        unit = self._unit
        if keyword in {b"ifdef", b"ifndef"}:
            defined = unit.macros.is_defined(words[0]) if words else None
            if defined is None and keyword == b"ifndef" and self._is_guard(words[:1]):
                defined = False
            return defined if keyword == b"ifdef" or defined is None else not defined
        expanded = unit.macros.expand(self._answered(words))
        return None if expanded is None else evaluate(expanded, unit.macros.value_of)

    def _is_guard(self, words: list[bytes]) -> bool:
        """Whether the next line defines what is asked for, as the guard of a header does."""
        following = self._pieces[self._at : self._at + 12]
        code = [word for kind, word in following if kind not in {BLANK, COMMENT, NEWLINE}]
        return code[:3] == [b"#", b"define", *words] and not self._unit.macros.may_expand(words[0])

    def _answered(self, words: list[bytes]) -> Iterator[bytes]:
        """The condition with the answers in the place of `defined NAME` and `__has_include(...)`."""
        at = 0
        while at < len(words):
            word = words[at]
            at += 1
            if word == b"defined":
                opened = words[at : at + 1] == [b"("]
                name = words[at + opened : at + opened + 1]
                at += 3 if opened else 1
                answer = self._unit.macros.is_defined(name[0]) if name else None
                yield UNKNOWN if answer is None else b"1" if answer else b"0"
            elif word in {b"__has_include", b"__has_include_next"} and len(words) > at + 2:
                name_text = words[at + 1][1:-1].decode("utf-8", "surrogateescape")
                at += 3
                yield b"1" if self._unit.has(name_text) else b"0"
            else:
                yield word


def _pieces_of(text: bytes) -> Iterator[Piece]:
    """The tokens of a text; outside of directives without blanks and comments."""
    in_directive = False
    for kind, start, end in tokens(text):
        if kind == NEWLINE:
            in_directive = False
        elif kind == HASH:
            in_directive = True
        elif kind in {BLANK, COMMENT} and not in_directive:
            continue
        yield (
            kind,
            text[start:end] if kind == HEADER else b" " if kind in {BLANK, COMMENT} else spelling(text, start, end),
        )


def _is_word(word: bytes) -> bool:
    return word[:1].isalpha() or word[:1] == b"_"


def _macro(line: list[Piece]) -> Macro:
    """The macro of a `#define` line, from its keyword on."""
    words = [word for _, word in line]
    at = [i for i, (kind, _) in enumerate(line) if kind == WORD][1] + 1
    end = at
    if words[at : at + 1] == [b"("]:
        end = words.index(b")", at) + 1 if b")" in words[at:] else len(words)
    return parse_macro(b"".join(words[at:end]), b"".join(words[end:]))


def _both(first: bool | None, second: bool | None) -> bool | None:
    """Whether both hold; None when that is not known."""
    if first is False or second is False:
        return False
    return None if first is None or second is None else True
