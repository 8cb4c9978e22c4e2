"""Copies of boxes of tensors (TMA, PTX ISA section 9.7.9.27), carried out at once.

A lane copies many elements. So while it does, the current lanes of the batch are as many as there are pieces, each the
lane that copies it: checks, faults and whoever watches see ordinary accesses of that lane.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jitload.cpu.memory.atomics import atomic
from jitload.cpu.memory.generic import MixedAddresses, at_global
from jitload.cpu.memory.multicast import as_lanes, destinations
from jitload.cpu.memory.tensor_map import ELEMENTS, TENSOR_MAP_BYTES, decode_tensor_map

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jitload.cpu.memory.access import Addresses, RunningLanes
    from jitload.cpu.memory.tensor_map import TensorMap
    from jitload.cpu.types import Array, Lanes

    #: `at_shared`, or another that takes an address per lane.
    At = Callable[[RunningLanes, Array], Addresses | MixedAddresses]

_CHUNK = 16
#: Where a box begins in shared memory, and where a tensor map lies.
_BOX_ALIGNMENT, _MAP_ALIGNMENT = 128, 64
_NANS = {"f16": 0x7FFF, "bf16": 0x7FFF, "f32": 0x7FFFFFFF, "f64": 0x7FFFFFFFFFFFFFFF}
#: Representations of elements that atomics know.
_REPS = {"bf16": "u16"}
_SUMS = ("u32", "s32", "u64", "f16", "bf16", "f32", "f64")
_ORDERED = ("u32", "s32", "u64", "s64", "f16", "bf16")
#: Operation -> the elements that it reduces (PTX ISA, table of `cp.reduce.async.bulk`).
_REDUCED = {
    "add": _SUMS, "min": _ORDERED, "max": _ORDERED, "inc": ("u32",), "dec": ("u32",),
    "and": ("u32", "s32", "u64", "s64"), "or": ("u32", "s32", "u64", "s64"), "xor": ("u32", "s32", "u64", "s64"),
}  # fmt: skip


class _Box(NamedTuple):
    """The boxes that some lanes copy by one map, in pieces of `unit` bytes.

    Attributes:
        map: the tensor.
        lanes: positions of the lanes among the current ones.
        unit: bytes of a piece.
        pieces: of each box.
        inside: (lane, piece), whether it lies in the tensor.
        places: (lane, piece), its address in global memory where it does.
    """

    map: TensorMap
    lanes: Array
    unit: int
    pieces: int
    inside: Array
    places: Array


def load_tensor(
    batch: RunningLanes,
    maps: Addresses | MixedAddresses,
    offset: int,
    coordinates: Sequence[Lanes],
    at: At,
    target: Lanes,
    site: int,
    mask: Lanes | None = None,
    *,
    by_rows: bool = False,
) -> Array:
    """`cp.async.bulk.tensor` from global to shared memory; the bytes per lane that it gives notice of.

    Args:
        batch: whose lanes these are.
        maps: where each lane's tensor map lies.
        offset: added to them.
        coordinates: of the first element of each lane's box, the innermost first.
        at: makes addresses of the space that the boxes go to.
        target: where each lane's box goes.
        site: of the instruction.
        mask: the ranks of the blocks that each lane's box goes to, as bits; None for the one that `target` names.
        by_rows: whether the box is rows of their own, `.tile::gather4`: a column, and a coordinate for each row.
    """
    sizes = np.zeros(batch.count, np.uint32)
    for box in _boxes(batch, maps, offset, coordinates, site, by_rows=by_rows):
        data = np.empty((len(box.lanes), box.pieces, box.unit), np.uint8)
        data[...] = _outside(box.map, box.unit)
        rows, columns = np.nonzero(box.inside)
        if len(rows):
            with as_lanes(batch, box.lanes[rows]):
                data[rows, columns] = _load(at_global(batch, box.places[rows, columns]), box.unit, site)
        for lanes, places in destinations(batch, target, mask, site):
            here = np.isin(box.lanes, lanes)
            shared = _shared_places(batch, box, places, site)[here].reshape(-1)
            with as_lanes(batch, np.repeat(box.lanes[here], box.pieces)):
                _store(at(batch, shared), data[here].reshape(-1, box.unit), site)
        sizes[box.lanes] = box.pieces * box.unit
    return sizes


def store_tensor(
    batch: RunningLanes,
    maps: Addresses | MixedAddresses,
    offset: int,
    coordinates: Sequence[Lanes],
    at: At,
    source: Lanes,
    site: int,
    operation: str = "",
    *,
    by_rows: bool = False,
) -> None:
    """`cp.async.bulk.tensor` and `cp.reduce.async.bulk.tensor` from shared to global memory; see `load_tensor`."""
    for box in _boxes(batch, maps, offset, coordinates, site, whole=not operation, by_rows=by_rows):
        element = ELEMENTS[box.map.element][0]
        if operation and element not in _REDUCED[operation]:
            batch.fail(site, int(box.lanes[0]), f".{operation} of a tensor of {ELEMENTS[box.map.element][2]}:")
        rows, columns = np.nonzero(box.inside)
        shared = _shared_places(batch, box, source, site)
        with as_lanes(batch, np.repeat(box.lanes, box.pieces)):
            data = _load(at(batch, shared.reshape(-1)), box.unit, site).reshape(*shared.shape, box.unit)
        if not len(rows):
            continue
        with as_lanes(batch, box.lanes[rows]):
            target = at_global(batch, box.places[rows, columns])
            if operation:
                _reduce(batch, target, data[rows, columns], element, operation, site)
            else:
                _store(target, data[rows, columns], site)


def reduce_bulk(
    batch: RunningLanes,
    target: tuple[At, Lanes],
    source: tuple[At, Lanes],
    size: Lanes,
    element: str,
    operation: str,
    site: int,
) -> None:
    """`cp.reduce.async.bulk`: `size` bytes per lane; `target` and `source` are how addresses are made, and of what."""
    sizes = np.broadcast_to(size, (batch.count,)).astype(np.int64)
    bad = np.flatnonzero(sizes % _CHUNK)
    if len(bad):
        batch.fail(site, int(bad[0]), f"a bulk copy of {int(sizes[bad[0]])} bytes, which is no multiple of {_CHUNK}")
    width = next(nbytes for name, nbytes, _ in ELEMENTS if name == element)
    lanes = np.repeat(np.arange(batch.count), sizes // width)
    if not len(lanes):
        return
    steps = np.concatenate([np.arange(0, one, width) for one in sizes.tolist()])
    starts = [np.broadcast_to(value, (batch.count,)).astype(np.uint64) for _, value in (target, source)]
    for start in starts:
        bad = np.flatnonzero((start % np.uint64(_CHUNK) != 0) & (sizes > 0))
        if len(bad):
            batch.fail(
                site, int(bad[0]), f"misaligned: a bulk copy at {int(start[bad[0]]):#x}, no multiple of {_CHUNK}"
            )
    with as_lanes(batch, lanes):
        into, out = (start[lanes] + steps.astype(np.uint64) for start in starts)
        data = _load(source[0](batch, out), width, site)
        _reduce(batch, target[0](batch, into), data, element, operation, site)


def _load(addresses: Addresses | MixedAddresses, unit: int, site: int) -> Array:
    """(piece, byte)."""
    if unit == _CHUNK:
        words = np.stack([np.atleast_1d(one) for one in addresses.load_vector(0, "u64", 8, 2, site)], axis=1)
    else:
        words = np.atleast_1d(addresses.load(0, f"u{8 * unit}", unit, site))
    return np.ascontiguousarray(words).view(np.uint8).reshape(-1, unit)


def _store(addresses: Addresses | MixedAddresses, data: Array, site: int) -> None:
    """Write (piece, byte)."""
    unit = data.shape[1]
    if unit == _CHUNK:
        words = np.ascontiguousarray(data).view(np.uint64)
        addresses.store_vector(0, "u64", 8, site, [np.ascontiguousarray(column) for column in words.T])
    else:
        addresses.store(0, f"u{8 * unit}", unit, site, np.ascontiguousarray(data).view(f"u{unit}").reshape(-1))


def _reduce(
    batch: RunningLanes, target: Addresses | MixedAddresses, data: Array, element: str, operation: str, site: int
) -> None:
    rep = _REPS.get(element, element)
    dtype = {"u": "u", "s": "i", "f": "f"}[rep[0]] + str(data.shape[1])
    values = np.ascontiguousarray(data).view(dtype).reshape(-1)
    atomic(batch, target, 0, element, rep, data.shape[1], site, operation, values, None, False)


def _boxes(
    batch: RunningLanes,
    maps: Addresses | MixedAddresses,
    offset: int,
    coordinates: Sequence[Lanes],
    site: int,
    *,
    whole: bool = True,
    by_rows: bool = False,
) -> Iterator[_Box]:
    """The boxes of all lanes, one for each map; `whole` pieces may be larger than elements."""
    starts = [np.broadcast_to(one, (batch.count,)).view(np.int32).astype(np.int64) for one in coordinates]
    for raw, lanes in _maps(batch, maps, offset, site):
        found = _decoded(raw)
        if found is None:
            what = "there is no tensor map at this address: it takes one that jitload.TensorMap made:"
            batch.fail(site, int(lanes[0]), what)
        if by_rows:
            if found.boxes[1:] != (1,):
                boxes = " x ".join(map(str, reversed(found.boxes)))
                what = f"rows one by one, of a tensor with boxes of {boxes}, not 1 x n:"
                batch.fail(site, int(lanes[0]), what)
            yield _rows(found, lanes, [start[lanes] for start in starts], whole=whole)
            continue
        if len(found.extents) != len(starts):
            what = f"{len(starts)} coordinates for a tensor of {len(found.extents)} axes:"
            batch.fail(site, int(lanes[0]), what)
        yield _box(found, lanes, [start[lanes] for start in starts], whole=whole)


@lru_cache(maxsize=256)
def _decoded(raw: bytes) -> TensorMap | None:
    return decode_tensor_map(raw)


def _maps(
    batch: RunningLanes, maps: Addresses | MixedAddresses, offset: int, site: int
) -> Iterator[tuple[bytes, Array]]:
    """The bytes of each map, and the positions of the lanes that use it."""
    parts = maps.split() if isinstance(maps, MixedAddresses) else [(np.arange(batch.count), maps)]
    for positions, part in parts:
        if (part.bits | offset) & (_MAP_ALIGNMENT - 1):
            batch.fail(site, int(positions[0]), f"misaligned: a tensor map lies at a multiple of {_MAP_ALIGNMENT}:")
        words: list[Lanes] = []
        for step in range(0, TENSOR_MAP_BYTES, _CHUNK):
            words += part.load_vector(offset + step, "u64", 8, 2, site)
        if not any(word.ndim for word in words):
            yield b"".join([word.tobytes() for word in words]), positions
            continue
        rows = np.stack([np.broadcast_to(word, positions.shape) for word in words], axis=1)
        different, which = np.unique(rows, axis=0, return_inverse=True)
        for number, row in enumerate(different):
            yield row.tobytes(), positions[which.reshape(-1) == number]


def _box(found: TensorMap, lanes: Array, starts: Sequence[Array], *, whole: bool) -> _Box:
    """What lanes copy whose boxes begin at these coordinates."""
    size = found.size
    unit = math.gcd(_CHUNK, found.extents[0] * size, *(starts[0] * size).tolist()) if whole else size
    pieces = found.counts[0] * size // unit
    along = (starts[0] * size // unit)[:, None] + np.arange(pieces)
    inside = (along >= 0) & (along < found.extents[0] * size // unit)
    places = found.address + along * unit
    for axis, count in enumerate(found.counts[1:], 1):
        along = starts[axis][:, None] + np.arange(count) * found.steps[axis]
        fits = (along >= 0) & (along < found.extents[axis])
        inside = (fits[:, :, None] & inside[:, None, :]).reshape(len(lanes), -1)
        places = ((along * found.strides[axis - 1])[:, :, None] + places[:, None, :]).reshape(len(lanes), -1)
    return _Box(found, lanes, unit, inside.shape[1], inside, places.view(np.uint64))


def _rows(found: TensorMap, lanes: Array, starts: Sequence[Array], *, whole: bool) -> _Box:
    """The same of rows that lie one behind the other in shared memory, and anywhere in the tensor."""
    several = [_box(found, lanes, [starts[0], start], whole=whole) for start in starts[1:]]
    inside, places = (np.concatenate([getattr(one, name) for one in several], axis=1) for name in ("inside", "places"))
    return _Box(found, lanes, several[0].unit, inside.shape[1], inside, places)


def _outside(found: TensorMap, unit: int) -> Array:
    """The bytes of a piece that lies outside of the tensor."""
    if not found.fills_nan:
        return np.zeros(unit, np.uint8)
    element = _NANS[ELEMENTS[found.element][0]].to_bytes(found.size, "little")
    return np.frombuffer(element * (unit // found.size), np.uint8)


def _shared_places(batch: RunningLanes, box: _Box, target: Lanes, site: int) -> Array:
    """(lane, piece), where it lies in shared memory."""
    first = np.broadcast_to(target, (batch.count,))[box.lanes].astype(np.uint64)
    bad = np.flatnonzero(first % np.uint64(_BOX_ALIGNMENT))
    if len(bad):
        what = f"misaligned: a box at shared address {int(first[bad[0]]):#x}, which is no multiple of {_BOX_ALIGNMENT}:"
        batch.fail(site, int(box.lanes[bad[0]]), what, int(first[bad[0]]))
    found = first[:, None] + (np.arange(box.pieces) * box.unit).astype(np.uint64)
    chunks = np.uint64(box.map.swizzle // _CHUNK - 1)
    return np.asarray(found ^ (found >> np.uint64(7) & chunks) * np.uint64(_CHUNK))
