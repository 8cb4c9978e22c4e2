"""The memory of the CPU executor: one arena of 64-bit virtual addresses for the whole process.

Addresses are the executor's own, never host pointers: a pointer that a kernel makes up can only hit the arena or fault.
The arena is one anonymous mapping that takes memory when it is touched; freed ranges wait in a quarantine, so that a
use after free is a fault and not another allocation's data, and large ones go back to the system at once.
"""

from __future__ import annotations

import functools
import mmap
import threading
from bisect import bisect_left, bisect_right, insort
from collections import deque
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np

from jitload import forks
from jitload.cpu.memory.bounds import Bounds, relation
from jitload.cpu.memory.guest import GUEST_ALIGNMENT, Guest
from jitload.cpu.memory.heap import Heap
from jitload.cpu.memory.host import is_host_address
from jitload.cpu.types import DTYPES
from jitload.errors import CpuFault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.cpu.memory.images import Image
    from jitload.cpu.memory.texels import Texels
    from jitload.cpu.types import Array

#: Windows of the generic address space (PTX ISA section 5.1): far apart, so that the space is the top of the address.
PARAM_WINDOW = 0x0100_0000_0000
SHARED_WINDOW = 0x0200_0000_0000
LOCAL_WINDOW = 0x0300_0000_0000
CODE_WINDOW = 0x0400_0000_0000
ARENA_WINDOW = 0x1000_0000_0000
WINDOW_BYTES = 1 << 32

ALIGNMENT = 256  # of every allocation, as cuMemAlloc gives
REDZONE_BYTES = 256  # unmapped bytes after every allocation
NULL_PAGE_BYTES = 1 << 16
_RESERVED_BYTES = (1 << 40, 1 << 37, 1 << 34, 1 << 32, 1 << 30)
_QUARANTINE_BYTES = 64 << 20
#: Also bounded in number: small ranges cost more in objects, and in pages that are touched, than they hold.
_QUARANTINE_RANGES = 1024
_RETURN_BYTES = 1 << 16
_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)


#: In the place of the nearest allocation.
_HOST_MEMORY = (
    "no allocation, but memory of the host, which has other addresses than the executor's: pass the array itself, not "
    "its .data_ptr() or .ctypes.data, nor a structure that holds them"
)


class Allocation:
    """A live range of the arena, in offsets from its start; a freed one is empty.

    Attributes:
        views: a flat array of each representation, in which the byte at an offset of the arena lies `origin` before it.
        guest: the host's memory that is used in its place, or None.
    """

    __slots__ = ("constant", "end", "guest", "label", "nbytes", "origin", "start", "views")

    def __init__(
        self, start: int, nbytes: int, label: str, constant: bool, views: dict[str, Array], guest: Guest | None = None
    ) -> None:
        self.start = start
        self.nbytes = nbytes
        self.end = start + nbytes
        self.label = label
        self.constant = constant
        self.guest = guest
        self.views, self.origin = (views, 0) if guest is None else (guest, start)

    def __str__(self) -> str:
        return f"{self.label}: {self.nbytes} bytes at {ARENA_WINDOW + self.start:#x}"


def extent_of(nbytes: int) -> int:
    """What an allocation takes of the arena."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT + REDZONE_BYTES


def _reserve() -> mmap.mmap:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE
    for size in _RESERVED_BYTES:
        try:
            return mmap.mmap(-1, size, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        except (OSError, ValueError, OverflowError):
            continue
    raise CpuFault("the CPU executor could not reserve 1 GiB of address space for its memory")


class Arena:
    """Device memory, as the protocol `Memory` wants it; thread-safe.

    Attributes:
        views: the whole arena as a flat array of each representation.
        host: where the host has it.
        heap: the part that kernels take by `malloc`.
        textures: handle -> texture object, while somebody holds it.
        surfaces: the same of surface objects.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        forks.after_fork(self._settle)
        self._map = _reserve()
        self.views: dict[str, Array] = {
            rep: np.frombuffer(self._map, dtype) for rep, dtype in DTYPES.items() if rep != "p"
        }
        self.host: int = self.views["u8"].ctypes.data
        self._starts: list[int] = []
        self._live: dict[int, Allocation] = {}
        self._top = NULL_PAGE_BYTES
        self._free: list[tuple[int, int]] = []
        self._quarantine: deque[Allocation] = deque()
        self._quarantined = 0
        self._bounds: Bounds | None = None
        self._moved: list[tuple[Allocation, Guest]] = []
        self.heap = Heap(self.allocate, self.free)
        self.textures: WeakValueDictionary[int, Image] = WeakValueDictionary()
        self.surfaces: WeakValueDictionary[int, Texels] = WeakValueDictionary()

    def _settle(self) -> None:
        """After a fork: another thread may have been allocating or freeing. What it had in hand is lost, no more."""
        self._lock = threading.RLock()
        self._starts = sorted(self._live)
        self._quarantined = sum(extent_of(freed.nbytes) for freed in self._quarantine)
        self._bounds = None
        self._moved = []

    def allocate(self, nbytes: int, label: str, *, constant: bool = False) -> int:
        """Reserve `nbytes` (0 is legal) and give the address.

        Raises:
            CpuFault: the arena is full, or the size is negative.
        """
        if nbytes < 0:
            raise CpuFault(f"cannot allocate {nbytes} bytes for {label}")
        with self._lock:
            start = self._place(extent_of(nbytes))
            allocation = Allocation(start, nbytes, label, constant, self.views)
            insort(self._starts, start)
            self._live[start] = allocation
            self._bounds = None
        return ARENA_WINDOW + start

    def adopt(self, host: int, nbytes: int, label: str, *, written: bool) -> int | None:
        """Use `nbytes` of the host's memory in place: the address that they have until they are freed.

        Args:
            host: where they lie; the caller keeps them alive.
            nbytes: how many.
            label: their name in diagnostics.
            written: whether they may change; if not, what a kernel writes there is lost with the launch.

        Returns:
            The address, or None where they must be copied.
        """
        if host % GUEST_ALIGNMENT or not nbytes:
            return None
        guest = Guest(host, nbytes, written)
        with self._lock:
            start = self._place(extent_of(nbytes))
            allocation = Allocation(start, nbytes, label, False, self.views, guest)
            insort(self._starts, start)
            self._live[start] = allocation
            self._bounds = None
        return ARENA_WINDOW + start

    def move_in(self, allocation: Allocation) -> None:
        """Let a guest lie in the arena like everything else, until `move_out`."""
        with self._lock:
            guest = allocation.guest
            if guest is None or not allocation.nbytes:
                return
            self.views["u8"][allocation.start : allocation.end] = guest["u8"]
            allocation.views, allocation.origin, allocation.guest = self.views, 0, None
            self._moved.append((allocation, guest))
            self._bounds = None

    def move_out(self) -> None:
        """What moved in during a launch goes back to where it came from; what may not change does not."""
        with self._lock:
            moved, self._moved = self._moved, []
            for allocation, guest in moved:
                if guest.written:
                    guest["u8"][:] = self.views["u8"][allocation.start : allocation.start + allocation.nbytes]

    def _place(self, extent: int) -> int:
        for index, (start, size) in enumerate(self._free):
            if size >= extent:
                if size == extent:
                    del self._free[index]
                else:
                    self._free[index] = (start + extent, size - extent)
                return start
        if self._top + extent > len(self._map):
            if not self._quarantine:
                raise CpuFault(
                    f"the CPU executor's memory of {len(self._map)} bytes is full: {extent} bytes more asked"
                )
            self._release_quarantine(0, 0)
            return self._place(extent)
        start = self._top
        self._top += extent
        return start

    def free(self, address: int) -> None:
        """Give an allocation back; its address faults from now on.

        Raises:
            CpuFault: nothing lives at that address.
        """
        start = address - ARENA_WINDOW
        with self._lock:
            allocation = self._live.pop(start, None)
            if allocation is None:
                raise CpuFault(f"free of {address:#x}: no allocation starts there", address=address)
            del self._starts[bisect_right(self._starts, start) - 1]
            allocation.end = allocation.start
            self._bounds = None
            extent = extent_of(allocation.nbytes)
            if allocation.guest is None:
                self._return_pages(start, extent)
            allocation.views, allocation.origin, allocation.guest = self.views, 0, None
            self._quarantine.append(allocation)
            self._quarantined += extent
            if self._quarantined > _QUARANTINE_BYTES or len(self._quarantine) > _QUARANTINE_RANGES:
                self._release_quarantine(_QUARANTINE_BYTES // 2, _QUARANTINE_RANGES // 2)

    def _return_pages(self, start: int, extent: int) -> None:
        page = mmap.PAGESIZE
        first = -(-start // page) * page
        length = (start + extent) // page * page - first
        if length >= _RETURN_BYTES and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED, first, length)

    def _release_quarantine(self, keep_bytes: int, keep_ranges: int) -> None:
        """Let what was freed first be allocated again, until both bounds hold."""
        start = end = self._quarantine[0].start
        while self._quarantine and (self._quarantined > keep_bytes or len(self._quarantine) > keep_ranges):
            freed = self._quarantine.popleft()
            extent = extent_of(freed.nbytes)
            self._quarantined -= extent
            if freed.start != end:  # a launch after the other takes and frees ranges that follow each other
                self._reuse(start, end - start)
                start = freed.start
            end = freed.start + extent
        self._reuse(start, end - start)

    def _reuse(self, start: int, extent: int) -> None:
        """Let a range be allocated again, together with what is free around it."""
        index = bisect_right(self._free, (start, 0))
        if index < len(self._free) and self._free[index][0] == start + extent:
            extent += self._free.pop(index)[1]
        if index and sum(self._free[index - 1]) == start:
            start, before = self._free[index - 1]
            extent += before
            index -= 1
            del self._free[index]
        if start + extent == self._top:
            self._top = start
        else:
            self._free.insert(index, (start, extent))

    def write(self, address: int, source: memoryview) -> None:
        """Copy host bytes to `address`.

        Raises:
            CpuFault: the range is not within one allocation.
        """
        memory = self._range(address, len(source), "write")
        if len(source):
            memory[:] = np.frombuffer(source, np.uint8)

    def read(self, address: int, target: memoryview) -> None:
        """Copy from `address` into host bytes.

        Raises:
            CpuFault: the range is not within one allocation.
        """
        memory = self._range(address, len(target), "read")
        if len(target):
            np.frombuffer(target, np.uint8)[:] = memory

    def _range(self, address: int, nbytes: int, verb: str) -> Array:
        start = address - ARENA_WINDOW
        allocation = self.find(start)
        if allocation is None or start < allocation.start or start + nbytes > allocation.end:
            nearest = self.nearest(start, nbytes)
            text = f"host {verb} of {nbytes} bytes at {address:#x} is out of bounds"
            raise CpuFault(f"{text}. Nearest: {nearest}", address=address, nearest=nearest)
        return allocation.views["u8"][start - allocation.origin : start - allocation.origin + nbytes]

    def is_foreign(self, address: int) -> bool:
        """Whether the address is surely one of host memory, and none of the arena."""
        within = ARENA_WINDOW <= address < ARENA_WINDOW + len(self._map)
        return not within and is_host_address(address)

    def find(self, offset: int) -> Allocation | None:
        """The last allocation that starts at or before `offset`."""
        with self._lock:
            index = bisect_right(self._starts, offset)
            return self._live[self._starts[index - 1]] if index else None

    def bounds(self) -> Bounds:
        """All allocations as sorted arrays, for checking many lanes at once; kept until an allocation changes."""
        with self._lock:
            if self._bounds is None:
                live = [self._live[start] for start in self._starts]
                self._bounds = Bounds(
                    np.array(self._starts, np.int64),
                    np.array([one.end for one in live], np.int64),
                    np.array([one.constant for one in live], np.bool_),
                    np.array([one.guest is not None for one in live], np.bool_),
                )
            return self._bounds

    def words(self, start: int) -> Array:
        """The words of 8 bytes in the allocation that starts at `start`; none where there is none any more."""
        with self._lock:
            found = self._live.get(start)
            if found is None:
                return np.zeros(0, np.uint64)
            first = (start - found.origin) // 8
            return found.views["u64"][first : first + found.nbytes // 8]

    def rows(self, pointers: Sequence[int]) -> list[int]:
        """(start, end, distance to the host's memory, whether it may be written) of the live allocations, as addresses.

        They follow each other. Guests are those of other launches too, and may go at any time: only those count that
        one of the pointers is in, which are in order.
        """
        base, window = self.host - ARENA_WINDOW, ARENA_WINDOW
        found: list[int] = []
        with self._lock:
            for offset in self._starts:
                one = self._live[offset]
                start, end, guest = offset + window, one.end + window, one.guest
                if guest is None:
                    found += (start, end, base, 1)
                elif (place := bisect_left(pointers, start)) < len(pointers) and pointers[place] <= end:
                    found += (start, end, guest.host - start, int(guest.written))
        return found

    def move_in_at(self, address: int) -> None:
        """Let the guest at an address lie in the arena, until `move_out`."""
        found = self.find(address - ARENA_WINDOW)
        if found is not None:
            self.move_in(found)

    def freed(self, offset: int) -> Allocation | None:
        """The allocation that held `offset` before it was freed, while nothing else lies there."""
        with self._lock:
            for allocation in reversed(self._quarantine):
                if allocation.start <= offset < allocation.start + allocation.nbytes:
                    return allocation
            return None

    def nearest(self, offset: int, nbytes: int) -> str | None:
        """The allocation closest to an access of `nbytes` at `offset`, and how far off the access is; none to null."""
        if 0 <= offset + ARENA_WINDOW < NULL_PAGE_BYTES:
            return None
        if self.is_foreign((offset + ARENA_WINDOW) % (1 << 64)):
            return _HOST_MEMORY
        freed = self.freed(offset)
        if freed is not None:
            return f"{freed}, freed before, {relation(offset - freed.start, nbytes, freed.nbytes)}"
        with self._lock:
            index = bisect_right(self._starts, offset)
            near = [self._live[start] for start in self._starts[max(index - 1, 0) : index + 1]]
        if not near:
            return None
        best = min(near, key=lambda one: max(one.start - offset, offset - one.end, 0))
        return f"{best}, {relation(offset - best.start, nbytes, best.nbytes)}"

    @property
    def extent(self) -> int:
        """Bytes from the start of the arena to the end of its last allocation."""
        return self._top


_process_lock = forks.ProcessLock()
_made_once = functools.cache(Arena)


def process_arena() -> Arena:
    """The arena that all modules of this process share; made on first use."""
    with _process_lock.here:
        return _made_once()
