"""The C++ types of a kernel's parameters as instantiated, joined to the layout that its image shows.

A lowered name says them, with everything resolved; only a kernel that is `extern "C"` has none, and its types come from
its declaration. What is not certain stays "", and a launch then takes what it takes without knowing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jitload.compiler.types.cpptype import points_to_const, size_of, spell
from jitload.compiler.types.lowered.cursor import Unreadable
from jitload.compiler.types.lowered.instantiate import Instantiation, NotKnown
from jitload.compiler.types.lowered.reader import read_lowered, read_variable
from jitload.values import KernelInfo, Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.compiler.types.cpptype import Node
    from jitload.compiler.types.lowered.instantiate import Resolve

#: What NVRTC puts around names that other programs must not see, and what nobody writes.
_HIDDEN = re.compile(r"(?:_INTERNAL_\w+|\(anonymous namespace\))::")


def symbol_types(symbol: str, resolve: Resolve | None = None) -> list[Node | None] | None:
    """The types of the parameters of a kernel by its lowered name: None for each that is not known, or for all.

    Args:
        symbol: the lowered name.
        resolve: says what `Traits<float>::type` stands for, which a lowered name does not.
    """
    try:
        _, parameters = read_lowered(symbol)
        return Instantiation(resolve).parameters(parameters)
    except (Unreadable, NotKnown, RecursionError):
        return None


def variable_name(symbol: str) -> str:
    """The name in C++ of a variable, without unnamed namespaces; the symbol itself where it tells none."""
    if not symbol.startswith("_Z"):
        return symbol
    try:
        return _HIDDEN.sub("", Instantiation().name(read_variable(symbol)))
    except (Unreadable, NotKnown, RecursionError):
        return symbol


def typed_by_symbol(kernel: KernelInfo, resolve: Resolve | None = None) -> KernelInfo:
    """The kernel with the types that its symbol tells, where none of them is known yet."""
    if any(kernel.parameters) or not kernel.symbol.startswith("_Z"):
        return kernel
    types = symbol_types(kernel.symbol, resolve)
    return kernel if types is None else with_types(kernel, types)


def with_types(kernel: KernelInfo, types: Sequence[Node | None]) -> KernelInfo:
    """The kernel with these types, if they fit its parameters: as many, of the sizes that the image has."""
    if len(types) != len(kernel.params):
        return kernel
    for param, node in zip(kernel.params, types, strict=True):
        if node is not None and _bytes_of(node) not in {None, param.size}:
            return kernel
    params = [_with_type(param, node) for param, node in zip(kernel.params, types, strict=True)]
    return kernel.replace(params=params)


def _bytes_of(node: Node) -> int | None:
    return 8 if node.kind in {"&", "&&"} else size_of(node)


def _with_type(param: Parameter, node: Node | None) -> Parameter:
    if node is None:
        return param
    # An integer that the code uses as an address takes arrays still, as `uintptr_t` is meant to.
    pointer = node.kind in {"*", "&", "&&"} or (param.pointer is True and param.size == 8)
    return Parameter(
        param.offset,
        param.size,
        param.alignment,
        param.type,
        name=param.name,
        declared=param.declared,
        cpp=spell(node),
        pointer=pointer,
        const=points_to_const(node),
    )
