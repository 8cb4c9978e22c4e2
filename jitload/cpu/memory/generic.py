"""From the value of an address register to checked addresses (PTX ISA section 5.1, generic addressing)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.lanes.affine import Affine
from jitload.cpu.memory.arena import ARENA_WINDOW, LOCAL_WINDOW, PARAM_WINDOW, SHARED_WINDOW, WINDOW_BYTES
from jitload.cpu.memory.cluster import OWN_BYTES, in_cluster, is_own
from jitload.cpu.memory.strided import StridedGlobalAddresses, StridedSlabAddresses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cpu.memory.access import Addresses, RunningLanes
    from jitload.cpu.memory.slab import Slab
    from jitload.cpu.types import Array, Lanes

_WINDOWS = {"shared": SHARED_WINDOW, "local": LOCAL_WINDOW, "param": PARAM_WINDOW}


def at_global(batch: RunningLanes, value: Lanes | Affine | int) -> Addresses:
    """Addresses of the arena; an int is a uniform address."""
    if isinstance(value, np.ndarray) and value.ndim:
        return batch.global_addresses(batch, value.view(np.int64) - ARENA_WINDOW, 0)
    if type(value) is Affine:
        offsets = value.relative_to(ARENA_WINDOW)
        limits = offsets.limits()
        if limits is not None:
            return StridedGlobalAddresses(batch, offsets, limits)
        return batch.global_addresses(batch, offsets.lanes(), 0)
    return batch.global_addresses(batch, int(value) - ARENA_WINDOW, 0)


def at_shared(batch: RunningLanes, value: Lanes | Affine | int) -> Addresses:
    """Addresses in the shared memory of each lane's own block."""
    if batch.cluster_blocks > 1:
        return _in_cluster(batch, _offsets(value), own=True)
    return _in_slab(batch, batch.shared, _offsets(value), batch.lane_slabs("shared"))


def at_cluster(batch: RunningLanes, value: Lanes | Affine | int) -> Addresses:
    """Addresses in the shared memory of any block of the cluster (`.shared::cluster`)."""
    if batch.cluster_blocks > 1:
        return _in_cluster(batch, _offsets(value), own=False)
    return _in_slab(batch, batch.shared, _offsets(value), batch.lane_slabs("shared"))


def _in_cluster(batch: RunningLanes, offsets: Array | Affine | int, *, own: bool) -> Addresses:
    slabs = batch.lane_slabs("shared")
    if isinstance(offsets, Affine):
        limits = offsets.limits()
        if limits is not None and limits[1] >= -OWN_BYTES and limits[2] < OWN_BYTES:
            return StridedSlabAddresses(batch, batch.shared, offsets, limits, slabs)
        offsets = offsets.lanes()
    return in_cluster(batch, batch.shared, offsets, slabs, None, own)


def at_local(batch: RunningLanes, value: Lanes | Affine | int) -> Addresses:
    """Addresses in the local memory of each lane."""
    return _in_slab(batch, batch.local, _offsets(value), batch.lane_slabs("local"))


def at_param(batch: RunningLanes, value: Lanes | Affine | int) -> Addresses:
    """Addresses in the parameter block of the launch."""
    return _in_slab(batch, batch.params, _offsets(value), 0)


def _offsets(value: Lanes | Affine | int) -> Array | Affine | int:
    """Addresses with a sign: a register may lie below zero, and the constant offset of the access above it."""
    if isinstance(value, int):
        return value
    signed = value.view(np.int32 if value.dtype.itemsize == 4 else np.int64)
    return signed.astype(np.int64) if type(signed) is Affine or signed.ndim else int(signed)


def _in_slab(batch: RunningLanes, slab: Slab, offsets: Array | Affine | int, slabs: Array | int) -> Addresses:
    if isinstance(offsets, Affine):
        limits = offsets.limits()
        if limits is not None:
            return StridedSlabAddresses(batch, slab, offsets, limits, slabs)
        offsets = offsets.lanes()
    return batch.slab_addresses(batch, slab, offsets, slabs)


def at_generic(batch: RunningLanes, value: Lanes | Affine | int) -> Addresses | MixedAddresses:
    """Addresses of whatever space each value points into."""
    if type(value) is Affine:
        limits = value.limits()
        if limits is None:
            return at_generic(batch, value.lanes())
        _, lo, hi = limits
    elif not (isinstance(value, np.ndarray) and value.ndim):
        lo = hi = int(value)
    else:
        lo, hi = int(value.min()), int(value.max())
    if lo >= ARENA_WINDOW or hi < PARAM_WINDOW:
        return at_global(batch, value)
    for space, window in _WINDOWS.items():
        if window <= lo and hi < window + WINDOW_BYTES:
            return _in_window(batch, space, window, value)
    if lo == hi:
        return at_global(batch, value)
    return MixedAddresses(batch, value.lanes() if type(value) is Affine else np.asarray(value))


def _in_window(
    batch: RunningLanes, space: str, window: int, value: Lanes | Affine | int, positions: Array | None = None
) -> Addresses:
    slabs = 0 if space == "param" else batch.lane_slabs(space)
    if positions is not None and isinstance(slabs, np.ndarray):
        slabs = slabs[positions]
    slab = {"shared": batch.shared, "local": batch.local, "param": batch.params}[space]
    if space == "shared" and batch.cluster_blocks > 1:
        if type(value) is Affine:
            return _in_cluster(batch, value.relative_to(window), own=False)
        offsets = value.view(np.int64) - window if isinstance(value, np.ndarray) and value.ndim else int(value) - window
        return in_cluster(batch, slab, offsets, slabs, positions, False)
    if type(value) is Affine:
        return _in_slab(batch, slab, value.relative_to(window), slabs)
    if isinstance(value, np.ndarray) and value.ndim:
        return batch.slab_addresses(batch, slab, value.view(np.int64) - window, slabs, positions)
    return batch.slab_addresses(batch, slab, int(value) - window, slabs, positions)


def space_of(value: Lanes, space: str, batch: RunningLanes) -> Lanes | np.bool_:
    """`isspacep`: whether generic addresses point into a space; "cluster" is shared memory of any block there."""
    if space in {*_WINDOWS, "cluster"}:
        window = np.uint64(_WINDOWS.get(space, SHARED_WINDOW))
        inside = (value >= window) & (value < window + np.uint64(WINDOW_BYTES))
        return inside & is_own(batch, value - window) if space == "shared" and batch.cluster_blocks > 1 else inside
    offsets = np.atleast_1d(np.asarray(value)).view(np.int64) - ARENA_WINDOW
    bounds = batch.arena.bounds()
    index = bounds.holding(offsets, 1)
    constant = (index >= 0) & (bounds.constant[index] if len(bounds.starts) else False)
    found = constant if space == "const" else (value >= np.uint64(ARENA_WINDOW)) & ~constant
    return found if np.ndim(value) else np.bool_(found[0])


class MixedAddresses:
    """Generic addresses of which some point into one space and some into another; each part does its own work."""

    __slots__ = ("batch", "parts")

    def __init__(self, batch: RunningLanes, value: Array) -> None:
        self.batch = batch
        self.parts: list[tuple[Array, Addresses]] = []
        rest = np.ones(len(value), np.bool_)
        for space, window in _WINDOWS.items():
            inside = (value >= np.uint64(window)) & (value < np.uint64(window + WINDOW_BYTES))
            positions = np.flatnonzero(inside)
            rest &= ~inside
            if len(positions):
                self.parts.append((positions, _in_window(batch, space, window, value[positions], positions)))
        positions = np.flatnonzero(rest)
        if len(positions):
            offsets = value[positions].view(np.int64) - ARENA_WINDOW
            self.parts.append((positions, batch.global_addresses(batch, offsets, 0, positions)))

    def load(self, offset: int, rep: str, size: int, site: int) -> Lanes:
        """What the lanes read."""
        parts = [(positions, part.load(offset, rep, size, site)) for positions, part in self.parts]
        return self._join(parts)

    def _join(self, parts: Sequence[tuple[Array, Lanes]]) -> Array:
        joined = np.empty(sum(len(positions) for positions, _ in parts), parts[0][1].dtype)
        for positions, values in parts:
            joined[positions] = values
        return joined

    def store(self, offset: int, rep: str, size: int, site: int, value: Lanes) -> None:
        """Write a value per lane."""
        for positions, part in self.parts:
            part.store(offset, rep, size, site, value[positions] if value.ndim else value)

    def load_vector(self, offset: int, rep: str, size: int, count: int, site: int) -> Sequence[Lanes]:
        """`count` elements per lane."""
        loaded = [(positions, part.load_vector(offset, rep, size, count, site)) for positions, part in self.parts]
        return [self._join([(positions, values[k]) for positions, values in loaded]) for k in range(count)]

    def store_vector(self, offset: int, rep: str, size: int, site: int, values: Sequence[Lanes]) -> None:
        """Write a vector per lane."""
        for positions, part in self.parts:
            chosen = [value[positions] if value.ndim else value for value in values]
            part.store_vector(offset, rep, size, site, chosen)

    def split(self) -> Sequence[tuple[Array, Addresses]]:
        """The parts, for atomics."""
        return self.parts


def of_one_space(addresses: Addresses | MixedAddresses, site: int, what: str) -> Addresses:
    """The addresses, if they do not point into several state spaces.

    Raises:
        CpuFault: they do; `what` is its text.
    """
    if isinstance(addresses, MixedAddresses):
        positions, part = addresses.split()[0]
        part.batch.fail(site, int(positions[0]), what)
    return addresses
