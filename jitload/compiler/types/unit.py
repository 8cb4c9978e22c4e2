"""The user's part of a translation unit in words: macros expanded, left out what `#if` skips, as far as it is known.

The toolkit's headers are not walked, for time: cuda_fp16.h alone has a megabyte. What they define is looked up by name
(`toolkit_names.py`), and a condition on it is not decided. Both branches of such a condition are kept, and their words
are marked as not sure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jitload.compiler.macros import Expansion, Macro, Macros, TooMany, parse_macro
from jitload.compiler.types.conditions import UNKNOWN, evaluate
from jitload.compiler.types.outline import outline
from jitload.headers.cpp import BLANK, COMMENT, HASH, HEADER, NEWLINE, WORD, spelling, tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    #: Kind, spelling.
    Piece = tuple[str, bytes]

#: Stands for words that cannot be told.
UNCLEAR = "\0"
_MOST_WORDS = 2_000_000
_MOST_VISITS = 64
_MOST_DEPTH = 100
#: Compilers that are not NVRTC, and systems whose compilers say so (measured with NVRTC 12.9: not defined).
_OTHERS = frozenset(
    b"_WIN32 _WIN64 WIN32 _MSC_VER __APPLE__ __HIPCC__ __HIP__ __HIP_PLATFORM_AMD__ __HIP_PLATFORM_HCC__ __HIPCC_RTC__ "
    b"__HIP_DEVICE_COMPILE__ __SYCL_DEVICE_ONLY__ SYCL_LANGUAGE_VERSION __OPENCL_VERSION__ __OPENCL_C_VERSION__ "
    b"__METAL_VERSION__ __EMSCRIPTEN__ __clang__ __INTEL_COMPILER __NVCC__".split()
)
_STANDARDS = {"c++03": b"199711", "c++11": b"201103", "c++14": b"201402", "c++17": b"201703", "c++20": b"202002"}
_GUARD = re.compile(rb"\w+_(?:H|HH|HPP|HXX|CUH|CU|INCLUDED|GUARD)_*")


class _Definitions(Macros):
    """The macros in force where the text has been read to; some may have several definitions, or perhaps none."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[bytes, list[Macro | None]] = {}

    def alternatives(self, name: bytes) -> list[Macro | None]:
        """The definitions that the name may have; None stands for none."""
        return self.known.get(name, [None])


class Unit:
    """The words of a source and of its user's headers.

    Args:
        headers: name -> text of every header that the compiler may open, with `#include` naming them.
        is_users: whether a header of that name is the user's.
        is_defined_elsewhere: whether some header that is not walked has a `#define` of that name.
        macros: those of the user's macros that may declare something; None to read every text whole.

    Attributes:
        words: what is left to parse; `UNCLEAR` where it cannot be told.
        sure: for each word, whether it is compiled for certain.
    """

    def __init__(
        self,
        headers: Mapping[str, bytes],
        is_users: Callable[[str], bool],
        is_defined_elsewhere: Callable[[bytes], bool],
        macros: Collection[bytes] | None = None,
    ) -> None:
        self.words: list[str] = []
        self.sure: list[bool] = []
        self._headers = headers
        self._is_users = is_users
        self._is_defined_elsewhere = is_defined_elsewhere
        self._names_of_macros = macros
        self._macros = _Definitions()
        self._visits: dict[str, int] = {}
        self._once: set[str] = set()
        self._depth = 0

    def define(self, name: str, value: str | None, *, sure: bool = True) -> None:
        """Define a macro as an option of the compiler does; None is 1, as there."""
        self._define(name.encode(), parse_macro(b"", b"1" if value is None else value.encode()), sure=sure)

    def undefine(self, name: str) -> None:
        """Take a definition back."""
        self._define(name.encode(), None, sure=True)

    def predefine(self, archs: Iterable[str], standard: str = "c++17") -> None:
        """Define what NVRTC defines and kernels ask for."""
        numbers = {re.sub(r"\D", "", arch) for arch in archs}
        for number in numbers:
            self.define("__CUDA_ARCH__", f"{number}0", sure=len(numbers) == 1)
        if len(numbers) > 1:
            self._macros.known[b"__CUDA_ARCH__"].remove(None)
        self.define("__cplusplus", _STANDARDS.get(standard, b"201703").decode() + "L")
        for name in ("__CUDACC__", "__CUDACC_RTC__"):
            self.define(name, None)

    def read(self, name: str, text: bytes, *, sure: bool = True) -> None:
        """Read a file and what it includes."""
        visits = self._visits[name] = self._visits.get(name, 0) + 1
        if name in self._once or visits > _MOST_VISITS or self._depth > _MOST_DEPTH:
            return
        self._depth += 1
        short = text if self._names_of_macros is None else outline(text, self._names_of_macros)
        _File(self, name, short, sure).read()
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

    def _define(self, name: bytes, macro: Macro | None, *, sure: bool) -> None:
        before = [] if sure else self._macros.alternatives(name)
        self._macros.known[name] = [*(one for one in before if not _same(one, macro)), macro]

    def define_by(self, name: bytes, macro: Macro | None, *, sure: bool) -> None:
        """Take in a `#define`, or with None an `#undef`, that is compiled for certain or perhaps."""
        self._define(name, macro, sure=sure)

    def is_defined(self, name: bytes) -> bool | None:
        """Whether a name is a macro; None when that is not known."""
        known = self._macros.known.get(name)
        if known is not None:
            return None if None in known and len(known) > 1 else known != [None]
        if name in _OTHERS:
            return False
        if name.startswith(b"_") and not _GUARD.fullmatch(name):
            return None  # the compiler's, perhaps
        return None if self._is_defined_elsewhere(name) else False

    def may_expand(self, name: bytes) -> bool:
        """Whether a word is a macro of the user's."""
        return name in self._macros.known and self._macros.known[name] != [None]

    def takes_arguments(self, name: bytes) -> bool:
        """Whether a macro is function-like."""
        return any(macro is not None and macro.parameters is not None for macro in self._macros.alternatives(name))

    def expand(self, words: Iterable[bytes]) -> list[bytes] | None:
        """The words with macros replaced, or None when that can be done in more than one way."""
        try:
            found = Expansion(self._macros).expand([(word, frozenset()) for word in words])
        except TooMany:
            return None
        results = {tuple([word for word, _ in result if word != b" "]) for result in found}
        return list(results.pop()) if len(results) == 1 else None

    def value_of(self, name: bytes) -> int | None:
        """The value in a condition of a word that is left after expansion."""
        return 0 if self.is_defined(name) is False else None

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
            elif kind == WORD and unit.may_expand(word):
                self._expand(word)
            else:
                unit.emit([word.decode("utf-8", "replace")], sure=self._state is True)

    def _expand(self, word: bytes) -> None:
        call = [word, *(self._call() if self._unit.takes_arguments(word) else [])]
        words = self._unit.expand(call)
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
        if keyword == b"define" and len(words) > 1:
            unit.define_by(words[1], _macro(line), sure=sure)
        elif keyword == b"undef" and len(words) > 1:
            unit.define_by(words[1], None, sure=sure)
        elif keyword == b"include" and len(words) > 1:
            quoted = words[1] if words[1][:1] in {b'"', b"<"} else b"".join(unit.expand(words[1:]) or [])
            unit.include(quoted[1:-1].decode("utf-8", "surrogateescape"), sure=sure)
        elif words[:2] == [b"pragma", b"once"]:
            unit.once(self._name)

    def _holds(self, keyword: bytes, words: list[bytes]) -> bool | None:
        """Whether a condition holds."""
        unit = self._unit
        if keyword in {b"ifdef", b"ifndef"}:
            defined = unit.is_defined(words[0]) if words else None
            if defined is None and keyword == b"ifndef" and self._is_guard(words[:1]):
                defined = False
            return defined if keyword == b"ifdef" or defined is None else not defined
        expanded = unit.expand(self._answered(words))
        return None if expanded is None else evaluate(expanded, unit.value_of)

    def _is_guard(self, words: list[bytes]) -> bool:
        """Whether the next line defines what is asked for, as the guard of a header does."""
        following = self._pieces[self._at : self._at + 12]
        code = [word for kind, word in following if kind not in {BLANK, COMMENT, NEWLINE}]
        return code[:3] == [b"#", b"define", *words] and not self._unit.may_expand(words[0])

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
                answer = self._unit.is_defined(name[0]) if name else None
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


def _macro(line: list[Piece]) -> Macro:
    """The macro of a `#define` line, from its keyword on."""
    words = [word for _, word in line]
    at = next(i for i, (kind, word) in enumerate(line) if kind == WORD and word != b"define") + 1
    end = at
    if words[at : at + 1] == [b"("]:
        end = words.index(b")", at) + 1 if b")" in words[at:] else len(words)
    return parse_macro(b"".join(words[at:end]), b"".join(words[end:]))


def _same(one: Macro | None, other: Macro | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.parameters == other.parameters and one.replacement == other.replacement


def _both(first: bool | None, second: bool | None) -> bool | None:
    """Whether both hold; None when that is not known."""
    if first is False or second is False:
        return False
    return None if first is None or second is None else True
