"""Lists and names in the words of a declaration."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WORD = re.compile(r"[^\W\d]\w*")
_PAIRS = {"(": ")", "[": "]", "{": "}", "<": ">"}
#: Words that are no type and no name, with an argument in brackets.
WITH_ARGUMENT = {"alignas", "__align__", "__attribute__", "__declspec", "__builtin_align__"}
BUILTIN = {
    "void", "bool", "char", "short", "int", "long", "float", "double", "signed", "unsigned", "wchar_t", "char8_t",
    "char16_t", "char32_t", "__int128", "_Float16",
}  # fmt: skip
#: Words in a declaration that say nothing about its type.
PASSED_OVER = {
    "typename", "struct", "class", "union", "enum", "__restrict__", "__restrict", "restrict", "__grid_constant__",
    "static", "extern", "inline", "constexpr", "register", "mutable", "template",
}  # fmt: skip
#: One of them makes what is declared a variable of the device.
IN_MEMORY = frozenset({"__device__", "__constant__", "__managed__"})
_QUALIFIERS = {"const", "volatile", "__restrict__", "__restrict"}


def depths(words: Sequence[str]) -> list[int]:
    """How many brackets are open behind each word.

    A "<" counts as one if a ">" closes it within the brackets around it, and is an operator otherwise.
    """
    opened: list[tuple[str, int]] = []
    levels = [0] * len(words)
    for at, word in enumerate(words):
        if word in _PAIRS:
            opened.append((word, at))
        elif word == ">" and opened and opened[-1][0] == "<":
            _raise(levels, opened.pop()[1], at)
        elif word in {")", "]", "}"}:
            while opened and opened[-1][0] == "<":
                opened.pop()
            if opened:
                _raise(levels, opened.pop()[1], at)
    return levels


def _raise(levels: list[int], start: int, end: int) -> None:
    for at in range(start, end):
        levels[at] += 1


def split_list(words: Sequence[str]) -> list[tuple[str, ...]]:
    """The parts of a list with commas; those in brackets of any kind do not count."""
    parts: list[tuple[str, ...]] = []
    start = 0
    for at, depth in enumerate(depths(words)):
        if words[at] == "," and depth == 0:
            parts.append(tuple(words[start:at]))
            start = at + 1
    rest = tuple(words[start:])
    return [*parts, rest] if rest or parts else []


def before_value(words: Sequence[str]) -> Sequence[str]:
    """A declaration without the default argument behind "="."""
    levels = depths(words)
    return words[: next((at for at, word in enumerate(words) if word == "=" and levels[at] == 0), len(words))]


def without_attributes(words: Sequence[str]) -> list[str]:
    """A declaration without `[[...]]`, `alignas(...)` and the like."""
    kept: list[str] = []
    levels = depths(words)
    at = 0
    while at < len(words):
        is_bracket = words[at] == "[" and words[at + 1 : at + 2] and words[at + 1] == "["
        if is_bracket or words[at] in WITH_ARGUMENT:
            start, at = at, at + (0 if is_bracket else 1)
            while at < len(words) and levels[at] > levels[start] - (1 if is_bracket else 0):
                at += 1
            at += 1
        else:
            kept.append(words[at])
            at += 1
    return kept


def without_value(words: Sequence[str]) -> Sequence[str]:
    """The declaration of a variable without its initializer, `= ...` or `{...}`."""
    words = before_value(words)
    levels = depths(words)
    return words[: next((at for at, word in enumerate(words) if word == "{" and levels[at] == 1), len(words))]


def declared_name(words: Sequence[str]) -> str:
    """The name that a declaration gives: its last word that stands in no brackets but those of the declarator."""
    levels = depths(words)
    found = ""
    for at, word in enumerate(words):
        if word in WITH_ARGUMENT and found and levels[at] == 0:  # an attribute behind the name
            break
        if word == "(" and levels[at] == 1 and words[at + 1 : at + 2] and words[at + 1] in {"*", "&", "&&"}:
            inner = [one for one in words[at + 1 :] if WORD.fullmatch(one) and one not in _QUALIFIERS]
            return inner[0] if inner else ""
        if levels[at] == 0 and WORD.fullmatch(word) and word not in _QUALIFIERS:
            found = word
    return found


def declarations(words: tuple[str, ...], base: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """`float real, *pointer` as one declaration each: `float real` and `float *pointer`.

    Args:
        words: the declaration, or only what follows the type.
        base: the type, where it does not stand in `words`.
    """
    parts = split_list(words)
    if base or len(parts) < 2:
        return [(*base, *part) for part in parts]
    name = declared_name(parts[0])
    start = parts[0].index(name) if name in parts[0] else 0
    while start and parts[0][start - 1] in {"*", "&", "&&", "("}:
        start -= 1
    return [parts[0], *((*parts[0][:start], *part) for part in parts[1:])]
