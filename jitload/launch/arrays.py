"""Find the memory behind an array of any library, on the host or on a GPU."""

from __future__ import annotations

import math
import sys
from typing import Any, NamedTuple

from jitload.launch import dlpack
from jitload.launch.advice import dense_copy
from jitload.launch.elements import MEMORY, Element, numpy_element, torch_element, typestr_element
from jitload.launch.misfit import Misfit

#: Libraries whose arrays never change, whatever their DLPack flags say (JAX 0.10 sets none).
_IMMUTABLE = frozenset({"jax", "jaxlib", "tensorflow", "pyarrow", "mlx"})


class ArrayView(NamedTuple):
    """Where an array lies.

    Attributes:
        address: of its first byte, on the host or the GPU.
        nbytes: its size.
        element: what it is made of.
        readonly: why it must not be written ("is read-only", "is immutable", "requires grad"), or "".
        host: whether the address is host memory.
        stream: the stream that still writes to it, or None (CUDA Array Interface v3, "Synchronization").
        keep: what must stay alive while the address is used.
        layout: what knows shape and strides: an array, an array interface, or a DLPack tensor.
        torch: whether it is a torch tensor, which counts the writes to it.
    """

    address: int
    nbytes: int
    element: Element
    readonly: str
    host: bool
    stream: int | None
    keep: object
    layout: Any
    torch: bool = False

    def innermost(self) -> tuple[int, bool]:
        """The length of the last axis (0 without axes), and whether its elements lie side by side."""
        layout, unit = self.layout, self.element.nbytes
        if isinstance(layout, dict):
            shape, strides = layout["shape"], layout.get("strides")
        elif isinstance(layout, dlpack.Tensor):
            shape, strides, unit = layout.shape, layout.strides, 1
        elif self.torch:
            shape, strides, unit = layout.shape, layout.stride(), 1
        else:
            shape, strides = layout.shape, layout.strides
        if not shape:
            return 0, True
        return int(shape[-1]), not strides or shape[-1] <= 1 or strides[-1] == unit


def read_array(value: Any, stream: int, device: str) -> ArrayView | None:
    """The view of an array, or None when `value` is none.

    NumPy first, then torch's own accessors (its CUDA Array Interface costs microseconds, and its DLPack refuses tensors
    that require a gradient), then `__cuda_array_interface__`, then `__dlpack__`.

    Raises:
        Misfit: an array that a kernel cannot take: strided, byte-swapped, on the wrong device.
    """
    numpy = sys.modules.get("numpy")
    is_numpy = numpy is not None and isinstance(value, numpy.ndarray)
    if is_numpy and (device == "cpu" or not hasattr(value, "__cuda_array_interface__")):
        return _numpy_view(value)
    torch: Any = sys.modules.get("torch")
    if torch is not None and isinstance(value, getattr(torch, "Tensor", ())):
        return _torch_view(value, torch, device)
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


def _is_immutable(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] in _IMMUTABLE


def _numpy_view(array: Any) -> ArrayView:
    dtype = array.dtype
    if dtype.hasobject:
        raise Misfit(f"an array of dtype {dtype} holds Python objects")
    if not dtype.isnative:
        raise Misfit(
            f"the array's bytes are swapped (dtype {dtype.str}); pass array.astype(array.dtype.newbyteorder('='))"
        )
    if type(array).__name__ == "MaskedArray":
        raise Misfit("a masked array cannot be passed to a kernel, which would not see the mask; pass .filled(...)")
    flags = array.flags
    if not (flags.c_contiguous or flags.f_contiguous):
        raise Misfit(f"the array of shape {array.shape} is not contiguous; pass {dense_copy(array)}")
    return ArrayView(
        address=array.__array_interface__["data"][0],
        nbytes=array.nbytes,
        element=numpy_element(dtype),
        readonly="" if flags.writeable else "is read-only",
        host=True,
        stream=None,
        keep=array,
        layout=array,
    )


def _torch_view(tensor: Any, torch: Any, device: str) -> ArrayView:
    on_gpu = tensor.is_cuda
    if on_gpu:
        _require_gpu(device)
    _check_torch_layout(tensor, on_gpu)
    try:
        address, size, numel = tensor.data_ptr(), tensor.element_size(), tensor.numel()
    except Exception as error:  # fake, functional and vmapped tensors: each has an exception of its own
        raise Misfit(f"its data_ptr() failed: {error}; make the launch a torch.library.custom_op") from error
    if numel and not address:
        raise Misfit("the tensor has no memory (a fake one); make the launch a torch.library.custom_op")
    readonly = ""
    if tensor.requires_grad and getattr(tensor, "is_leaf", False) and torch.is_grad_enabled():
        readonly = "requires grad"
    pinned = not on_gpu and device == "cuda" and tensor.is_pinned()
    element = torch_element(getattr(tensor, "dtype", None), size)
    return ArrayView(address, size * numel, element, readonly, not (on_gpu or pinned), None, tensor, tensor, torch=True)


def _check_torch_layout(tensor: Any, on_gpu: bool) -> None:
    """Refuse what has no elements in memory, or others than it shows."""
    if not on_gpu and not tensor.is_cpu:
        raise Misfit(f"the tensor is on device {str(tensor.device)!r}, neither host nor CUDA memory; pass .cpu()")
    if str(getattr(tensor, "layout", "torch.strided")) != "torch.strided":
        raise Misfit(f"the tensor's layout is {tensor.layout}; pass .to_dense(), or its .values()")
    for lazy in ("conj", "neg"):
        pending = getattr(tensor, f"is_{lazy}", None)
        if pending is not None and pending():
            raise Misfit(f"the tensor's memory is not what it shows (is_{lazy}()); pass .resolve_{lazy}()")
    # On a GPU strides are the kernel's affair, which may get them as arguments; host memory is copied as one piece.
    if not on_gpu and not (tensor.is_contiguous() or _is_dense(tensor.shape, tensor.stride())):
        raise Misfit(f"the tensor of shape {tuple(tensor.shape)} is not contiguous; pass .contiguous()")


def _interface_view(interface: dict[str, Any], value: Any) -> ArrayView:
    try:
        address, readonly = interface["data"]
        typestr = interface["typestr"]
        element = _interface_element(typestr, value)
        nbytes = element.nbytes * math.prod(interface["shape"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise Misfit(f"its __cuda_array_interface__ is malformed: {error!r}") from error
    if typestr[0] == ">":
        raise Misfit(f"the array's bytes are swapped (typestr {typestr!r})")
    if interface.get("mask") is not None:
        raise Misfit("a masked array cannot be passed to a kernel")
    why = "is immutable" if _is_immutable(value) else "is read-only" if readonly else ""
    stream = interface.get("stream")
    return ArrayView(int(address or 0), nbytes, element, why, False, stream, value, interface)


def _interface_element(typestr: str, value: Any) -> Element:
    """The element by typestr; structures and extension types, which have none of their own there, by the dtype."""
    element = typestr_element(typestr)
    if element.scalar in {"void", "uint8", "int8"}:
        dtype = getattr(value, "dtype", None)
        if dtype is None and element.scalar != "void":
            return MEMORY
        if hasattr(dtype, "itemsize") and hasattr(dtype, "hasobject"):
            return numpy_element(dtype)
    return element


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
    if host and tensor.strides is not None and not _is_dense(tensor.shape, tensor.strides):
        raise Misfit(f"the array of shape {tensor.shape} is not contiguous; pass {dense_copy(value)}")
    element = tensor.element
    if element.scalar in {"uint8", "int8"} and not hasattr(value, "dtype"):
        element = MEMORY
    why = "is immutable" if _is_immutable(value) else "is read-only" if tensor.readonly else ""
    return ArrayView(
        address=tensor.address,
        nbytes=tensor.element.nbytes * math.prod(tensor.shape),
        element=element,
        readonly=why,
        host=host,
        stream=None,
        keep=(value, tensor.capsule),
        layout=tensor,
    )


def _is_dense(shape: Any, strides: Any) -> bool:
    """Whether elements lie side by side, in the order of C or of Fortran; strides in elements."""
    if 0 in shape:
        return True

    def dense(order: range) -> bool:
        expected = 1
        for axis in order:
            if shape[axis] != 1 and strides[axis] != expected:
                return False
            expected *= shape[axis]
        return True

    return dense(range(len(shape))) or dense(range(len(shape) - 1, -1, -1))
