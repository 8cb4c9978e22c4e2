"""`shfl.sync` against the pseudocode of the PTX ISA (section 9.7.9.6), for every mode, distance and segment width."""

from __future__ import annotations

import numpy as np
import pytest

from jitload.cpu.lanes.warp import run_warp


def model(mode: str, lane: int, b: int, c: int) -> tuple[int, bool]:
    """(lane that is read, predicate), as the ISA writes it."""
    bval, cval, mask = b & 31, c & 31, c >> 8 & 31
    max_lane = (lane & mask) | (cval & ~mask & 31)
    min_lane = lane & mask
    if mode == "up":
        j = lane - bval
        inside = j >= max_lane
    elif mode == "down":
        j = lane + bval
        inside = j <= max_lane
    elif mode == "bfly":
        j = lane ^ bval
        inside = j <= max_lane
    else:
        j = min_lane | (bval & ~mask)
        inside = j <= max_lane
    return (j if inside else lane), inside


@pytest.mark.parametrize("mode", ["up", "down", "bfly", "idx"])
@pytest.mark.parametrize("width", [1, 2, 4, 8, 16, 32])
def test_every_distance_and_segment(mode, width):
    slots = np.arange(96)
    values = np.random.default_rng(width).integers(0, 2**32, 96, dtype=np.uint32)
    c = np.uint32(((32 - width) << 8) | (0 if mode == "up" else 31))
    for b in range(34):
        expected = [model(mode, lane % 32, b, int(c)) for lane in range(96)]
        read = [lane // 32 * 32 + one for lane, (one, _) in enumerate(expected)]
        for distance in (np.uint32(b), np.full(96, b, np.uint32)):
            found, inside = run_warp(f"shfl.{mode}", slots, np.uint32(0xFFFFFFFF), [values, distance, c], 96)
            np.testing.assert_array_equal(found, values[read])
            np.testing.assert_array_equal(inside, [one for _, one in expected])


def test_distances_that_differ_by_lane():
    slots, rng = np.arange(64), np.random.default_rng(3)
    values, distances = rng.integers(0, 2**32, (2, 64), dtype=np.uint32)
    found, _ = run_warp("shfl.idx", slots, np.uint32(0xFFFFFFFF), [values, distances, np.uint32(31)], 64)
    np.testing.assert_array_equal(found, values[slots // 32 * 32 + distances % 32])


def test_a_value_that_all_lanes_share():
    found, inside = run_warp("shfl.down", np.arange(64), np.uint32(0xFFFFFFFF), [np.float32(2), np.uint32(1), np.uint32(31)], 64)  # fmt: skip
    np.testing.assert_array_equal(found, np.full(64, 2, np.float32))
    assert np.count_nonzero(inside) == 62


def test_lanes_of_part_of_a_warp_read_themselves_where_nobody_is():
    slots = np.array([0, 1, 2, 5, 33, 34])
    values = np.arange(10, 16, dtype=np.uint32)
    found, inside = run_warp("shfl.down", slots, np.uint32(0xFFFFFFFF), [values, np.uint32(1), np.uint32(31)], 64)
    np.testing.assert_array_equal(found, [11, 12, 12, 13, 15, 15])
    assert inside.all()
