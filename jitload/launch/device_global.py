"""A variable of a module that the host can read and write."""

from __future__ import annotations

import ctypes
import math
from typing import TYPE_CHECKING, Protocol

from jitload.errors import ArgumentError, LoadError
from jitload.launch.arrays import ArrayView, read_array
from jitload.launch.dlpack import Tensor
from jitload.launch.misfit import Misfit
from jitload.launch.streams import stream_handle

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

    Its type is not known, only its size: arrays and buffers of just that many bytes are copied as they lie in memory.

    Args:
        name: the lowered name.
        address: on the device.
        nbytes: its size in bytes.
        memory: copies.
        closed: whether its module is closed.
    """

    def __init__(self, name: str, address: int, nbytes: int, memory: GlobalMemory, closed: Callable[[], bool]) -> None:
        self.name = name
        self.address = address
        self.nbytes = nbytes
        self._memory = memory
        self._closed = closed

    def copy_from(self, array: Given, *, stream: object = None) -> None:
        """Set the variable, after what is queued on a stream; it is set when this returns.

        Args:
            array: an array of `nbytes` bytes, contiguous, of the host or the device, or a buffer (`bytes`).
            stream: as for a launch; by default the current one of a framework, else the default stream.

        Raises:
            ArgumentError: not an array, or not of that many bytes.
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
            ArgumentError: not an array, read-only, or not of that many bytes.
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
        return f"<DeviceGlobal {self.name!r}: {self.nbytes} bytes at {self.address:#x}>"

    def _prepare(self, array: Given, stream: object) -> tuple[int, ArrayView | memoryview]:
        if self._closed():
            raise LoadError(f"variable {self.name!r} is gone: its module is closed")
        handle = stream_handle(stream, self._memory.device)
        try:
            view = _view_of(array, handle, self._memory.device)
        except Misfit as misfit:
            raise ArgumentError(f"variable {self.name!r}: {misfit}") from misfit.__cause__
        if view.nbytes != self.nbytes:
            raise ArgumentError(f"variable {self.name!r} has {self.nbytes} bytes, and the array has {view.nbytes}")
        return handle, view


def _view_of(array: Given, stream: int, device: str) -> ArrayView | memoryview:
    view = read_array(array, stream, device)
    if view is not None:
        if not view.host and not _is_contiguous(view):
            raise Misfit("the array is not contiguous; pass a contiguous copy")
        return view
    try:
        return memoryview(array).cast("B")
    except TypeError:
        raise Misfit(
            f"expected an array or a buffer, got {type(array).__name__}; pass np.float32(...) or the like"
        ) from None


def _is_contiguous(view: ArrayView) -> bool:
    """Whether an array of the device lies in one piece, in the order of C."""
    layout = view.layout
    if isinstance(layout, dict):
        shape, strides, unit = layout["shape"], layout.get("strides"), view.element.nbytes
    elif isinstance(layout, Tensor):
        shape, strides, unit = layout.shape, layout.strides, 1
    else:
        return bool(layout.is_contiguous())
    return strides is None or all(
        extent == 1 or stride == unit * math.prod(shape[axis + 1 :])
        for axis, (extent, stride) in enumerate(zip(shape, strides, strict=True))
    )


def _bytes_of(view: ArrayView) -> memoryview:
    return memoryview((ctypes.c_ubyte * view.nbytes).from_address(view.address)).cast("B")
