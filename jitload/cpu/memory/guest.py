"""Arrays of the host that a launch uses where they lie: allocations of the arena whose bytes are somewhere else.

A guest has a range of addresses of the arena like every allocation, so its place, its alignment and its faults are
those of a copy. Its range holds nothing: accesses go to the host's memory. Where that cannot be (lanes that reach
several allocations at once, a write to what must not be written) it moves in, which is the copy that was saved, and
moves out when the launch ends.
"""

from __future__ import annotations

import ctypes

import numpy as np

from jitload.cpu.memory.views import Views

#: Host memory at other addresses is copied: no representation is wider, and NumPy wants its elements aligned.
GUEST_ALIGNMENT = 16


class Guest(Views):
    """The memory of a host array.

    Args:
        address: of the host's memory; whoever makes a guest keeps that alive.
        nbytes: its size.
        written: whether a kernel may change it.
    """

    def __init__(self, address: int, nbytes: int, written: bool) -> None:
        super().__init__(np.frombuffer(memoryview((ctypes.c_ubyte * nbytes).from_address(address)).cast("B"), np.uint8))
        self.host = address
        self.written = written
