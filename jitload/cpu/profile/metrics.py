"""The figures of a profile: whole numbers that are counted, and the ratios between them.

Names follow Nsight Compute where it has one. Instructions are those of the PTX, not of the machine code of a GPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jitload.cpu.profile.instruction_class import CLASSES
from jitload.cpu.profile.warp_access import WARP_LANES
from jitload.errors import UsageValueError

if TYPE_CHECKING:
    from collections.abc import Iterable

#: State spaces, and what is done there, in the order of tables.
SPACES = ("global", "shared", "cluster", "local", "param", "const")
WAYS = ("load", "store", "atomic")


class Traffic:
    """Accesses of one kind, in one state space or several.

    Attributes:
        requests: warp instructions that accessed the space.
        accesses: the same, counted per thread.
        bytes: what the threads asked for.
        sectors: 32-byte sectors moved, in global and local memory; each once per request.
        ideal_sectors: the fewest that could hold the bytes that were touched, per request.
        wavefronts: turns that shared memory takes.
        ideal_wavefronts: the same without bank conflicts.
        serialized: turns that atomics take: per request, the most threads that share one address.
    """

    __slots__ = (
        *("accesses", "bytes", "ideal_sectors", "ideal_wavefronts", "requests", "sectors", "serialized", "wavefronts"),
    )
    COUNTED = (
        *("requests", "accesses", "bytes", "sectors", "ideal_sectors", "wavefronts", "ideal_wavefronts", "serialized"),
    )

    def __init__(self) -> None:
        self.requests = self.accesses = self.bytes = self.sectors = self.ideal_sectors = 0
        self.wavefronts = self.ideal_wavefronts = self.serialized = 0

    def add(self, other: Traffic) -> None:
        """Add the figures of another."""
        for name in self.COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def sectors_per_request(self) -> float:
        """Sectors per warp instruction; 4.0 is a coalesced access of 4 bytes per thread. 0.0 without requests."""
        return self.sectors / self.requests if self.requests else 0.0

    @property
    def sector_efficiency(self) -> float:
        """Ideal sectors over sectors, from 0 to 1; 1.0 without sectors."""
        return self.ideal_sectors / self.sectors if self.sectors else 1.0

    @property
    def bank_conflicts(self) -> int:
        """Wavefronts beyond the ideal ones."""
        return self.wavefronts - self.ideal_wavefronts

    def as_dict(self) -> dict[str, Any]:
        """The counts and the ratios by name."""
        ratios = ("sectors_per_request", "sector_efficiency", "bank_conflicts")
        return {name: getattr(self, name) for name in (*self.COUNTED, *ratios)}


class Metrics:
    """What was counted for a line, or for a whole kernel.

    Attributes:
        inst_executed: instructions, each once per warp and per set of its threads that ran it together.
        thread_inst_executed: the same, once per thread.
        branches: branches that could go two ways, once per warp as above.
        divergent_branches: those of them at which threads of one warp parted.
        barriers: barriers of thread blocks (`bar.sync`, `bar.arrive`, `bar.red`), once per warp.
        classes: class of instructions -> (inst_executed, thread_inst_executed).
        traffic: (space, way) -> Traffic; ways are "load", "store" and "atomic".
    """

    __slots__ = (
        *("barriers", "branches", "classes", "divergent_branches", "inst_executed", "thread_inst_executed", "traffic"),
    )
    COUNTED = ("inst_executed", "thread_inst_executed", "branches", "divergent_branches", "barriers")

    def __init__(self) -> None:
        self.inst_executed = self.thread_inst_executed = 0
        self.branches = self.divergent_branches = self.barriers = 0
        self.classes: dict[str, tuple[int, int]] = {}
        self.traffic: dict[tuple[str, str], Traffic] = {}

    def count(self, instruction_class: str, warps: int, threads: int) -> None:
        """Count one instruction of an `instruction_class` that `warps`, with `threads` active in all, executed."""
        self.inst_executed += warps
        self.thread_inst_executed += threads
        before = self.classes.get(instruction_class, (0, 0))
        self.classes[instruction_class] = (before[0] + warps, before[1] + threads)

    def add_traffic(self, space: str, way: str, traffic: Traffic) -> None:
        """Add `traffic` of one `way` to one `space`."""
        self.traffic.setdefault((space, way), Traffic()).add(traffic)

    def add(self, other: Metrics) -> None:
        """Add the figures of the `other`."""
        for name in self.COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name, (warps, threads) in other.classes.items():
            before = self.classes.get(name, (0, 0))
            self.classes[name] = (before[0] + warps, before[1] + threads)
        for (space, way), traffic in other.traffic.items():
            self.add_traffic(space, way, traffic)

    def memory(self, space: str, way: str | None = None) -> Traffic:
        """Accesses of a state space, of one kind or of all.

        Args:
            space: "global", "shared", "cluster" (shared memory of other blocks), "local", "param" or "const".
            way: "load", "store", "atomic", or None for all of them.

        Raises:
            UsageValueError: there is no such space or way.
        """
        if space not in SPACES or way not in {None, *WAYS}:
            raise UsageValueError(
                f"memory({space!r}, {way!r}): the spaces are {', '.join(SPACES)}, the ways {', '.join(WAYS)}"
            )
        found = Traffic()
        for (where, how), traffic in self.traffic.items():
            if where == space and way in {None, how}:
                found.add(traffic)
        return found

    @property
    def active_threads_per_warp(self) -> float:
        """Threads per warp instruction, at most 32; 0.0 when nothing ran."""
        return self.thread_inst_executed / self.inst_executed if self.inst_executed else 0.0

    @property
    def warp_efficiency(self) -> float:
        """`active_threads_per_warp` over 32: divergence and partial warps lower it. 1.0 when nothing ran."""
        return self.active_threads_per_warp / WARP_LANES if self.inst_executed else 1.0

    @property
    def branch_efficiency(self) -> float:
        """Branches at which warps stayed whole, over all; 1.0 without branches."""
        return 1 - self.divergent_branches / self.branches if self.branches else 1.0

    @property
    def requests(self) -> int:
        """Warp instructions that accessed global memory."""
        return self.memory("global").requests

    @property
    def sectors(self) -> int:
        """32-byte sectors of global memory."""
        return self.memory("global").sectors

    @property
    def sectors_per_request(self) -> float:
        """Sectors of global memory per warp instruction that accessed it; 0.0 without any."""
        return self.memory("global").sectors_per_request

    @property
    def sector_efficiency(self) -> float:
        """Ideal over actual sectors of global memory, from 0 to 1; 1.0 without any."""
        return self.memory("global").sector_efficiency

    @property
    def bank_conflicts(self) -> int:
        """Wavefronts of shared memory beyond the ideal ones."""
        return self.memory("shared").bank_conflicts

    @property
    def atomics(self) -> int:
        """Atomic operations in any space, once per thread."""
        return sum(traffic.accesses for (_, way), traffic in self.traffic.items() if way == "atomic")

    def as_dict(self) -> dict[str, Any]:
        """Everything, by name: counts, ratios, `classes` and `memory`; empty parts are left out."""
        ratios = ("active_threads_per_warp", "warp_efficiency", "branch_efficiency")
        classes = {
            name: dict(zip(self.COUNTED[:2], self.classes[name], strict=True))
            for name in CLASSES
            if name in self.classes
        }
        memory = {
            space: {way: self.traffic[space, way].as_dict() for way in WAYS if (space, way) in self.traffic}
            for space in SPACES
        }
        return {
            **{name: getattr(self, name) for name in (*self.COUNTED, *ratios, "atomics", "bank_conflicts")},
            "classes": classes,
            "memory": {space: ways for space, ways in memory.items() if ways},
        }


def total(parts: Iterable[Metrics]) -> Metrics:
    """The sum of several."""
    found = Metrics()
    for part in parts:
        found.add(part)
    return found
