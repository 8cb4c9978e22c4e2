"""Which codec a parameter gets, from what is known of its type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.launch.cpp_type import is_pointer, value_of
from jitload.launch.lanes import Lanes
from jitload.launch.pointers import Pointer
from jitload.launch.scalars import Integer, Scalar, scalar_codec
from jitload.launch.structures import Structure

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.values import Parameter

Codec = Scalar | Lanes | Structure

_PTX_FLOATS = {"f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64"}
_ADDRESS_TYPES = frozenset({"u64", "s64", "b64"})


def field_codec(parameter: Parameter, device: str, foreign: Callable[[int], bool] | None) -> Pointer | Codec:
    """How what is given for a parameter is converted.

    Args:
        parameter: the parameter.
        device: "cuda" or "cpu".
        foreign: whether an address is surely none of the device's memory, where that can be told.
    """
    if parameter.size == 8 and _could_be_pointer(parameter):
        return Pointer(parameter, device, foreign)
    return value_codec(parameter)


def _could_be_pointer(parameter: Parameter) -> bool:
    if parameter.pointer is None and parameter.type in _ADDRESS_TYPES:
        return not parameter.cpp or is_pointer(parameter.cpp) or value_of(parameter) is None
    return bool(parameter.pointer)


def value_codec(parameter: Parameter) -> Codec:
    """How values of a parameter that is no pointer are converted."""
    known = value_of(parameter)
    if known is not None and known.nbytes == parameter.size:
        lane = scalar_codec("float4_e2m1fn" if known.scalar == "fp4x2" else known.scalar, known.scalar_bytes)
        if lane is not None and (known.lanes > 1 or known.scalar == "fp4x2" or _is_vector(parameter)):
            return Lanes(known, lane, real=known.complex or "omplex" in parameter.declared)
        if lane is not None and not isinstance(lane, Integer):
            return lane
    plain = scalar_codec(_PTX_FLOATS.get(parameter.type, ""), parameter.size)
    if plain is not None:
        return plain
    is_integer = parameter.type != "b8" or parameter.size == 1 or (known is not None and known.lanes == 1)
    if is_integer and not parameter.type.endswith("x2") and parameter.size in {1, 2, 4, 8, 16}:
        return Integer.of(parameter)
    return Structure(parameter.size)


def _is_vector(parameter: Parameter) -> bool:
    """Whether a type of one lane is a structure all the same: float1, which a tuple of one may be given for."""
    return (parameter.cpp or parameter.declared).strip().endswith("1")
