"""Template arguments as C++ text."""

from __future__ import annotations

from jitload.errors import ArgumentError

TYPE_CHECKING = False
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
    if name in _CPP_TYPES:
        return _CPP_TYPES[name]
    raise ArgumentError(f"{value!r} cannot be a template argument: give C++ text, an integer, a bool or a NumPy dtype")
