"""`launch` with the arguments of cuda.core's: for code that launches kernels of both libraries in one way.

    from jitload.interop.cuda_core_launch import launch
    launch(stream, LaunchConfig(grid=n // 256, block=256), kernel, x, y, 2.0, n)

Nothing of cuda.core is imported: a stream is anything with `__cuda_stream__()`, and a configuration anything that has
the fields of its `LaunchConfig`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jitload.errors import UsageTypeError
from jitload.jit.kernel import JitKernel
from jitload.launch.kernel import Kernel

if TYPE_CHECKING:
    Foreign = Any


def launch(stream: Foreign, config: Foreign, kernel: Kernel | JitKernel, /, *args: object) -> None:
    """Launch a kernel of jitload as `cuda.core.launch` launches its own.

    Args:
        stream: anything with `__cuda_stream__()`, a handle, or None as for `Kernel`.
        config: a `LaunchConfig`: `grid`, `block`, `cluster`, `shmem_size`, and `is_cooperative` or
            `cooperative_launch`. With a cluster the grid counts clusters there, and is counted in blocks here.
        kernel: the kernel.
        args: its arguments.

    Raises:
        UsageTypeError: the kernel is none of jitload's, or the configuration has no grid and block.
        ArgumentError, LaunchError: as for `Kernel`.
    """
    if not isinstance(kernel, (Kernel, JitKernel)):
        raise UsageTypeError(
            f"launch(stream, config, kernel, *args) takes a kernel of jitload, got {type(kernel).__name__}: for one of "
            f"cuda.core write cuda.core.launch"
        )
    grid, block = getattr(config, "grid", None), getattr(config, "block", None)
    if grid is None or block is None:
        raise UsageTypeError(f"config is a LaunchConfig with grid and block, got {type(config).__name__}")
    cluster = getattr(config, "cluster", None)
    cooperative = getattr(config, "is_cooperative", None) or getattr(config, "cooperative_launch", False)
    kernel(
        *args,
        grid=grid if cluster is None else _in_blocks(grid, cluster),
        block=block,
        shared_bytes=getattr(config, "shmem_size", None) or 0,
        stream=stream,
        cluster=cluster,
        cooperative=bool(cooperative),
    )


def _in_blocks(grid: Foreign, cluster: Foreign) -> tuple[int, ...]:
    counts = [(*(size if isinstance(size, tuple | list) else (size,)), 1, 1)[:3] for size in (grid, cluster)]
    return tuple(clusters * blocks for clusters, blocks in zip(*counts, strict=True))
