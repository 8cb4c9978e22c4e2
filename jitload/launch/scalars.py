"""Values into the bits of a parameter: integers, floating point numbers, structures by value."""

from __future__ import annotations

import ctypes
import math
import struct
import sys
from typing import TYPE_CHECKING, Any

from jitload.launch.declared import value_type
from jitload.launch.misfit import Misfit

if TYPE_CHECKING:
    from jitload.artifact import Parameter

_INTEGER_FORMATS = {1: ("b", "B"), 2: ("h", "H"), 4: ("i", "I"), 8: ("q", "Q")}
_FLOAT_FORMATS = {2: "e", 4: "f", 8: "d"}
_FLOAT_NAMES = {"e": "half", "f": "float", "d": "double"}


class Integer:
    """An integer parameter.

    A PTX `.u32` (or `.b32`) is what NVRTC writes for `int` too, so without the declared type both readings of the
    bits are accepted: -2**31 to 2**32 - 1. A declared type makes the range exact.
    """

    def __init__(self, parameter: Parameter) -> None:
        bits = 8 * parameter.size
        known = value_type(parameter.declared)
        category = known.category if known else {"s": "signed", "p": "bool"}.get(parameter.type[:1], "")
        self.low = 0 if category in {"unsigned", "bool"} else -(1 << (bits - 1))
        self.high = 1 if category == "bool" else (1 << (bits - 1)) - 1 if category == "signed" else (1 << bits) - 1
        self.format = _INTEGER_FORMATS[parameter.size][category != "signed"]
        self.fast = "bool" if category == "bool" else "int"
        self._mask = 0 if category == "signed" else (1 << bits) - 1
        # A layout that came from the driver knows sizes only: then a typed NumPy float or a structure is as good.
        self._raw_bytes = parameter.size if parameter.type.startswith("b") and known is None else 0

    def convert(self, value: Any) -> int:
        """The integer to pack.

        Raises:
            Misfit: not an integer, or out of range.
        """
        number = plain_number(value)
        if isinstance(number, int):
            if not self.low <= number <= self.high:
                raise Misfit(f"{number} does not fit: the range is {self.low} to {self.high}")
            return number & self._mask if self._mask else number
        if self._raw_bytes:
            raw = _numpy_float_bytes(value) if isinstance(number, float) else structure_bytes(value)
            if raw is not None and len(raw) == self._raw_bytes:
                return int.from_bytes(raw, "little")
        if isinstance(number, float):
            advice = "pass np.float32(...) or np.float64(...)" if self._raw_bytes else "pass int(...) if that is meant"
            raise Misfit(f"{value!r} is a floating point number and the parameter is an integer; {advice}")
        raise Misfit(f"expected an integer, got {described(value)}")


class Floating:
    """A floating point parameter of 2, 4 or 8 bytes (IEEE 754)."""

    fast = "float"

    def __init__(self, size: int) -> None:
        self.format = _FLOAT_FORMATS[size]
        self._pack = struct.Struct("<" + self.format).pack  # native "f" would quietly give infinity

    def convert(self, value: Any) -> float:
        """The number to pack; rounding is fine, overflow is not, and NaN and infinity pass.

        Raises:
            Misfit: not a number, or too large for the type.
        """
        number = plain_number(value)
        if number is None:
            raise Misfit(f"expected a number, got {described(value)}")
        try:
            result = float(number)
            self._pack(result)
        except (OverflowError, struct.error):
            raise Misfit(f"{value!r} does not fit: it is too large for {_FLOAT_NAMES[self.format]}") from None
        return result


class Bfloat16:
    """A `__nv_bfloat16`: the upper half of a float, rounded to nearest even."""

    fast = ""
    format = "H"

    def convert(self, value: Any) -> int:
        """The 16 bits to pack.

        Raises:
            Misfit: not a number, or too large for the type.
        """
        number = Floating(4).convert(value)
        if math.isnan(number):
            return 0x7FC0
        bits = int.from_bytes(struct.pack("<f", number), "little")
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        if rounded & 0x7FFF == 0x7F80 and not math.isinf(number):
            raise Misfit(f"{value!r} does not fit: it is too large for bfloat16")
        return rounded


class Structure:
    """A structure or array by value: bytes of exactly its size."""

    fast = ""

    def __init__(self, size: int) -> None:
        self.size = size
        self.format = f"{size}s"

    def convert(self, value: Any) -> bytes:
        """The bytes to pack.

        Raises:
            Misfit: not a structure, or of another size.
        """
        raw = structure_bytes(value)
        if raw is None:
            raise Misfit(
                f"expected a structure of {self.size} bytes (a NumPy structured scalar, a ctypes structure, or bytes), "
                f"got {described(value)}"
            )
        if len(raw) != self.size:
            raise Misfit(f"the structure has {self.size} bytes, {described(value)} has {len(raw)}")
        return raw


Codec = Integer | Floating | Bfloat16 | Structure


def scalar_codec(parameter: Parameter) -> Codec:
    """How values of a parameter that is no pointer are converted."""
    known = value_type(parameter.declared)
    if known is not None and known.size == parameter.size:
        if known.category == "bfloat16":
            return Bfloat16()
        if known.category in {"float", "half"}:
            return Floating(parameter.size)
    if parameter.type.startswith("f") and parameter.size in _FLOAT_FORMATS:
        return Floating(parameter.size)
    if parameter.type == "bf16":
        return Bfloat16()
    is_integer = parameter.type != "b8" or parameter.size == 1 or (known is not None and known.category != "vector")
    if is_integer and parameter.size in _INTEGER_FORMATS:
        return Integer(parameter)
    return Structure(parameter.size)


def plain_number(value: Any) -> int | float | None:
    """A Python, NumPy or ctypes scalar as an int or float; None for everything else, arrays and complex included."""
    if isinstance(value, int | float):  # bool is an int
        return value
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        if isinstance(value, numpy.ndarray) and value.ndim == 0:
            value = value[()]
        if isinstance(value, numpy.bool_ | numpy.integer):
            return int(value)
        if isinstance(value, numpy.floating):
            return float(value)
    if isinstance(value, ctypes._SimpleCData) and isinstance(value.value, int | float):
        return value.value
    return None


def structure_bytes(value: Any) -> bytes | None:
    """The bytes of a structure by value, or None when it is not one.

    Raises:
        Misfit: a NumPy structure in the wrong byte order, or holding Python objects.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, ctypes.Structure | ctypes.Union | ctypes.Array):
        return bytes(value)
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    if isinstance(value, numpy.void) or (
        isinstance(value, numpy.ndarray) and value.ndim == 0 and value.dtype.kind == "V"
    ):
        if value.dtype.hasobject or not value.dtype.isnative:
            raise Misfit(f"a structure of dtype {value.dtype} holds Python objects or swapped bytes")
        return bytes(value.tobytes())
    return None


def described(value: Any) -> str:
    """A short name for what came: never the contents of an array."""
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__.split('.')[0]}.{kind.__name__}"
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None:
        return f"{name} of dtype {dtype} and shape {tuple(shape)}"
    if value is None:
        return "None"
    text = repr(value) if isinstance(value, int | float | complex | str | bytes) else ""
    return f"{name} {text}" if text and len(text) <= 40 else name


def _numpy_float_bytes(value: Any) -> bytes | None:
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.floating):
        return bytes(value.tobytes())
    return None
