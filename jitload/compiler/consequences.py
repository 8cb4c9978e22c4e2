"""What a compiler says only because of something that it said before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jitload.source.python_code import reads_as_python

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jitload.diagnostic import Diagnostic

_UNREAD = "unrecognized token"
_UNDEFINED = re.compile(r'identifier "(\w+)" is undefined')
_NAME = rf'{_UNDEFINED.pattern}|namespace "\w+" has no member|name followed by "::" must|qualified name is not allowed'
_CAUSE = re.compile(rf"{_NAME}|{_UNREAD}")
#: A name that is unknown makes a declaration none: its attributes, its `void` and its parameters are complained of.
_NO_DECLARATION = re.compile(r'attribute "\w+" does not apply here|A namespace scope variable without')
_FOLLOWS = re.compile(rf'{_NO_DECLARATION.pattern}|incomplete type "void"|expected an? |type name is not allowed')
#: What is said at the type of a declaration that was not read as one, so that nothing knows the names that it declares.
_NOT_DECLARED = re.compile(rf'{_NAME}|expected a ";"')
#: What stands before the type of a declaration: the end of another statement, and words that are no types.
_BEFORE_TYPE = re.compile(r"(?:^|[;{}]|\bfor\s*\()\s*(?:(?:const|static|constexpr|volatile|__\w+__)\s+)*(?:\w*::)*$")
_USING = re.compile(r"\busing\s+(?:\w*::)+$")
_TYPE = re.compile(r"(?:(?:const|static|unsigned|signed|long|short|auto)\s+)*[\w:]+")
_DECLARATOR = re.compile(r"[\s*&]*(?:const\s+)?([A-Za-z_]\w*)")


def without_consequences(said: Iterable[Diagnostic]) -> list[Diagnostic]:
    """What is left where an unknown name or character is told, and not what follows from it.

    That is what is said about the same line, that names which the line would have declared are unknown, and whatever
    comes after a line of Python.
    """
    all_of_them = list(_up_to_python(said))
    lines: dict[tuple[str, int], list[Diagnostic]] = {}
    for one in all_of_them:
        if one.line:
            lines.setdefault((one.file, one.line), []).append(one)
    following = {id(one) for about in lines.values() for one in _following(about)}
    return list(_without_declared(one for one in all_of_them if id(one) not in following))


def excerpt(one: Diagnostic) -> tuple[str, int]:
    """The line of the source as a compiler shows it, and where in it the caret stands; ("", -1) where it shows none."""
    _, *shown = one.text.split("\n")
    return (shown[0], shown[1].index("^")) if len(shown) > 1 and shown[1].strip() == "^" else ("", -1)


def _up_to_python(said: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    for one in said:
        yield one
        if one.severity == "error" and reads_as_python(excerpt(one)[0]):
            return


def _following(about: list[Diagnostic]) -> list[Diagnostic]:
    """Of what is said about one line, what follows from the first name or character in it that is unknown."""
    cause = next((one for one in about if _CAUSE.match(one.message)), None)
    if cause is None:
        return []
    if cause.message == _UNREAD or any(_NO_DECLARATION.match(one.message) for one in about):
        return [one for one in about if one is not cause]
    return [one for one in about if _FOLLOWS.match(one.message)]


def _without_declared(said: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Without the complaints about names whose declarations were not read."""
    declared: set[tuple[str, str]] = set()
    for one in said:
        unknown = _UNDEFINED.match(one.message)
        if unknown is None or (one.file, unknown[1]) not in declared:
            yield one
        if _NOT_DECLARED.match(one.message):
            declared.update((one.file, name) for name in _declared(*excerpt(one)))


def _declared(line: str, at: int) -> Iterator[str]:
    """The names that a line would declare whose type stands at a caret; none where that is no declaration."""
    kind = _TYPE.match(line, max(at, 0))
    if kind is not None and _USING.search(line[:at]):
        yield kind[0]
    if kind is None or not _BEFORE_TYPE.search(line[:at]):
        return
    end = _behind(line, kind.end(), "<", ">") if line.startswith("<", kind.end()) else kind.end()
    while (found := _DECLARATOR.match(line, end)) is not None and found.start(1) > kind.end():
        yield found[1]
        end = found.end()
        while end < len(line) and line[end] not in ",;":
            end = _behind(line, end, "([{", ")]}") if line[end] in "([{" else end + 1
        if not line.startswith(",", end):
            return
        end += 1


def _behind(line: str, start: int, opening: str, closing: str) -> int:
    """Where what begins with a bracket ends; the end of the line where it does not."""
    depth = 0
    for at in range(start, len(line)):
        depth += (line[at] in opening) - (line[at] in closing)
        if depth == 0:
            return at + 1
    return len(line)
