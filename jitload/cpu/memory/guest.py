"""Arrays of the host that a launch uses where they lie: allocations of the arena whose bytes are somewhere else.

A guest has a range of addresses of the arena like every allocation, so its place, its alignment and its faults are
those of a copy. Its range holds nothing: accesses go to the host's memory. Where that cannot be (lanes that reach
several allocations at once, a write to what must not be written) it moves in, which is the copy that was saved, and
moves out when the launch ends.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.memory.views import Views

if TYPE_CHECKING:
    from jitload.cpu.types import Array

#: Host memory at other addresses is copied: no representation is wider, and NumPy wants its elements aligned.
GUEST_ALIGNMENT = 16


class Guest(Views):
    """The memory of a host array.

    Args:
        address: of the host's memory; whoever makes a guest keeps that alive.
        nbytes: its size.
        written: whether a kernel may change it.
    """

    __slots__ = ("host", "nbytes", "written")

    def __init__(self, address: int, nbytes: int, written: bool) -> None:
        # Its bytes are made when they are asked for, too.
        self.host = address
        self.nbytes = nbytes
        self.written = written

    def __missing__(self, rep: str) -> Array:
        if rep != "u8":
            return super().__missing__(rep)
        # Machine code goes to the address, and never asks for this.
        memory = memoryview((ctypes.c_ubyte * self.nbytes).from_address(self.host)).cast("B")
        found: Array = np.frombuffer(memory, np.uint8)
        self["u8"] = found
        return found
