"""Functions of the driver's library as C has them, for launches: its bindings take longer than a launch may."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from jitload.cuda import driver
from jitload.errors import LoadError

if TYPE_CHECKING:
    # A function of C, as ctypes has it.
    Entry = ctypes._NamedFuncPointer


def launch_entry() -> Entry:
    """The driver's cuLaunchKernelEx as a ctypes function of the library itself.

    Measured on a do-nothing driver, arguments made in advance: 0.29 us, where the binding of cuLaunchKernelEx takes
    0.40 us (it makes an enum member of the status) and that of cuLaunchKernel 0.50 us (it parses eleven arguments).

    Raises:
        LoadError: CUDA cannot be used here, or the driver is older than CUDA 11.8.
    """
    driver.bindings()
    try:
        return driver.library().cuLaunchKernelEx
    except AttributeError as error:
        raise LoadError("the CUDA driver is too old: it has no cuLaunchKernelEx (CUDA 11.8)") from error


def device_entry() -> Entry:
    """The driver's cuCtxGetDevice as a ctypes function of the library itself.

    Raises:
        LoadError: CUDA cannot be used here.
    """
    driver.bindings()
    return driver.library().cuCtxGetDevice


def address_of_entry(entry: Entry) -> int:
    """The address of a function of a library, for native code to call."""
    return ctypes.cast(entry, ctypes.c_void_p).value or 0
