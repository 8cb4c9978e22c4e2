"""The CUDA driver: the only file that imports its bindings, and the only one that knows its status codes.

Nothing happens at import. At first use the library is looked for, the driver initialised (cuInit) and a device counted;
each of these can fail on a machine that is perfectly fine for compiling, so each failure says what to do there.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jitload import forks
from jitload.errors import DriverError, LoadError
from jitload.launch import latest
from jitload.launch.streams import current_device as frameworks_device

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

# Handles, statuses and results: what the driver's bindings take and give, which have no types for it.
Foreign = Any

# CUresult values that are met with something better than a DriverError (cuda.h).
INVALID_VALUE, NOT_INITIALIZED, NO_DEVICE, INVALID_CONTEXT, NOT_FOUND = 1, 3, 100, 201, 500
#: After these "the process must be terminated and relaunched" (cuda.h), and every call gives them: memory faults, time
#: out, assert, illegal instruction and its kin, and a leak of tensor memory.
_LOST = frozenset({700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721})

_RELAXED = 2  # CUstreamCaptureMode

# CUdevice_attribute values (cuda.h).
_COMPUTE_CAPABILITY_MAJOR, _COMPUTE_CAPABILITY_MINOR = 75, 76

_lock = forks.ProcessLock()
_primary: dict[int, Foreign] = {}  # device ordinal -> its primary context, retained for the life of the process


@functools.cache
def is_available() -> bool:
    """Whether kernels can be launched here: a driver, a device, and bindings to call them. Never raises.

    The library is asked directly first, so the bindings (tens of milliseconds) are not imported where there is no GPU.
    """
    try:
        library = ctypes.CDLL("libcuda.so.1")
        count = ctypes.c_int(0)
        if library.cuInit(0) != 0 or library.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value < 1:
            return False
        import_module("cuda.bindings.driver")
    except (OSError, AttributeError, ImportError):
        return False
    return True


def bindings() -> ModuleType:
    """The module `cuda.bindings.driver`, with the driver initialised.

    Raises:
        LoadError: no bindings, no driver, no device, or a process that was forked after CUDA had started.
    """
    started_in = _start()
    if started_in != os.getpid():
        raise LoadError(_forked_text(f"process {started_in}"))
    return _module()


def check(call: str, outcome: tuple[Foreign, ...]) -> Foreign:
    """The values of a driver call, after its status: none, one, or a tuple.

    Args:
        call: the function's name, e.g. "cuLibraryLoadData".
        outcome: what the binding returned: the status, then the values.

    Raises:
        DriverError: the status is not CUDA_SUCCESS.
    """
    if outcome[0]:
        raise driver_error(call, outcome[0])
    values = outcome[1:]
    return values[0] if len(values) == 1 else values or None


def is_lost(status: Foreign) -> bool:
    """Whether a status says that a kernel failed and took the context with it, so that every call gives it."""
    return int(status) in _LOST


def driver_error(call: str, status: Foreign, doing: str = "", *, stream: int | None = None) -> DriverError:
    """The error for a status other than CUDA_SUCCESS, with the driver's own name and text for it.

    Args:
        call: the driver function.
        status: the CUresult, or its number.
        doing: what it was for, e.g. "launching saxpy".
        stream: the stream that it was about.
    """
    module = _module()
    code = int(status)
    try:
        status = module.CUresult(code)
    except ValueError:  # a driver newer than the bindings
        name, detail = f"CUresult {code}", ""
    else:
        failed, text = module.cuGetErrorString(status)
        name, detail = status.name, f": {text.decode(errors='replace')}" if not failed and text else ""
    said = f"{call} failed{f' {doing}' if doing else ''} with {name} ({code}){detail}"
    if code in _LOST:
        said = (
            f"a kernel that was launched earlier has failed, and the CUDA context of this process is lost with it"
            f"{latest.told(stream)}. Set JITLOAD_SYNC=1 to have every launch wait for its kernel, which shows the one "
            f"that fails; then go on in a new process. ({said})"
        )
    return DriverError(said, code=code, name=name, call=call)


@contextlib.contextmanager
def beside_captures(module: ModuleType) -> Iterator[None]:
    """Let this thread load and unload while a stream is captured, which would forbid it, or break.

    Nothing that is captured waits for that (CUDA driver API, cuThreadExchangeStreamCaptureMode).
    """
    _, before = module.cuThreadExchangeStreamCaptureMode(module.CUstreamCaptureMode(_RELAXED))
    try:
        yield
    finally:
        module.cuThreadExchangeStreamCaptureMode(before)


def ensure_context() -> ModuleType:
    """Make sure that this thread has a current context; when it had none, the primary one of a device.

    The device is the one that torch or CuPy has selected, where one of them is in use, else 0.

    Returns:
        The bindings, so that callers need not ask twice.

    Raises:
        LoadError: CUDA cannot be used here.
        DriverError: cuDevicePrimaryCtxRetain or cuCtxSetCurrent failed.
    """
    module = bindings()
    if int(check("cuCtxGetCurrent", module.cuCtxGetCurrent())) == 0:
        check("cuCtxSetCurrent", module.cuCtxSetCurrent(primary_context(frameworks_device() or 0)))
    return module


@functools.cache
def device_count() -> int:
    """How many devices the driver has, which does not change while a process lives.

    Raises:
        LoadError: CUDA cannot be used here.
        DriverError: cuDeviceGetCount failed.
    """
    return int(check("cuDeviceGetCount", bindings().cuDeviceGetCount()))


def current_device() -> int:
    """The ordinal of this thread's device: that of its current context, else the one that `ensure_context` takes.

    Raises:
        LoadError: CUDA cannot be used here.
    """
    module = bindings()
    if int(check("cuCtxGetCurrent", module.cuCtxGetCurrent())) == 0:
        return frameworks_device() or 0
    return int(check("cuCtxGetDevice", module.cuCtxGetDevice()))


def device_attribute(number: int, ordinal: int | None = None) -> int:
    """A CUdevice_attribute by its number in cuda.h; of the current device when `ordinal` is None.

    Raises:
        LoadError: CUDA cannot be used here.
        DriverError: cuDeviceGet or cuDeviceGetAttribute failed.
    """
    module = bindings()
    device = check("cuDeviceGet", module.cuDeviceGet(current_device() if ordinal is None else ordinal))
    attribute = module.CUdevice_attribute(number)
    return int(check("cuDeviceGetAttribute", module.cuDeviceGetAttribute(attribute, device)))


def device_arch(ordinal: int | None = None) -> str:
    """The arch of a device, e.g. "sm_90"; of the current one when `ordinal` is None.

    Raises:
        LoadError: CUDA cannot be used here.
        DriverError: there is no such device.
    """
    major = device_attribute(_COMPUTE_CAPABILITY_MAJOR, ordinal)
    return f"sm_{major}{device_attribute(_COMPUTE_CAPABILITY_MINOR, ordinal)}"


def device_name(ordinal: int | None = None) -> str:
    """The name of a device, e.g. "NVIDIA H100 80GB HBM3".

    Raises:
        LoadError: CUDA cannot be used here.
        DriverError: there is no such device.
    """
    module = bindings()
    device = check("cuDeviceGet", module.cuDeviceGet(current_device() if ordinal is None else ordinal))
    name: bytes = check("cuDeviceGetName", module.cuDeviceGetName(256, device))
    return name.partition(b"\0")[0].decode(errors="replace").strip()


def driver_version() -> tuple[int, int]:
    """The newest CUDA version that the driver speaks, e.g. (12, 9).

    Raises:
        LoadError: CUDA cannot be used here.
    """
    module = bindings()
    version = int(check("cuDriverGetVersion", module.cuDriverGetVersion()))
    return version // 1000, version % 1000 // 10


def _module() -> ModuleType:
    try:
        return import_module("cuda.bindings.driver")
    except ImportError as error:
        raise LoadError(
            "no CUDA driver bindings: the package cuda-bindings is not installed; pip install 'jitload[cu12]' (or "
            "'jitload[cu12-runtime]' to load without compiling), or run with JITLOAD_DEVICE=cpu"
        ) from (None if isinstance(error, ModuleNotFoundError) else error)


@functools.cache
def _start() -> int:
    """Start the driver, which two threads may do at once; the process that it was started in, and does not leave."""
    library()  # first: where there is no driver, installing bindings would not help
    module = _module()
    status = int(module.cuInit(0)[0])
    if status == NO_DEVICE:
        raise LoadError(f"{_NO_DEVICE}; {_ELSEWHERE}")
    if status == NOT_INITIALIZED:  # only in a child of a process that had called cuInit, by whatever road
        raise LoadError(_forked_text(f"its parent {os.getppid()}"))
    if status:
        error = driver_error("cuInit", status)
        raise LoadError(f"the CUDA driver cannot start: {error}; run with JITLOAD_DEVICE=cpu") from error
    if check("cuDeviceGetCount", module.cuDeviceGetCount()) < 1:
        raise LoadError(f"{_NO_DEVICE}; {_ELSEWHERE}")
    return os.getpid()


def missing_gpu() -> str | None:
    """Why there is no GPU to run anything on, or None where there is a driver with a device."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return _NO_DRIVER
    count = ctypes.c_int(0)
    started = library.cuInit(0) in {0, NO_DEVICE}
    library.cuDeviceGetCount(ctypes.byref(count))
    return _NO_DEVICE if started and count.value < 1 else None


_NO_DRIVER = "no CUDA driver: libcuda.so.1 not found"
_NO_DEVICE = "no CUDA device: the driver finds no GPU"
_ELSEWHERE = "run with JITLOAD_DEVICE=cpu, or load where a GPU is"


def _forked_text(parent: str) -> str:
    return (
        f"CUDA was started in {parent} and this process was forked from it: a forked child cannot use CUDA; "
        "start it with multiprocessing's 'spawn', or use CUDA only after the fork"
    )


def library() -> ctypes.CDLL:
    """The driver's library itself, for what has no time for its bindings.

    Raises:
        LoadError: there is none.
    """
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        why = _NO_DRIVER if "No such file" in str(error) else f"no CUDA driver: {error}"
        raise LoadError(f"{why}; {_ELSEWHERE}") from None


def primary_context(ordinal: int) -> Foreign:
    """The primary context of a device, which is retained for as long as the process lives.

    Raises:
        LoadError: CUDA cannot be used here.
        DriverError: there is no such device, or its context cannot be made.
    """
    module = bindings()
    with _lock.here:
        context = _primary.get(ordinal)
        if context is None:
            device = check("cuDeviceGet", module.cuDeviceGet(ordinal))
            context = check("cuDevicePrimaryCtxRetain", module.cuDevicePrimaryCtxRetain(device))
            _primary[ordinal] = context
        return context
