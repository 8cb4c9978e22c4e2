"""What a pointer parameter takes: addresses, and arrays whose elements have the declared size."""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING, Any

from jitload.launch.arrays import ArrayView, read_array
from jitload.launch.declared import element_type
from jitload.launch.misfit import Misfit
from jitload.launch.scalars import Integer, described

if TYPE_CHECKING:
    from jitload.artifact import Parameter


class Pointer:
    """A parameter that is a pointer, or 64 bits that may be one.

    `None` is the null pointer where a pointer is known. An array is never asked for `__index__`, so a one-element
    integer array cannot turn into an address.
    """

    fast = "int"
    format = "Q"

    def __init__(self, parameter: Parameter, device: str) -> None:
        self._device = device
        self._const = parameter.const
        self._declared = parameter.declared
        element = element_type(parameter.declared)
        # The components of a vector may come one by one; no width at all is any width.
        self._widths = frozenset({element.size, element.component}) if element else frozenset()
        self._known = parameter.pointer is True
        self._integer = None if self._known else Integer(parameter)

    def convert(self, value: Any, stream: int) -> int | ArrayView:
        """The address to pack, or the view of an array; a host array is still to be staged.

        Raises:
            Misfit: neither an address nor an array that may go here.
        """
        if self._known:
            if value is None:
                return 0
            if type(value) is int and 0 <= value < 1 << 64:  # most pointers, and no need to look for arrays in them
                return value
        view = read_array(value, stream, self._device)
        if view is not None:
            self._check_view(view, value)
            return view
        address = _address(value)
        if address is None and self._integer is not None:
            return self._integer.convert(value)
        if address is None:
            raise Misfit(f"expected an array or an address, got {described(value)}{_advice(value)}")
        if self._integer is not None:
            return self._integer.convert(address)
        if not 0 <= address < 1 << 64:
            raise Misfit(f"{address} is not an address: it must be from 0 to 2**64 - 1")
        return address

    def _check_view(self, view: ArrayView, value: Any) -> None:
        if view.readonly and not self._const:
            raise Misfit(
                f"{described(value)} is read-only and the parameter is not a pointer to const; "
                "pass a copy, or declare the parameter const"
            )
        widths = self._widths
        if not widths or view.raw or view.itemsize in widths or view.component in widths:
            return
        raise Misfit(
            f"{described(value)} has elements of {view.itemsize} bytes and {self._declared!r} points to elements of "
            f"{max(widths)}; convert it with .astype(...)"
        )


def _address(value: Any) -> int | None:
    """The integer behind an address, or None; a bool is not one."""
    if isinstance(value, int):
        return None if isinstance(value, bool) else int(value)
    if isinstance(value, ctypes.c_void_p):
        return value.value or 0
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.integer):
        return int(value)
    if type(value).__name__ == "CUdeviceptr":  # the driver bindings, which this layer does not import
        return int(value)
    return None


def _advice(value: Any) -> str:
    if isinstance(value, list | tuple | memoryview | bytearray):
        return "; pass np.asarray(...)"
    return ""
