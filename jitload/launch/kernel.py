"""A launchable kernel, and the two things a device must offer to run one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from jitload.artifact import KernelInfo

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


class DeviceFunction(Protocol):
    """One kernel on one device, below all argument checking.

    `launch` gets the parameter block, laid out as `info.params` says, and may not keep it. On "cpu" it returns when
    the grid has run; on "cuda" when it is queued on the stream.
    """

    info: KernelInfo
    device: str  # "cuda" or "cpu"
    memory: Memory

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
