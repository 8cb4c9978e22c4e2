"""Names of variables as people wrote them: the compiler's are longer."""

from __future__ import annotations

import re

_LENGTH = re.compile(r"\d+(?=[A-Za-z_])")


def plain_name(symbol: str) -> str:
    """The last identifier of a C++ symbol: "tile" for `_ZZ6mirrorPKfPfE4tile`; other names stay as they are."""
    if not symbol.startswith(("_ZZ", "_ZN", "_ZL")):
        return symbol
    found, place = symbol, 0
    while (match := _LENGTH.search(symbol, place)) is not None:
        place = match.end()
        identifier = symbol[place : place + int(match[0])]
        if len(identifier) == int(match[0]):  # else it is a template argument
            found, place = identifier, place + len(identifier)
    return found
