"""`mbarrier` objects: barriers in shared memory that count arrivals by phase (PTX ISA section 9.7.13.16).

The 64 bits of an object are opaque to programs. Here: bits 0 to 19 the arrivals of a whole phase, 20 to 39 those that
this phase still lacks, 40 to 60 the bytes that it still expects (with a sign: they may come before they are expected),
61 and up the number of the phase. A state is the object as it was before the arrival.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.memory.cluster import ClusterAddresses
from jitload.cpu.memory.generic import of_one_space
from jitload.cpu.memory.slab import UNSET

if TYPE_CHECKING:
    from jitload.cpu.memory.access import Addresses, RunningLanes
    from jitload.cpu.memory.generic import MixedAddresses
    from jitload.cpu.types import Array, Lanes

_MOST_ARRIVALS = (1 << 20) - 1
_MASK = np.uint64(_MOST_ARRIVALS)
_PENDING = np.uint64(20)
_BYTES = 40
_BYTES_MASK = (1 << 21) - 1
_PHASE = np.uint64(61)
_ONE = np.uint64(1)
_ZERO = np.uint32(0)
_UNSET = np.uint64(int.from_bytes(UNSET.to_bytes(2, "little") * 4, "little"))  # as shared memory begins
_OUTSIDE = "an mbarrier outside shared memory"


def _object(addresses: Addresses | MixedAddresses, offset: int, site: int, own: str = "") -> tuple[Array, Array]:
    """(view, index per lane) of the objects that lanes name; `own` is what only the block itself may do with one."""
    found = of_one_space(addresses, site, _OUTSIDE)
    if own and isinstance(found, ClusterAddresses) and found.others:
        found.batch.fail(site, 0, f"{own} of an mbarrier in the shared memory of another block, which only it can do:")
    view, index = found.elements(offset, "u64", 8, site)
    fresh = np.flatnonzero(view[index] == _UNSET)
    if len(fresh):
        found.batch.fail(site, int(fresh[0]), "an mbarrier that nobody has initialised (mbarrier.init):")
    return view, index


def mbarrier_init(
    batch: RunningLanes, addresses: Addresses | MixedAddresses, offset: int, site: int, count: Lanes
) -> None:
    """`mbarrier.init`."""
    addresses = of_one_space(addresses, site, _OUTSIDE)
    counts = count.astype(np.uint64)
    bad = np.flatnonzero((counts == 0) | (counts > _MASK))
    if len(bad):
        number = int(np.atleast_1d(counts)[bad[0]])
        batch.fail(site, int(bad[0]), f"an mbarrier for {number} arrivals, 1 to {_MOST_ARRIVALS} are possible")
    addresses.store(offset, "u64", 8, site, counts | counts << _PENDING)


def mbarrier_arrive(
    batch: RunningLanes,
    addresses: Addresses | MixedAddresses,
    offset: int,
    site: int,
    count: Lanes,
    drop: bool,
    expected_bytes: Lanes = _ZERO,
) -> Lanes:
    """`mbarrier.arrive` and `.arrive_drop`, lane after lane: the objects before each arrival.

    With `.expect_tx` the bytes are added to what the phase expects, before the arrival counts.
    """
    view, index = _object(addresses, offset, site)
    counts, sizes = np.broadcast_to(count, index.shape), np.broadcast_to(expected_bytes, index.shape)
    states = np.empty(index.shape, np.uint64)
    for position, (place, number, size) in enumerate(zip(index.tolist(), counts.tolist(), sizes.tolist(), strict=True)):
        word = int(view[place])
        states[position] = word
        pending = word >> 20 & _MOST_ARRIVALS
        if number > pending:
            batch.fail(site, position, f"{number} arrivals at an mbarrier that waits for {pending} more")
        word -= (number << 20) + (number if drop else 0)
        view[place] = _settled(_with_bytes(batch, site, position, word, size))
    return states


def mbarrier_transact(
    batch: RunningLanes, addresses: Addresses | MixedAddresses, offset: int, site: int, size: Lanes, sign: int
) -> None:
    """`mbarrier.expect_tx` (sign 1) and `.complete_tx` (sign -1), lane after lane."""
    view, index = _object(addresses, offset, site)
    sizes = np.broadcast_to(size, index.shape)
    for position, (place, number) in enumerate(zip(index.tolist(), sizes.tolist(), strict=True)):
        view[place] = _settled(_with_bytes(batch, site, position, int(view[place]), sign * number))


def _with_bytes(batch: RunningLanes, site: int, position: int, word: int, size: int) -> int:
    """The object with `size` more bytes to wait for."""
    if not size:
        return word
    found = _bytes_of(word) + size
    if abs(found) > _MOST_ARRIVALS:
        batch.fail(site, position, f"an mbarrier that waits for {found} bytes, {_MOST_ARRIVALS} are possible")
    return word & ~(_BYTES_MASK << _BYTES) | (found & _BYTES_MASK) << _BYTES


def _bytes_of(word: int) -> int:
    found = word >> _BYTES & _BYTES_MASK
    return found - (_BYTES_MASK + 1) if found >> 20 else found


def _settled(word: int) -> int:
    """The object in its next phase if nothing is lacking any more."""
    if word >> 20 & _MOST_ARRIVALS or _bytes_of(word):
        return word
    expected, phase = word & _MOST_ARRIVALS, (word >> int(_PHASE)) + 1
    return expected | expected << 20 | (phase & 7) << int(_PHASE)


def mbarrier_test(addresses: Addresses | MixedAddresses, offset: int, site: int, state: Lanes, parity: bool) -> Lanes:
    """`mbarrier.test_wait`: whether the phase of a state, or of that parity, is complete."""
    view, index = _object(addresses, offset, site, "a test")
    words = view[index]
    phase = words >> _PHASE
    done = (phase & _ONE) != (state.astype(np.uint64) & _ONE) if parity else phase != (state >> _PHASE)
    if not done.all():  # in case that nobody ever brings what is lacking
        position, batch = int(np.argmin(done)), addresses.batch
        lane = position if batch.lanes is None else int(batch.lanes[position])
        batch.unmet[site] = lane, int(words[position])
    return done


def lacking(word: int) -> tuple[int, int]:
    """(arrivals, bytes) that the phase of an mbarrier still waits for."""
    return word >> 20 & _MOST_ARRIVALS, _bytes_of(word)


def mbarrier_pending(state: Lanes) -> Lanes:
    """`mbarrier.pending_count` of a state."""
    return ((state >> _PENDING) & _MASK).astype(np.uint32)
