"""Asynchronous copies, carried out at once: `cp.async` and bulk copies (PTX ISA section 9.7.9.25)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.memory.access import Addresses, SlabAddresses
from jitload.cpu.memory.cluster import ClusterAddresses
from jitload.cpu.memory.generic import MixedAddresses, of_one_space

if TYPE_CHECKING:
    from jitload.cpu.memory.access import RunningLanes
    from jitload.cpu.types import Array, Lanes

_CHUNK = 16  # bulk copies are of multiples of so many bytes


def _part_of(addresses: Addresses, lanes: Array) -> Addresses:
    """The addresses of some of the current lanes."""
    if isinstance(addresses, ClusterAddresses):
        return addresses.part(lanes)
    batch = addresses.batch
    offsets = np.broadcast_to(addresses.offsets, (batch.count,))[lanes]
    if isinstance(addresses, SlabAddresses):
        slabs = np.broadcast_to(addresses.slabs, (batch.count,))[lanes]
        return batch.slab_addresses(batch, addresses.slab, offsets, slabs, lanes)
    return batch.global_addresses(batch, offsets, 0, lanes)


def copy_async(
    target: Addresses, to: int, source: Addresses, start: int, size: int, valid: Lanes | None, site: int
) -> None:
    """`cp.async`: `size` bytes per lane from global to shared memory, zeros past the `valid` bytes.

    Lanes whose copy is all zeros read nothing, so their source address may be anything.
    """
    if valid is None or (valid >= size).all():
        target.store_vector(to, "u32", 4, site, list(source.load_vector(start, "u32", 4, size // 4, site)))
        return
    target.store_vector(to, "u32", 4, site, _read_valid(source, start, size, valid, site))


def _read_valid(source: Addresses, start: int, size: int, valid: Lanes, site: int) -> list[Array]:
    count = source.batch.count
    counts = np.broadcast_to(valid, (count,))
    data = np.zeros((count, size), np.uint8)
    whole = np.flatnonzero(counts >= size)
    if len(whole):
        loaded = _part_of(source, whole).load_vector(start, "u32", 4, size // 4, site)
        data.view(np.uint32)[whole] = np.stack(loaded, axis=1)
    for number in range(size):
        some = np.flatnonzero((counts > number) & (counts < size))
        if not len(some):
            break
        data[some, number] = _part_of(source, some).load(start + number, "u8", 1, site)
    return [np.ascontiguousarray(column) for column in data.view(np.uint32).T]


def copy_bulk(
    batch: RunningLanes, target: Addresses, to: int, source: Addresses, start: int, size: Lanes, site: int
) -> None:
    """`cp.async.bulk`: `size` bytes per lane, 16 at a time."""
    sizes = _whole_chunks(batch, size, site)
    for length in np.unique(sizes).tolist():
        lanes = np.flatnonzero(sizes == length)
        into, out = _part_of(target, lanes), _part_of(source, lanes)
        for step in range(0, length, _CHUNK):
            words = list(out.load_vector(start + step, "u32", 4, _CHUNK // 4, site))
            into.store_vector(to + step, "u32", 4, site, words)


def copy_masked(
    batch: RunningLanes, target: Addresses, to: int, source: Addresses, start: int, size: Lanes, mask: Lanes, site: int
) -> None:
    """`.cp_mask`: of each 16 of the `size` bytes those whose bit in `mask` is set; others are not written."""
    sizes = _whole_chunks(batch, size, site)
    masks = np.broadcast_to(mask, (batch.count,))
    for length in np.unique(sizes).tolist():
        for number in range(_CHUNK):
            lanes = np.flatnonzero((sizes == length) & ((masks >> np.uint16(number)) & np.uint16(1) != 0))
            if not len(lanes):
                continue
            into, out = _part_of(target, lanes), _part_of(source, lanes)
            for step in range(number, length, _CHUNK):
                into.store(to + step, "u8", 1, site, out.load(start + step, "u8", 1, site))


def _whole_chunks(batch: RunningLanes, size: Lanes, site: int) -> Array:
    """The sizes of bulk copies, per lane."""
    sizes: Array = np.broadcast_to(size, (batch.count,)).astype(np.int64)
    bad = np.flatnonzero(sizes % _CHUNK)
    if len(bad):
        batch.fail(site, int(bad[0]), f"a bulk copy of {int(sizes[bad[0]])} bytes, which is no multiple of {_CHUNK}")
    return sizes


def fill_bulk(batch: RunningLanes, target: Addresses | MixedAddresses, to: int, size: Lanes, site: int) -> None:
    """`st.bulk`: zeros, 8 bytes at a time."""
    target = of_one_space(target, site, "st.bulk to addresses of several state spaces")
    sizes = np.broadcast_to(size, (batch.count,)).astype(np.int64)
    if (sizes % 8).any():
        batch.fail(site, int(np.flatnonzero(sizes % 8)[0]), "st.bulk of a size that is no multiple of 8")
    for length in np.unique(sizes).tolist():
        into = _part_of(target, np.flatnonzero(sizes == length))
        for step in range(0, length, 8):
            into.store(to + step, "u64", 8, site, np.uint64(0))
