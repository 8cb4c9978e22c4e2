"""A variable of a module that the host can read and write."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Protocol

from jitload.errors import ArgumentError, LoadError
from jitload.launch.arrays import ArrayView, read_array
from jitload.launch.misfit import Misfit
from jitload.launch.streams import stream_handle
from jitload.launch.variable_type import VariableType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jitload.launch.foreign import Given


class GlobalMemory(Protocol):
    """Where a variable lies. Each call returns when the bytes have arrived."""

    device: str  # "cuda" or "cpu"

    def write(self, address: int, source: memoryview, stream: int) -> None:
        """Copy host bytes to `address`, behind what is queued on the stream."""

    def read(self, address: int, target: memoryview, stream: int) -> None:
        """Copy from `address` to host bytes, behind what is queued on the stream."""

    def move(self, target: int, source: int, nbytes: int, stream: int, view: ArrayView) -> None:
        """Copy between a variable and an array of the device, `view`, behind what is queued on the stream."""


class DeviceGlobal:
    """A `__device__` or `__constant__` variable, on the device that was current when it was asked for.

    Arrays and buffers of just its bytes are copied as they lie in memory. Where its type is known, an array of other
    elements or other rows is refused; bytes are not, nor is anything where it is a class or an enumeration.

    Args:
        name: the lowered name.
        address: on the device.
        nbytes: its size in bytes.
        memory: copies.
        closed: whether its module is closed.

    Attributes:
        type: its canonical C++ type ("float [8]"), or "" where only its size is known, as of an image without a source.
    """

    def __init__(self, name: str, address: int, nbytes: int, memory: GlobalMemory, closed: Callable[[], bool]) -> None:
        self.name = name
        self.address = address
        self.nbytes = nbytes
        self._memory = memory
        self.type = ""
        self._closed = closed

    def copy_from(self, array: Given, *, stream: object = None) -> None:
        """Set the variable, after what is queued on a stream; it is set when this returns.

        Args:
            array: an array of `nbytes` bytes, contiguous, of the host or the device, or a buffer (`bytes`).
            stream: as for a launch; by default the current one of a framework, else the default stream.

        Raises:
            ArgumentError: not an array, not of that many bytes, or of another type than the variable.
            LoadError: the module is closed.
            LaunchError: the stream is captured.
            DriverError: a driver call failed.
        """
        handle, view = self._prepare(array, stream)
        if isinstance(view, memoryview):
            self._memory.write(self.address, view, handle)
        elif view.host:
            self._memory.write(self.address, _bytes_of(view), handle)
        else:
            self._memory.move(self.address, view.address, self.nbytes, handle, view)

    def copy_to(self, array: Given, *, stream: object = None) -> None:
        """Read the variable into an array, after what is queued on a stream; it is there when this returns.

        Args:
            array: an array of `nbytes` bytes that may be written, contiguous, of the host or the device, or a buffer.
            stream: as for a launch; by default the current one of a framework, else the default stream.

        Raises:
            ArgumentError: not an array, read-only, not of that many bytes, or of another type than the variable.
            LoadError: the module is closed.
            LaunchError: the stream is captured.
            DriverError: a driver call failed.
        """
        handle, view = self._prepare(array, stream)
        why = ("is read-only" if view.readonly else "") if isinstance(view, memoryview) else view.readonly
        if why:
            raise ArgumentError(f"variable {self.name!r} cannot be copied to this {type(array).__name__}: it {why}")
        if isinstance(view, memoryview):
            self._memory.read(self.address, view, handle)
        elif view.host:
            self._memory.read(self.address, _bytes_of(view), handle)
        else:
            self._memory.move(view.address, self.address, self.nbytes, handle, view)

    def __iter__(self) -> Iterator[int]:
        """`address, nbytes = module.get_global(name)`."""
        return iter((self.address, self.nbytes))

    def __repr__(self) -> str:
        kind = f"{self.type}, " if self.type else ""
        return f"<DeviceGlobal {self.name!r}: {kind}{self.nbytes} bytes at {self.address:#x}>"

    def _prepare(self, array: Given, stream: object) -> tuple[int, ArrayView | memoryview]:
        if self._closed():
            raise LoadError(f"variable {self.name!r} is gone: its module is closed")
        handle = stream_handle(stream, self._memory.device)
        try:
            view = _view_of(array, handle, self._memory.device)
            known = VariableType.of(self.type, self.nbytes)
            if view.nbytes == self.nbytes and known is not None:
                known.check(view, array)
        except Misfit as misfit:
            raise ArgumentError(f"variable {self.name!r}: {misfit}") from misfit.__cause__
        if view.nbytes != self.nbytes:
            kind = f": it is {self.type!r}" if self.type else ""
            raise ArgumentError(
                f"variable {self.name!r} has {self.nbytes} bytes, and the array has {view.nbytes}{kind}"
            )
        return handle, view.cast("B") if isinstance(view, memoryview) else view


def _view_of(array: Given, stream: int, device: str) -> ArrayView | memoryview:
    view = read_array(array, stream, device)
    if view is not None:
        if not view.host and not view.rows()[1]:
            raise Misfit("the array is not contiguous; pass a contiguous copy")
        return view
    try:
        buffer = memoryview(array)
        buffer.cast("B")  # which refuses what is not contiguous
    except TypeError:
        raise Misfit(
            f"expected an array or a buffer, got {type(array).__name__}; pass np.float32(...) or the like"
        ) from None
    return buffer


def _bytes_of(view: ArrayView) -> memoryview:
    return memoryview((ctypes.c_ubyte * view.nbytes).from_address(view.address)).cast("B")
