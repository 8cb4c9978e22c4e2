"""Launches: what cuLaunchKernelEx refuses at once, and the run on the CPU executor later."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from . import status
from .library import Kernel
from .status import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.function import CpuFunction
    from jitload.values import Resources

    from .device import Context

# CUlaunchAttributeID (cuda.h).
COOPERATIVE, CLUSTER_DIMENSION, POLICY, PROGRAMMATIC_SERIALIZATION, PRIORITY, CARVEOUT = 2, 4, 5, 6, 8, 14
#: The words of each value that mean something; the rest of the 64 bytes must be zero.
ATTRIBUTE_WORDS = {
    COOPERATIVE: 1,
    CLUSTER_DIMENSION: 3,
    POLICY: 1,
    PROGRAMMATIC_SERIALIZATION: 1,
    PRIORITY: 1,
    CARVEOUT: 1,
}
MAX_BLOCK, MAX_GRID = (1024, 1024, 64), (2**31 - 1, 65535, 65535)


def check_shape(taken: Resources, grid: tuple[int, ...], block: tuple[int, ...]) -> None:
    if not all(1 <= one <= most for one, most in zip(grid + block, MAX_GRID + MAX_BLOCK, strict=True)):
        raise Refused(status.INVALID_VALUE, f"grid {grid}, block {block}")
    threads = block[0] * block[1] * block[2]
    if threads > 1024:
        raise Refused(status.INVALID_VALUE, f"{threads} threads per block")
    if threads > taken.max_threads:
        why = f"{threads} threads, {taken.max_threads} by launch bounds and {taken.registers} registers"
        raise Refused(status.LAUNCH_OUT_OF_RESOURCES, why)


def check_cluster(kernel: Kernel, context: Context, grid: tuple[int, ...], cluster: tuple[int, ...]) -> None:
    blocks = cluster[0] * cluster[1] * cluster[2]
    if context.device.capability[0] < 9 or not blocks:
        raise Refused(status.INVALID_VALUE, f"cluster {cluster} on {context.device.capability}")
    if any(extent % size for extent, size in zip(grid, cluster, strict=True)):
        raise Refused(status.INVALID_VALUE, f"grid {grid} is no multiple of cluster {cluster}")
    if blocks > 16 or (blocks > 8 and context.device.ordinal not in kernel.clusters):
        raise Refused(status.INVALID_CLUSTER_SIZE, f"{blocks} blocks")


def check_values(attributes: dict[int, tuple[int, ...]], context: Context) -> None:
    """Values that are none, and what this GPU does not have (CUDA C++ Programming Guide, compute capability 9.0)."""
    if attributes.get(POLICY, (0,))[0] not in (0, 1, 2) or not 0 <= attributes.get(CARVEOUT, (0,))[0] <= 100:
        raise Refused(status.INVALID_VALUE, f"launch attributes {attributes}")
    if context.device.capability[0] < 9 and attributes.keys() & {POLICY, PROGRAMMATIC_SERIALIZATION}:
        raise Refused(status.NOT_SUPPORTED, f"launch attributes {attributes} on {context.device.capability}")


def parameter_block(function: CpuFunction, pointers: int, extra: int) -> bytearray:
    info = function.info
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


def calls(driver: Any) -> dict[str, Callable[..., Any]]:
    """The functions of the API that this file models, by name."""

    def attributes_at(address: int, count: int) -> dict[int, tuple[int, ...]]:
        rows = (ctypes.c_uint32 * (18 * count)).from_address(address) if count else ()
        found: dict[int, tuple[int, ...]] = {}
        for row in range(count):
            number, padding, *value = rows[18 * row : 18 * row + 18]
            used = ATTRIBUTE_WORDS.get(number)
            if used is None or number in found:
                raise Refused(status.INVALID_VALUE, f"launch attribute {number} is not known, or given twice")
            if padding or any(value[used:]):
                raise Refused(status.INVALID_VALUE, f"launch attribute {number} is not laid out as in cuda.h")
            found[number] = tuple(value[:used])
        if CARVEOUT in found and driver.version < 12030:
            raise Refused(status.INVALID_VALUE, "a carve-out per launch came with CUDA 12.3")
        return found

    def launch(*words: int) -> None:
        grid, block = words[0:3], words[3:6]
        shared_bytes, stream_handle, handle, pointers, extra, count, rows = words[6:]
        stream = driver.stream(stream_handle)
        context: Context = stream.context
        context.raise_fault()
        kernel = driver.handles.get(handle, Kernel)
        function = kernel.on(context.device)
        attributes = attributes_at(rows, count)
        check_shape(kernel.taken(context.device), grid, block)
        check_values(attributes, context)
        if CLUSTER_DIMENSION in attributes:
            check_cluster(kernel, context, grid, attributes[CLUSTER_DIMENSION])
        elif function.code.entry.cluster is not None:
            check_cluster(kernel, context, grid, function.code.entry.cluster)
        if shared_bytes > kernel.dynamic_limit(context.device):
            raise Refused(status.INVALID_VALUE, f"{shared_bytes} bytes of dynamic shared memory")
        cooperative = bool(attributes.get(COOPERATIVE, (0,))[0])
        if cooperative and grid[0] * grid[1] * grid[2] > 32 * context.device.multiprocessors:
            raise Refused(status.COOPERATIVE_LAUNCH_TOO_LARGE, f"grid {grid}", expected=True)
        parameters = parameter_block(function, pointers, extra)

        def run() -> None:
            for parameter in function.info.params:
                if parameter.size == 8:
                    word = parameters[parameter.offset : parameter.offset + 8]
                    driver.memory.must_be_usable(int.from_bytes(word, "little"), context)
            function.launch(bytearray(parameters), grid, block, shared_bytes, 0, None, cooperative)

        stream.submit(f"kernel {kernel.symbol}", run)
        driver.launches.append((kernel.symbol, grid, block, shared_bytes, attributes, context.device.ordinal))

    def most_blocks(out: int, handle: int, threads: int, shared_bytes: int) -> None:
        kernel, device = driver.handles.get(handle, Kernel), driver.current().device
        shared = kernel.static_bytes(device) + shared_bytes + 1024
        driver.write(out, min(2048 // max(threads, 1), 32, (device.shared_optin + 1024) // shared), 4)

    return {"cuLaunchKernelEx": launch, "cuOccupancyMaxActiveBlocksPerMultiprocessor": most_blocks}
