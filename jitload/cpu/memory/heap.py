"""The device heap: what `malloc` gives kernels, as little of it as a GPU has."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from jitload import forks
from jitload.errors import CpuFault

if TYPE_CHECKING:
    from collections.abc import Callable

#: What cudaLimitMallocHeapSize is unless a program changes it.
HEAP_BYTES = 8 << 20
#: `malloc` gives multiples of this (CUDA C++ Programming Guide, dynamic global memory allocation).
_GRANULE = 16


class Heap:
    """A bounded part of a memory; thread-safe. It lives as long as the process, as a GPU's does as long as the context.

    Args:
        allocate: takes bytes and a label, and gives an address.
        release: takes that address back.
    """

    def __init__(self, allocate: Callable[[int, str], int], release: Callable[[int], None]) -> None:
        self._allocate = allocate
        self._release = release
        self._lock = threading.RLock()  # a signal handler may launch in the middle of it
        self._sizes: dict[int, int] = {}
        self._taken = 0
        forks.after_fork(self._settle)

    def _settle(self) -> None:
        """After a fork: another thread may have been allocating or freeing."""
        self._lock = threading.RLock()
        self._taken = sum(self._sizes.values())

    def allocate(self, nbytes: int, label: str) -> int:
        """The address of `nbytes` of memory, or 0 where the heap has no room for them."""
        size = -(-nbytes // _GRANULE) * _GRANULE
        with self._lock:
            if self._taken + size > HEAP_BYTES:
                return 0
            address = self._allocate(nbytes, label)
            self._sizes[address] = size
            self._taken += size
        return address

    def free(self, address: int) -> None:
        """Give an allocation back.

        Raises:
            CpuFault: `allocate` did not give it, or it is free already.
        """
        with self._lock:
            size = self._sizes.pop(address, None)
            if size is None:
                raise CpuFault(f"free of {address:#x}, which malloc did not give", address=address)
            self._taken -= size
            self._release(address)
