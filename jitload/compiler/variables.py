"""The C++ types of a program's variables, `__device__`, `__constant__` and `__managed__`, by their symbols.

An image says of a variable where it lies and how large it is; its type is told by its declaration alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.compiler.signature import variable_name
from jitload.compiler.types.cpptype import spell
from jitload.compiler.types.lowered.instantiate import VENDOR_ROOTS
from jitload.images.ptx.entries import variable_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jitload.compiler.types.source import SourceKernels

#: `$str` is a string literal; what stands in a function is reached by no name.
_NOBODYS = ("$", "__const", "_ZZ", "_ZTV")
_LIBRARIES = frozenset({"std", "__cccl_internal", "cooperative_groups", *VENDOR_ROOTS})


def variables_in(texts: Iterable[str]) -> dict[str, str]:
    """Symbol -> name in C++ of the variables in PTX texts, but for those of NVIDIA's libraries."""
    symbols = dict.fromkeys(symbol for text in texts for symbol in variable_names(text))
    names = {symbol: variable_name(symbol) for symbol in symbols if not symbol.startswith(_NOBODYS)}
    return {symbol: name for symbol, name in names.items() if name.partition("::")[0] not in _LIBRARIES}


def type_variables(names: Mapping[str, str], source: SourceKernels) -> dict[str, str]:
    """Symbol -> canonical C++ type ("float [8]"), of those variables whose type is certain."""
    found = {symbol: source.variable(name) for symbol, name in names.items()}
    return {symbol: spell(node) for symbol, node in found.items() if node is not None}
