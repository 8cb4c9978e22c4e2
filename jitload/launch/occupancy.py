"""How many blocks of a kernel fit on a multiprocessor, and in which size they fill it best, without a GPU.

The rules are those of `cuda_occupancy.h` (CUDA toolkit): registers go to warps in units and to each part of the
multiprocessor on its own, shared memory to blocks in units, and warps, blocks and barriers are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.errors import LaunchError
from jitload.frozen import Value
from jitload.images.multiprocessor import (
    MAX_BLOCK_THREADS,
    PARTS,
    REGISTERS,
    WARP_THREADS,
    find_multiprocessor,
    launchable_threads,
    warp_registers,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.images.multiprocessor import Multiprocessor
    from jitload.values import KernelInfo, Resources

#: The block that is suggested where nothing is known of the multiprocessors: on the CPU, on GPUs of the future.
PLAIN_BLOCK_THREADS = 256
#: More blocks than any other limit allows.
UNLIMITED = 1 << 31


class Occupancy(Value):
    """How full a multiprocessor gets.

    Attributes:
        blocks_per_sm: blocks that are resident at once; 0 when not one fits, and a launch would be refused.
        warps_per_sm: their warps.
        fraction: of the warps that the multiprocessor holds at most, from 0 to 1.
        limited_by: what allows no more: "warps", "blocks", "registers", "shared memory", "barriers", or "threads" for a
            block larger than the kernel allows; several are joined by ", ".
    """

    __slots__ = ("blocks_per_sm", "fraction", "limited_by", "warps_per_sm")
    blocks_per_sm: int
    warps_per_sm: int
    fraction: float
    limited_by: str

    def __init__(self, blocks_per_sm: int, warps_per_sm: int, fraction: float, limited_by: str) -> None:
        self._set(blocks_per_sm=blocks_per_sm, warps_per_sm=warps_per_sm, fraction=fraction, limited_by=limited_by)

    def __str__(self) -> str:
        return (
            f"{self.blocks_per_sm} block{'' if self.blocks_per_sm == 1 else 's'}, {self.warps_per_sm} warps per "
            f"multiprocessor ({self.fraction:.0%}), limited by {self.limited_by}"
        )


def block_occupancy(resources: Resources, threads: int, shared_bytes: int, sm: Multiprocessor) -> Occupancy:
    """The occupancy of blocks of so many threads with so much dynamic shared memory."""
    if threads > MAX_BLOCK_THREADS:
        return Occupancy(0, 0, 0.0, "threads")
    warps = -(-threads // WARP_THREADS)
    limits = {
        "warps": sm.warps // warps,
        "blocks": sm.blocks,
        "registers": _by_registers(resources.registers, warps),
        "shared memory": _by_shared_memory(resources.shared_bytes + shared_bytes, sm),
    }
    if sm.barriers is not None and resources.barriers:
        limits["barriers"] = sm.barriers // resources.barriers
    if threads > resources.max_threads and limits["registers"]:
        limits["threads"] = 0
    blocks = min(limits.values())
    reasons = ", ".join(name for name, limit in limits.items() if limit == blocks)
    return Occupancy(blocks, blocks * warps, blocks * warps / sm.warps, reasons)


def best_threads(resources: Resources, shared_bytes: int | Callable[[int], int], sm: Multiprocessor) -> int:
    """The threads of a block with which most threads are resident; the largest of several, 0 where none fits.

    The choice of cudaOccupancyMaxPotentialBlockSize: the sizes are the most threads that the kernel allows and the
    multiples of a warp below that.

    Args:
        resources: of the kernel.
        shared_bytes: dynamic shared memory of a block, or a function of its threads that gives it.
        sm: the multiprocessor.
    """
    best = most = 0
    limit = min(resources.max_threads, MAX_BLOCK_THREADS)
    for whole in range(-(-limit // WARP_THREADS) * WARP_THREADS, 0, -WARP_THREADS):
        threads = min(limit, whole)
        dynamic = shared_bytes(threads) if callable(shared_bytes) else shared_bytes
        resident = threads * block_occupancy(resources, threads, dynamic, sm).blocks_per_sm
        if resident > most:
            best, most = threads, resident
    return best


def suggest_block(
    info: KernelInfo, resources: Resources | None, arch: str, shared_bytes: int | Callable[[int], int]
) -> int | tuple[int, int, int]:
    """What `Kernel.suggest_block` gives.

    Raises:
        LaunchError: no block fits with so much shared memory.
    """
    if info.required_block is not None:
        return info.required_block if info.required_block[1:] != (1, 1) else info.required_block[0]
    most = MAX_BLOCK_THREADS if info.max_threads is None else info.max_threads
    sm = find_multiprocessor(arch)
    if resources is None or sm is None:
        return min(PLAIN_BLOCK_THREADS, most if resources is None else resources.max_threads)
    found = best_threads(resources, shared_bytes, sm)
    if not found:
        dynamic = "what the function gives" if callable(shared_bytes) else shared_bytes
        raise LaunchError(
            f"kernel {info.name!r}: no block fits on {arch}, which allows {sm.block_shared_bytes} bytes of shared "
            f"memory per block: {resources.shared_bytes} are static, dynamic are {dynamic}"
        )
    return found


def _by_registers(registers: int, warps: int) -> int:
    if not registers:
        return UNLIMITED
    if warps * WARP_THREADS > launchable_threads(registers, None):
        return 0
    return REGISTERS // PARTS // warp_registers(registers) * PARTS // warps


def _by_shared_memory(nbytes: int, sm: Multiprocessor) -> int:
    taken = -(-(nbytes + sm.reserved_bytes) // sm.shared_unit) * sm.shared_unit
    if taken > sm.block_shared_bytes + sm.reserved_bytes:
        return 0
    return sm.shared_bytes // taken if taken else UNLIMITED
