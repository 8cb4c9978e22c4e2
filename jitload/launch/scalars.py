"""Numbers into the bits of a parameter: integers and floating point numbers of every width."""

from __future__ import annotations

import math
import struct
import sys
from typing import TYPE_CHECKING

from jitload.launch.advice import described, shown
from jitload.launch.cpp_type import value_of
from jitload.launch.misfit import Misfit
from jitload.launch.numbers import plain_number
from jitload.launch.row import Row
from jitload.launch.structures import structure_bytes

if TYPE_CHECKING:
    from jitload.values import Parameter

_INTEGER_FORMATS = {1: ("b", "B"), 2: ("h", "H"), 4: ("i", "I"), 8: ("q", "Q"), 16: ("16s", "16s")}
#: Size -> the types of NumPy that have it.
_SIZED_TYPES = {2: ("int16", "float16"), 4: ("int32", "float32"), 8: ("int64", "float64")}
_FLOAT_FORMATS = {2: "e", 4: "f", 8: "d"}
_FLOAT_NAMES = {"e": "half", "f": "float", "d": "double"}
# `char` has a sign where NVRTC runs on x86-64; wchar_t has one on Linux.
_SIGNED = frozenset({"int8", "int16", "int32", "int64", "int128", "char", "wchar"})
_UNSIGNED = frozenset({"uint8", "uint16", "uint32", "uint64", "uint128", "byte", "char8", "char16", "char32"})


def integer_category(scalar: str) -> str:
    """Signed, unsigned or bool, as a word; "" for what is no integer."""
    if scalar in _SIGNED:
        return "signed"
    return "unsigned" if scalar in _UNSIGNED else "bool" if scalar == "bool" else ""


class Integer:
    """An integer of 1 to 16 bytes.

    Args:
        size: bytes.
        category: "signed", "unsigned" or "bool"; "" where either reading of the bits will do.
        raw: whether it may be no integer at all, so that a typed NumPy float or a structure of its size is as good.
        sizes_only: whether nothing is known but the size, so that an int of Python, which has none, may be wrong.
    """

    def __init__(self, size: int, category: str, *, raw: bool = False, sizes_only: bool = False) -> None:
        bits = 8 * size
        self.low = 0 if category in {"unsigned", "bool"} else -(1 << (bits - 1))
        self.high = 1 if category == "bool" else (1 << (bits - 1)) - 1 if category == "signed" else (1 << bits) - 1
        self.format = _INTEGER_FORMATS[size][category != "signed"]
        self.sizes_only = sizes_only
        self.fast = "" if size == 16 or sizes_only else "bool" if category == "bool" else "int"
        self._size = size
        self._mask = 0 if category == "signed" and size < 16 else (1 << bits) - 1
        self._raw = raw

    @classmethod
    def of(cls, parameter: Parameter) -> Integer:
        """The integer that a parameter is.

        A PTX `.u32` (or `.b32`) is what NVRTC writes for `int` too, so without the C++ type both readings of the bits
        are accepted: -2**31 to 2**32 - 1. The C++ type makes the range exact.
        """
        known = value_of(parameter)
        category = integer_category(known.scalar) if known is not None and known.nbytes == parameter.size else ""
        category = category or {"s": "signed", "p": "bool"}.get(parameter.type[:1], "")
        # A layout that came from the driver knows sizes only.
        raw = parameter.type.startswith("b") and known is None
        sizes_only = raw and parameter.size in _SIZED_TYPES and not (parameter.cpp or parameter.declared)
        return cls(parameter.size, category, raw=raw, sizes_only=sizes_only)

    def row(self) -> Row:
        """What native code may know of it: everything, where an int is packed as it is."""
        if not self.fast and self._size != 16:
            return Row.converted(self._size, self.convert)
        return Row("i", self._size, low=max(self.low, -(1 << 63)), high=min(self.high, (1 << 64) - 1))

    def require_type(self, value: object) -> None:
        """Refuse an int of Python where only the size is known: the kernel may read its bits as a float's.

        Raises:
            Misfit: it is one, and not 0, which is the same for every type.
        """
        if self.sizes_only and isinstance(value, int) and value:
            integer, floating = _SIZED_TYPES[self._size]
            address = ", or ctypes.c_void_p(...) for an address" if self._size == 8 else ""
            raise Misfit(
                f"{shown(value)} may be wrong: the image tells the size of this parameter, {self._size} bytes, and "
                f"not whether it is an integer or a float; pass np.{integer}(...) or np.{floating}(...){address}"
            )

    def checked(self, number: int) -> int:
        """An integer to pack, once it is known to be one.

        Raises:
            Misfit: it is out of range.
        """
        if not self.low <= number <= self.high:
            raise Misfit(f"{shown(number)} does not fit: the range is {self.low} to {self.high}")
        return number & self._mask if self._mask else int(number)

    def convert(self, value: object) -> int | bytes:
        """The integer to pack; its bytes where it has 16 of them.

        Raises:
            Misfit: not an integer, or out of range.
        """
        if type(value) is int and self.fast:  # what most are
            return self.checked(value)
        number = self.whole(value)
        return number.to_bytes(16, "little") if self._size == 16 else number

    def whole(self, value: object) -> int:
        """The integer in a value.

        Raises:
            Misfit: not an integer, or out of range.
        """
        number = plain_number(value)
        if isinstance(number, int):
            self.require_type(value)
            return self.checked(number)
        if self._raw:
            raw = _numpy_float_bytes(value) if isinstance(number, float) else structure_bytes(value)
            if raw is not None and len(raw) == self._size:
                return int.from_bytes(raw, "little")
        if isinstance(number, float):
            advice = "pass np.float32(...) or np.float64(...)" if self._raw else "pass int(...) if that is meant"
            raise Misfit(f"{shown(value)} is a floating point number and the parameter is an integer; {advice}")
        raise Misfit(f"expected an integer, got {described(value)}{_scalar_advice(value)}")


class Floating:
    """A floating point parameter of 2, 4 or 8 bytes (IEEE 754)."""

    fast = "float"

    def __init__(self, size: int) -> None:
        self.format = _FLOAT_FORMATS[size]
        self._size = size
        self._pack = struct.Struct("<" + self.format).pack  # native "f" would quietly give infinity

    def row(self) -> Row:
        """What native code may know of it: everything."""
        if self.format == "e":  # struct keeps the sign of a NaN
            return Row("m", 2, more=(10, 15, 65504.0, 0x7C00, 0x7E00, 0x8000, True))
        return Row(self.format, self._size)

    def convert(self, value: object) -> float:
        """The number to pack; rounding is fine, overflow is not, and NaN and infinity pass.

        Raises:
            Misfit: not a number, or too large for the type.
        """
        number = value if type(value) is float or type(value) is int else real_number(value)
        try:
            result = float(number)
            self._pack(result)
        except (OverflowError, struct.error):
            raise Misfit(f"{shown(value)} does not fit: it is too large for {_FLOAT_NAMES[self.format]}") from None
        return result


def real_number(value: object) -> int | float:
    """The number in a value.

    Raises:
        Misfit: there is none, or it is complex.
    """
    number = plain_number(value)
    if number is None or isinstance(number, complex):
        raise Misfit(f"expected a number, got {described(value)}{_scalar_advice(value)}")
    return number


class Minifloat:
    """A floating point number of 8 or 16 bits that Python cannot pack: bfloat16, fp8, fp6, fp4.

    Args:
        name: for messages.
        mantissa_bits: without the hidden one.
        bias: of the exponent.
        largest: the largest finite number.
        infinity: its bits, or None where there is none.
        nan: its bits, or None where there is none.
        sign: the bit of the sign.
    """

    fast = ""

    def __init__(
        self, name: str, mantissa_bits: int, bias: int, largest: float, infinity: int | None, nan: int | None, sign: int
    ) -> None:
        self.format = "H" if sign > 0x80 else "B"
        self._name, self._mantissa_bits, self._bias, self._largest = name, mantissa_bits, bias, largest
        self._infinity, self._nan, self._sign = infinity, nan, sign

    def row(self) -> Row:
        """What native code may know of it: everything."""
        special = [-1 if bits is None else bits for bits in (self._infinity, self._nan)]
        size = 2 if self.format == "H" else 1
        return Row("m", size, more=(self._mantissa_bits, self._bias, self._largest, *special, self._sign, False))

    def convert(self, value: object) -> int:
        """The bits to pack, rounded to nearest even.

        Raises:
            Misfit: not a number, or one that the type does not have.
        """
        try:
            number = float(real_number(value))
        except OverflowError:
            number, special = 0.0, None
        else:
            if math.isfinite(number):
                special = self._rounded(abs(number))
            else:
                special = self._nan if math.isnan(number) else self._infinity
        if special is None:
            raise Misfit(f"{shown(value)} does not fit: it is too large for {self._name}")
        return special | (self._sign if math.copysign(1, number) < 0 and not math.isnan(number) else 0)

    def _rounded(self, number: float) -> int | None:
        """The bits of a number from 0 up, or None when they would be those of more than the largest."""
        if not number:
            return 0
        if number > 2 * self._largest:  # before it is too large for double, too
            return None
        exponent = max(math.frexp(number)[1] - 1, 1 - self._bias)
        steps = round(math.ldexp(number, self._mantissa_bits - exponent))  # Python rounds halves to even
        if math.ldexp(steps, exponent - self._mantissa_bits) > self._largest:
            return None
        # A mantissa that was rounded up to the next power of two carries into the exponent, as it should.
        return (exponent + self._bias - 1 << self._mantissa_bits) + steps


class PowerOfTwo:
    """An `__nv_fp8_e8m0`: the exponent of a power of two, 2**-127 to 2**127."""

    fast = ""
    format = "B"

    def row(self) -> Row:
        """What native code may know of it: its size."""
        return Row.converted(1, self.convert)

    def convert(self, value: object) -> int:
        """The bits to pack.

        Raises:
            Misfit: not a power of two in that range; libraries differ on how others are rounded.
        """
        try:
            number = float(real_number(value))
        except OverflowError:
            number = math.inf
        if math.isnan(number):
            return 0xFF
        mantissa, exponent = math.frexp(number) if math.isfinite(number) else (0.0, 0)
        if mantissa != 0.5 or not -127 <= exponent - 1 <= 127:
            raise Misfit(f"{shown(value)} does not fit: fp8_e8m0 holds powers of two from 2**-127 to 2**127")
        return exponent - 1 + 127


#: Bits, bias and limits: IEEE 754 for bfloat16's kin; OCP 8-bit Floating Point and Microscaling Formats 1.0.
_MINIFLOATS: dict[str, tuple[str, int, int, float, int | None, int | None, int]] = {
    "bfloat16": ("bfloat16", 7, 127, math.ldexp(255, 120), 0x7F80, 0x7FC0, 0x8000),
    "float8_e4m3fn": ("fp8_e4m3", 3, 7, 448.0, None, 0x7F, 0x80),
    "float8_e5m2": ("fp8_e5m2", 2, 15, 57344.0, 0x7C, 0x7F, 0x80),
    "float6_e2m3fn": ("fp6_e2m3", 3, 1, 7.5, None, None, 0x20),
    "float6_e3m2fn": ("fp6_e3m2", 2, 3, 28.0, None, None, 0x20),
    "float4_e2m1fn": ("fp4_e2m1", 1, 1, 6.0, None, None, 0x8),
}
_IEEE_BYTES = {"float16": 2, "float32": 4, "float64": 8}

Scalar = Integer | Floating | Minifloat | PowerOfTwo


def scalar_codec(scalar: str, size: int) -> Scalar | None:
    """How numbers become a scalar by the name it has in `CppType`, or None when that is no number."""
    if category := integer_category(scalar):
        return Integer(size, category)
    if scalar in _IEEE_BYTES:
        return Floating(_IEEE_BYTES[scalar])
    if scalar in _MINIFLOATS:
        return Minifloat(*_MINIFLOATS[scalar])
    return PowerOfTwo() if scalar == "float8_e8m0fnu" else None


def _scalar_advice(value: object) -> str:
    shape = getattr(value, "shape", None)
    if hasattr(value, "dtype") and shape and all(extent == 1 for extent in shape):
        return "; pass its .item()"
    return "; pass its .value" if hasattr(value, "_value_") else ""


def _numpy_float_bytes(value: object) -> bytes | None:
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.floating):
        return bytes(value.tobytes())
    return None
