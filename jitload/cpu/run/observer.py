"""Watching a launch: who is told what.

A launch that nobody watches pays nothing on its hot path: addresses that report are classes of their own, which a
batch chooses once, and the scheduler asks once per block that it runs.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jitload.cpu.code.block_code import BlockCode, MeetingCode
    from jitload.cpu.memory.access import Addresses
    from jitload.cpu.run.batch import Batch
    from jitload.cpu.run.frame import Frame
    from jitload.cpu.run.grid import Grid
    from jitload.cpu.types import Array, Lanes


class Observer:
    """What a launch tells; every method does nothing here. One that raises a CpuFault stops the launch.

    Lanes are arrays of lane numbers of the batch, in rising order unless said otherwise; None stands for all of them.
    A site is a place in `grid.code.places`.
    """

    def launched(self, grid: Grid) -> None:
        """A launch begins."""

    def finished(self, grid: Grid) -> None:
        """A launch has run to its end; one that a fault stopped does not come here."""

    def runs(self, batch: Batch, frame: Frame, block: BlockCode, lanes: Array | None) -> None:
        """Lanes are about to run a basic block; `block.sites` are its instructions, in order."""

    def branched(self, batch: Batch, block: BlockCode, lanes: Array | None, ways: Lanes) -> None:
        """Lanes are about to part, or not, at the end of a block that they ran.

        Args:
            batch: whose lanes these are.
            block: the last of its sites is the branch; an instruction under a guard may have one around it instead.
            lanes: those that ran the block.
            ways: which way each goes: a scalar where all agree, else one value per lane.
        """

    def accessed(
        self,
        batch: Batch,
        addresses: Addresses,
        offset: int,
        nbytes: int,
        site: int,
        how: str,
        values: Sequence[Lanes] = (),
    ) -> None:
        """The current lanes access `nbytes` at `offset` from each address: in bounds, and not done yet.

        Shared, local and global memory come here, and parameters whose address is computed; a parameter that is read
        by its name does not.

        Args:
            batch: whose lanes these are.
            addresses: carries `space`, `offsets`, `slabs`, `positions`; see also `lanes_of`.
            offset: what the instruction adds.
            nbytes: of the whole access; a vector is one access.
            site: the instruction.
            how: "load", "store" or "atomic".
            values: what a store writes: one value per element of the vector, each a scalar or an array over the lanes.
        """

    def released(self, batch: Batch, lanes: Array | None) -> None:
        """A barrier of thread blocks lets these lanes go (grouped by instruction, not sorted)."""

    def gathered(self, batch: Batch, code: MeetingCode, lanes: Array) -> None:
        """Lanes arrive at the barrier of their cluster, or are let go by it; `code.name` says which."""

    def met(self, batch: Batch, code: MeetingCode, lanes: Array | None, masks: Lanes, values: Sequence[Lanes]) -> None:
        """A warp operation is carried out for these lanes; `masks` are their member masks, `values` its operands."""

    def copied(self, batch: Batch, lanes: Array | None, source: int | None, target: int, nbytes: int) -> None:
        """Arguments or results of a call move within local memory; from outside of it when `source` is None."""

    def allocated(self, batch: Batch, lane: int, site: int, address: int, nbytes: int) -> None:
        """A lane got device memory from `malloc`."""

    def freed(self, batch: Batch, lane: int, site: int, address: int) -> None:
        """A lane is about to give an address to `free`."""


class Observers(Observer):
    """Several observers as one; they are told in order."""

    def __init__(self, members: Sequence[Observer]) -> None:
        self.members = tuple(members)

    def launched(self, grid: Grid) -> None:
        """A launch begins."""
        for one in self.members:
            one.launched(grid)

    def finished(self, grid: Grid) -> None:
        """A launch has run to its end."""
        for one in self.members:
            one.finished(grid)

    def runs(self, batch: Batch, frame: Frame, block: BlockCode, lanes: Array | None) -> None:
        """Lanes are about to run a basic block."""
        for one in self.members:
            one.runs(batch, frame, block, lanes)

    def branched(self, batch: Batch, block: BlockCode, lanes: Array | None, ways: Lanes) -> None:
        """Lanes are about to part, or not."""
        for one in self.members:
            one.branched(batch, block, lanes, ways)

    def accessed(
        self,
        batch: Batch,
        addresses: Addresses,
        offset: int,
        nbytes: int,
        site: int,
        how: str,
        values: Sequence[Lanes] = (),
    ) -> None:
        """The current lanes access memory."""
        for one in self.members:
            one.accessed(batch, addresses, offset, nbytes, site, how, values)

    def released(self, batch: Batch, lanes: Array | None) -> None:
        """A barrier of thread blocks lets these lanes go."""
        for one in self.members:
            one.released(batch, lanes)

    def gathered(self, batch: Batch, code: MeetingCode, lanes: Array) -> None:
        """Lanes arrive at the barrier of their cluster, or leave it."""
        for one in self.members:
            one.gathered(batch, code, lanes)

    def met(self, batch: Batch, code: MeetingCode, lanes: Array | None, masks: Lanes, values: Sequence[Lanes]) -> None:
        """A warp operation is carried out."""
        for one in self.members:
            one.met(batch, code, lanes, masks, values)

    def copied(self, batch: Batch, lanes: Array | None, source: int | None, target: int, nbytes: int) -> None:
        """Arguments or results of a call move within local memory."""
        for one in self.members:
            one.copied(batch, lanes, source, target, nbytes)

    def allocated(self, batch: Batch, lane: int, site: int, address: int, nbytes: int) -> None:
        """A lane got device memory."""
        for one in self.members:
            one.allocated(batch, lane, site, address, nbytes)

    def freed(self, batch: Batch, lane: int, site: int, address: int) -> None:
        """A lane is about to free device memory."""
        for one in self.members:
            one.freed(batch, lane, site, address)


_watching: ContextVar[tuple[Observer, ...]] = ContextVar("jitload_cpu_observers", default=())


@contextmanager
def observing(observer: Observer) -> Iterator[Observer]:
    """Let an observer watch every launch of this context (thread or task) until the end of the block."""
    token = _watching.set((*_watching.get(), observer))
    try:
        yield observer
    finally:
        _watching.reset(token)


def observers() -> tuple[Observer, ...]:
    """Whoever is `observing` in this context, in order."""
    return _watching.get()
