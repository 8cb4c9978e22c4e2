"""Find the memory behind an array of any library, on the host or on a GPU."""

from __future__ import annotations

import functools
import math
import sys
from typing import Any, NamedTuple

from jitload.launch import dlpack
from jitload.launch.misfit import Misfit


class ArrayView(NamedTuple):
    """Where an array lies.

    Attributes:
        address: of its first byte, on the host or the GPU.
        nbytes: its size.
        itemsize: bytes per element.
        component: bytes of half a complex number, else `itemsize`.
        raw: elements without a type of their own: bytes, or structures.
        readonly: the array must not be written.
        host: whether the address is host memory.
        stream: the stream that still writes to it, or None (CUDA Array Interface v3, "Synchronization").
        keep: what must stay alive while the address is used.
    """

    address: int
    nbytes: int
    itemsize: int
    component: int
    raw: bool
    readonly: bool
    host: bool
    stream: int | None
    keep: object


def read_array(value: Any, stream: int, device: str) -> ArrayView | None:
    """The view of an array, or None when `value` is none.

    NumPy first, then torch's own accessors (its CUDA Array Interface costs microseconds and refuses tensors that
    require a gradient), then `__cuda_array_interface__`, then `__dlpack__`.

    Raises:
        Misfit: an array that a kernel cannot take: strided, byte-swapped, on the wrong device.
    """
    numpy = sys.modules.get("numpy")
    is_numpy = numpy is not None and isinstance(value, numpy.ndarray)
    if is_numpy and (device == "cpu" or not hasattr(value, "__cuda_array_interface__")):
        return _numpy_view(value)
    torch: Any = sys.modules.get("torch")
    if torch is not None and isinstance(value, getattr(torch, "Tensor", ())) and getattr(value, "is_cuda", False):
        _require_gpu(device)
        return _torch_view(value)
    try:
        interface = getattr(value, "__cuda_array_interface__", None)
    except Exception as error:  # a property of foreign code: any exception is its way to say no
        raise Misfit(f"its __cuda_array_interface__ failed: {error}") from error
    if isinstance(interface, dict):
        _require_gpu(device)
        return _interface_view(interface, value)
    if hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__"):
        return _dlpack_view(value, stream, device)
    return None


def _require_gpu(device: str) -> None:
    if device == "cpu":
        raise Misfit(
            "the array is in GPU memory and the kernel runs on the CPU executor; "
            "pass a host copy (.get() or .cpu()), or set JITLOAD_DEVICE=cuda"
        )


def _numpy_view(array: Any) -> ArrayView:
    dtype = array.dtype
    if dtype.hasobject:
        raise Misfit(f"an array of dtype {dtype} holds Python objects")
    if not dtype.isnative:
        raise Misfit(
            f"the array's bytes are swapped (dtype {dtype.str}); pass array.astype(array.dtype.newbyteorder('='))"
        )
    flags = array.flags
    if not (flags.c_contiguous or flags.f_contiguous):
        raise Misfit(f"the array of shape {array.shape} is not contiguous; pass np.ascontiguousarray(...)")
    component = dtype.itemsize // 2 if dtype.kind == "c" else dtype.itemsize
    raw = dtype.kind in "SV" or dtype.str[1:] in {"u1", "i1"}
    address = array.__array_interface__["data"][0]
    return ArrayView(address, array.nbytes, dtype.itemsize, component, raw, not flags.writeable, True, None, array)


def _torch_view(tensor: Any) -> ArrayView:
    size = tensor.element_size()
    component = size // 2 if tensor.is_complex() else size
    return ArrayView(tensor.data_ptr(), size * tensor.numel(), size, component, size == 1, False, False, None, tensor)


def _interface_view(interface: dict[str, Any], value: Any) -> ArrayView:
    try:
        address, readonly = interface["data"]
        itemsize, component, raw, swapped = _element(interface["typestr"])
        nbytes = itemsize * math.prod(interface["shape"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise Misfit(f"its __cuda_array_interface__ is malformed: {error!r}") from error
    if swapped:
        raise Misfit(f"the array's bytes are swapped (typestr {interface['typestr']!r})")
    if interface.get("mask") is not None:
        raise Misfit("a masked array cannot be passed to a kernel")
    return ArrayView(
        int(address or 0), nbytes, itemsize, component, raw, bool(readonly), False, interface.get("stream"), value
    )


@functools.cache
def _element(typestr: str) -> tuple[int, int, bool, bool]:
    """Size, size of a component, whether it has no type of its own, whether its bytes are swapped; e.g. of "<f4"."""
    size = int(typestr[2:])
    raw = typestr[1] in "SV" or typestr[1:] in {"u1", "i1"}
    return size, size // 2 if typestr[1] == "c" else size, raw, typestr[0] == ">"


def _dlpack_view(value: Any, stream: int, device: str) -> ArrayView:
    try:
        tensor = dlpack.read_tensor(value, stream)
    except Exception as error:  # `__dlpack__` is foreign code: any exception is its way to say no
        raise Misfit(f"its __dlpack__ failed: {error}") from error
    on_gpu = tensor.device_type in {dlpack.CUDA, dlpack.CUDA_MANAGED}
    if not on_gpu and tensor.device_type not in {dlpack.CPU, dlpack.CUDA_HOST}:
        raise Misfit(f"the array is on DLPack device type {tensor.device_type}, neither host nor CUDA memory")
    if on_gpu:
        _require_gpu(device)
    # Pinned host memory has the same address on the GPU (unified addressing), so a GPU kernel takes it as it is.
    host = not on_gpu and (device == "cpu" or tensor.device_type == dlpack.CPU)
    if host and not _contiguous(tensor):
        raise Misfit(f"the array of shape {tensor.shape} is not contiguous; pass np.ascontiguousarray(...) of it")
    complex_number = tensor.type_name.startswith("complex")
    return ArrayView(
        address=tensor.address,
        nbytes=tensor.itemsize * math.prod(tensor.shape),
        itemsize=tensor.itemsize,
        component=tensor.itemsize // 2 if complex_number else tensor.itemsize,
        raw=tensor.type_name in {"uint8", "int8"},
        readonly=tensor.readonly,
        host=host,
        stream=None,
        keep=(value, tensor.capsule),
    )


def _contiguous(tensor: dlpack.Tensor) -> bool:
    strides, shape = tensor.strides, tensor.shape
    if strides is None or 0 in shape:
        return True

    def dense(order: range) -> bool:
        expected = 1
        for axis in order:
            if shape[axis] != 1 and strides[axis] != expected:
                return False
            expected *= shape[axis]
        return True

    return dense(range(len(shape))) or dense(range(len(shape) - 1, -1, -1))
