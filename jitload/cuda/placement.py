"""Which of several GPUs a launch runs on: that of its stream, else that of its arrays, else the current one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cuda import driver
from jitload.cuda.streams import DEFAULT_STREAMS
from jitload.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from jitload.cuda.driver import Foreign
    from jitload.launch.arrays import ArrayView
    from jitload.values import KernelInfo

# CUpointer_attribute and CUmemorytype values (cuda.h).
_MEMORY_TYPE, _IS_MANAGED, _DEVICE_ORDINAL = 2, 8, 9
_DEVICE_MEMORY = 2


def place(info: KernelInfo, arrays: Mapping[int, ArrayView], stream: int) -> Callable[[], None] | None:
    """Make the device of a launch the current one.

    Args:
        info: the kernel.
        arrays: its arrays by position.
        stream: the handle of its stream.

    Returns:
        What makes the device that was current before current again; None where nothing was changed.

    Raises:
        ArgumentError: an array lies on another device.
        DriverError: a driver call failed.
    """
    homes = {position: device_of_memory(view.address) for position, view in arrays.items() if not view.host}
    known = {position: home for position, home in homes.items() if home is not None}
    wanted, why = _wanted(known, stream)
    for position, home in known.items():
        if wanted is not None and home != wanted:
            name = info.params[position].name or f"argument {position}"
            raise ArgumentError(
                f"kernel {info.name!r}: {name} lies on device {home}, and the launch runs on device {wanted}, {why}. "
                f"Copy it there, or launch on a stream of device {home}",
                kernel=info.name,
                position=position,
                parameter=info.params[position].name or None,
            )
    return None if wanted is None else enter(wanted, stream)


def enter(ordinal: int, stream: int) -> Callable[[], None] | None:
    """Make a device current, by the context of a stream of it where that is one of its own; see `place`."""
    bindings = driver.bindings()
    before = driver.check("cuCtxGetCurrent", bindings.cuCtxGetCurrent())
    if stream in DEFAULT_STREAMS:
        if int(before) and int(driver.check("cuCtxGetDevice", bindings.cuCtxGetDevice())) == ordinal:
            return None
        context = driver.primary_context(ordinal)
    else:
        context = _context_of(bindings, stream)
        if int(context) == int(before):
            return None
    driver.check("cuCtxPushCurrent", bindings.cuCtxPushCurrent(context))
    return lambda: driver.check("cuCtxPopCurrent", bindings.cuCtxPopCurrent())


def device_of_stream(stream: int) -> int:
    """The device of a stream; of a default stream the current one.

    Raises:
        DriverError: it is no stream.
    """
    if stream in DEFAULT_STREAMS:
        return driver.current_device()
    bindings = driver.bindings()
    driver.check("cuCtxPushCurrent", bindings.cuCtxPushCurrent(_context_of(bindings, stream)))
    try:
        return int(driver.check("cuCtxGetDevice", bindings.cuCtxGetDevice()))
    finally:
        bindings.cuCtxPopCurrent()


def device_of_memory(address: int) -> int | None:
    """The device that memory lies on; None for host memory, managed memory, and what the driver does not know."""
    bindings = driver.bindings()

    def ask(number: int) -> int | None:
        status, value = bindings.cuPointerGetAttribute(bindings.CUpointer_attribute(number), address)
        return None if int(status) else int(value)

    if not address or ask(_MEMORY_TYPE) != _DEVICE_MEMORY or ask(_IS_MANAGED):
        return None
    return ask(_DEVICE_ORDINAL)


def _wanted(homes: Mapping[int, int], stream: int) -> tuple[int | None, str]:
    if stream not in DEFAULT_STREAMS:
        return device_of_stream(stream), f"that of stream {stream:#x}"
    for position, home in homes.items():
        return home, f"that of argument {position}"
    return None, ""


def _context_of(bindings: ModuleType, stream: int) -> Foreign:
    # cuStreamGetDevice would do for the device alone, and came with CUDA 12.8.
    outcome = bindings.cuStreamGetCtx(stream)
    return driver.check("cuStreamGetCtx", outcome[:2])
