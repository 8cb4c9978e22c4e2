"""Whether the blocks of a cluster stay for as long as others use their shared memory.

A block that ends takes its shared memory along, so what others do there must be over by then, and the block must know:
by a barrier of the cluster, or by something that it reads of them with a strong access (a flag, an mbarrier). Which of
two unordered things comes first is chance on a GPU, so it is a fault here in either order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jitload.cpu.isa.effects import effects_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cpu.code.block_code import BlockCode
    from jitload.cpu.code.registers import RegisterFile
    from jitload.cpu.memory.access import RunningLanes
    from jitload.cpu.text.ir import Place
    from jitload.cpu.types import Array

_LISTENS = {"loads", "strong"}  # effects of what may tell a thread that another is done with something


class Residence:
    """The blocks of one batch.

    Args:
        batch: whose blocks these are.
        live_threads: of each, threads that have not ended; whoever counts them changes it in place.
        places: where instructions stand, by site number.
    """

    def __init__(self, batch: RunningLanes, live_threads: Array, places: Sequence[Place]) -> None:
        self._batch = batch
        self._live = live_threads
        self._places = places
        self._ears: dict[BlockCode, int] = {}
        self._step = 1
        #: Of each block, the last use by others that it knows nothing of: step (0 is none), instruction and lane.
        self._used = np.zeros(len(live_threads), np.int64)
        self._sites = np.zeros(len(live_threads), np.int64)
        self._lanes = np.zeros(len(live_threads), np.int64)

    def used(self, targets: Array, positions: Array, site: int) -> None:
        """Lanes use the shared memory of other blocks; see `RunningLanes.uses_others`.

        Raises:
            CpuFault: one of those blocks has ended.
        """
        batch = self._batch
        gone = np.flatnonzero(self._live[targets] == 0)
        if len(gone):
            block = batch.block_at(int(targets[gone[0]]))
            what = (
                f"shared memory of block {block}, which has ended: its threads must stay until others have done with "
                f"it (cluster.sync() before the end). The access is"
            )
            batch.fail(site, int(positions[gone[0]]), what)
        self._used[targets], self._sites[targets] = self._step, site
        self._lanes[targets] = positions if batch.lanes is None else batch.lanes[positions]

    def run(self, frame: RegisterFile, block: BlockCode, lanes: Array | None) -> Any:
        """Run a basic block of code for lanes, and note what they may have heard of others."""
        value = block.run(self._batch, frame, lanes)
        listens, step = self._listens(block), self._step
        self._step += 1
        if listens >= 0 and self._used.any():
            here = np.zeros(len(self._used), np.bool_)
            here[self._batch.block_slot if lanes is None else self._batch.block_slot[lanes]] = True
            self._used[here & ((self._used < step) | (self._sites < listens))] = 0
        return value

    def _listens(self, block: BlockCode) -> int:
        """The last instruction by which its lanes may learn what others have done; -1 for none."""
        found = self._ears.get(block)
        if found is None:
            sites = [site for site in block.sites if effects_in(self._places[site].text)[0] >= _LISTENS]
            found = self._ears[block] = max(sites, default=-1)
        return found

    def gathered(self, slots: Array) -> None:
        """All threads of the clusters of these blocks (places in the batch) have come to a barrier."""
        self._used[slots] = 0

    def left(self) -> None:
        """Threads ended.

        Raises:
            CpuFault: a block has ended that knows nothing of what others did in its shared memory.
        """
        bad = np.flatnonzero((self._live == 0) & (self._used > 0))
        if len(bad):
            slot = int(bad[0])
            what = (
                f"shared memory of block {self._batch.block_at(slot)}, which ends without waiting for that: nothing "
                f"keeps the memory there until others have done with it (cluster.sync() before the end does). The "
                f"access is"
            )
            self._batch.fail_lane(int(self._sites[slot]), int(self._lanes[slot]), what)
