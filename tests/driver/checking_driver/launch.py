"""Launches: what cuLaunchKernelEx refuses at once, and the run on the CPU executor later."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from jitload.errors import CpuFault

from . import status
from .library import Kernel
from .status import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from .device import Context

# CUlaunchAttributeID (cuda.h).
COOPERATIVE, CLUSTER_DIMENSION, POLICY, PROGRAMMATIC_SERIALIZATION, PRIORITY, CARVEOUT = 2, 4, 5, 6, 8, 14
MAX_BLOCK, MAX_GRID = (1024, 1024, 64), (2**31 - 1, 65535, 65535)


def calls(driver: Any) -> dict[str, Callable[..., Any]]:
    """The functions of the API that this file models, by name."""

    def attributes_at(address: int, count: int) -> dict[int, tuple[int, int, int]]:
        rows = (ctypes.c_uint64 * (4 * count)).from_address(address) if count else ()
        found = {}
        for row in range(count):
            number, *values = rows[4 * row : 4 * row + 4]
            if number in found:
                raise Refused(status.INVALID_VALUE, f"launch attribute {number} twice")
            if number not in {COOPERATIVE, CLUSTER_DIMENSION, POLICY, PROGRAMMATIC_SERIALIZATION, PRIORITY, CARVEOUT}:
                raise Refused(status.INVALID_VALUE, f"launch attribute {number} is not known")
            found[number] = tuple(values)
        return found

    def check_shape(kernel: Kernel, grid: tuple[int, ...], block: tuple[int, ...]) -> None:
        if not all(1 <= one <= most for one, most in zip(grid + block, MAX_GRID + MAX_BLOCK, strict=True)):
            raise Refused(status.INVALID_VALUE, f"grid {grid}, block {block}")
        threads, bound = block[0] * block[1] * block[2], kernel.function.info.max_threads
        if threads > 1024:
            raise Refused(status.INVALID_VALUE, f"{threads} threads per block")
        if bound is not None and threads > bound:
            raise Refused(status.LAUNCH_OUT_OF_RESOURCES, f"{threads} threads, launch bounds {bound}")

    def check_cluster(kernel: Kernel, context: Context, grid: tuple[int, ...], cluster: tuple[int, ...]) -> None:
        blocks = cluster[0] * cluster[1] * cluster[2]
        if context.device.capability[0] < 9 or not blocks:
            raise Refused(status.INVALID_VALUE, f"cluster {cluster} on {context.device.capability}")
        if any(extent % size for extent, size in zip(grid, cluster, strict=True)):
            raise Refused(status.INVALID_VALUE, f"grid {grid} is no multiple of cluster {cluster}")
        if blocks > 16 or (blocks > 8 and context.device.ordinal not in kernel.clusters):
            raise Refused(status.INVALID_CLUSTER_SIZE, f"{blocks} blocks")

    def parameter_block(kernel: Kernel, pointers: int, extra: int) -> bytearray:
        info = kernel.function.info
        if extra or (info.params and not pointers):
            raise Refused(status.INVALID_VALUE, "parameters by `extra`, or none at all")
        block = bytearray(info.parameter_bytes)
        addresses = (ctypes.c_uint64 * len(info.params)).from_address(pointers) if info.params else ()
        for parameter, address in zip(info.params, addresses, strict=True):
            if not address:
                raise Refused(status.INVALID_VALUE, "a NULL among the parameters")
            end = parameter.offset + parameter.size
            block[parameter.offset : end] = ctypes.string_at(address, parameter.size)
        return block

    def check_owners(kernel: Kernel, block: bytearray, context: Context) -> None:
        """Memory of another device cannot be reached without peer access, which nobody enables here."""
        for parameter in kernel.function.info.params:
            if parameter.size == 8:
                value = int.from_bytes(block[parameter.offset : parameter.offset + 8], "little")
                owner = driver.memory.owner(value)
                if owner is not None and owner.device is not context.device:
                    raise CpuFault(f"{value:#x} is memory of device {owner.device.ordinal}")

    def launch(*words: int) -> None:
        grid, block = words[0:3], words[3:6]
        shared_bytes, stream_handle, function, pointers, extra, count, rows = words[6:]
        stream = driver.stream(stream_handle)
        context = stream.context
        context.raise_fault()
        kernel = driver.handles.get(function, Kernel)
        attributes = attributes_at(rows, count)
        check_shape(kernel, grid, block)
        if CLUSTER_DIMENSION in attributes:
            check_cluster(kernel, context, grid, attributes[CLUSTER_DIMENSION])
        if shared_bytes > kernel.dynamic_limit(context.device):
            raise Refused(status.INVALID_VALUE, f"{shared_bytes} bytes of dynamic shared memory")
        cooperative = bool(attributes.get(COOPERATIVE, (0,))[0])
        if cooperative and grid[0] * grid[1] * grid[2] > 32 * context.device.multiprocessors:
            raise Refused(status.COOPERATIVE_LAUNCH_TOO_LARGE, f"grid {grid}")
        parameters = parameter_block(kernel, pointers, extra)
        driver.launches.append((kernel.symbol, grid, block, shared_bytes, attributes, context.device.ordinal))

        def run() -> None:
            check_owners(kernel, parameters, context)
            kernel.function.launch(parameters, grid, block, shared_bytes, 0, None, cooperative)

        stream.submit(f"kernel {kernel.symbol}", run)

    def most_blocks(out: int, function: int, threads: int, shared_bytes: int) -> None:
        kernel = driver.handles.get(function, Kernel)
        shared = kernel.static_bytes + shared_bytes + 1024
        driver.write(out, min(2048 // max(threads, 1), 32, (driver.current().device.shared_optin + 1024) // shared), 4)

    return {"cuLaunchKernelEx": launch, "cuOccupancyMaxActiveBlocksPerMultiprocessor": most_blocks}
