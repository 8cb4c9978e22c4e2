"""Warp operations (PTX ISA sections 9.7.9.6, 9.7.13.9 to 9.7.13.13): lanes of a warp exchange values.

A lane's slot is `32 * warp + lane in warp`; the last warp of a thread block may have slots without threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cpu.types import Array, Lanes

_31 = np.int64(31)
_FULL_WARP = 0xFFFFFFFF
_LANES = np.arange(32)


def lane_mask(which: str, lane: Array) -> Array:
    """`%lanemask_eq` and the others, by their last part: the lanes of the warp that are equal, below, ..."""
    bit = np.left_shift(1, lane.astype(np.int64))
    below = bit - 1
    mask = {"eq": bit, "lt": below, "le": below | bit, "gt": ~(below | bit), "ge": ~below}[which]
    return (mask & _FULL_WARP).astype(np.uint32)


def groups_of(slots: Array, masks: Lanes) -> tuple[Array, int]:
    """(group per lane, number of groups): lanes of one warp with the same member mask act together."""
    warps = slots >> 5
    if not masks.ndim:
        return warps, int(warps.max()) + 1
    _, inverse = np.unique((warps.astype(np.uint64) << np.uint64(32)) | masks.astype(np.uint64), return_inverse=True)
    return inverse.reshape(-1), int(inverse.max()) + 1


def ballot(groups: Array, count: int, slots: Array, chosen: Array | None = None) -> Array:
    """Per group, a word with the lanes (of those chosen) as bits."""
    weights = np.ldexp(1.0, (slots & 31).astype(np.int32))
    if chosen is not None:
        weights = np.where(chosen, weights, 0.0)
    # Different lanes have different bits, so the sum is their OR, and it is exact in f64.
    return np.bincount(groups, weights=weights, minlength=count).astype(np.uint64).astype(np.uint32)


def run_warp(name: str, slots: Array, masks: Lanes, values: list[Lanes], slot_count: int) -> list[Array]:
    """Carry out one operation for lanes whose groups are complete; the results per lane."""
    family, _, mode = name.partition(".")
    if family == "shfl":
        return _shuffle(mode, slots, values, slot_count)
    groups, count = groups_of(slots, masks)
    if family == "activemask":
        return [ballot(groups, count, slots)[groups]]
    if family == "vote":
        return [_vote(mode, groups, count, slots, np.broadcast_to(values[0], slots.shape))]
    if family == "match":
        return _match(mode, groups, count, slots, np.broadcast_to(values[0], slots.shape))
    if family == "redux":
        return [_reduce(mode, groups, count, np.broadcast_to(values[0], slots.shape))]
    if family == "elect":
        leader = np.full(count, 32, np.int64)
        np.minimum.at(leader, groups, slots & 31)
        mine = leader[groups]
        return [mine.astype(np.uint32), (slots & 31) == mine]
    return []  # bar.warp.sync


def shuffle_sources(mode: str, slots: Array, values: Sequence[Lanes]) -> tuple[Array, Array]:
    """(slot that each lane reads from, whether that is inside its segment); outside of it a lane reads its own."""
    _, b, c = values
    lane = slots & _31
    source, inside = _shuffle_source(mode, lane, b, c)
    return slots - lane + source, inside


def _shuffle(mode: str, slots: Array, values: list[Lanes], slot_count: int) -> list[Array]:
    a, b, c = values
    a = np.broadcast_to(a, slots.shape)
    if len(slots) == slot_count and not b.ndim and not c.ndim:
        # Every warp is whole and does the same: 32 lanes say it for all of them.
        source, inside = _shuffle_source(mode, _LANES, b, c)
        return [a.reshape(-1, 32).take(source, axis=1).reshape(-1), np.tile(inside, slot_count // 32)]
    lane = slots & _31
    source, inside = _shuffle_source(mode, lane, b, c)
    from_slot = slots - lane + source
    if len(slots) == slot_count:
        return [a[from_slot], inside]
    table = np.zeros(slot_count, a.dtype)
    present = np.zeros(slot_count, np.bool_)
    table[slots] = a
    present[slots] = True
    return [np.where(present[from_slot], table[from_slot], a), inside]


def _shuffle_source(mode: str, lane: Array, b: Lanes, c: Lanes) -> tuple[Array, Array]:
    """(lane that each lane reads, whether that lies inside its segment); outside of it a lane reads itself."""
    b = (b & np.uint32(31)).astype(np.int64)
    clamp = (c & np.uint32(31)).astype(np.int64)
    segment = ((c >> np.uint32(8)) & np.uint32(31)).astype(np.int64)
    last = (lane & segment) | (clamp & ~segment)
    if mode == "up":
        source = lane - b
    elif mode == "down":
        source = lane + b
    elif mode == "bfly":
        source = lane ^ b
    else:
        source = (lane & segment) | (b & ~segment)
    inside = source >= last if mode == "up" else source <= last
    return np.where(inside, source, lane), inside


def _vote(mode: str, groups: Array, count: int, slots: Array, predicate: Array) -> Array:
    if mode == "ballot":
        return ballot(groups, count, slots, predicate)[groups]
    yes = np.bincount(groups, weights=predicate, minlength=count)
    if mode == "any":
        return np.asarray((yes > 0)[groups])
    everyone = yes == np.bincount(groups, minlength=count)
    outcome: Array = everyone if mode == "all" else everyone | (yes == 0)
    return np.asarray(outcome[groups])


def _match(mode: str, groups: Array, count: int, slots: Array, value: Array) -> list[Array]:
    _, ranks = np.unique(value, return_inverse=True)
    _, inverse = np.unique(groups * (int(ranks.max()) + 1) + ranks.reshape(-1), return_inverse=True)
    inverse = inverse.reshape(-1)
    equal = ballot(inverse, int(inverse.max()) + 1, slots)[inverse]
    if mode == "any":
        return [equal]
    everyone = equal == ballot(groups, count, slots)[groups]
    return [np.where(everyone, equal, np.uint32(0)), everyone]


def _reduce_floats(mode: str, groups: Array, count: int, value: Array) -> Array:
    """The smallest or largest float; NaN counts only with `.NaN`, or when there is nothing else."""
    bits = value.view(np.int32)
    if ".abs" in mode:
        bits = bits & np.int32(0x7FFFFFFF)
    keys = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)  # in the order of the floats, -0 below +0
    smallest = mode.startswith("min")
    nan = np.isnan(value)
    nothing = np.int32(2**31 - 1 if smallest else -(2**31))
    found = np.full(count, nothing)
    (np.minimum if smallest else np.maximum).at(found, groups, np.where(nan, nothing, keys))
    numbers = np.bincount(groups, weights=~nan, minlength=count)
    members = np.bincount(groups, minlength=count)
    invalid = numbers < members if ".NaN" in mode else numbers == 0
    result = np.where(found < 0, found ^ np.int32(0x7FFFFFFF), found)
    return np.where(invalid, np.int32(0x7FFFFFFF), result)[groups].view(np.uint32)


def _reduce(mode: str, groups: Array, count: int, value: Array) -> Array:
    if value.dtype == np.float32:
        return _reduce_floats(mode, groups, count, value)
    if mode in {"min", "max"}:
        info = np.iinfo(value.dtype)
        start = info.max if mode == "min" else info.min
    else:
        start = -1 if mode == "and" else 0
    total = np.array([start] * count, np.int64).astype(value.dtype)
    operation: np.ufunc = {
        "add": np.add, "min": np.minimum, "max": np.maximum,
        "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    }[mode]  # fmt: skip
    operation.at(total, groups, value)
    return total[groups].view(np.uint32)
