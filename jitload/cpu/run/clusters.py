"""The clusters that a launch asks for: from its kernel, its arguments, or both (PTX ISA section 11.4.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.errors import LaunchError

if TYPE_CHECKING:
    from jitload.images.ptx.values import Function
    from jitload.launch.device import Dim3

#: Every GPU with clusters runs 8 blocks in one; 16 are what any GPU does where a kernel is allowed it, as jitload does.
MAX_CLUSTER_BLOCKS = 16


def clusters_of(name: str, entry: Function, grid: Dim3, cluster: Dim3 | None) -> tuple[Dim3, Dim3 | None]:
    """(grid in blocks, blocks per cluster or None where nobody asks for clusters) of a launch.

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
