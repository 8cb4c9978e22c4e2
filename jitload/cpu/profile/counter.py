"""Counting while a launch runs: executions of basic blocks, ways of branches, and the cost of every access.

Blocks are counted, not instructions: what a block holds is multiplied out when the figures are asked for. All counts
are sums of whole numbers over warps, so it does not matter how many thread blocks ran side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.memory.cluster import ClusterAddresses
from jitload.cpu.profile.instruction_class import Opcode
from jitload.cpu.profile.metrics import Traffic
from jitload.cpu.profile.warp_access import (
    WARP_LANES,
    Warps,
    count_distinct,
    count_largest_group,
    global_sectors,
    local_sectors,
    shared_wavefronts,
)
from jitload.cpu.run.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cpu.code.block_code import BlockCode
    from jitload.cpu.memory.access import Addresses
    from jitload.cpu.run.batch import Batch
    from jitload.cpu.run.frame import Frame
    from jitload.cpu.run.grid import Grid
    from jitload.cpu.text.ir import Place
    from jitload.cpu.types import Array, Lanes
    from jitload.launch.device import Dim3


class KernelCounts:
    """What was counted for one kernel.

    Attributes:
        name: what the user calls the kernel.
        symbol: its lowered name.
        places: where its instructions stand, by site.
        opcodes: the same, taken apart.
        launches: (grid, block) -> how often.
        executed: (first site, last site + 1) of a basic block -> [warps, threads].
        branched: site -> [warps, warps that parted].
        traffic: (site, space, way) -> Traffic.
    """

    def __init__(self, name: str, symbol: str, places: Sequence[Place]) -> None:
        self.name = name
        self.symbol = symbol
        self.places = places
        self.opcodes = [Opcode.of(place.text) for place in places]
        self.launches: dict[tuple[Dim3, Dim3], int] = {}
        self.executed: dict[tuple[int, int], list[int]] = {}
        self.branched: dict[int, list[int]] = {}
        self.traffic: dict[tuple[int, str, str], Traffic] = {}


class Counter(Observer):
    """The observer that a profile lets watch.

    Attributes:
        kernels: one per kernel, in the order of their first launches.
    """

    def __init__(self) -> None:
        self.kernels: list[KernelCounts] = []
        self._counts = KernelCounts("", "", ())
        self._lanes: Array | None = None
        self._warps: Warps | None = None
        self._whole: dict[int, Warps] = {}
        self._accessed: set[tuple[int, str, str]] = set()

    def launched(self, grid: Grid) -> None:
        """Find or begin the counts of this kernel; equal code under one name is one kernel."""
        code = grid.code
        found = next((one for one in self.kernels if one.symbol == code.name and _alike(one.places, code.places)), None)
        if found is None:
            found = KernelCounts(grid.name, code.name, code.places)
            self.kernels.append(found)
        key = (grid.shape, grid.block_shape)
        found.launches[key] = found.launches.get(key, 0) + 1
        self._counts = found
        self._whole.clear()

    def runs(self, batch: Batch, frame: Frame, block: BlockCode, lanes: Array | None) -> None:  # noqa: ARG002 - a method of observers
        """Count a block for the warps that are here."""
        if lanes is None or lanes is not self._lanes:
            self._lanes, self._warps = lanes, None
        self._accessed.clear()
        sites = block.sites
        if not sites:
            return
        warps = self._warps_here(batch)
        counts = self._counts.executed.setdefault((sites[0], sites[-1] + 1), [0, 0])
        counts[0] += warps.count
        counts[1] += batch.count

    def branched(self, batch: Batch, block: BlockCode, lanes: Array | None, ways: Lanes) -> None:  # noqa: ARG002 - a method of observers
        """Count a branch, and the warps that part at it."""
        site = block.sites[-1] if block.sites else -1
        if site < 0 or self._counts.opcodes[site].name not in {"bra", "brx"}:
            return  # the way around an instruction with a guard is no branch
        warps = self._warps_here(batch)
        counts = self._counts.branched.setdefault(site, [0, 0])
        counts[0] += warps.count
        if ways.ndim:
            counts[1] += int(np.count_nonzero(count_distinct(warps.spread(ways)) > 1))

    def accessed(
        self,
        batch: Batch,
        addresses: Addresses,
        offset: int,
        nbytes: int,
        site: int,
        how: str,
        values: Sequence[Lanes] = (),  # noqa: ARG002 - a method of observers
    ) -> None:
        """Count an access."""
        positions = addresses.positions
        declared = self._counts.opcodes[site].modifiers
        if addresses.space == "surface":
            return
        space = next((name for name in ("const", "param") if name in declared), addresses.space)
        if isinstance(addresses, ClusterAddresses) and addresses.others:
            space = "cluster"
        key = (site, space, how)
        traffic = self._counts.traffic.get(key)
        if traffic is None:
            traffic = self._counts.traffic[key] = Traffic()
        warps = self._warps_here(batch) if positions is None else Warps(self._slots(batch)[positions])
        threads = batch.count if positions is None else len(positions)
        traffic.bytes += threads * nbytes
        if key not in self._accessed:  # several accesses of one instruction, such as a matrix fragment, are one request
            self._accessed.add(key)
            traffic.requests += warps.count
            traffic.accesses += threads
        if space in {"global", "shared", "local"}:
            _count_cost(traffic, space, how, addresses.offsets, offset, nbytes, warps)

    def _slots(self, batch: Batch) -> Array:
        return batch.slots if self._lanes is None else batch.slots[self._lanes]

    def _warps_here(self, batch: Batch) -> Warps:
        """The warps of the lanes that run now; those of whole batches are kept."""
        if self._warps is not None:
            return self._warps
        if self._lanes is not None:
            found = Warps(batch.slots[self._lanes])
        else:
            found = self._whole.get(batch.blocks) or self._whole.setdefault(batch.blocks, Warps(batch.slots))
        self._warps = found
        return found


def _alike(places: Sequence[Place], others: Sequence[Place]) -> bool:
    """Whether two kernels have the same instructions at the same lines, wherever those lines can be shown from."""
    return [one.written for one in places] == [one.written for one in others]


def _count_cost(
    traffic: Traffic, space: str, how: str, offsets: Array | int, offset: int, nbytes: int, warps: Warps
) -> None:
    if isinstance(offsets, int):
        rows = np.full((warps.count, WARP_LANES), offsets + offset)
    else:
        rows = warps.spread(offsets) + offset
    if space == "shared":
        turns, ideal = shared_wavefronts(rows, warps.active, nbytes)
        traffic.wavefronts += turns
        traffic.ideal_wavefronts += ideal
    else:
        sectors, ideal = global_sectors(rows, nbytes) if space == "global" else local_sectors(rows, warps, nbytes)
        traffic.sectors += sectors
        traffic.ideal_sectors += ideal
    if how == "atomic":
        traffic.serialized += int(count_largest_group(rows, warps.active).sum())
