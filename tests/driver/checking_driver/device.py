"""Devices and contexts."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from jitload.errors import CpuFault, JitloadError

from . import status
from .status import Refused
from .stream import Stream, Work

if TYPE_CHECKING:
    from collections.abc import Callable

# CUdevice_attribute (cuda.h).
MAX_THREADS_PER_BLOCK, WARP_SIZE, MULTIPROCESSORS = 1, 10, 16
SHARED_PER_BLOCK, COOPERATIVE_LAUNCH, SHARED_PER_BLOCK_OPTIN = 8, 95, 97
MAJOR, MINOR, CLUSTER_LAUNCH, MEMORY_POOLS, UNIFIED_ADDRESSING = 75, 76, 120, 115, 41
REGISTERS_PER_BLOCK, SHARED_PER_MULTIPROCESSOR, BLOCKS_PER_MULTIPROCESSOR, RESERVED_SHARED = 12, 81, 106, 111
THREADS_PER_MULTIPROCESSOR, CLOCK_RATE, MEMORY_CLOCK_RATE, BUS_WIDTH, INTEGRATED = 39, 13, 36, 37, 18


class Device:
    """One GPU.

    Attributes:
        ordinal: its number.
        capability: (major, minor).
        context: its primary context.
    """

    multiprocessors = 4

    def __init__(self, driver: Any, ordinal: int, capability: tuple[int, int], *, pools: bool) -> None:
        self.ordinal = ordinal
        self.capability = capability
        self.pools = pools
        self.context = Context(driver, self)

    @property
    def shared_optin(self) -> int:
        """Bytes of shared memory that one block may have (CUDA C++ Programming Guide, technical specifications)."""
        number = 10 * self.capability[0] + self.capability[1]
        kib = {75: 64, 80: 163, 86: 99, 87: 163, 89: 99, 90: 227, 100: 227, 103: 227, 120: 99, 121: 99}
        return 1024 * kib.get(number, 96)

    def attribute(self, number: int) -> int:
        known = {
            MAX_THREADS_PER_BLOCK: 1024,
            WARP_SIZE: 32,
            MULTIPROCESSORS: self.multiprocessors,
            SHARED_PER_BLOCK: 48 * 1024,
            SHARED_PER_BLOCK_OPTIN: self.shared_optin,
            COOPERATIVE_LAUNCH: 1,
            MAJOR: self.capability[0],
            MINOR: self.capability[1],
            CLUSTER_LAUNCH: int(self.capability[0] >= 9),
            MEMORY_POOLS: int(self.pools),
            UNIFIED_ADDRESSING: 1,
            REGISTERS_PER_BLOCK: 65536,
            SHARED_PER_MULTIPROCESSOR: self.shared_optin + 1024,
            BLOCKS_PER_MULTIPROCESSOR: 32,
            RESERVED_SHARED: 1024,
            THREADS_PER_MULTIPROCESSOR: 2048,
            CLOCK_RATE: 1_000_000,
            MEMORY_CLOCK_RATE: 1_000_000,
            BUS_WIDTH: 128,
            INTEGRATED: 0,
        }
        if number not in known:
            raise Refused(status.INVALID_VALUE, f"device attribute {number} is not known")
        return known[number]


class Context:
    """A context: its streams, and the fault that ended it.

    Attributes:
        fault: the status of a kernel that failed: from then on every call in this context gives it.
        told: the text of that fault.
        retained: how often it was retained; the handle means nothing while that is 0.
    """

    def __init__(self, driver: Any, device: Device) -> None:
        self.device = device
        self.handle = driver.handles.add(self, "context")
        self.legacy = Stream(self, blocking=False)
        self.streams: list[Stream] = []
        self.fault = 0
        self.told = ""
        self.retained = 0

    def capturing(self) -> list[Stream]:
        return [stream for stream in self.streams if stream.capture is not None]

    def carry_out(self, work: Work) -> None:
        """Run queued work; a kernel that faults ends the context."""
        if self.fault:
            return
        try:
            work.action()
        except CpuFault as fault:
            self.fault, self.told = status.ILLEGAL_ADDRESS, f"{work.what}: {fault}"
            if "assert" in str(fault).lower():
                self.fault = status.ASSERT
        except (JitloadError, Refused) as error:
            self.fault, self.told = status.LAUNCH_FAILED, f"{work.what}: {error}"
        if self.fault:
            print(f"checking driver: {self.told}", file=sys.stderr)

    def finish(self) -> None:
        """Run all that is queued."""
        for stream in (self.legacy, *self.streams):
            if stream.capture is None:
                stream.wait()

    def raise_fault(self) -> None:
        if self.fault:
            raise Refused(self.fault, self.told, expected=True)


def calls(driver: Any) -> dict[str, Callable[..., Any]]:
    """The functions of the API that this file models, by name."""
    threads = threading.local()

    def stack() -> list[Context | None]:
        if not hasattr(threads, "stack"):
            threads.stack = []
        found: list[Context | None] = threads.stack
        return found

    def current_or_none() -> Context | None:
        contexts = stack()
        return contexts[-1] if contexts else None

    def current() -> Context:
        context = current_or_none()
        if context is None:
            raise Refused(status.INVALID_CONTEXT, "this thread has no current context")
        return context

    def device_of(number: int) -> Device:
        if not 0 <= number < len(driver.devices):
            raise Refused(status.INVALID_DEVICE, f"device {number}")
        found: Device = driver.devices[number]
        return found

    driver.current, driver.current_or_none, driver.device_of = current, current_or_none, device_of

    def init(flags: int) -> None:
        if flags:
            raise Refused(status.INVALID_VALUE, f"cuInit({flags})")
        if not driver.devices:
            raise Refused(status.NO_DEVICE, expected=True)
        driver.started = True

    def get_name(out: int, nbytes: int, device: int) -> None:
        major, minor = device_of(device).capability
        driver.write_bytes(out, f"Checking Driver {major}.{minor}".encode()[: nbytes - 1] + b"\0")

    def retain(out: int, device: int) -> None:
        context = device_of(device).context
        context.retained += 1
        driver.write(out, context.handle)

    def release(device: int) -> None:
        context = device_of(device).context
        if not context.retained:
            raise Refused(status.INVALID_CONTEXT, "a primary context that was not retained")
        context.retained -= 1

    def context_of(handle: int) -> Context:
        context: Context = driver.handles.get(handle, Context)
        if not context.retained:
            raise Refused(status.INVALID_CONTEXT, "a primary context that nobody retains")
        return context

    def get_current(out: int) -> None:
        context = current_or_none()
        driver.write(out, 0 if context is None else context.handle)

    def set_current(handle: int) -> None:
        context = context_of(handle) if handle else None
        contexts = stack()
        if contexts:
            contexts.pop()
        if context is not None:
            contexts.append(context)

    def pop(out: int) -> None:
        context = current()
        stack().pop()
        if out:
            driver.write(out, context.handle)

    def synchronize() -> None:
        context = current()
        for stream in context.capturing():
            stream.must_not_capture("cuCtxSynchronize")
        context.finish()
        context.raise_fault()

    def get_error_text(code: int, out: int, texts: dict[int, str]) -> None:
        if code not in status.NAMES:
            driver.write(out, 0)
            raise Refused(status.INVALID_VALUE, f"{code} is no status", expected=True)
        driver.write_text(out, texts.get(code) or status.NAMES[code].removeprefix("CUDA_ERROR_").lower())

    return {
        "cuInit": init,
        "cuDriverGetVersion": lambda out: driver.write(out, driver.version, 4),
        "cuGetErrorName": lambda code, out: get_error_text(code, out, status.NAMES),
        "cuGetErrorString": lambda code, out: get_error_text(code, out, status.TEXTS),
        "cuDeviceGetCount": lambda out: driver.write(out, len(driver.devices), 4),
        "cuDeviceGet": lambda out, ordinal: driver.write(out, device_of(ordinal).ordinal, 4),
        "cuDeviceGetName": get_name,
        "cuDeviceGetAttribute": lambda out, number, device: driver.write(out, device_of(device).attribute(number), 4),
        "cuDeviceTotalMem": lambda out, device: driver.write(out, 1 << 30) if device_of(device) else None,
        "cuDevicePrimaryCtxRetain": retain,
        "cuDevicePrimaryCtxRelease": release,
        "cuCtxGetCurrent": get_current,
        "cuCtxSetCurrent": set_current,
        "cuCtxPushCurrent": lambda handle: stack().append(context_of(handle)),
        "cuCtxPopCurrent": pop,
        "cuCtxGetDevice": lambda out: driver.write(out, current().device.ordinal, 4),
        "cuCtxSynchronize": synchronize,
    }
