"""Fragments of `wmma` in memory: what each lane loads and stores of a matrix (PTX ISA section 9.7.14.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.lanes.matrix import opaque_layout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jitload.cpu.lanes.matrix import Layout
    from jitload.cpu.memory.access import Addresses, RunningLanes
    from jitload.cpu.memory.generic import MixedAddresses
    from jitload.cpu.types import Array, Lanes

    #: One of `at_global`, `at_shared`, ...: addresses of a state space.
    At = Callable[[RunningLanes, Array], Addresses | MixedAddresses]


def _lane_numbers(batch: RunningLanes) -> Array:
    """The current lanes' places in their warps."""
    slots = batch.slots if batch.lanes is None else batch.slots[batch.lanes]
    return np.asarray(slots & 31)


def _fragment_offsets(batch: RunningLanes, layout: Layout, by_row: bool, stride: Lanes, size: int) -> list[list[Array]]:
    """Byte offsets from the matrix's start, per register and element."""
    lanes = _lane_numbers(batch)
    major, minor = (layout.rows, layout.columns) if by_row else (layout.columns, layout.rows)
    step = stride.astype(np.int64)
    count, inner = layout.rows.shape[1:]
    return [
        [(major[lanes, register, item] * step + minor[lanes, register, item]) * size for item in range(inner)]
        for register in range(count)
    ]


def load_packed_fragment(
    batch: RunningLanes,
    at: At,
    base: Lanes,
    offset: int,
    length: int,
    bits: int,
    count: int,
    stride: Lanes,
    site: int,
) -> list[Lanes]:
    """`wmma.load` of elements smaller than a byte: words of rows of A, or of columns of B, that are `length` long."""
    lanes = _lane_numbers(batch)
    per_line = length * bits // 32
    words = []
    for register in range(count):
        number = lanes + 32 * register
        places = (number // per_line) * (stride.astype(np.int64) * bits // 8) + number % per_line * 4
        words.append(at(batch, base + places.astype(np.uint64)).load(offset, "u32", 4, site))
    return words


def load_fragment(
    batch: RunningLanes, at: At, base: Lanes, offset: int, shape: tuple[int, int], count: int, rep: str, by_row: bool,
    stride: Lanes, site: int,
) -> list[Lanes]:  # fmt: skip
    """`wmma.load`: the registers of a fragment; `rep` is how an element lies in memory."""
    size = int(rep[1:]) // 8
    inner = max(4 // size, 1)
    words = []
    for places in _fragment_offsets(batch, opaque_layout(*shape, count, inner), by_row, stride, size):
        parts = [at(batch, base + place.astype(np.uint64)).load(offset, rep, size, site) for place in places]
        columns = [np.broadcast_to(part, places[0].shape) for part in parts]
        rows = np.ascontiguousarray(np.stack(columns, axis=1))
        words.append(rows.view(np.uint64 if size == 8 else np.uint32).reshape(-1))
    return words


def store_fragment(
    batch: RunningLanes, at: At, base: Lanes, offset: int, shape: tuple[int, int], rep: str, by_row: bool,
    stride: Lanes, site: int, words: Sequence[Lanes],
) -> None:  # fmt: skip
    """`wmma.store`."""
    size = int(rep[1:]) // 8
    inner = max(4 // size, 1)
    layout = opaque_layout(*shape, len(words), inner)
    for places, word in zip(_fragment_offsets(batch, layout, by_row, stride, size), words, strict=True):
        parts = np.ascontiguousarray(np.broadcast_to(word, places[0].shape)).view(f"u{size}").reshape(-1, inner)
        for column, place in enumerate(places):
            target = at(batch, base + place.astype(np.uint64))
            target.store(offset, rep, size, site, parts[:, column])
