"""The shape of a launch, checked before a device sees it."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, NamedTuple

from jitload.errors import LaunchError
from jitload.launch.hints import NO_HINTS, Hints

if TYPE_CHECKING:
    from jitload.launch.device import Dim3
    from jitload.launch.foreign import Given
    from jitload.values import KernelInfo

# CUDA C++ Programming Guide, "Technical Specifications per Compute Capability": the same for every GPU since 3.0.
MAX_BLOCK = (1024, 1024, 64)
MAX_BLOCK_THREADS = 1024
MAX_GRID = (2**31 - 1, 65535, 65535)


class Configuration(NamedTuple):
    """Grid and block in blocks and threads, dynamic shared memory in bytes, cluster in blocks, hints."""

    grid: Dim3
    block: Dim3
    shared_bytes: int = 0
    cluster: Dim3 | None = None
    cooperative: bool = False
    hints: Hints = NO_HINTS

    @property
    def is_empty(self) -> bool:
        """Whether the grid has no blocks: then there is nothing to launch."""
        return 0 in self.grid


def configure(
    info: KernelInfo,
    grid: object,
    block: object,
    shared_bytes: object = 0,
    cluster: object = None,
    cooperative: object = False,
    hints: Hints = NO_HINTS,
) -> Configuration:
    """Check a configuration and write it in full.

    Raises:
        LaunchError: something is missing, negative, 0 where that is no grid, or more than the kernel or any GPU allows.
    """
    for word, given in (("grid", grid), ("block", block)):
        if given is None:
            raise LaunchError(
                f"kernel {info.name!r} needs a {word}: write kernel[grid, block](...), "
                "or kernel(..., grid=..., block=...)"
            )
    full_grid = _dimensions(info, "grid", grid, MAX_GRID, least=0)
    full_block = _dimensions(info, "block", block, MAX_BLOCK)
    _check_block(info, full_block)
    full_cluster = None if cluster is None else _dimensions(info, "cluster", cluster, MAX_GRID)
    if full_cluster is not None and any(g % c for g, c in zip(full_grid, full_cluster, strict=True)):
        raise LaunchError(
            f"kernel {info.name!r}: grid {full_grid} is not a multiple of cluster {full_cluster} in every dimension"
        )
    if cooperative is not True and cooperative is not False:
        raise LaunchError(f"kernel {info.name!r}: cooperative {cooperative!r} must be True or False")
    dynamic = _shared_bytes(info, shared_bytes)
    return Configuration(full_grid, full_block, dynamic, full_cluster, cooperative, hints)


def cover(info: KernelInfo, count: object, block: object, cluster: object = None) -> tuple[int, int]:
    """Blocks and threads per block for a thread per element; whole clusters of blocks.

    Args:
        info: of the kernel.
        count: elements.
        block: threads per block.
        cluster: blocks per cluster, or None.

    Raises:
        LaunchError: one of them is no whole number, or is negative, or a block or cluster has more than one dimension.
    """
    try:
        elements = _whole(count)
    except TypeError:
        raise LaunchError(f"kernel {info.name!r}: forall({count!r}) takes a number of elements") from None
    if elements < 0:
        raise LaunchError(f"kernel {info.name!r}: forall({elements}) must not be negative")
    threads = _along_x(info, "block", block, MAX_BLOCK)
    blocks = -(-elements // threads)
    if cluster is None:
        return blocks, threads
    together = _along_x(info, "cluster", cluster, MAX_GRID)
    return -(-blocks // together) * together, threads


def _along_x(info: KernelInfo, word: str, given: object, limits: Dim3) -> int:
    extent, *others = _dimensions(info, word, given, limits)
    if others != [1, 1]:
        raise LaunchError(
            f"kernel {info.name!r}: forall() covers elements along x, and a {word} is {given!r}: launch it as "
            f"kernel[grid, block](...)"
        )
    return extent


def _dimensions(info: KernelInfo, word: str, given: object, limits: Dim3, *, least: int = 1) -> Dim3:
    parts = tuple(given) if isinstance(given, tuple | list) else (given,)
    if not 1 <= len(parts) <= 3:
        raise LaunchError(f"kernel {info.name!r}: {word} {given!r} has {len(parts)} dimensions; it needs 1 to 3")
    try:
        sizes = [_whole(part) for part in parts]
    except TypeError:
        raise LaunchError(
            f"kernel {info.name!r}: {word} {given!r} must be an integer or a tuple of 1 to 3 integers"
        ) from None
    x, y, z = (*sizes, 1, 1)[:3]
    for axis, size, limit in zip("xyz", (x, y, z), limits, strict=True):
        if size < least:
            rule = "it must be positive" if least else "it must not be negative"
            raise LaunchError(f"kernel {info.name!r}: {word} {given!r} has {axis} = {size}; {rule}")
        if size > limit:
            raise LaunchError(f"kernel {info.name!r}: {word} {given!r} has {axis} = {size}; CUDA allows {limit}")
    return x, y, z


def _check_block(info: KernelInfo, block: Dim3) -> None:
    threads = block[0] * block[1] * block[2]
    if info.required_block is not None and block != info.required_block:
        raise LaunchError(f"kernel {info.name!r} was compiled for blocks of exactly {info.required_block}, got {block}")
    if info.max_threads is not None and threads > info.max_threads:
        raise LaunchError(
            f"kernel {info.name!r} allows {info.max_threads} threads per block (__launch_bounds__), "
            f"block {block} has {threads}"
        )
    if threads > MAX_BLOCK_THREADS:
        raise LaunchError(f"kernel {info.name!r}: block {block} has {threads} threads; CUDA allows {MAX_BLOCK_THREADS}")
    taken = info.resources
    if taken is not None and threads > taken.max_threads:
        # The driver would say CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES (701), on every GPU that runs this cubin.
        raise LaunchError(
            f"kernel {info.name!r} takes {taken.registers} registers per thread, with which a block has at most "
            f"{taken.max_threads} threads; block {block} has {threads}: launch smaller blocks, or compile it with "
            f"__launch_bounds__({threads})"
        )


def _shared_bytes(info: KernelInfo, given: object) -> int:
    try:
        size = _whole(given)
    except TypeError:
        raise LaunchError(f"kernel {info.name!r}: shared_bytes {given!r} must be an integer") from None
    if not 0 <= size < 1 << 31:
        raise LaunchError(f"kernel {info.name!r}: shared_bytes {size} must be from 0 to 2**31 - 1")
    return size


def _whole(given: Given) -> int:
    if isinstance(given, bool):
        raise TypeError("a bool is an int in Python, and never a size that was meant")
    return operator.index(given)
