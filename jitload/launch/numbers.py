"""The number in a Python, NumPy, ctypes or framework value, and of which kind it is."""

from __future__ import annotations

import ctypes
import math
import sys
from typing import TYPE_CHECKING

from jitload.launch.advice import shown
from jitload.launch.misfit import Misfit

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.launch.foreign import Given

Number = int | float | complex

_NUMBERS = (int, float, complex)
_TEXTS = (str, bytes, bytearray)
#: Types seen before whose values a builtin type reads rightly: NumPy's scalars, which are what most launches get.
_readers: dict[type, Callable[[object], Number]] = {}


def plain_number(value: object) -> Number | None:
    """A scalar of any library as an int, float or complex; None for everything else.

    An array without axes is a scalar; one with a single element is not. The kind is kept: what is a floating point
    number in its own library is no integer here, however round it is.
    """
    if isinstance(value, _NUMBERS):  # bool is an int
        return value
    reader = _readers.get(type(value))
    if reader is not None:
        return reader(value)
    if isinstance(value, _TEXTS):
        return None
    if isinstance(value, ctypes._SimpleCData):
        return _ctypes_number(value)
    if getattr(value, "shape", None) is not None:
        return _array_number(value)
    return _protocol_number(value)


def learned_number(kind: type) -> type | None:
    """`int` or `float` where it reads the values of a type of NumPy scalars that was seen before; else None."""
    reader = _readers.get(kind)
    return reader if reader is int or reader is float else None


def _ctypes_number(value: ctypes._SimpleCData[object]) -> Number | None:
    held = value.value
    if isinstance(held, bytes | str):  # c_char and c_wchar, but not c_char_p
        return ord(held) if len(held) == 1 and not isinstance(value, ctypes.c_char_p | ctypes.c_wchar_p) else None
    return held if isinstance(held, int | float) else None


def _array_number(value: Given) -> Number | None:
    """The number in a NumPy scalar, or in an array of any library that has no axes."""
    dtype = getattr(value, "dtype", None)
    try:
        if len(value.shape) or dtype is None or getattr(dtype, "kind", "") in {"S", "U", "M", "m", "O"}:
            return None
        if getattr(dtype, "fields", None) is not None:
            return None
        held = value.item() if hasattr(value, "item") else _on_the_host(value)
    except Misfit:
        raise
    except Exception as error:  # foreign code: any exception is its way to say no
        raise Misfit(f"the number in it could not be read: {error}") from error
    if isinstance(held, _NUMBERS):
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(value, numpy.generic):
            _readers[type(value)] = type(held)
        return held
    if isinstance(held, bytes) or held is value or getattr(held, "shape", None) == value.shape:
        return _wide_number(held)
    return plain_number(held)


def _wide_number(value: object) -> Number | None:
    """A NumPy scalar that `item` gives back as it is: long double, and its complex number."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.floating):
        return _finite_float(value)
    if numpy is not None and isinstance(value, numpy.complexfloating):
        return complex(_finite_float(value.real), _finite_float(value.imag))
    return None


def _on_the_host(value: object) -> object:
    """The element of an array without `item`, such as tvm-ffi's, by way of NumPy."""
    numpy = sys.modules.get("numpy")
    return None if numpy is None else numpy.from_dlpack(value).item()


def _protocol_number(value: object) -> Number | None:
    """What `__index__`, `__float__`, `__complex__` or `__int__` says."""
    try:
        if hasattr(value, "__index__"):
            return int(value.__index__())
        if hasattr(value, "__float__"):
            return _finite_float(value)
        if hasattr(value, "__complex__"):
            return complex(value)
        if hasattr(value, "__int__"):  # handles of the driver bindings: CUtexObject
            return int(value)
    except Misfit:
        raise
    except Exception as error:  # foreign code: any exception is its way to say no
        raise Misfit(f"it could not be made into a number: {error}") from error
    return None


def _finite_float(value: Given) -> float:
    """`float(value)`, unless only that makes it infinite: Decimal("1e400"), a long double."""
    number = float(value)
    if math.isinf(number):
        try:
            finite = -math.inf < value < math.inf
        except Exception:  # noqa: BLE001 - foreign code, which need not know how to compare
            return number
        if finite:
            raise Misfit(f"{shown(value)} does not fit: it is too large for double")
    return number
