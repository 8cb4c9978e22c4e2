"""Several values in one parameter: structures by their bytes, vectors and complex numbers by their parts."""

from __future__ import annotations

import ctypes
import struct
import sys
from typing import TYPE_CHECKING, Any

from jitload.launch.advice import described
from jitload.launch.misfit import Misfit
from jitload.launch.numbers import plain_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.launch.cpp_type import CppType
    from jitload.launch.scalars import Scalar


_TENSOR_MAP_BYTES = 128  # cuda.h, CU_TENSOR_MAP_NUM_QWORDS


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
        self._lane = lane
        self._complex = ctype.complex or (ctype.lanes == 2 and ctype.scalar in {"float32", "float64"})
        self._real = real or self._count == 1
        self._whole = Structure(ctype.nbytes)
        self._pack = struct.Struct("<" + ("B" if self._halves else lane.format) * ctype.lanes).pack
        self.format = self._whole.format

    def convert(self, value: Any) -> bytes:
        """The bytes to pack.

        Raises:
            Misfit: another number of parts, or a part that does not fit.
        """
        parts = self._parts(value)
        if parts is None:
            raw = structure_bytes(value)
            if raw is None:
                raise Misfit(f"expected {self._expected()}, got {described(value)}")
            return self._whole.convert(value)
        if len(parts) != self._count:
            raise Misfit(f"expected {self._count} numbers, got {len(parts)}")
        numbers: list[Any] = [self._lane.convert(part) for part in parts]
        if self._halves:
            numbers = [low | high << 4 for low, high in zip(numbers[::2], numbers[1::2], strict=True)]
        return self._pack(*numbers)

    def _parts(self, value: Any) -> Sequence[Any] | None:
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


def _elements(array: Any) -> Sequence[Any]:
    """The elements of an array of any library, each of its own kind."""
    numpy = sys.modules.get("numpy")
    try:
        if hasattr(array, "tolist"):
            listed: list[Any] = array.tolist()
            return listed
        if numpy is not None:
            return list(numpy.from_dlpack(array))
    except Exception as error:  # foreign code: any exception is its way to say no
        raise Misfit(f"the numbers in it could not be read: {error}") from error
    return list(array)


def structure_bytes(value: Any) -> bytes | None:
    """The bytes of a structure by value, or None when it is not one.

    Raises:
        Misfit: a NumPy structure in the wrong byte order, or holding Python objects.
    """
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, ctypes.Structure | ctypes.Union | ctypes.Array):
        return bytes(value)
    if type(value).__name__ == "CUtensorMap":  # the driver bindings, which this layer does not import
        return ctypes.string_at(int(value.getPtr()), _TENSOR_MAP_BYTES)
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    if isinstance(value, numpy.void) or (
        isinstance(value, numpy.ndarray) and value.ndim == 0 and value.dtype.type is numpy.void
    ):
        if value.dtype.hasobject or not value.dtype.isnative:
            raise Misfit(f"a structure of dtype {value.dtype} holds Python objects or swapped bytes")
        return bytes(value.tobytes())
    return None
