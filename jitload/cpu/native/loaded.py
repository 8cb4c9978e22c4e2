"""Machine code in memory, with an address."""

from __future__ import annotations

import ctypes
import functools
import mmap
from typing import TYPE_CHECKING, Any

from jitload.cpu.faults import Refused
from jitload.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.native import machine
    from jitload.cpu.native.kernel import NativeKernel
    from jitload.cpu.native.room import Room, Shape
else:
    machine = lazy("jitload.cpu.native.machine")  # with LLVM

_LAUNCH = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


class MachineCode:
    """A kernel that can be called, as long as this lives.

    Args:
        kernel: made by this machine.

    Attributes:
        launch: the function that runs blocks: (address of the context, number of the first, how many).
        rooms: what launches leave to the next ones.

    Raises:
        Refused: it cannot be loaded here.
    """

    def __init__(self, kernel: NativeKernel) -> None:
        held: object
        if kernel.start is None:
            held = engine = machine.Engine(kernel.code)
            address = engine.address
        else:
            held, address = _mapped(kernel.code)
            address += kernel.start
        self.launch = _LAUNCH(address)
        self._held = held
        self.rooms: dict[Shape, Room] = {}


def _mapped(image: bytes) -> tuple[object, int]:
    """(what holds an image in memory from which it runs, where that is). It is never written and run at a time."""
    try:
        memory = mmap.mmap(-1, len(image), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise Refused(f"no memory for machine code: {error.strerror}") from error
    memory[:] = image
    held = ctypes.c_char.from_buffer(memory)
    address = ctypes.addressof(held)
    if _protect()(address, len(image), mmap.PROT_READ | mmap.PROT_EXEC):
        raise Refused("the system lets no memory that was written be run (mprotect)")
    return held, address


@functools.cache
def _protect() -> Callable[[int, int, int], Any]:
    function = ctypes.CDLL(None).mprotect
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return function
