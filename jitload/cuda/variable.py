"""Copies to and from variables of a module on a GPU."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from jitload.cuda import driver, placement, streams
from jitload.errors import ArgumentError, LaunchError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from jitload.cuda.driver import Foreign
    from jitload.launch.arrays import ArrayView


class VariableMemory:
    """Memory of one device, as `jitload.launch.device_global.GlobalMemory`.

    Args:
        ordinal: the device.
    """

    device = "cuda"

    def __init__(self, ordinal: int) -> None:
        self._ordinal = ordinal

    def write(self, address: int, source: memoryview, stream: int) -> None:
        """Copy host bytes to `address`.

        Raises:
            LaunchError: the stream is captured.
            DriverError: a driver call failed.
        """
        with self._on(stream) as bindings:
            self._check("cuMemcpyHtoDAsync", bindings.cuMemcpyHtoDAsync(address, source, source.nbytes, stream), stream)

    def read(self, address: int, target: memoryview, stream: int) -> None:
        """Copy from `address` to host bytes.

        Raises:
            LaunchError: the stream is captured.
            DriverError: a driver call failed.
        """
        with self._on(stream) as bindings:
            self._check("cuMemcpyDtoHAsync", bindings.cuMemcpyDtoHAsync(target, address, target.nbytes, stream), stream)

    def move(self, target: int, source: int, nbytes: int, stream: int, view: ArrayView) -> None:
        """Copy from one address of the device to another, of which one is that of an array.

        Raises:
            ArgumentError: the array lies on another device.
            LaunchError: the stream is captured.
            DriverError: a driver call failed.
        """
        with self._on(stream) as bindings:
            home = placement.device_of_memory(view.address)
            if home not in {None, self._ordinal}:
                raise ArgumentError(f"the array lies on device {home}, and the variable on device {self._ordinal}")
            if view.stream not in {None, stream or 1}:
                streams.wait_for(stream, int(view.stream or 0), "a copy of a variable")
            self._check("cuMemcpyDtoDAsync", bindings.cuMemcpyDtoDAsync(target, source, nbytes, stream), stream)

    @contextlib.contextmanager
    def _on(self, stream: int) -> Iterator[ModuleType]:
        """Have the device current, and wait for the stream in the end."""
        bindings = driver.ensure_context()
        if stream not in streams.DEFAULT_STREAMS and placement.device_of_stream(stream) != self._ordinal:
            raise ArgumentError(
                f"stream {stream:#x} is of another device than the variable, which is on {self._ordinal}"
            )
        undo = placement.enter(self._ordinal, stream)
        try:
            if streams.capture_of(stream, "a copy of a variable"):
                raise LaunchError(
                    f"a variable cannot be copied on stream {stream:#x}, which is captured: the host would have to wait"
                )
            yield bindings
            self._check("cuStreamSynchronize", bindings.cuStreamSynchronize(stream), stream)
        finally:
            if undo is not None:
                undo()

    def _check(self, call: str, outcome: tuple[Foreign, ...], stream: int) -> None:
        if outcome[0]:
            raise driver.driver_error(call, outcome[0], "for a variable", stream=stream)
