"""Template arguments as C++ text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.errors import ArgumentError

if TYPE_CHECKING:
    from typing import Any

#: NumPy's names of the types that C++ spells otherwise; for template arguments given as dtypes.
_CPP_TYPES = {
    "bool": "bool",
    "int8": "signed char",
    "uint8": "unsigned char",
    "int16": "short",
    "uint16": "unsigned short",
    "int32": "int",
    "uint32": "unsigned int",
    "int64": "long long",
    "uint64": "unsigned long long",
    "float16": "__half",
    "float32": "float",
    "float64": "double",
    "bfloat16": "__nv_bfloat16",
    "float8_e4m3fn": "__nv_fp8_e4m3",
    "float8_e5m2": "__nv_fp8_e5m2",
}


def template_text(value: Any) -> str:
    """A template argument as C++ text: C++ text itself, an integer, a bool, or a type by NumPy's or Python's name.

    Raises:
        ArgumentError: it has no C++ spelling that is plain: a float, Python's `int` of no width.
    """
    if isinstance(value, str):
        return value
    if not isinstance(value, type):
        scalar = value.item() if hasattr(value, "dtype") and hasattr(value, "item") and not value.shape else value
        if isinstance(scalar, bool):
            return "true" if scalar else "false"
        if hasattr(scalar, "__index__"):
            return str(scalar.__index__())
    if value is float:
        return "double"
    name = getattr(value, "name", None) or getattr(value, "__name__", None)  # a dtype, or a scalar type
    if name is None and type(value).__module__ == "torch":
        name = str(value).removeprefix("torch.")
    found = element_text(name) if isinstance(name, str) else None
    if found is not None:
        return found
    raise ArgumentError(f"{value!r} cannot be a template argument: give C++ text, an integer, a bool or a NumPy dtype")


def missing_argument(kernel: str, name: str, why: str = "") -> ArgumentError:
    """The error for a template argument that was left open, and why it could not be deduced."""
    text = f"{kernel} needs template argument {name!r}: give it to specialize({name}=...)"
    text += " or among the keywords of the call"
    return ArgumentError(f"{text}; {why}" if why else text, kernel=kernel, parameter=name)


def element_text(name: str) -> str | None:
    """The C++ type of an element by the name that NumPy, ml_dtypes and torch give it, where there is just one."""
    return _CPP_TYPES.get(name)
