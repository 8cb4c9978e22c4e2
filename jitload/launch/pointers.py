"""What a pointer parameter takes: addresses, and arrays of what the pointer points to."""

from __future__ import annotations

import ctypes
import functools
import operator
import sys
from typing import TYPE_CHECKING

from jitload.launch.advice import address_advice, described, element_advice, shown, whole_name, writable_copy
from jitload.launch.arrays import ArrayView, read_array
from jitload.launch.cpp_type import element_of, is_pointer, is_pointer_to_const, is_reference
from jitload.launch.elements import Element, lanes_needed
from jitload.launch.misfit import Misfit
from jitload.launch.row import Row
from jitload.launch.scalars import Integer

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from jitload.launch.cpp_type import CppType
    from jitload.launch.foreign import Given, VersionCounter
    from jitload.values import Parameter

#: Host memory is copied to an address of the device's own, so what malloc gives (C11, max_align_t) is enough there.
_HOST_ALIGNMENT = 16
_ADDRESS_TYPES = (ctypes.c_void_p, ctypes.c_uint64, ctypes.c_ulonglong, ctypes.c_size_t, ctypes.c_int64)


class Pointer:
    """A parameter that is a pointer, or 64 bits that may be one.

    `None` is the null pointer where a pointer is known, and no argument for a reference. An array is never asked for
    `__index__`, so a one-element integer array cannot turn into an address.

    Args:
        parameter: the parameter.
        device: "cuda" or "cpu".
        foreign: whether an address is surely none of the device's memory; None where that cannot be told.
    """

    format = "Q"

    def __init__(self, parameter: Parameter, device: str, foreign: Callable[[int], bool] | None = None) -> None:
        self._device = device
        self._type = parameter.cpp or parameter.declared
        self.const = parameter.const or is_pointer_to_const(parameter.cpp)
        self._pointee = _pointee(parameter)
        self._needed: dict[Element, int] = {}
        alignment = self._pointee.alignment if self._pointee else 1
        self._unaligned, self._host_unaligned = alignment - 1, min(alignment, _HOST_ALIGNMENT) - 1
        self._known = parameter.pointer is True or is_pointer(parameter.cpp)
        self._refers = is_reference(self._type)
        self._integer = None if self._known else Integer.of(parameter)
        self._foreign = foreign if self._known else None
        # Where addresses must be looked at (none is 0 for a reference), or an int must not have the highest bit, it is
        # not packed as it is.
        is_signed = self._integer is not None and self._integer.high < 1 << 63
        sizes_only = self._integer is not None and self._integer.sizes_only
        self.fast = "" if self._foreign or is_signed or sizes_only or self._refers else "int"

    def row(self) -> Row:
        """What native code may know of it: which addresses it takes; which arrays, it learns."""
        low, high = (0, (1 << 64) - 1) if self._integer is None else (self._integer.low, self._integer.high)
        return Row(
            "p",
            8,
            low=low,
            high=high,
            unaligned=self._unaligned,
            takes_integers=self.fast == "int",
            takes_none=self._known and not self._refers,
            is_written=not self.const,
        )

    def lanes_of(self, element: Element) -> int:
        """How many elements make what it points to (1 where that is not known), or 0 when they do not go behind it."""
        return 1 if self._pointee is None else lanes_needed(element, self._pointee)

    def convert(self, value: object, stream: int) -> int | ArrayView:
        """The address to pack, or the view of an array; a host array is still to be staged.

        Raises:
            Misfit: neither an address nor an array that may go here.
        """
        if self._known:
            if value is None and not self._refers:
                return 0
            if type(value) is int and 0 <= value < 1 << 64:  # most pointers, and no need to look for arrays in them
                return self._checked(value)
        view = read_array(value, stream, self._device)
        if view is not None:
            self._check_view(view, value)
            if view.torch and not self.const:
                _count_write(view.keep)
            return view
        address = _address(value)
        if address is None and self._integer is not None:
            return _bits(self._integer.whole(value))
        if value is None and self._refers:
            address = 0
        if address is None:
            raise Misfit(f"expected an array or an address, got {described(value)}{address_advice(value)}")
        if self._integer is not None:
            self._integer.require_type(value)
            return _bits(self._integer.checked(address))
        if not 0 <= address < 1 << 64:
            raise Misfit(f"{shown(address)} is not an address: it must be from 0 to 2**64 - 1")
        return self._checked(address)

    def _checked(self, address: int) -> int:
        if self._refers and not address:
            raise Misfit(f"{self._type!r} refers to something, and the null pointer is nothing; pass an array")
        if self._foreign is not None and self._foreign(address):
            raise Misfit(
                f"{address:#x} is an address of host memory, and an integer here is an address of the CPU executor's "
                "own memory; pass the array itself, not its .data_ptr() or .ctypes.data"
            )
        return address

    def _check_view(self, view: ArrayView, value: object) -> None:
        if view.readonly and not self.const:
            raise Misfit(_readonly_text(view.readonly, value))
        pointee = self._pointee
        if pointee is None:
            return
        needed = self._needed.get(view.element)
        if needed is None:
            needed = self._needed[view.element] = lanes_needed(view.element, pointee)
        if needed != 1:
            self._check_lanes(view, value, needed)
        unaligned = self._host_unaligned if view.host else self._unaligned
        if view.address & unaligned and view.nbytes:
            raise Misfit(
                f"{described(value)} lies at {view.address:#x} and what {self._type!r} points to must be aligned to "
                f"{unaligned + 1} bytes; pass {writable_copy(value)}"
            )

    def _check_lanes(self, view: ArrayView, value: object, needed: int) -> None:
        pointee = self._pointee
        assert pointee is not None
        if not needed:
            raise Misfit(
                f"{described(value)} has elements of {view.element.nbytes} bytes and {self._type!r} points to elements "
                f"of {pointee.nbytes}: {view.element.name} is not {_named(pointee)}; "
                f"{element_advice(value, view.element, pointee)}"
            )
        length, adjacent = view.innermost()
        if not view.nbytes or (length and length % needed == 0 and adjacent):
            return
        advice = (
            f"reshape it so that the last axis is {needed} long"
            if adjacent
            else f"the {needed} must lie side by side: pass a copy in the order of C"
        )
        raise Misfit(
            f"{described(value)} does not divide into groups of {needed}, which {self._type!r} points to; {advice}"
        )


def _bits(number: int) -> int:
    """The 64 bits of a number that may be negative."""
    return number & ((1 << 64) - 1)


def _pointee(parameter: Parameter) -> CppType | None:
    """What a parameter points to. cuFloatComplex is float2, and a real array is no array of it."""
    found = element_of(parameter)
    if found is not None and found.lanes == 2 and "omplex" in parameter.declared:
        return found._replace(complex=True)
    return found


def _named(pointee: CppType) -> str:
    whole = whole_name(pointee)
    return f"{pointee.lanes} of {whole}" if whole == pointee.scalar and pointee.lanes > 1 else whole


def _readonly_text(why: str, value: object) -> str:
    text = f"{described(value)} {why} and the parameter is not a pointer to const; "
    if why == "requires grad":
        return text + "launch under torch.no_grad() or on .detach(), since autograd would not see what is written"
    if why == "has a tangent":
        return text + "launch on the primal of forward_ad.unpack_dual(...), since its tangent would not follow"
    return text + f"pass {writable_copy(value)}, or declare the parameter const"


def _count_write(tensor: object) -> None:
    """Tell autograd that a tensor is about to change: it then refuses to use what it saved of it."""
    counter = version_counter(sys.modules["torch"])
    if counter is not None:
        counter((tensor,))


@functools.cache
def version_counter(torch: ModuleType) -> VersionCounter | None:
    """What raises `_version` of tensors, or None where torch is too old for it."""
    graph = getattr(getattr(torch, "autograd", None), "graph", None)
    counter: VersionCounter | None = getattr(graph, "increment_version", None)
    return counter


def _address(value: Given) -> int | None:
    """The integer behind an address, or None; a bool or a float is not one."""
    if isinstance(value, bool | float | str | bytes) or getattr(getattr(value, "dtype", None), "kind", "") == "b":
        return None  # NumPy's bools have an `__index__` before 2.4, with a warning
    if isinstance(value, _ADDRESS_TYPES):
        return value.value or 0
    if isinstance(value, ctypes._Pointer):
        return ctypes.cast(value, ctypes.c_void_p).value or 0
    try:
        return operator.index(value)
    except TypeError:
        pass
    except Exception as error:  # foreign code: any exception is its way to say no
        raise Misfit(f"its __index__ failed: {error}") from error
    # PyCUDA's allocations, the driver bindings' CUdeviceptr; what is also a float, or an array of one, is a number.
    if hasattr(value, "__int__") and not hasattr(value, "__float__") and not hasattr(value, "shape"):
        return int(value)
    pointer = getattr(value, "ptr", None)  # CuPy's MemoryPointer, rmm
    return pointer if isinstance(pointer, int) and not isinstance(pointer, bool) else None
