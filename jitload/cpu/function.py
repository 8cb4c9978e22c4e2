"""A kernel on the CPU: checks of a launch, and the run of a grid in batches of thread blocks."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import numpy as np

from jitload import config, forks
from jitload.cpu.lanes.coordinates import split_grid
from jitload.cpu.limits import check_residence, check_shape
from jitload.cpu.run.batch import Batch
from jitload.cpu.run.clusters import clusters_of
from jitload.cpu.run.grid import Grid
from jitload.cpu.run.observer import Observer, Observers, observers
from jitload.cpu.run.schedule import Scheduler
from jitload.cpu.run.standstill import PATIENCE_STEPS
from jitload.errors import CpuFault, LaunchError
from jitload.lazy import lazy

if TYPE_CHECKING:
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
        self._parameter_bytes = info.parameter_bytes
        self._checked: object = None  # the shape of the last launch: most have that of the one before

    def launch(
        self,
        parameters: bytearray,
        grid: Dim3,
        block: Dim3,
        shared_bytes: int,
        stream: int,  # noqa: ARG002 - everything runs at once, in the order of the calls
        cluster: Dim3 | None,
        cooperative: bool,
    ) -> None:
        """Run the kernel.

        Raises:
            LaunchError: the configuration is beyond what GPUs run, or does not fit the kernel.
            CpuFault: the kernel was stopped.
        """
        grid, cluster = clusters_of(self.info.name, self.code.entry, grid, cluster)
        shape = (tuple(grid), tuple(block), shared_bytes)
        if shape != self._checked:
            check_shape(self.info, self.code, grid, block, shared_bytes)
            self._checked = shape
        if len(parameters) < self._parameter_bytes:
            nbytes = self._parameter_bytes
            raise LaunchError(f"kernel {self.info.name}: {len(parameters)} parameter bytes, it takes {nbytes}")
        if cooperative:
            check_residence(self.info.name, grid, block, self.code.shared_bytes(shared_bytes))
        elif self.code.needs_grid:
            raise self._needs_cooperation()
        whole = Grid(self.code, self._arena, parameters, grid, block, shared_bytes, cluster)
        whole.name, observer = self.info.name, observer_in_force()
        if observer is not None:
            whole.on_access = observer.accessed
        # One launch at a time: atomics of two launches must not interleave between NumPy calls.
        with _launching.here, np.errstate(all="ignore"):
            try:
                self._run(whole, observer, cooperative)
            finally:
                self._arena.move_out()

    def _run(self, whole: Grid, observer: Observer | None, cooperative: bool) -> None:
        """Run the blocks of a grid, and lend those of a cooperative launch what they synchronize through."""
        if not cooperative:
            engine = config.current().cpu_engine if observer is None and whole.order.size == 1 else "lanes"
            if engine == "lanes" or not self.native.run(whole, engine):
                begun = time.perf_counter()
                self._run_alone(whole, observer)
                if engine == "auto":
                    self.native.spend(time.perf_counter() - begun)
        else:
            whole.workspace = self._arena.allocate(_WORKSPACE_BYTES, "workspace of the cooperative grid")
            self._arena.write(whole.workspace, memoryview(bytes(_WORKSPACE_BYTES)))
            try:
                _run_watched(whole, observer, True)
            finally:
                self._arena.free(whole.workspace)

    def _run_alone(self, grid: Grid, observer: Observer | None) -> None:
        """Run blocks that need not be there together; one that waits for its grid after all is a launch error."""
        try:
            _run_watched(grid, observer, False)
        except CpuFault as fault:
            if fault.ptx_line in self.code.grid_traps or _traps_in_groups(fault):
                raise self._needs_cooperation() from fault
            raise

    def _needs_cooperation(self) -> LaunchError:
        return LaunchError(
            f"kernel {self.info.name} waits for its whole grid (grid.sync()), and only a cooperative launch has all of "
            f"it running at once: write kernel(..., cooperative=True), or kernel.bind(..., cooperative=True)"
        )

    def synchronize(self, stream: int) -> None:
        """Nothing to wait for: launches have run when they return."""


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


def observer_in_force() -> Observer | None:
    """Who watches a launch that begins now: the checks of the settings, and whoever is `observing`; None for nobody."""
    members, names = observers(), config.current().cpu_check
    if names:
        members = (*checks.make_checks(names), *members)
    return None if not members else members[0] if len(members) == 1 else Observers(members)


def _run_watched(grid: Grid, observer: Observer | None, cooperative: bool) -> None:
    """Run every block of the grid, and tell the observer of the launch, if there is one."""
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
