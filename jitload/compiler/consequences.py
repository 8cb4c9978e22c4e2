"""What a compiler says only because of something that it said about the same line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.diagnostic import Diagnostic

_UNREAD = "unrecognized token"
_CAUSE = re.compile(rf'identifier "\w+" is undefined|namespace "\w+" has no member|{_UNREAD}')
#: A name that is unknown makes a declaration none: its attributes, its `void` and its parameters are complained of.
_NO_DECLARATION = re.compile(r'attribute "\w+" does not apply here|A namespace scope variable without')
_FOLLOWS = re.compile(rf'{_NO_DECLARATION.pattern}|incomplete type "void"|expected an? |type name is not allowed')


def without_consequences(said: Iterable[Diagnostic]) -> list[Diagnostic]:
    """What is left where a line with an unknown name or character is told that, and not what follows from it."""
    all_of_them = list(said)
    lines: dict[tuple[str, int], list[Diagnostic]] = {}
    for one in all_of_them:
        if one.line:
            lines.setdefault((one.file, one.line), []).append(one)
    following = {id(one) for about in lines.values() for one in _following(about)}
    return [one for one in all_of_them if id(one) not in following]


def _following(about: list[Diagnostic]) -> list[Diagnostic]:
    """Of what is said about one line, what follows from the first name or character in it that is unknown."""
    cause = next((one for one in about if _CAUSE.match(one.message)), None)
    if cause is None:
        return []
    if cause.message == _UNREAD or any(_NO_DECLARATION.match(one.message) for one in about):
        return [one for one in about if one is not cause]
    return [one for one in about if _FOLLOWS.match(one.message)]
