"""The variables of an image, `__device__` and `__constant__`, and the names that C++ has for them."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from jitload.errors import LoadError, SymbolNotFoundError
from jitload.images.check import cubins_in
from jitload.images.cubin import variable_symbols
from jitload.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.compiler import signature as signatures
    from jitload.images.ptx import entries
else:
    signatures = lazy("jitload.compiler.signature")
    entries = lazy("jitload.images.ptx.entries")

_NEEDLESS_SPACE = re.compile(r"\s*([^\w\s])\s*")
_NESTED = re.compile(r"[A-Za-z_]\w*(?:::[A-Za-z_]\w*)+")


def image_variables(kind: str, data: bytes) -> tuple[str, ...]:
    """The symbols of the variables in an image, as far as it shows them: LTO-IR and what is compressed do not."""
    if kind == "ptx":
        return entries.variable_names(data)
    found: dict[str, None] = {}
    with contextlib.suppress(LoadError):
        for cubin in cubins_in(data) if kind == "fatbin" else [data] if kind == "cubin" else []:
            found.update(dict.fromkeys(variable_symbols(cubin)))
    return tuple(found)


def lowered_variable(name: str, symbols: Iterable[str]) -> str | None:
    """The symbol of a variable.

    Args:
        name: in C++ ("n::coeff", "::coeff", "&n::table<float>"), or the symbol itself. Unnamed namespaces are left out.
        symbols: those that are known to be in the image.

    Returns:
        The symbol; where none is known by that name the one that it should have, or None.

    Raises:
        SymbolNotFoundError: several variables have that name.
    """
    symbols = list(symbols)
    if name in symbols:
        return name
    wanted = _plain(name)
    found = [symbol for symbol in symbols if _plain(_spelled(symbol)) == wanted]
    if len(found) > 1:
        raise SymbolNotFoundError(
            f"several variables are called {name!r} here: give one of the lowered names {', '.join(found)}",
            name=name,
            available=tuple(found),
        )
    if found:
        return found[0]
    if not _NESTED.fullmatch(wanted):
        return wanted if wanted.isidentifier() else None
    return f"_ZN{''.join(f'{len(part)}{part}' for part in wanted.split('::'))}E"


def _plain(name: str) -> str:
    return _NEEDLESS_SPACE.sub(r"\1", name.strip().removeprefix("&")).removeprefix("::")


def _spelled(symbol: str) -> str:
    """The name in C++ of a symbol; without the room that reads names, where there is nothing to read."""
    return signatures.variable_name(symbol) if symbol.startswith("_Z") else symbol
