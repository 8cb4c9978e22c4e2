"""Sectors, wavefronts and meeting lanes agree with models of a few lines of plain Python, for any set of lanes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitload.cpu.profile.warp_access import (
    Warps,
    count_largest_group,
    global_sectors,
    local_sectors,
    shared_wavefronts,
)

WIDTHS = st.sampled_from([1, 2, 4, 8, 16, 32])


@st.composite
def accesses(draw):
    """(slots, address per lane, bytes): some lanes of some warps, near each other or far apart."""
    lanes = draw(st.lists(st.integers(0, 95), min_size=1, max_size=96, unique=True).map(sorted))
    nbytes = draw(WIDTHS)
    span = draw(st.sampled_from([1, 4, 64, 1 << 20]))
    places = draw(st.lists(st.integers(0, span), min_size=len(lanes), max_size=len(lanes)))
    return np.array(lanes), np.array(places, np.int64) * nbytes, nbytes


def by_warp(slots, addresses):
    warps = {}
    for slot, address in zip(slots.tolist(), addresses.tolist(), strict=True):
        warps.setdefault(slot // 32, {})[slot % 32] = address
    return list(warps.values())


def packed(count):
    return -(-count // 32)


@given(accesses())
def test_sectors_of_global_memory(access):
    slots, addresses, nbytes = access
    sectors = ideal = 0
    for lanes in by_warp(slots, addresses):
        touched = {address + byte for address in lanes.values() for byte in range(nbytes)}
        sectors += len({byte // 32 for byte in touched})
        ideal += packed(len(touched))
    assert global_sectors(Warps(slots).spread(addresses), nbytes) == (sectors, ideal)


@given(accesses())
def test_sectors_of_local_memory(access):
    slots, addresses, nbytes = access
    sectors = ideal = 0
    for lanes in by_warp(slots, addresses):
        bytes_of_lanes = {(lane, address + byte) for lane, address in lanes.items() for byte in range(nbytes)}
        # Byte b of lane l lies at 128 * (b // 4) + 4 * l + b % 4.
        sectors += len({(128 * (byte // 4) + 4 * lane + byte % 4) // 32 for lane, byte in bytes_of_lanes})
        ideal += packed(len(bytes_of_lanes))
    warps = Warps(slots)
    assert local_sectors(warps.spread(addresses), warps, nbytes) == (sectors, ideal)


@given(accesses())
def test_wavefronts_of_shared_memory(access):
    slots, addresses, nbytes = access
    wavefronts = phases = 0
    lanes_at_once = 32 // max(nbytes // 4, 1)
    for lanes in by_warp(slots, addresses):
        for start in range(0, 32, lanes_at_once):
            mine = [lanes[lane] for lane in range(start, start + lanes_at_once) if lane in lanes]
            words = {(address + byte) // 4 for address in mine for byte in range(nbytes)}
            if words:
                wavefronts += max(Counter(word % 32 for word in words).values())
                phases += 1
    warps = Warps(slots)
    assert shared_wavefronts(warps.spread(addresses), warps.active, nbytes) == (wavefronts, phases)


@given(accesses())
def test_lanes_that_meet_at_one_address(access):
    slots, addresses, _ = access
    warps = Warps(slots)
    expected = [max(Counter(lanes.values()).values()) for lanes in by_warp(slots, addresses)]
    assert count_largest_group(warps.spread(addresses), warps.active).tolist() == expected
    assert warps.lanes().tolist() == [len(lanes) for lanes in by_warp(slots, addresses)]


LANES = np.arange(32)


@pytest.mark.parametrize(
    ("addresses", "nbytes", "sectors", "ideal"),
    [
        pytest.param(LANES * 4, 4, 4, 4, id="side by side"),
        pytest.param(LANES * 4 + 16, 4, 5, 4, id="not aligned to a sector"),
        pytest.param(LANES * 8, 4, 8, 4, id="every other"),
        pytest.param(LANES * 4096, 4, 32, 4, id="a column"),
        pytest.param(LANES * 16, 16, 16, 16, id="float4"),
        pytest.param(LANES * 0, 4, 1, 1, id="broadcast"),
        pytest.param(LANES * 1, 1, 1, 1, id="bytes"),
    ],
)
def test_known_requests_of_global_memory(addresses, nbytes, sectors, ideal):
    assert global_sectors(Warps(LANES).spread(addresses), nbytes) == (sectors, ideal)


@pytest.mark.parametrize(
    ("addresses", "nbytes", "wavefronts", "ideal"),
    [
        pytest.param(LANES * 4, 4, 1, 1, id="side by side"),
        pytest.param(LANES * 128, 4, 32, 1, id="a column of 32"),
        pytest.param(LANES * 132, 4, 1, 1, id="a column of 33"),
        pytest.param(LANES * 8, 4, 2, 1, id="every other"),
        pytest.param(LANES * 0, 4, 1, 1, id="broadcast"),
        pytest.param(LANES // 4 * 4, 1, 1, 1, id="bytes of one word"),
        pytest.param(LANES * 8, 8, 2, 2, id="double"),
        pytest.param(LANES * 16, 16, 4, 4, id="float4"),
        pytest.param(LANES * 32, 16, 8, 4, id="every other float4"),
    ],
)
def test_known_requests_of_shared_memory(addresses, nbytes, wavefronts, ideal):
    warps = Warps(LANES)
    assert shared_wavefronts(warps.spread(addresses), warps.active, nbytes) == (wavefronts, ideal)
