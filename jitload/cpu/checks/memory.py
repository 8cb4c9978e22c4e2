"""The device heap, constants and shuffles: leaks, a second `free`, writes to constants, lanes that give nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jitload.cpu.checks.shadow import byte_positions
from jitload.cpu.faults import run_fault
from jitload.cpu.lanes.warp import groups_of, shuffle_sources
from jitload.cpu.memory.arena import ARENA_WINDOW
from jitload.cpu.run.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cpu.code.block_code import MeetingCode
    from jitload.cpu.memory.access import Addresses
    from jitload.cpu.memory.arena import Arena
    from jitload.cpu.run.batch import Batch
    from jitload.cpu.run.grid import Grid
    from jitload.cpu.types import Array, Lanes
    from jitload.errors import CpuFault


class _Call(NamedTuple):
    """Who called `malloc` or `free`, and where."""

    site: int
    thread: tuple[int, int, int]
    block: tuple[int, int, int]
    nbytes: int = 0


class MemoryCheck(Observer):
    """Watches the device heap, constants and shuffles of one launch."""

    def __init__(self) -> None:
        self._live: dict[int, _Call] = {}
        self._freed: dict[int, _Call] = {}

    def allocated(self, batch: Batch, lane: int, site: int, address: int, nbytes: int) -> None:
        """A lane got device memory."""
        self._live[address] = _Call(site, *batch.thread_at(lane), nbytes)
        self._freed.pop(address, None)

    def freed(self, batch: Batch, lane: int, site: int, address: int) -> None:
        """A lane is about to free device memory.

        Raises:
            CpuFault: it is free already; `other` is where it was freed.
        """
        call = _Call(site, *batch.thread_at(lane))
        before = self._freed.get(address)
        if before is not None:
            other = _fault_of(batch.grid, before, "free", address)
            what = f"second free of {address:#x}, which thread {before.thread} of block {before.block} freed before,"
            raise _fault_of(batch.grid, call, what, address, other)
        self._live.pop(address, None)
        self._freed[address] = call

    def finished(self, grid: Grid) -> None:
        """A launch has run to its end.

        Raises:
            CpuFault: memory from `malloc` is still there, and no pointer to it is.
        """
        kept = _reachable(grid.arena, list(self._live)) if self._live else set()
        lost = [address for address in self._live if address not in kept]
        if not lost:
            return
        call = self._live[lost[0]]
        total = sum(self._live[address].nbytes for address in lost)
        rest = f" ({total} bytes in {len(lost)} allocations in all)" if len(lost) > 1 else ""
        what = f"leak: {call.nbytes} bytes from malloc are never freed and nothing points to them{rest}; allocated"
        raise _fault_of(grid, call, what, lost[0])

    def accessed(
        self,
        batch: Batch,
        addresses: Addresses,
        offset: int,
        nbytes: int,
        site: int,
        how: str,
        values: Sequence[Lanes] = (),  # noqa: ARG002
    ) -> None:
        """Look for writes to constants."""
        if how == "load" or addresses.space != "global":
            return
        bounds = batch.arena.bounds()
        if not bounds.constant.any():
            return
        places = np.atleast_1d(np.asarray(byte_positions(addresses, offset)))
        bad = np.flatnonzero(bounds.constant[bounds.holding(places, nbytes)])
        if len(bad):
            addresses.fail(int(bad[0]), int(places[bad[0]]), nbytes, site, "write to constant memory")

    def met(self, batch: Batch, code: MeetingCode, lanes: Array | None, masks: Lanes, values: Sequence[Lanes]) -> None:
        """Look for shuffles that read from a lane which does not take part."""
        if not code.name.startswith("shfl"):
            return
        slots = batch.slots if lanes is None else batch.slots[lanes]
        sources, _ = shuffle_sources(code.name.partition(".")[2], slots, values)
        groups, _ = groups_of(slots, masks)
        table = np.full(batch.slot_count, -1)
        table[slots] = groups
        bad = np.flatnonzero(table[sources] != groups)
        if len(bad):
            position = int(bad[0])
            lane = position if lanes is None else int(lanes[position])
            what = f"shuffle from lane {int(sources[position] % 32)} of the warp, which takes no part:"
            batch.fail_lane(code.site, lane, what)


def _fault_of(grid: Grid, call: _Call, what: str, address: int, other: CpuFault | None = None) -> CpuFault:
    place = grid.code.places[call.site]
    return run_fault(grid.code.name, place, what, thread=call.thread, block=call.block, address=address, other=other)


def _reachable(arena: Arena, heap: list[int]) -> set[int]:
    """The heap allocations that a pointer in other memory points into, directly or by way of each other."""
    bounds = arena.bounds()
    blocks = np.isin(bounds.starts, np.array(heap, np.int64) - ARENA_WINDOW)
    waiting = np.flatnonzero(~blocks).tolist()
    found: set[int] = set()
    while waiting:
        number = waiting.pop()
        words = arena.words(int(bounds.starts[number]))
        pointers = words[words >= np.uint64(ARENA_WINDOW)].view(np.int64) - ARENA_WINDOW
        for target in set(bounds.holding(pointers, 0).tolist()) - {-1}:
            if blocks[target] and int(bounds.starts[target]) + ARENA_WINDOW not in found:
                found.add(int(bounds.starts[target]) + ARENA_WINDOW)
                waiting.append(target)
    return found
