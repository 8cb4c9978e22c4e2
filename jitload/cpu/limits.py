"""What no launch of the executor exceeds, because no GPU runs it: shapes, clusters, shared memory, resident blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.errors import LaunchError

if TYPE_CHECKING:
    from jitload.cpu.kernel_code import KernelCode
    from jitload.images.ptx.values import Function
    from jitload.launch.device import Dim3
    from jitload.values import KernelInfo

# Limits of every GPU that the CUDA C++ Programming Guide lists for compute capability 7.0 and later.
MAX_BLOCK = (1024, 1024, 64)
MAX_THREADS = 1024
MAX_GRID = (2**31 - 1, 65535, 65535)
MAX_SHARED_BYTES = 227 << 10
#: Every GPU with clusters runs 8 blocks in one; 16 are what any GPU does where a kernel is allowed it, as jitload does.
MAX_CLUSTER_BLOCKS = 16

# What no GPU exceeds that there is: GB202, the largest die, has 192 multiprocessors (NVIDIA RTX Blackwell GPU
# Architecture; products have up to 188, B200 148, B300 160). What one of them holds is the most of the guide's table
# "Technical Specifications per Compute Capability", that of 9.0 and 10.0; the system keeps 1 KiB for each block.
SMS = 192
SM_BLOCKS = 32
SM_WARPS = 64
SM_SHARED_BYTES = 228 << 10
BLOCK_RESERVED_BYTES = 1 << 10
WARP_THREADS = 32


def clusters_of(name: str, entry: Function, grid: Dim3, cluster: Dim3 | None) -> tuple[Dim3, Dim3 | None]:
    """(grid in blocks, blocks per cluster or None where nobody asks for clusters) of a launch.

    It asks for them by its kernel, its arguments, or both (PTX ISA section 11.4.7).

    Args:
        name: what the user calls the kernel.
        entry: how it is declared.
        grid: as the launch has it.
        cluster: as the launch has it.

    Raises:
        LaunchError: the kernel needs others, there are none like this, or the grid is no whole number of them.
    """
    wanted = entry.cluster
    if cluster is not None and wanted is not None and tuple(cluster) != wanted:
        raise LaunchError(
            f"kernel {name}: cluster {tuple(cluster)}, its code says {wanted} (__cluster_dims__): leave cluster= out, "
            f"or give the same"
        )
    found = cluster or wanted
    if found is None:
        if entry.explicit_cluster:
            raise LaunchError(
                f"kernel {name}: it runs in clusters only (__cluster_dims__): say how large they are, "
                f"kernel(..., cluster=...)"
            )
        return grid, None
    x, y, z = found
    blocks, most = x * y * z, entry.max_cluster_blocks or MAX_CLUSTER_BLOCKS
    if min(found) < 1 or blocks > MAX_CLUSTER_BLOCKS:
        raise LaunchError(
            f"kernel {name}: cluster {tuple(found)} has {blocks} blocks, 1 to {MAX_CLUSTER_BLOCKS} are possible (every "
            f"GPU with clusters runs 8, more only some)"
        )
    if blocks > most:
        raise LaunchError(f"kernel {name}: cluster {tuple(found)} has {blocks} blocks, its code allows {most}")
    if entry.blocks_are_clusters:
        grid = (grid[0] * x, grid[1] * y, grid[2] * z)
    if any(whole % part for whole, part in zip(grid, found, strict=True)):
        raise LaunchError(
            f"kernel {name}: grid {tuple(grid)} is not a multiple of cluster {tuple(found)} in every dimension"
        )
    return grid, (x, y, z)


def check_shape(info: KernelInfo, code: KernelCode, grid: Dim3, block: Dim3, shared_bytes: int) -> None:
    """See that GPUs run such a grid of this kernel.

    Raises:
        LaunchError: it is beyond what they run, or does not fit the kernel.
    """
    name = info.name
    for what, extents, limits in (("grid", grid, MAX_GRID), ("block", block, MAX_BLOCK)):
        if not all(1 <= one <= most for one, most in zip(extents, limits, strict=False)):
            raise LaunchError(f"kernel {name}: {what} {tuple(extents)} must be from (1, 1, 1) to {limits}")
    threads = block[0] * block[1] * block[2]
    if threads > MAX_THREADS:
        raise LaunchError(f"kernel {name}: block {tuple(block)} has {threads} threads, {MAX_THREADS} are possible")
    if info.max_threads is not None and threads > info.max_threads:
        raise LaunchError(f"kernel {name}: {threads} threads per block, its launch bounds allow {info.max_threads}")
    if info.required_block is not None and tuple(block) != tuple(info.required_block):
        raise LaunchError(f"kernel {name}: block {tuple(block)}, it requires {info.required_block}")
    shared = code.shared_bytes(shared_bytes)
    if shared_bytes < 0 or shared > MAX_SHARED_BYTES:
        raise LaunchError(f"kernel {name}: {shared} bytes of shared memory per block, {MAX_SHARED_BYTES} are possible")


def check_residence(name: str, grid: Dim3, block: Dim3, shared: int) -> None:
    """See that a cooperative launch fits: a GPU refuses others, with CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE.

    Args:
        name: of the kernel.
        grid: thread blocks along x, y and z.
        block: threads per block, likewise.
        shared: bytes of shared memory per block, static and dynamic.

    Raises:
        LaunchError: no GPU holds all of its blocks at once.
    """
    blocks, threads = grid[0] * grid[1] * grid[2], block[0] * block[1] * block[2]
    most = resident_blocks(threads, shared)
    if blocks > most:
        raise LaunchError(
            f"kernel {name}: a cooperative launch runs every block at once, and the {blocks} blocks of "
            f"grid {tuple(grid)} with {threads} threads and {shared} bytes of shared memory each are more "
            f"than the {most} that the largest GPU holds: launch fewer, and let each do more in a loop"
        )


def resident_blocks(threads: int, shared: int) -> int:
    """How many thread blocks the largest GPU holds at once, as an upper bound: registers are not known here.

    Args:
        threads: per block.
        shared: bytes of shared memory per block, static and dynamic.
    """
    warps = -(-threads // WARP_THREADS)
    by_shared = SM_SHARED_BYTES // (shared + BLOCK_RESERVED_BYTES)
    return SMS * min(SM_BLOCKS, SM_WARPS // warps, by_shared)
