"""Variables of the device in a statement: `__device__`, `__constant__` and `__managed__`, and no functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.compiler.types.words import (
    IN_MEMORY,
    declarations,
    declared_name,
    split_list,
    without_attributes,
    without_value,
)
from jitload.compiler.types.written import ANOTHER_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def declared_variables(statement: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(name, declaration) of each variable of the device in a statement, without initializers and attributes.

    The declaration is empty where it does not tell the type by itself, as with specializations of templates.
    """
    if IN_MEMORY.isdisjoint(statement):
        return
    words = without_attributes([word for word in statement if word not in IN_MEMORY and word[:1] != '"'])
    joined: list[str] = []
    for declarator in split_list(words):
        joined += [",", *without_value(declarator)] if joined else without_value(declarator)
    for declaration in declarations(tuple(joined)):
        name = declared_name(declaration)
        at = declaration.index(name) if name else 0
        before, following = declaration[at - 1 : at], declaration[at + 1 : at + 2]
        if not name or following == ("(",) or before == ("::",):  # a function, or declared elsewhere
            continue
        is_plain = following != ("<",) and ANOTHER_TYPE.isdisjoint(statement)
        yield name, declaration if is_plain else ()
