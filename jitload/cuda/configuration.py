"""CUlaunchConfig as the driver reads it (cuda.h, CUlaunchConfig_st and CUlaunchAttribute_st)."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from jitload.launch.hints import CLUSTER_SCHEDULING, NO_HINTS

if TYPE_CHECKING:
    from jitload.launch.device import Dim3
    from jitload.launch.hints import Hints

# CUlaunchAttributeID values (cuda.h).
_COOPERATIVE, _CLUSTER_DIMENSION, _CLUSTER_SCHEDULING, _PROGRAMMATIC_SERIALIZATION, _PRIORITY, _CARVEOUT = (
    2,
    4,
    5,
    6,
    8,
    14,
)

#: Clusters, and launches that depend on each other, came with this compute capability.
_HOPPER = 9
#: The carve-out of a launch came with this driver.
_CARVEOUT_VERSION = (12, 3)


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
    grid: Dim3,
    block: Dim3,
    shared_bytes: int,
    stream: int,
    cluster: Dim3 | None,
    cooperative: bool,
    hints: Hints = NO_HINTS,
) -> LaunchConfig:
    """The structure for cuLaunchKernelEx; it keeps its attributes alive."""
    attributes: list[_Attribute] = []

    def add(number: int, *value: int) -> None:
        attributes.append(_Attribute(number, 0, tuple(word & 0xFFFFFFFF for word in value)))

    if cluster is not None:
        add(_CLUSTER_DIMENSION, *cluster)
    if cooperative:
        add(_COOPERATIVE, 1)
    if hints.pdl:
        add(_PROGRAMMATIC_SERIALIZATION, 1)
    if hints.priority is not None:
        add(_PRIORITY, hints.priority)
    if hints.cluster_scheduling is not None:
        add(_CLUSTER_SCHEDULING, CLUSTER_SCHEDULING[hints.cluster_scheduling])
    if hints.carveout_percent is not None:
        add(_CARVEOUT, hints.carveout_percent)
    count = len(attributes)
    config = LaunchConfig(grid, block, shared_bytes, stream)
    config.attributes = (_Attribute * count)(*attributes)
    config.attribute_count = count
    return config


def usable_hints(hints: Hints, capability_major: int, driver_version: tuple[int, int]) -> Hints:
    """Those that a device knows; the driver refuses a launch with any other."""
    if capability_major < _HOPPER:
        hints = hints._replace(pdl=False, cluster_scheduling=None)
    if driver_version < _CARVEOUT_VERSION:
        hints = hints._replace(carveout_percent=None)
    return hints
