"""One kernel of a loaded library, ready to be launched on the current context."""

from __future__ import annotations

import ctypes
import functools
from typing import TYPE_CHECKING, Any

from jitload.cuda import driver
from jitload.cuda.configuration import launch_config
from jitload.cuda.memory import DeviceMemory
from jitload.cuda.resources import ask_resources
from jitload.errors import LaunchError, LoadError

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.artifact import KernelInfo
    from jitload.launch.kernel import Dim3, Memory
    from jitload.loader.module import Module
    from jitload.values import Resources

# CUdevice_attribute and CUfunction_attribute values (cuda.h).
_MAX_SHARED_PER_BLOCK_OPTIN = 97
_SHARED_SIZE_BYTES, _MAX_DYNAMIC_SHARED_SIZE_BYTES, _NON_PORTABLE_CLUSTER_SIZE_ALLOWED = 1, 8, 14

#: Every kernel may use this much shared memory; more needs an attribute on it first.
DEFAULT_SHARED_BYTES = 48 * 1024
#: Every GPU with clusters allows this many blocks in one; more needs an attribute on the kernel first.
PORTABLE_CLUSTER_BLOCKS = 8

# Statuses of a launch that come from its configuration (cuda.h).
_CONFIGURATION_ERRORS = {
    1: "a dimension or an attribute is not possible here",  # CUDA_ERROR_INVALID_VALUE
    701: "too many registers or too much shared memory for this block",  # CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES
    720: "a cooperative grid must fit on the device at once",  # CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE
    912: "this cluster cannot be scheduled here",  # CUDA_ERROR_INVALID_CLUSTER_SIZE
}

_MEMORY = DeviceMemory()


class CudaFunction:
    """A CUkernel, as `jitload.launch.kernel.PreparedFunction`.

    Launches go through cuLaunchKernelEx for every kind of configuration: its four arguments are made once, and a launch
    converts none of them.

    Args:
        info: its name and parameter layout.
        handle: the CUkernel of cuLibraryGetKernel.
        module: kept alive for as long as this function lives.
    """

    device = "cuda"
    memory: Memory = _MEMORY

    def __init__(self, info: KernelInfo, handle: Any, module: Module) -> None:
        self.info = info
        self._kernel = handle
        # A CUkernel is launched as a CUfunction (cuLaunchKernelEx). Every prepared launch holds this one object.
        self._function = ctypes.c_void_p(int(handle))
        self._module: Module | None = module
        self._shared_limits: dict[int, int] = {}

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
            self.refuse(outcome, submit)

    def prepare(
        self,
        nbytes: int,
        grid: Dim3,
        block: Dim3,
        shared_bytes: int,
        stream: int,
        cluster: Dim3 | None,
        cooperative: bool,
    ) -> tuple[bytearray, Callable[[], object]]:
        """A buffer for the parameter block, and the launch of what is in it.

        The buffer holds the block and behind it the array of pointers into it that cuLaunchKernelEx takes.

        Raises:
            LaunchError: the device cannot run this configuration.
            DriverError: a driver call failed.
            LoadError: the module is closed.
        """
        self._require_open()
        self._allow(driver.ensure_context(), shared_bytes, cluster)
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
        config = ctypes.byref(launch_config(grid, block, shared_bytes, stream, cluster, cooperative))
        return buffer, functools.partial(driver.launch_entry(), config, self._function, pointers, None)

    def submission(
        self,
        grid: Dim3,
        block: Dim3,
        shared_bytes: int,
        stream: int,
        cluster: Dim3 | None,
        cooperative: bool,
    ) -> tuple[int, int, int, object, int, int]:
        """What native code launches with; see `jitload.launch.kernel.NativeFunction`.

        Raises:
            LaunchError: the device cannot run this configuration.
            DriverError: a driver call failed.
            LoadError: the module is closed.
        """
        self._require_open()
        self._allow(driver.ensure_context(), shared_bytes, cluster)
        config = launch_config(grid, block, shared_bytes, stream, cluster, cooperative)
        several = driver.device_count() > 1
        return (
            driver.address_of_entry(driver.launch_entry()),
            ctypes.addressof(self._function),
            ctypes.addressof(config),
            (self._function, config),
            driver.current_device() if several else -1,
            driver.address_of_entry(driver.device_entry()) if several else 0,
        )

    def refuse(self, outcome: object, submit: Callable[[], object]) -> None:
        """Give a thread without a context the primary one and submit again; raise for every other status.

        Raises:
            LaunchError: the device cannot run this configuration.
            DriverError: the launch failed, or an earlier kernel did.
            LoadError: the module is closed, or this process was forked after CUDA had started.
        """
        self._require_open()
        if outcome in {driver.INVALID_CONTEXT, driver.NOT_INITIALIZED}:
            driver.ensure_context()
            outcome = submit()
            if not outcome:
                return
        error = driver.driver_error("cuLaunchKernelEx", outcome, f"launching kernel {self.info.name!r}")
        reason = _CONFIGURATION_ERRORS.get(error.code)
        if reason is not None:
            raise LaunchError(f"{error}; {reason}") from error
        raise error

    def synchronize(self, stream: int) -> None:
        """Wait with cuStreamSynchronize until what was launched on `stream` has run.

        Raises:
            DriverError: a kernel failed.
        """
        bindings = driver.ensure_context()
        driver.check("cuStreamSynchronize", bindings.cuStreamSynchronize(stream))

    def retire(self) -> None:
        """Make every prepared launch fail cleanly: its handle is about to be unloaded."""
        self._module = None
        self._function.value = 0

    def _require_open(self) -> None:
        if self._module is None:
            raise LoadError(f"kernel {self.info.name!r} cannot be launched: its module is closed")

    def _allow(self, bindings: Any, shared_bytes: int, cluster: Dim3 | None) -> None:
        """Set the attributes without which the device would refuse this much shared memory or this cluster."""
        if shared_bytes:
            self._allow_shared(bindings, shared_bytes)
        if cluster is not None and cluster[0] * cluster[1] * cluster[2] > PORTABLE_CLUSTER_BLOCKS:
            self._set_attribute(bindings, _NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1, driver.current_device())

    def _allow_shared(self, bindings: Any, shared_bytes: int) -> None:
        ordinal = driver.current_device()
        device = driver.check("cuDeviceGet", bindings.cuDeviceGet(ordinal))
        attribute = bindings.CUfunction_attribute(_SHARED_SIZE_BYTES)
        static = driver.check("cuKernelGetAttribute", bindings.cuKernelGetAttribute(attribute, self._kernel, device))
        if static + shared_bytes <= max(DEFAULT_SHARED_BYTES, self._shared_limits.get(ordinal, 0)):
            return
        limit = driver.device_attribute(_MAX_SHARED_PER_BLOCK_OPTIN, ordinal)
        if static + shared_bytes > limit:
            raise LaunchError(
                f"kernel {self.info.name!r} asks for {shared_bytes} bytes of dynamic shared memory and has {static} "
                f"static ones; {driver.device_arch(ordinal)} allows {limit} bytes per block together"
            )
        self._set_attribute(bindings, _MAX_DYNAMIC_SHARED_SIZE_BYTES, shared_bytes, ordinal)
        self._shared_limits[ordinal] = static + shared_bytes

    def _set_attribute(self, bindings: Any, number: int, value: int, ordinal: int) -> None:
        device = driver.check("cuDeviceGet", bindings.cuDeviceGet(ordinal))
        attribute = bindings.CUfunction_attribute(number)
        driver.check("cuKernelSetAttribute", bindings.cuKernelSetAttribute(attribute, value, self._kernel, device))
