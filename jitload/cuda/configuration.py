"""CUlaunchConfig as the driver reads it (cuda.h, CUlaunchConfig_st and CUlaunchAttribute_st)."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jitload.launch.kernel import Dim3

# CUlaunchAttributeID values (cuda.h).
_COOPERATIVE, _CLUSTER_DIMENSION = 2, 4


class _Attribute(ctypes.Structure):
    _fields_ = (
        ("id", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
        ("value", ctypes.c_uint32 * 16),  # a union of 64 bytes
    )


class LaunchConfig(ctypes.Structure):
    """Grid and block in blocks and threads, dynamic shared memory in bytes, stream, attributes."""

    _fields_ = (
        ("grid", ctypes.c_uint32 * 3),
        ("block", ctypes.c_uint32 * 3),
        ("shared_bytes", ctypes.c_uint32),
        ("stream", ctypes.c_void_p),
        ("attributes", ctypes.POINTER(_Attribute)),
        ("attribute_count", ctypes.c_uint32),
    )


def launch_config(
    grid: Dim3, block: Dim3, shared_bytes: int, stream: int, cluster: Dim3 | None, cooperative: bool
) -> LaunchConfig:
    """The structure for cuLaunchKernelEx; it keeps its attributes alive."""
    attributes: list[_Attribute] = []
    if cluster is not None:
        attributes.append(_Attribute(_CLUSTER_DIMENSION, 0, cluster))
    if cooperative:
        attributes.append(_Attribute(_COOPERATIVE, 0, (1,)))
    count = len(attributes)
    config = LaunchConfig(grid, block, shared_bytes, stream)
    config.attributes = (_Attribute * count)(*attributes)
    config.attribute_count = count
    return config
