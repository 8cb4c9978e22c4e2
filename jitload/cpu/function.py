"""A kernel on the CPU: checks of a launch, and the run of a grid in batches of thread blocks."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import numpy as np

from jitload import config, forks
from jitload.cpu.lanes.coordinates import split_grid
from jitload.cpu.limits import check_residence, check_shape, clusters_of
from jitload.cpu.run.batch import Batch
from jitload.cpu.run.grid import Grid
from jitload.cpu.run.observer import Observer, Observers, observers
from jitload.cpu.run.schedule import Scheduler
from jitload.cpu.run.standstill import PATIENCE_STEPS
from jitload.errors import CpuFault, LaunchError
from jitload.launch.hints import NO_HINTS, Hints
from jitload.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu import checks
    from jitload.cpu.kernel_code import KernelCode
    from jitload.cpu.memory.arena import Arena
    from jitload.cpu.native.choice import NativeCode
    from jitload.launch.device import Dim3, Memory
    from jitload.values import KernelInfo
else:
    checks = lazy("jitload.cpu.checks")  # six files that most processes never need

#: Lanes that run side by side: enough to hide the cost of NumPy calls and of a batch, few enough to stay in the caches.
BATCH_LANES = 1 << 16
#: In kernels that spin on atomics only one lane gets on per round, so each round should be cheap.
SPINNING_BATCH_LANES = 1 << 12
_BATCH_LOCAL_BYTES = 1 << 28
_BATCH_SHARED_BYTES = 1 << 26
_SLICE_STEPS = 16384  # before another batch is let in beside one that waits for something
_SHORT_SLICE_STEPS = 256  # while several batches run in turn
_BATCHES_AT_ONCE = 256
_WORKSPACE_BYTES = 64  # cooperative groups keep a size and a barrier word there

_launching = forks.ProcessLock(threading.RLock)


class CpuFunction:
    """`DeviceFunction` on the CPU; a launch returns when the grid has run.

    Args:
        code: the decoded kernel.
        native: the same as machine code, where that is asked for.
        info: its parameter layout.
        memory: the arena that its pointers point into.
    """

    device = "cpu"

    def __init__(self, code: KernelCode, native: NativeCode, info: KernelInfo, memory: Arena) -> None:
        self.code = code
        self.native = native
        self.info = info
        self.memory: Memory = memory
        self._arena = memory

    def prepare(
        self,
        nbytes: int,
        grid: Dim3,
        block: Dim3,
        shared_bytes: int,
        stream: int,  # noqa: ARG002 - everything runs at once, in the order of the calls
        cluster: Dim3 | None,
        cooperative: bool,
        hints: Hints = NO_HINTS,  # noqa: ARG002 - the executor takes none
    ) -> tuple[memoryview, Callable[[], None]]:
        """As in `PreparedFunction`; what launches gives nothing, and raises what `launch` does.

        Raises:
            LaunchError: the configuration is beyond what GPUs run, or does not fit the kernel.
        """
        name = self.info.name
        grid, cluster = clusters_of(name, self.code.entry, grid, cluster)
        check_shape(self.info, self.code, grid, block, shared_bytes)
        if nbytes < self.info.parameter_bytes:
            raise LaunchError(f"kernel {name}: {nbytes} parameter bytes, it takes {self.info.parameter_bytes}")
        if cooperative:
            check_residence(name, grid, block, self.code.shared_bytes(shared_bytes))
        elif self.code.needs_grid:
            raise _needs_cooperation(name)
        whole = Grid(self.code, self._arena, bytes(nbytes), grid, block, shared_bytes, cluster)
        whole.name = name
        return whole.params.views["u8"].data[:nbytes], _Launches(self.native, whole, cooperative).run

    def launch(
        self,
        parameters: bytearray,
        grid: Dim3,
        block: Dim3,
        shared_bytes: int,
        stream: int,
        cluster: Dim3 | None,
        cooperative: bool,
    ) -> None:
        """Run the kernel.

        Raises:
            LaunchError: the configuration is beyond what GPUs run, or does not fit the kernel.
            CpuFault: the kernel was stopped.
        """
        block_of_bytes, run = self.prepare(len(parameters), grid, block, shared_bytes, stream, cluster, cooperative)
        block_of_bytes[:] = parameters
        run()

    def synchronize(self, stream: int) -> None:
        """Nothing to wait for: launches have run when they return."""


class _Launches:
    """Launches of one kernel in one configuration, one after the other; each has what its parameters hold then.

    Args:
        native: the kernel as machine code, where that is asked for.
        grid: what all of them run.
        cooperative: whether its blocks may wait for each other.
    """

    def __init__(self, native: NativeCode, grid: Grid, cooperative: bool) -> None:
        self._native = native
        self._grid = grid
        self._cooperative = cooperative

    def run(self) -> None:
        """Run the grid.

        Raises:
            LaunchError: it waits for all its blocks, and the launch is not cooperative.
            CpuFault: the kernel was stopped.
        """
        settings, grid = config.current(), self._grid
        observer = observer_in_force(settings)
        if observer is None:
            grid.begin()
        else:
            grid = grid.watched(observer.accessed)
        # One launch at a time: atomics of two launches must not interleave between NumPy calls.
        with _launching.here:
            try:
                if self._cooperative:
                    self._run_together(grid, observer)
                elif observer is not None or grid.cluster_blocks > 1:
                    self._run_alone(grid, observer)
                else:
                    self._run_by_engine(grid, settings.cpu_engine)
            finally:
                grid.arena.move_out()

    def _run_by_engine(self, grid: Grid, engine: str) -> None:
        if engine == "lanes" or not self._native.run(grid, engine):
            begun = time.perf_counter()
            self._run_alone(grid, None)
            if engine == "auto":
                self._native.spend(time.perf_counter() - begun)

    def _run_together(self, grid: Grid, observer: Observer | None) -> None:
        """Run the blocks of a cooperative launch, and lend them what they synchronize through."""
        arena = grid.arena
        grid.workspace = arena.allocate(_WORKSPACE_BYTES, "workspace of the cooperative grid")
        arena.write(grid.workspace, memoryview(bytes(_WORKSPACE_BYTES)))
        try:
            _run_watched(grid, observer, True)
        finally:
            arena.free(grid.workspace)

    def _run_alone(self, grid: Grid, observer: Observer | None) -> None:
        """Run blocks that need not be there together; one that waits for its grid after all is a launch error."""
        try:
            _run_watched(grid, observer, False)
        except CpuFault as fault:
            if fault.ptx_line in grid.code.grid_traps or _traps_in_groups(fault):
                raise _needs_cooperation(grid.name) from fault
            raise


def _needs_cooperation(name: str) -> LaunchError:
    return LaunchError(
        f"kernel {name} waits for its whole grid (grid.sync()), and only a cooperative launch has all of "
        f"it running at once: write kernel(..., cooperative=True), or kernel.bind(..., cooperative=True)"
    )


def _traps_in_groups(fault: CpuFault) -> bool:
    """Whether it is a trap of cooperative groups themselves: to one that is not inlined, no address can be followed."""
    return (fault.instruction or "").startswith("trap") and "cooperative_groups" in (fault.cuda_line or "")


def _batch_blocks(grid: Grid) -> int:
    """How many thread blocks run side by side; a cluster does in any case."""
    code = grid.code
    lanes = SPINNING_BATCH_LANES if code.spins else BATCH_LANES
    if code.local_bytes:
        lanes = min(lanes, max(_BATCH_LOCAL_BYTES // code.local_bytes, 1))
    shared = code.shared_bytes(grid.shared_bytes)
    by_shared = _BATCH_SHARED_BYTES // shared if shared else grid.blocks
    return max(1, min(lanes // grid.threads, by_shared, grid.blocks))


def observer_in_force(settings: config.Config) -> Observer | None:
    """Who watches a launch that begins now: the checks of the settings, and whoever is `observing`; None for nobody."""
    members, names = observers(), settings.cpu_check
    if names:
        members = (*checks.make_checks(names), *members)
    return None if not members else members[0] if len(members) == 1 else Observers(members)


def _run_watched(grid: Grid, observer: Observer | None, cooperative: bool) -> None:
    """Run every block of the grid on lanes, and tell the observer of the launch, if there is one."""
    with np.errstate(all="ignore"):
        if observer is None:
            _run_grid(grid, None, cooperative)
            return
        observer.launched(grid)
        _run_grid(grid, observer, cooperative)
        observer.finished(grid)


def _run_grid(grid: Grid, observer: Observer | None, cooperative: bool) -> None:
    """Run every block of the grid.

    Batches run one after the other. When one only waits, perhaps for a block that has not started, the next is let in
    beside it and they take turns; a cooperative launch starts like that.
    """
    spans = split_grid(grid.order, _batch_blocks(grid))
    running: list[Scheduler] = []
    crowd = _BATCHES_AT_ONCE if cooperative else 1
    while True:
        while len(running) < crowd and (span := next(spans, None)) is not None:
            running.append(Scheduler(Batch(grid, *span), observer))
        if not running:
            return
        budget = _SLICE_STEPS if crowd == 1 else _SHORT_SLICE_STEPS
        still = [scheduler for scheduler in running if not scheduler.run(budget)]
        if still and len(still) == len(running) and all(scheduler.spun for scheduler in still):
            crowd = min(crowd + 1, _BATCHES_AT_ONCE)
            if grid.steps > PATIENCE_STEPS and all(scheduler.standstill.looks > 1 for scheduler in still):
                still[0].fail_standing()
        running = still
