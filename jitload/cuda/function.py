"""One kernel of a loaded library, ready to be launched on the current context."""

from __future__ import annotations

import ctypes
import functools
from typing import TYPE_CHECKING

from jitload.cuda import c_functions, driver, placement, streams
from jitload.cuda.configuration import launch_config, usable_hints
from jitload.cuda.library import ADVICE
from jitload.cuda.memory import staging_memory
from jitload.cuda.resources import ask_resources
from jitload.errors import LaunchError, LoadError
from jitload.launch.hints import NO_HINTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jitload.cuda.driver import Foreign
    from jitload.cuda.library import Library
    from jitload.cuda.limits import Limits
    from jitload.launch.arrays import ArrayView
    from jitload.launch.device import Dim3, StagingMemory
    from jitload.launch.hints import Hints
    from jitload.loader.module import Module
    from jitload.values import KernelInfo, Resources

_COMPUTE_CAPABILITY_MAJOR = 75  # CUdevice_attribute (cuda.h)
_INVALID_CLUSTER_SIZE = 912
# Statuses of a launch that come from its configuration, or from where it is launched (cuda.h).
_REASONS = {
    driver.INVALID_VALUE: "a dimension or an attribute is not possible here",
    701: "too many registers or too much shared memory for this block",  # CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES
    720: "a cooperative grid must fit on the device at once",  # CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE
    901: "a call that is forbidden while a stream is captured broke the capture before",  # STREAM_CAPTURE_INVALIDATED
    906: "the default stream cannot be used while a stream is captured that it waits for",  # STREAM_CAPTURE_IMPLICIT
    _INVALID_CLUSTER_SIZE: "this cluster cannot be scheduled here",
}


class CudaFunction:
    """A CUkernel, as `jitload.launch.kernel.PreparedFunction` and `StreamFunction`.

    Launches go through cuLaunchKernelEx for every kind of configuration: its four arguments are made once, and a launch
    converts none of them.

    Args:
        info: its name and parameter layout.
        handle: the CUkernel of cuLibraryGetKernel.
        limits: what the driver allows this kernel.
        library: the image that it is of.
        module: kept alive for as long as this function lives.
    """

    device = "cuda"
    memory = None

    def __init__(self, info: KernelInfo, handle: Foreign, limits: Limits, library: Library, module: Module) -> None:
        self.info = info
        self._kernel = handle
        # A CUkernel is launched as a CUfunction (cuLaunchKernelEx). Every prepared launch holds this one object.
        self._function = ctypes.c_void_p(int(handle))
        self._limits = limits
        self._library = library
        self._module: Module | None = module
        self._several = driver.device_count() > 1

    @property
    def handle(self) -> int:
        """The CUkernel.

        Raises:
            LoadError: the module is closed.
        """
        self._require_open()
        return int(self._kernel)

    @property
    def arch(self) -> str:
        """The current device, "sm_90"."""
        driver.ensure_context()
        return driver.device_arch()

    def resources(self) -> Resources | None:
        """What the kernel takes on the current device (cuKernelGetAttribute), or None where the driver does not tell.

        Raises:
            LoadError: the module is closed.
        """
        self._require_open()
        driver.ensure_context()
        return ask_resources(self._kernel, driver.current_device())

    def launch(
        self,
        parameters: bytearray,
        grid: Dim3,
        block: Dim3,
        shared_bytes: int,
        stream: int,
        cluster: Dim3 | None,
        cooperative: bool,
    ) -> None:
        """Queue the kernel on `stream`; the parameter block is copied before this returns.

        Raises:
            LaunchError: the device cannot run this configuration.
            DriverError: a driver call failed.
        """
        buffer, submit = self.prepare(len(parameters), grid, block, shared_bytes, stream, cluster, cooperative)
        buffer[: len(parameters)] = parameters
        if outcome := submit():
            self.refuse(outcome, submit, stream)

    def prepare(
        self,
        nbytes: int,
        grid: Dim3,
        block: Dim3,
        shared_bytes: int,
        stream: int,
        cluster: Dim3 | None,
        cooperative: bool,
        hints: Hints = NO_HINTS,
    ) -> tuple[bytearray, Callable[[], object]]:
        """A buffer for the parameter block, and the launch of what is in it.

        The buffer holds the block and behind it the array of pointers into it that cuLaunchKernelEx takes.

        Raises:
            LaunchError: the device cannot run this configuration.
            DriverError: a driver call failed.
            LoadError: the module is closed.
        """
        ordinal = self._make_ready(block, shared_bytes, stream, cluster)
        count = len(self.info.params)
        start = (nbytes + 15) & ~15
        buffer = bytearray(start + 8 * count)
        pointers = None
        if count:
            # The view pins the buffer, so the address stays what it is now.
            view = (ctypes.c_uint64 * count).from_buffer(buffer, start)
            address = ctypes.addressof(view) - start
            view[:] = [address + parameter.offset for parameter in self.info.params]
            pointers = ctypes.byref(view)
        usable = _usable(hints, ordinal)
        config = ctypes.byref(launch_config(grid, block, shared_bytes, stream, cluster, cooperative, usable))
        return buffer, functools.partial(c_functions.launch_entry(), config, self._function, pointers, None)

    def submission(
        self,
        grid: Dim3,
        block: Dim3,
        shared_bytes: int,
        stream: int,
        cluster: Dim3 | None,
        cooperative: bool,
        hints: Hints = NO_HINTS,
    ) -> tuple[int, int, int, object, int, int]:
        """What native code launches with; see `jitload.launch.kernel.NativeFunction`.

        Raises:
            LaunchError: the device cannot run this configuration.
            DriverError: a driver call failed.
            LoadError: the module is closed.
        """
        ordinal = self._make_ready(block, shared_bytes, stream, cluster)
        usable = _usable(hints, ordinal)
        config = launch_config(grid, block, shared_bytes, stream, cluster, cooperative, usable)
        several = driver.device_count() > 1
        return (
            c_functions.address_of_entry(c_functions.launch_entry()),
            ctypes.addressof(self._function),
            ctypes.addressof(config),
            (self._function, config),
            ordinal if several else -1,
            c_functions.address_of_entry(c_functions.device_entry()) if several else 0,
        )

    def settle(self, arrays: Mapping[int, ArrayView], stream: int) -> Callable[[], None] | None:
        """Make the device of the stream or of the arrays current, and have the stream wait for work on the arrays.

        Returns:
            What makes the device that was current before current again, or None.

        Raises:
            ArgumentError: an array lies on another device.
            LaunchError: a stream that is captured would have to wait for one that is not.
            DriverError: a driver call failed.
        """
        undo = placement.place(self.info, arrays, stream) if self._several else None
        # Version 3 of the CUDA Array Interface: work of the producer may still be queued on its stream. 1 is the legacy
        # default stream, which the driver also calls 0. A loop: every launch of arrays comes here, and a comprehension
        # that finds nothing costs three times as much.
        busy = set()
        for view in arrays.values():
            producer = view.stream
            if producer is not None and producer != (stream or 1) and not view.host:
                busy.add(producer)
        if not busy:
            return undo
        try:
            for producer in busy:
                streams.wait_for(stream, producer, f"kernel {self.info.name!r}")
        except BaseException:
            if undo is not None:
                undo()
            raise
        return undo

    def staging(self, stream: int) -> StagingMemory:
        """The memory for the host arrays of a launch on `stream`.

        Raises:
            LaunchError: the stream is captured: a graph would copy from and to arrays that are long gone.
            DriverError: a driver call failed.
        """
        driver.ensure_context()
        if streams.capture_of(stream, f"kernel {self.info.name!r}"):
            raise LaunchError(
                f"kernel {self.info.name!r} got host arrays while stream {stream:#x} is captured: they would have to "
                "be copied and waited for, which a graph cannot do; pass arrays that are in GPU memory"
            )
        return staging_memory(stream)

    def refuse(self, outcome: object, submit: Callable[[], object], stream: int) -> None:
        """Give a thread its context or a device its limits, and submit again; raise for every other status.

        Raises:
            LaunchError: the device cannot run this configuration.
            DriverError: the launch failed, or an earlier kernel did.
            LoadError: the module is closed, or this process was forked after CUDA had started.
        """
        self._require_open()
        again = False
        if outcome in {driver.INVALID_CONTEXT, driver.NOT_INITIALIZED}:
            driver.ensure_context()
            again = True
        elif outcome == _INVALID_CLUSTER_SIZE or (outcome == driver.INVALID_VALUE and driver.device_count() > 1):
            # Clusters of more than 8 blocks that the code itself asks for, of which no launch says anything; or
            # prepared for one device, and launched where another one is current.
            again = self._limits.allow_again(driver.current_device(), clusters=outcome == _INVALID_CLUSTER_SIZE)
        if again:
            outcome = submit()
            if not outcome:
                return
        error = driver.driver_error("cuLaunchKernelEx", outcome, f"launching kernel {self.info.name!r}", stream=stream)
        if error.code in ADVICE:
            raise self._library.explain(error)
        reason = _REASONS.get(error.code)
        if reason is not None:
            raise LaunchError(f"{error}; {reason}") from error
        raise error

    def synchronize(self, stream: int) -> None:
        """Wait with cuStreamSynchronize until what was launched on `stream` has run; not for what is only recorded.

        Raises:
            DriverError: a kernel failed.
        """
        bindings = driver.ensure_context()
        if streams.is_captured(stream):
            return
        status = bindings.cuStreamSynchronize(stream)[0]
        if status:
            raise driver.driver_error("cuStreamSynchronize", status, stream=stream)

    def retire(self) -> None:
        """Make every prepared launch fail cleanly: its handle is about to be unloaded."""
        self._module = None
        self._function.value = 0

    def _require_open(self) -> None:
        if self._module is None:
            raise LoadError(f"kernel {self.info.name!r} cannot be launched: its module is closed")

    def _make_ready(self, block: Dim3, shared_bytes: int, stream: int, cluster: Dim3 | None) -> int:
        """Everything that must have been done once before launches of this shape; gives the device of the stream."""
        self._require_open()
        driver.ensure_context()
        ordinal = 0
        if driver.device_count() > 1:
            ordinal = placement.device_of_stream(stream)
            undo = placement.enter(ordinal, stream)
            try:
                self._library.load_kernel(self._kernel)
            finally:
                if undo is not None:
                    undo()
        if self.info.resources is None:  # else the block was held against them before
            self._limits.refuse_larger(self.info.name, ordinal, block)
        self._limits.allow(self.info.name, ordinal, shared_bytes, cluster)
        return ordinal


def _usable(hints: Hints, ordinal: int) -> Hints:
    """The hints that a device knows."""
    if hints == NO_HINTS:
        return hints
    major = driver.device_attribute(_COMPUTE_CAPABILITY_MAJOR, ordinal)
    return usable_hints(hints, major, driver.driver_version())
