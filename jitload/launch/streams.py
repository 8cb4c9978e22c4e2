"""What may be passed as a stream, and the stream that a framework works on right now."""

from __future__ import annotations

import operator
import sys
from typing import TYPE_CHECKING

from jitload.errors import ArgumentError, LaunchError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from jitload.launch.foreign import Given

    Asked = Callable[..., int] | None
    # torch: whether it uses the GPU, its current device, the stream of that.
    TorchSource = tuple[Callable[[], bool] | bool | None, Asked, Asked]
    Sources = tuple[
        ModuleType | None, Callable[[], bool] | bool | None, Asked, Asked, type | None, ModuleType | None, Asked
    ]


def stream_handle(stream: object, device: str) -> int:
    """The CUstream of `stream` as an integer; 0 is the default stream.

    Accepted: None (the current stream of torch or CuPy where one of them is in use, else the default stream), an
    integer handle, an object with `__cuda_stream__()` giving (0, handle), with `.cuda_stream` (torch) or `.ptr`
    (CuPy), or the driver bindings' `CUstream`. The CPU executor checks streams the same way, then ignores them.

    Raises:
        ArgumentError: not a stream.
        LaunchError: a stream whose handle cannot be one.
    """
    if stream is None:
        return current_stream() if device == "cuda" else 0
    handle = _handle(stream)
    if not 0 <= handle < 1 << 64:
        raise LaunchError(f"stream handle {handle} is not an address: it must be from 0 to 2**64 - 1")
    return handle if device == "cuda" else 0


def current_stream() -> int:
    """The current stream of torch, else of CuPy, among those that are imported and use the GPU; else 0."""
    return _torch_stream() or _cupy_stream()


def _torch_stream() -> int:
    cuda = getattr(sys.modules.get("torch"), "cuda", None)  # None while torch itself is still being imported
    return int(cuda.current_stream().cuda_stream) if cuda is not None and cuda.is_initialized() else 0


def _cupy_stream() -> int:
    cuda = getattr(sys.modules.get("cupy"), "cuda", None)
    try:
        return int(cuda.get_current_stream().ptr) if cuda is not None else 0
    except RuntimeError:
        return 0  # of a CuPy for another CUDA than the driver has, which works on no stream


def sources() -> Sources:
    """Where `_native.Launch` finds the current stream: what `current_stream` asks, with as little of Python as may be.

    Returns:
        torch, or None; whether it uses the GPU: a function of no arguments, True, or None where the stream's own
        function finds out; a function that gives the current device, or None where it can only be 0; one that gives
        the stream of a device, or of none where the second item is None; the type of tensors; CuPy, or None; a
        function that gives its stream.
    """
    torch, cupy = sys.modules.get("torch"), sys.modules.get("cupy")
    return (torch, *_torch_source(torch), getattr(torch, "Tensor", None), cupy, _cupy_source(cupy))


def _torch_source(torch: ModuleType | None) -> TorchSource:
    if torch is None:
        return None, None, None
    internals, cuda = getattr(torch, "_C", None), getattr(torch, "cuda", None)
    raw = getattr(internals, "_cuda_getCurrentRawStream", None)
    device = getattr(internals, "_cuda_getDevice", None)
    if raw is None or device is None or cuda is None:  # built without CUDA, or still being imported
        return None, None, _torch_stream
    if not cuda.is_initialized():
        return cuda.is_initialized, device, raw
    return True, None if cuda.device_count() == 1 else device, raw


def _cupy_source(cupy: ModuleType | None) -> Asked:
    if cupy is None:
        return None
    # CuPy's own C code for the address alone (cupy_backends/cuda/stream.pyx).
    quick = getattr(sys.modules.get("cupy_backends.cuda.stream"), "get_current_stream_ptr", None)
    found: Asked = quick or _cupy_stream
    return found


def current_device() -> int | None:
    """The device that torch, else CuPy, has selected in this thread, among those that are in use; else None."""
    torch = sys.modules.get("torch")
    if torch is not None:
        cuda = getattr(torch, "cuda", None)  # None while torch itself is still being imported
        if cuda is not None and cuda.is_initialized():
            return int(cuda.current_device())
    cupy = sys.modules.get("cupy")
    if cupy is not None and (cuda := getattr(cupy, "cuda", None)) is not None:
        try:
            return int(cuda.Device().id)
        except RuntimeError:
            return None  # of a CuPy that cannot use this driver
    return None


def _handle(stream: Given) -> int:
    if isinstance(stream, bool):
        raise ArgumentError("a bool is no stream; pass None, a handle, or an object with __cuda_stream__()")
    protocol = getattr(stream, "__cuda_stream__", None)
    if protocol is not None:
        return _protocol_handle(protocol() if callable(protocol) else protocol, stream)
    try:
        return operator.index(stream)
    except TypeError:
        pass
    for attribute in ("cuda_stream", "ptr"):
        handle = getattr(stream, attribute, None)
        if isinstance(handle, int):
            return handle
    if type(stream).__name__ in {"CUstream", "cudaStream_t"}:  # the driver bindings, which this layer does not import
        return int(stream)
    raise ArgumentError(
        f"{type(stream).__name__} is no stream; pass None, an integer handle, or an object with __cuda_stream__()"
    )


def _protocol_handle(answer: Given, stream: object) -> int:
    try:
        version, handle = answer
        version, handle = int(version), int(handle)
    except (TypeError, ValueError):
        raise LaunchError(
            f"__cuda_stream__ of {type(stream).__name__} must give (0, handle), it gave {answer!r}"
        ) from None
    if version != 0:
        raise LaunchError(
            f"__cuda_stream__ of {type(stream).__name__} speaks version {version} of the protocol; only 0 is known"
        )
    return handle
