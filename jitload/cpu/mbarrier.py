"""`mbarrier` objects: barriers in shared memory that count arrivals by phase (PTX ISA section 9.7.13.16).

The 64 bits of an object are opaque to programs. Here: bits 0 to 19 the arrivals of a whole phase, 20 to 39 those that
this phase still lacks, 40 and up the number of the phase. A state is the object as it was before the arrival.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jitload.cpu.generic import MixedAddresses

Lanes = Any

MOST_ARRIVALS = (1 << 20) - 1
_MASK = np.uint64(MOST_ARRIVALS)
_PENDING = np.uint64(20)
_PHASE = np.uint64(40)
_ONE = np.uint64(1)


def _object(addresses: Any, offset: int, site: int) -> tuple[Any, Any]:
    """(view, index per lane) of the objects that the lanes name."""
    _refuse_mixed(addresses, site)
    found: tuple[Any, Any] = addresses.elements(offset, "u64", 8, site)
    return found


def _refuse_mixed(addresses: Any, site: int) -> None:
    if isinstance(addresses, MixedAddresses):
        positions, part = addresses.split()[0]
        part.batch.fail(site, int(positions[0]), "an mbarrier outside shared memory")


def mbarrier_init(batch: Any, addresses: Any, offset: int, site: int, count: Lanes) -> None:
    """`mbarrier.init`."""
    _refuse_mixed(addresses, site)
    counts = count.astype(np.uint64)
    bad = np.flatnonzero((counts == 0) | (counts > _MASK))
    if len(bad):
        number = int(np.atleast_1d(counts)[bad[0]])
        batch.fail(site, int(bad[0]), f"an mbarrier for {number} arrivals, 1 to {MOST_ARRIVALS} are possible")
    addresses.store(offset, "u64", 8, site, counts | counts << _PENDING)


def mbarrier_arrive(batch: Any, addresses: Any, offset: int, site: int, count: Lanes, drop: bool) -> Lanes:
    """`mbarrier.arrive` and `.arrive_drop`, lane after lane: the objects before each arrival."""
    view, index = _object(addresses, offset, site)
    counts = np.broadcast_to(count, index.shape)
    states = np.empty(index.shape, np.uint64)
    for position, (place, number) in enumerate(zip(index.tolist(), counts.tolist(), strict=True)):
        word = int(view[place])
        states[position] = word
        expected, pending, phase = word & MOST_ARRIVALS, word >> 20 & MOST_ARRIVALS, word >> 40
        if number > pending:
            batch.fail(site, position, f"{number} arrivals at an mbarrier that waits for {pending} more")
        expected -= number if drop else 0
        pending -= number
        if not pending:
            pending, phase = expected, phase + 1
        view[place] = expected | pending << 20 | (phase & 0xFFFFFF) << 40
    return states


def mbarrier_test(addresses: Any, offset: int, site: int, state: Lanes, parity: bool) -> Lanes:
    """`mbarrier.test_wait`: whether the phase of a state, or of that parity, is complete."""
    view, index = _object(addresses, offset, site)
    phase = view[index] >> _PHASE
    if parity:
        return (phase & _ONE) != (state.astype(np.uint64) & _ONE)
    return phase != (state >> _PHASE)


def mbarrier_pending(state: Lanes) -> Lanes:
    """`mbarrier.pending_count` of a state."""
    return ((state >> _PENDING) & _MASK).astype(np.uint32)
