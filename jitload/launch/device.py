"""What a device offers, so that kernels are launched on it: protocols, which jitload.cuda and jitload.cpu meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typing_extensions import Buffer

    from jitload.launch.arrays import ArrayView
    from jitload.launch.hints import Hints
    from jitload.values import KernelInfo, Resources

Dim3 = tuple[int, int, int]


class Memory(Protocol):
    """The memory that a kernel's pointers point into: a GPU's, or the CPU executor's arena. Thread-safe."""

    def allocate(self, nbytes: int, label: str) -> int:
        """Reserve `nbytes` (0 is legal) and give the address; `label` names it in diagnostics."""

    def free(self, address: int) -> None:
        """Give an allocation back."""

    def write(self, address: int, source: memoryview) -> None:
        """Copy host bytes (a flat "B" view) to `address`."""

    def read(self, address: int, target: memoryview) -> None:
        """Copy from `address` into a writable flat "B" view of host bytes."""


class HostMemory(Memory, Protocol):
    """A memory that can use the host's in place."""

    def adopt(self, host: int, nbytes: int, label: str, *, written: bool) -> int | None:
        """The address of host memory that is used in place until it is freed, or None where it must be copied.

        Args:
            host: where it lies; the caller keeps it alive.
            nbytes: its size.
            label: its name in diagnostics.
            written: whether it may change.
        """


class CheckedMemory(Memory, Protocol):
    """A memory that can tell addresses of other memories."""

    def is_foreign(self, address: int) -> bool:
        """Whether the address is surely one of host memory, and none of this memory."""


class StagingMemory(Memory, Protocol):
    """A memory that is used in the order of a stream: what it is asked for happens before and after a launch there."""

    def finish(self, deliver: bool, /) -> None:
        """Wait until all of it has happened; then what was read is where it was wanted, if `deliver`."""


class DeviceFunction(Protocol):
    """One kernel on one device, below all argument checking.

    `launch` gets the parameter block, laid out as `info.params` says, and may not keep it. On "cpu" it returns when
    the grid has run; on "cuda" when it is queued on the stream.

    A function may also offer `prepare`, for launches that are repeated: see `PreparedFunction`; and what a device with
    streams needs: see `StreamFunction`.
    """

    info: KernelInfo
    device: str  # "cuda" or "cpu"

    @property
    def memory(self) -> Memory | None:
        """Where its pointers point; None where `staging` gives a memory for each launch."""

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
        """Run the kernel.

        Raises:
            LaunchError: the device cannot run this configuration.
            DriverError: a driver call failed.
            CpuFault: the CPU executor stopped the kernel.
        """

    def synchronize(self, stream: int) -> None:
        """Wait until what was launched on `stream` has run."""


class StreamFunction(DeviceFunction, Protocol):
    """A device function whose launches are queued on streams, perhaps of several devices."""

    def settle(self, arrays: Mapping[int, ArrayView], stream: int) -> Callable[[], None] | None:
        """Make a launch on `stream` possible with these arrays (by position), without waiting for anything.

        Returns:
            What undoes it after the launch, or None.

        Raises:
            ArgumentError: an array lies on another device.
            LaunchError: a stream that is captured would have to wait for one that is not.
            DriverError: a driver call failed.
        """

    def staging(self, stream: int) -> StagingMemory:
        """The memory for the host arrays of a launch on `stream`.

        Raises:
            LaunchError: host arrays cannot be passed there now.
            DriverError: a driver call failed.
        """


class PreparedFunction(DeviceFunction, Protocol):
    """A device function that can do everything of a launch but the parameters in advance."""

    def prepare(
        self,
        nbytes: int,
        grid: Dim3,
        block: Dim3,
        shared_bytes: int,
        stream: int,
        cluster: Dim3 | None,
        cooperative: bool,
        hints: Hints,
    ) -> tuple[Buffer, Callable[[], object]]:
        """A writable buffer for a parameter block of `nbytes`, and what launches with its present contents.

        The latter returns something false when the device took the launch, else what `refuse` shall look at.

        Raises:
            LaunchError: the device cannot run this configuration.
            DriverError: a driver call failed.
        """

    def refuse(self, outcome: object, submit: Callable[[], object], stream: int) -> None:
        """Deal with a launch that the device did not take: put it right and submit again, or raise.

        Raises:
            LaunchError: the device cannot run this configuration.
            DriverError: a driver call failed.
        """


class NativeFunction(DeviceFunction, Protocol):
    """A device function whose launches native code can make: it has an entry of C for them."""

    def submission(
        self,
        grid: Dim3,
        block: Dim3,
        shared_bytes: int,
        stream: int,
        cluster: Dim3 | None,
        cooperative: bool,
        hints: Hints,
    ) -> tuple[int, int, int, object, int, int]:
        """What native code launches with.

        Returns:
            The address of an entry as cuLaunchKernelEx is one; of the cell that holds the kernel, which is 0 once it
            cannot be launched any more; of a CUlaunchConfig; what keeps cell and configuration where they are; the
            ordinal of the device that this is made for, or -1 where there is no other; the address of an entry as
            cuCtxGetDevice is one, or 0 where there is no other device.

        Raises:
            LaunchError: the device cannot run this configuration.
            DriverError: a driver call failed.
        """

    def refuse(self, outcome: object, submit: Callable[[], object], stream: int) -> None:
        """As in `PreparedFunction`."""


class MeasuredFunction(DeviceFunction, Protocol):
    """A device function of a GPU, whose driver knows what it takes there.

    Attributes:
        arch: the current device, "sm_90".
        handle: the driver's CUkernel.
    """

    arch: str
    handle: int

    def resources(self) -> Resources | None:
        """What it takes of a multiprocessor of the current device; None where the driver does not tell."""
