"""Tell an address of this process's own memory, which a kernel on the CPU executor can never reach."""

from __future__ import annotations

import ctypes
import functools
import mmap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@functools.cache
def _mincore() -> Callable[..., Any]:
    function = ctypes.CDLL(None).mincore
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    function.restype = ctypes.c_int
    return function


def is_host_address(address: int) -> bool:
    """Whether memory of this process is mapped at `address`: mincore(2) fails with ENOMEM where none is."""
    if not 0 < address < 1 << 64:
        return False
    resident = ctypes.create_string_buffer(1)
    return bool(_mincore()(address & -mmap.PAGESIZE, 1, resident) == 0)
