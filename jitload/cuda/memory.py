"""Device memory for arguments that come from the host."""

from __future__ import annotations

from jitload.cuda import driver


class DeviceMemory:
    """The current context's memory, as `jitload.launch.kernel.Memory`."""

    def allocate(self, nbytes: int, label: str) -> int:
        """Reserve `nbytes` with cuMemAlloc; 0 bytes are address 0, since cuMemAlloc refuses them.

        Raises:
            DriverError: out of memory, or another driver error; the text names `label`.
        """
        if nbytes == 0:
            return 0
        module = driver.ensure_context()
        status, address = module.cuMemAlloc(nbytes)
        if status:
            raise driver.driver_error("cuMemAlloc", status, f"for {nbytes} bytes of {label}")
        return int(address)

    def free(self, address: int) -> None:
        """Give an allocation back with cuMemFree, which waits for kernels that may still use it.

        Raises:
            DriverError: cuMemFree failed.
        """
        if address:
            module = driver.ensure_context()
            driver.check("cuMemFree", module.cuMemFree(address))

    def write(self, address: int, source: memoryview) -> None:
        """Copy host bytes to the device and wait until they have arrived.

        cuMemcpyHtoD of pageable memory returns when the bytes are staged, not when they are there (CUDA driver API,
        "API synchronization behavior"), so a kernel on a non-blocking stream could still overtake it.

        Raises:
            DriverError: a driver call failed.
        """
        if source.nbytes:
            module = driver.ensure_context()
            driver.check("cuMemcpyHtoD", module.cuMemcpyHtoD(address, source, source.nbytes))
            driver.check("cuStreamSynchronize", module.cuStreamSynchronize(0))

    def read(self, address: int, target: memoryview) -> None:
        """Copy device bytes to the host with cuMemcpyDtoH.

        Raises:
            DriverError: the copy failed, or a kernel before it did.
        """
        if target.nbytes:
            module = driver.ensure_context()
            driver.check("cuMemcpyDtoH", module.cuMemcpyDtoH(target, address, target.nbytes))
