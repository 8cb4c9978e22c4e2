"""Types as they are written, for messages and where it is not known what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.compiler.types.words import BUILTIN, PASSED_OVER, WITH_ARGUMENT, before_value, declared_name, depths

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_PART_OF_TYPES = PASSED_OVER - {"struct", "class", "union", "enum", "typename", "template"} | {"volatile"}
#: A single word behind these is a type and no name.
_BEFORE_TYPES = {"const", "struct", "class", "union", "enum", "typename", "volatile"}


def written_type(words: Sequence[str]) -> tuple[str, str]:
    """("x", "const float *") of `const float *__restrict__ x = nullptr`: the name, and the type as it is written."""
    words = [word for word in _without_attributes(before_value(words)) if word not in _NO_PART_OF_TYPES]
    name = declared_name(words)
    at = len(words) - 1 - words[::-1].index(name) if name else len(words)
    named = at and name not in BUILTIN and not set(words[:at]) <= _BEFORE_TYPES and words[at - 1] != "::"
    if not named:
        name, at = "", len(words)
    is_array = "[" in words[at:] and "(" not in words
    kept = [word for position, word in enumerate(words[:at] if is_array else words) if position != at]
    return name, joined([*kept, "*"] if is_array else kept)


def joined(words: Sequence[str]) -> str:
    """The words of a type with one blank between them, and none where there is none in this project's spelling."""
    text = ""
    for at, word in enumerate(words):
        following = words[at + 1] if at + 1 < len(words) else ""
        together = (
            not text
            or word in {"::", ",", ")", ">", "]", "["}
            or text.endswith(("::", "<", "(", "["))
            or (word in {"*", "&", "&&"} and text[-1] in "*&")
            or (word == "<" and text[-1].isalnum())
            or (word == "(" and following not in {"*", "&"} and (text[-1].isalnum() or text[-1] == "_"))
        )
        text += word if together else f" {word}"
    return text


def _without_attributes(words: Sequence[str]) -> list[str]:
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
