"""What the driver was told to allow a kernel: more shared memory than every kernel may use, larger clusters."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from jitload import forks
from jitload.cuda import driver
from jitload.errors import LaunchError

if TYPE_CHECKING:
    from jitload.cuda.driver import Foreign
    from jitload.launch.device import Dim3

# CUdevice_attribute and CUfunction_attribute values (cuda.h).
_MAX_SHARED_PER_BLOCK_OPTIN = 97
_MAX_THREADS_PER_BLOCK, _NUM_REGS = 0, 4
_SHARED_SIZE_BYTES, _MAX_DYNAMIC_SHARED_SIZE_BYTES, _NON_PORTABLE_CLUSTER_SIZE_ALLOWED = 1, 8, 14

#: Every kernel may use this much shared memory; more needs an attribute on it first.
DEFAULT_SHARED_BYTES = 48 * 1024
#: Every GPU with clusters allows this many blocks in one; more needs an attribute on the kernel first.
PORTABLE_CLUSTER_BLOCKS = 8


class Limits:
    """The limits of one CUkernel, whatever names it was fetched by, on every device.

    The driver keeps them per kernel and device, and its own calls for reading and writing one are not one step: so they
    are changed under a lock, and only ever raised, since a launch that is prepared relies on what it was given.

    Args:
        kernel: the CUkernel.
    """

    def __init__(self, kernel: Foreign) -> None:
        self._kernel = kernel
        self._shared_bytes = 0  # the most that was asked for
        self._raised: dict[int, int] = {}  # device ordinal -> the dynamic shared memory that it accepts by now
        self._large_clusters = False
        self._threads: dict[int, int] = {}  # device ordinal -> the most threads of a block
        self._lock = threading.Lock()
        forks.after_fork(self._renew_lock)

    def refuse_larger(self, name: str, ordinal: int, block: Dim3) -> None:
        """Nothing for a block that the machine code of a device allows, which may be the driver's own compile.

        Raises:
            LaunchError: it has more threads than launch bounds and registers allow; a launch would say
                CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES.
            DriverError: a driver call failed.
        """
        most = self._threads.get(ordinal)
        if most is None:
            most = self._threads[ordinal] = self._get(_MAX_THREADS_PER_BLOCK, ordinal)
        threads = block[0] * block[1] * block[2]
        if threads > most:
            raise LaunchError(
                f"kernel {name!r} takes {self._get(_NUM_REGS, ordinal)} registers per thread on "
                f"{driver.device_arch(ordinal)}, where a block has at most {most} threads of it; block {block} has "
                f"{threads}: launch smaller blocks, or compile it with __launch_bounds__({threads})"
            )

    def allow(self, name: str, ordinal: int, shared_bytes: int, cluster: Dim3 | None) -> None:
        """Have a device accept launches with this much dynamic shared memory and this cluster.

        Args:
            name: of the kernel, for messages.
            ordinal: the device.
            shared_bytes: dynamic shared memory per block.
            cluster: blocks per cluster, or None.

        Raises:
            LaunchError: the device has less.
            DriverError: a driver call failed.
        """
        large = cluster is not None and cluster[0] * cluster[1] * cluster[2] > PORTABLE_CLUSTER_BLOCKS
        if shared_bytes or large:
            with self._lock:
                if shared_bytes:
                    self._raise_shared(name, ordinal, shared_bytes)
                    self._shared_bytes = max(self._shared_bytes, shared_bytes)
                if large:
                    self._allow_large_clusters(ordinal)
                    self._large_clusters = True

    def allow_again(self, ordinal: int, *, clusters: bool) -> bool:
        """Have a device accept what others do already, as far as it can; gives whether that changed anything.

        Args:
            ordinal: the device.
            clusters: whether it refused the size of a cluster, so that large ones are asked for.
        """
        with self._lock:
            self._large_clusters |= clusters
            changed = self._large_clusters and self._allow_large_clusters(ordinal)
            if self._shared_bytes:
                changed |= self._raise_shared("", ordinal, min(self._shared_bytes, self._room(ordinal)[1]))
        return changed

    def _raise_shared(self, name: str, ordinal: int, shared_bytes: int) -> bool:
        static, room = self._room(ordinal)
        if static + shared_bytes <= DEFAULT_SHARED_BYTES or shared_bytes <= self._raised.get(ordinal, 0):
            return False
        if shared_bytes > room:
            raise LaunchError(
                f"kernel {name!r} asks for {shared_bytes} bytes of dynamic shared memory and has {static} "
                f"static ones; {driver.device_arch(ordinal)} allows {static + room} bytes per block together"
            )
        # Whoever else uses the kernel, by its handle, may have raised it further.
        self._raised[ordinal] = max(shared_bytes, self._get(_MAX_DYNAMIC_SHARED_SIZE_BYTES, ordinal))
        self._set(_MAX_DYNAMIC_SHARED_SIZE_BYTES, self._raised[ordinal], ordinal)
        return True

    def _room(self, ordinal: int) -> tuple[int, int]:
        """Static bytes of the kernel, and the most dynamic ones that a device allows beside them."""
        static = self._get(_SHARED_SIZE_BYTES, ordinal)
        return static, driver.device_attribute(_MAX_SHARED_PER_BLOCK_OPTIN, ordinal) - static

    def _allow_large_clusters(self, ordinal: int) -> bool:
        if self._get(_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, ordinal):
            return False
        self._set(_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1, ordinal)
        return True

    def _get(self, number: int, ordinal: int) -> int:
        bindings = driver.bindings()
        attribute = bindings.CUfunction_attribute(number)
        device = driver.check("cuDeviceGet", bindings.cuDeviceGet(ordinal))
        outcome = bindings.cuKernelGetAttribute(attribute, self._kernel, device)
        return int(driver.check("cuKernelGetAttribute", outcome))

    def _set(self, number: int, value: int, ordinal: int) -> None:
        bindings = driver.bindings()
        attribute = bindings.CUfunction_attribute(number)
        device = driver.check("cuDeviceGet", bindings.cuDeviceGet(ordinal))
        driver.check("cuKernelSetAttribute", bindings.cuKernelSetAttribute(attribute, value, self._kernel, device))

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()
