"""Host arrays for a kernel: used where they lie, or copied to its memory, and back after it ran."""

from __future__ import annotations

import contextlib
import ctypes
from typing import TYPE_CHECKING, NamedTuple

from jitload.errors import CpuFault, JitloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jitload.launch.arrays import ArrayView
    from jitload.launch.device import HostMemory, Memory
    from jitload.launch.row import Value


class HostArray(NamedTuple):
    """A host array among the arguments: which one, its label in diagnostics, whether the kernel only reads it.

    `describe` gives what the kernel gets instead of its address; None where it is the address.
    """

    position: int
    label: str
    const: bool
    view: ArrayView
    describe: Callable[[int], bytes] | None = None

    def value_at(self, address: int) -> Value:
        """What the kernel gets when the array lies at this address."""
        return address if self.describe is None else self.describe(address)


class _Region:
    """A range of host bytes that travels as one: overlapping arrays must stay one memory on the other side too."""

    __slots__ = ("address", "copied", "end", "members", "start", "written")

    def __init__(self, first: HostArray) -> None:
        self.start = first.view.address
        self.end = first.view.address + first.view.nbytes
        self.members = [first]
        self.written = not first.const
        self.address = 0
        self.copied = False

    def add(self, array: HostArray) -> None:
        self.end = max(self.end, array.view.address + array.view.nbytes)
        self.members.append(array)
        self.written = self.written or not array.const
        self.members.sort(key=lambda member: member.position)

    @property
    def label(self) -> str:
        if len(self.members) == 1:
            return self.members[0].label
        return " and ".join(dict.fromkeys(array.label for array in self.members))

    def place(self, memory: Memory, adopt: Callable[..., int | None] | None) -> None:
        """Give it an address in a memory: its own bytes where that memory takes them, else a copy of them."""
        nbytes = self.end - self.start
        found = None if adopt is None else adopt(self.start, nbytes, self.label, written=self.written)
        self.copied = found is None and nbytes > 0
        self.address = memory.allocate(nbytes, self.label) if found is None else found

    def bytes_view(self) -> memoryview:
        return memoryview((ctypes.c_ubyte * (self.end - self.start)).from_address(self.start)).cast("B")


def run_staged(
    memory: Memory | HostMemory,
    arrays: Sequence[HostArray],
    values: list[Value],
    launch: Callable[[], None],
    finish: Callable[[bool], None] | None = None,
) -> None:
    """Copy `arrays` over, put their addresses into `values`, `launch`, and copy back what may have changed.

    A memory that can use them in place (`HostMemory`) does; they hold what the kernel did then, however it ends. Else
    nothing is copied back when anything fails, but for a fault of the CPU executor: then the arrays hold what the
    kernel did until then. Every allocation is freed either way.

    Args:
        memory: where the kernel finds them.
        arrays: the host arrays.
        values: the values of all arguments.
        launch: launches with `values`; without `finish` it also waits until the kernel has run.
        finish: waits until everything has happened that was asked of `memory`, and the launch: all of it is queued.
            It is told whether that went well, and the arrays may change.
    """
    adopt: Callable[..., int | None] | None = getattr(memory, "adopt", None)
    regions = _merge(arrays)
    placed: list[_Region] = []
    try:
        for region in regions:
            region.place(memory, adopt)
            placed.append(region)
            if region.copied:
                memory.write(region.address, region.bytes_view())
            for array in region.members:
                values[array.position] = array.value_at(region.address + array.view.address - region.start)
        try:
            launch()
        except CpuFault:  # what a kernel wrote before it was stopped says much about why
            _copy_back(memory, regions)
            raise
        _copy_back(memory, regions)
        for region in placed:
            memory.free(region.address)
            region.address = 0
        if finish is not None:
            finish(True)
    except BaseException:
        _abandon(memory, placed, finish)
        raise


def _abandon(memory: Memory, regions: Sequence[_Region], finish: Callable[[bool], None] | None) -> None:
    """Free what can be freed, and wait: host memory may be in use until then."""
    for region in regions:
        if region.address:
            with contextlib.suppress(JitloadError):
                memory.free(region.address)
    if finish is not None:
        with contextlib.suppress(JitloadError):
            finish(False)


def _copy_back(memory: Memory, regions: Sequence[_Region]) -> None:
    for region in regions:
        if region.copied and region.written:
            memory.read(region.address, region.bytes_view())


def _merge(arrays: Sequence[HostArray]) -> list[_Region]:
    if len(arrays) == 1 or _are_apart([(array.view.address, array.view.nbytes) for array in arrays]):
        return [_Region(array) for array in arrays]
    regions = [_Region(array) for array in arrays if array.view.nbytes == 0]
    current: _Region | None = None
    for array in sorted((a for a in arrays if a.view.nbytes), key=lambda a: a.view.address):
        if current is not None and array.view.address < current.end:
            current.add(array)
        else:
            current = _Region(array)
            regions.append(current)
    # In the order of the arguments, so that a launch makes the same allocations wherever the host arrays happen to lie.
    return sorted(regions, key=lambda region: region.members[0].position)


def _are_apart(ranges: list[tuple[int, int]]) -> bool:
    """Whether no two ranges of (address, bytes) overlap; False also where one is empty."""
    behind = 0
    for address, nbytes in sorted(ranges):
        if address < behind or not nbytes:
            return False
        behind = address + nbytes
    return True
