"""Several numbers in one parameter: vectors and complex numbers by their parts."""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING

from jitload.launch.advice import described
from jitload.launch.elements import lanes_needed
from jitload.launch.misfit import Misfit
from jitload.launch.numbers import plain_number
from jitload.launch.row import Row
from jitload.launch.structures import Structure, structure_bytes, structure_element

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.launch.cpp_type import CppType
    from jitload.launch.foreign import Given
    from jitload.launch.scalars import Scalar

#: How the scalars begin that ctypes has a type for.
_IN_CTYPES = ("int", "uint", "float32", "float64")


class Lanes:
    """A vector or a complex number: a tuple, list or array of its parts, a complex number where that fits, or bytes.

    Args:
        ctype: its type.
        lane: how one part is converted.
        real: whether a real number will do, as it does for a complex number and not for `float2`.
    """

    fast = ""

    def __init__(self, ctype: CppType, lane: Scalar, *, real: bool) -> None:
        # Two numbers of fp4 share a byte; the first is in the lower half (cuda_fp4.hpp).
        self._halves = ctype.scalar == "fp4x2"
        self._count = ctype.lanes * 2 if self._halves else ctype.lanes
        self._ctype = ctype
        self._lane = lane
        self._complex = ctype.complex or (ctype.lanes == 2 and ctype.scalar in {"float32", "float64"})
        self._real = real or self._count == 1
        self._whole = Structure(ctype.nbytes)
        self._pack = struct.Struct("<" + lane.format * ctype.lanes).pack
        self.format = self._whole.format

    def row(self) -> Row:
        """What native code may know of it: its size."""
        return Row.converted(self._whole.size, self.convert)

    def convert(self, value: object) -> bytes:
        """The bytes to pack.

        Raises:
            Misfit: another number of parts, or a part that does not fit.
        """
        parts = self._parts(value)
        if parts is None:
            raw = structure_bytes(value)
            if raw is None:
                raise Misfit(f"expected {self._expected()}, got {described(value)}")
            self._check_fields(value)
            return self._whole.convert(value)
        if len(parts) != self._count:
            raise Misfit(f"expected {self._count} numbers, got {len(parts)}")
        if self._halves:
            bits = [self._nibble(part) for part in parts]
            return bytes([low | high << 4 for low, high in zip(bits[::2], bits[1::2], strict=True)])
        return self._pack(*[self._lane.convert(part) for part in parts])

    def _nibble(self, part: object) -> int:
        bits = self._lane.convert(part)
        assert isinstance(bits, int)
        return bits

    def _check_fields(self, value: object) -> None:
        """A structure has the bytes of a vector only where its fields are of the vector's own kind."""
        element = structure_element(value)
        if element is None or element.nbytes != self._whole.size or lanes_needed(element, self._ctype):
            return
        scalar = self._ctype.scalar
        if not hasattr(value, "dtype") and not scalar.startswith(_IN_CTYPES):
            return  # bits, in the place of numbers that ctypes does not have
        raise Misfit(
            f"the fields of {described(value)} are not {self._ctype.lanes} of {scalar}; pass a tuple of the numbers, "
            f"or bytes where the bits are meant"
        )

    def _parts(self, value: object) -> Sequence[object] | None:
        if isinstance(value, tuple | list):
            return value
        shape = getattr(value, "shape", None)
        if shape is not None and len(shape) == 1 and getattr(getattr(value, "dtype", None), "fields", None) is None:
            return _elements(value)
        number = plain_number(value)
        if isinstance(number, complex) and self._complex:
            return (number.real, number.imag)
        if number is not None and not isinstance(number, complex) and self._real:
            return (value, 0)[: self._count]
        return None

    def _expected(self) -> str:
        numbers = "a number" if self._count == 1 else f"{self._count} numbers (a tuple, list or array)"
        return f"{'a complex number, ' if self._complex else ''}{numbers} or {self._whole.size} bytes"


def _elements(array: Given) -> Sequence[object]:
    """The elements of an array of any library, each of its own kind."""
    numpy = sys.modules.get("numpy")
    try:
        if hasattr(array, "tolist"):
            listed: list[object] = array.tolist()
            return listed
        if numpy is not None:
            return list(numpy.from_dlpack(array))
    except Exception as error:  # foreign code: any exception is its way to say no
        raise Misfit(f"the numbers in it could not be read: {error}") from error
    return list(array)
