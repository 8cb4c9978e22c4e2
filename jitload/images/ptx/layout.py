"""Where the parameters of a kernel lie, and what else a launch must know that its head says; no C++ names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.values import KernelInfo, Parameter

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.images.ptx.values import Function

#: Those that a pointer has, on the 64 bits that all GPUs have.
ADDRESS_TYPES = frozenset({"u64", "b64", "s64"})


def align(offset: int, alignment: int) -> int:
    """The next multiple of an alignment."""
    return -(-offset // alignment) * alignment


def parameter_offsets(head: Function) -> list[int]:
    """Offsets of an entry's parameters in the parameter block, in bytes (PTX ISA section 5.1.6)."""
    offsets, end = [], 0
    for parameter in head.parameters:
        start = align(end, parameter.alignment)
        offsets.append(start)
        end = start + parameter.size
    return offsets


def kernel_of(head: Function, is_address: Callable[[str], bool] | None = None) -> KernelInfo:
    """What a launch must know of a kernel, under its symbol.

    Args:
        head: of an entry.
        is_address: name of a parameter -> whether the body shows that it is an address, where the head does not say.
    """
    parameters = []
    for position, (parameter, offset) in enumerate(zip(head.parameters, parameter_offsets(head), strict=True)):
        kind = parameter.type.name if parameter.count == 1 else "b8"
        pointer: bool | None = False
        if kind in ADDRESS_TYPES:
            shown = position in head.pointers or (is_address is not None and is_address(parameter.name))
            pointer = True if shown else None
        parameters.append(Parameter(offset, parameter.size, parameter.alignment, kind, pointer=pointer))
    return KernelInfo(
        head.name, head.name, parameters, max_threads=head.max_threads, required_block=head.required_block
    )
