"""Structures by value: the bytes of a parameter as they are."""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING

from jitload.launch.advice import described
from jitload.launch.elements import ctypes_element, is_native, numpy_element
from jitload.launch.misfit import Misfit
from jitload.launch.row import Row

if TYPE_CHECKING:
    from jitload.launch.arrays import ArrayView
    from jitload.launch.elements import Element
    from jitload.launch.foreign import Given

_TENSOR_MAP_BYTES = 128  # cuda.h, CU_TENSOR_MAP_NUM_QWORDS


class DescribedArray:
    """An array that a kernel gets as a structure by value which has its address in it.

    Attributes:
        view: where the array lies.
        nbytes: size of the structure.
    """

    view: ArrayView
    nbytes: int

    def describe(self, address: int) -> bytes:
        """The structure for the array at an address that the kernel knows; `view` has it where that is no host's.

        Raises:
            Misfit: it cannot lie there.
        """
        raise NotImplementedError


class Structure:
    """A structure or array by value: bytes of exactly its size."""

    fast = ""

    def __init__(self, size: int) -> None:
        self.size = size
        self.format = f"{size}s"

    def row(self) -> Row:
        """What native code may know of it: its size."""
        return Row.converted(self.size, self.convert)

    def convert(self, value: object) -> bytes:
        """The bytes to pack.

        Raises:
            Misfit: not a structure, or of another size.
        """
        raw = structure_bytes(value)
        if raw is None:
            besides = "jitload.TensorMap, " if self.size == _TENSOR_MAP_BYTES else ""
            raise Misfit(
                f"expected a structure of {self.size} bytes ({besides}a NumPy structured scalar, a ctypes structure, "
                f"or bytes), got {described(value)}"
            )
        if len(raw) != self.size:
            raise Misfit(f"the structure has {self.size} bytes, {described(value)} has {len(raw)}")
        return raw


def structure_bytes(value: Given) -> bytes | None:
    """The bytes of a structure by value, or None when it is not one.

    Raises:
        Misfit: a structure in the wrong byte order, or one of NumPy that holds Python objects.
    """
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, ctypes.Structure | ctypes.Union | ctypes.Array):
        if any(scalar == "swapped" for _, scalar in ctypes_element(type(value)).fields or ()):
            raise Misfit(f"{type(value).__name__} holds swapped bytes")
        return bytes(value)
    if type(value).__name__ == "CUtensorMap":  # the driver bindings, which this layer does not import
        return ctypes.string_at(int(value.getPtr()), _TENSOR_MAP_BYTES)
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    if isinstance(value, numpy.void) or (
        isinstance(value, numpy.ndarray) and value.ndim == 0 and value.dtype.type is numpy.void
    ):
        if value.dtype.hasobject or not is_native(value.dtype):
            raise Misfit(f"a structure of dtype {value.dtype} holds Python objects or swapped bytes")
        return bytes(value.tobytes())
    return None


def structure_element(value: Given) -> Element | None:
    """The numbers that a structure by value holds; None for bytes, which hold whatever is wanted."""
    if isinstance(value, ctypes.Array) and issubclass(value._type_, ctypes.c_uint8):
        return None  # what buffers of ctypes are made of
    if isinstance(value, ctypes.Structure | ctypes.Union | ctypes.Array):
        element = ctypes_element(type(value))
        return None if all(scalar == "bytes" for _, scalar in element.fields or ()) else element
    return None if getattr(getattr(value, "dtype", None), "fields", None) is None else numpy_element(value.dtype)
