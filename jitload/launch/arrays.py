"""Find the memory behind an array of any library, on the host or on a GPU."""

from __future__ import annotations

import ctypes
import functools
import math
import operator
import sys
from typing import TYPE_CHECKING, NamedTuple

from jitload.launch import dlpack
from jitload.launch.advice import dense_copy, shown
from jitload.launch.elements import MEMORY, Element, is_native, numpy_element, torch_element, typestr_element
from jitload.launch.misfit import Misfit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from jitload.launch.foreign import Given, Interface, Layout, NumpyArray, NumpyDtype, TorchTensor

#: Libraries whose arrays never change, whatever their DLPack flags say (JAX 0.10 sets none).
_IMMUTABLE = frozenset({"jax", "jaxlib", "tensorflow", "pyarrow", "mlx"})
_homes: dict[type, str] = {}
_OPERATOR = "make the launch a torch.library.custom_op"
_MASKED = "a masked array cannot be passed to a kernel"
#: Scalars of type strings that may stand for others, which the dtype tells.
_BYTES = frozenset({"void", "uint8", "int8"})
_new = tuple.__new__


class _ArrayStruct(ctypes.Structure):
    """NumPy's PyArrayInterface ("The Array Interface", C-struct access), as far as the address of the first element."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("two", "nd")),
        ("typekind", ctypes.c_char),
        *((name, ctypes.c_int) for name in ("itemsize", "flags")),
        *((name, ctypes.c_void_p) for name in ("shape", "strides", "data")),
    )


_ARRAY_DATA = _ArrayStruct.data.offset
_word_at = ctypes.c_size_t.from_address
_capsule_pointer = ctypes.PYFUNCTYPE(ctypes.c_size_t, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


class ArrayView(NamedTuple):
    """Where an array lies.

    Attributes:
        address: of its first byte, on the host or the GPU.
        nbytes: its size.
        element: what it is made of.
        readonly: why it must not be written ("is read-only", "is immutable", "requires grad", "has a tangent"), or "".
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
    layout: Layout
    torch: bool = False

    def axes(self) -> tuple[Sequence[int], Sequence[int] | None, int]:
        """The shape; the strides, None where all lies in one piece; and how much of a stride an element is."""
        layout, unit = self.layout, self.element.nbytes
        if isinstance(layout, dict):
            return layout["shape"], layout.get("strides"), unit
        if isinstance(layout, dlpack.Tensor):
            return layout.shape, layout.strides, 1
        if self.torch:
            return layout.shape, layout.stride(), 1
        return layout.shape, layout.strides, unit

    def innermost(self) -> tuple[int, bool]:
        """The length of the last axis (0 without axes), and whether its elements lie side by side."""
        shape, strides, unit = self.axes()
        if not shape:
            return 0, True
        return int(shape[-1]), not strides or shape[-1] <= 1 or strides[-1] == unit

    def rows(self) -> tuple[tuple[int, ...], bool]:
        """The shape, and whether the elements lie in one piece, in the order of C."""
        shape, strides, unit = self.axes()
        in_order = strides is None or all(
            extent == 1 or stride == unit * math.prod(shape[axis + 1 :])
            for axis, (extent, stride) in enumerate(zip(shape, strides, strict=True))
        )
        return tuple(shape), in_order


def read_array(value: Given, stream: int, device: str) -> ArrayView | None:
    """The view of an array, or None when `value` is none.

    NumPy first, then torch's own accessors (its CUDA Array Interface costs microseconds, and its DLPack refuses tensors
    that require a gradient), then `__cuda_array_interface__`, then `__dlpack__`.

    Raises:
        Misfit: an array that a kernel cannot take: byte-swapped, lazily conjugated, on the wrong device, or of the host
            and not contiguous. On a GPU strides are the kernel's affair, which may get them as arguments.
    """
    home = _homes.get(type(value)) or _home(type(value))
    if home == "torch":
        return _torch_view(value, sys.modules["torch"], device)
    if home == "masked":
        raise Misfit(f"{_MASKED}, which would not see the mask; pass .filled(...)")
    if home == "numpy" and (device == "cpu" or not hasattr(value, "__cuda_array_interface__")):
        return _numpy_view(value)
    interface, failure = None, None
    try:
        interface = getattr(value, "__cuda_array_interface__", None)
    except Exception as error:  # noqa: BLE001 - a property of foreign code: any exception is its way to say no
        failure = error
    if isinstance(interface, dict):
        if device == "cpu":
            _require_gpu(device)
        return _interface_view(interface, value, home)
    if hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__"):
        return _dlpack_view(value, stream, device, home, failure)
    if failure is not None:
        raise Misfit(f"its __cuda_array_interface__ failed: {failure}") from failure
    return None


def _require_gpu(device: str) -> None:
    if device == "cpu":
        raise Misfit(
            "the array is in GPU memory and the kernel runs on the CPU executor; "
            "pass a host copy (.get() or .cpu()), or set JITLOAD_DEVICE=cuda"
        )


def _home(kind: type) -> str:
    """How the arrays of a type are read: "numpy", "masked", "torch", "immutable" or "other"."""
    numpy = sys.modules.get("numpy")
    torch = sys.modules.get("torch")
    if numpy is not None and issubclass(kind, numpy.ndarray):
        home = "numpy" if callable(getattr(kind, "mask", min)) else "masked"  # astropy's too; a method is no mask
    elif torch is not None and issubclass(kind, getattr(torch, "Tensor", ())):
        home = "torch"
    else:
        home = "immutable" if kind.__module__.partition(".")[0] in _IMMUTABLE else "other"
    _homes[kind] = home
    return home


def _numpy_view(array: NumpyArray) -> ArrayView:
    element = _plain_element(array.dtype)
    flags = array.flags
    if not (flags.c_contiguous or flags.f_contiguous):
        raise Misfit(f"the array of shape {array.shape} is not contiguous; pass {dense_copy(array)}")
    # `__array_interface__` has it too, for more than twice the time. The struct lives as long as its capsule.
    capsule = array.__array_struct__
    address = _word_at(_capsule_pointer(capsule, None) + _ARRAY_DATA).value
    why = "" if flags.writeable else "is read-only"
    return _new(ArrayView, (address, array.nbytes, element, why, True, None, array, array, False))


@functools.lru_cache(maxsize=256)  # structures of a program's own have no end
def _plain_element(dtype: NumpyDtype) -> Element:
    """The element of a NumPy dtype that a kernel can take."""
    if dtype.hasobject:
        raise Misfit(f"an array of dtype {dtype} holds Python objects")
    if not is_native(dtype):
        name = dtype.str if dtype.fields is None else str(dtype)
        raise Misfit(f"the array's bytes are swapped (dtype {name}); pass array.astype(array.dtype.newbyteorder('='))")
    return numpy_element(dtype)


def _torch_view(tensor: TorchTensor, torch: ModuleType, device: str) -> ArrayView:
    on_gpu = tensor.is_cuda
    layout = getattr(tensor, "layout", None)
    if layout is not None and layout is not torch.strided:
        raise Misfit(f"the tensor's layout is {layout}; pass .to_dense(), or its .values()")
    if on_gpu:
        if device == "cpu":
            _require_gpu(device)
    elif not tensor.is_cpu:
        raise Misfit(f"the tensor is on device {str(tensor.device)!r}, neither host nor CUDA memory; pass .cpu()")
    element = torch_element(getattr(tensor, "dtype", None), tensor)
    if element.lanes == 2 and tensor.is_conj():
        raise Misfit("the tensor's memory holds the conjugates of what it shows; pass .resolve_conj()")
    if getattr(tensor, "is_neg", bool)():
        raise Misfit("the tensor's memory holds the negatives of what it shows; pass .resolve_neg()")
    # Host memory is copied as one piece.
    if not (on_gpu or tensor.is_contiguous() or _is_dense(tensor.shape, tensor.stride())):
        raise Misfit(f"the tensor of shape {tuple(tensor.shape)} is not contiguous; pass .contiguous()")
    if _watch(torch)() and (recorder := _recorder(torch)):
        raise Misfit(f"{recorder} records what torch does, and a launch would be missing in the record; {_OPERATOR}")
    try:
        address, nbytes = tensor.data_ptr(), element.nbytes * tensor.numel()
    except Exception as error:  # fake, functional and vmapped tensors: each has an exception of its own
        raise Misfit(f"its data_ptr() failed: {error}; {_OPERATOR}") from error
    if not address and nbytes:
        raise Misfit(f"the tensor has no memory (a fake one); {_OPERATOR}")
    # What a kernel writes is in no graph, so the gradient of such a tensor would be wrong without a word.
    readonly = "requires grad" if tensor.requires_grad and getattr(torch, "is_grad_enabled", bool)() else ""
    if not readonly and has_tangent(tensor):
        readonly = "has a tangent"
    host = not on_gpu and not (device == "cuda" and tensor.is_pinned())
    return ArrayView(address, nbytes, element, readonly, host, None, tensor, tensor, True)


@functools.cache
def _watch(torch: ModuleType) -> Callable[[], Given]:
    """What tells that nothing records, in a fifth of the time that torch's own functions take to say which does."""
    inside: Given = getattr(torch, "_C", None)
    try:
        tracing, mode, proxy = inside._is_tracing, inside._get_dispatch_mode, inside._TorchDispatchModeKey.PROXY
        included, early = inside._dispatch_tls_is_dispatch_key_included, inside.DispatchKey.PreDispatch
    except AttributeError:  # not public: other versions may have none
        return lambda: True
    return lambda: tracing() or mode(proxy) or included(early)


def _recorder(torch: ModuleType) -> str:
    """What writes down the operations of torch for later, in which a launch is none; "" if nothing does."""
    if getattr(getattr(torch, "jit", None), "is_tracing", bool)():
        return "torch.jit.trace"
    tracing = sys.modules.get("torch.fx.experimental.proxy_tensor")
    return "torch.export (make_fx)" if getattr(tracing, "get_proxy_mode", bool)() else ""


def has_tangent(tensor: TorchTensor) -> bool:
    """Whether forward-mode automatic differentiation goes through a tensor."""
    forward: Given = sys.modules.get("torch.autograd.forward_ad")
    return getattr(forward, "_current_level", -1) >= 0 and forward.unpack_dual(tensor).tangent is not None


def _interface_view(interface: Interface, value: object, home: str) -> ArrayView:
    try:
        given, readonly = interface["data"]
        address = 0 if given is None else operator.index(given)
        typestr = interface["typestr"]
        element = typestr_element(typestr)
        if element.scalar in _BYTES:
            element = _element_of_bytes(element, value)
        nbytes = element.nbytes * math.prod(interface["shape"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise Misfit(f"its __cuda_array_interface__ is malformed: {error!r}") from error
    if not 0 <= address < 1 << 64:
        raise Misfit(f"its __cuda_array_interface__ is malformed: {shown(address)} is not an address")
    if typestr[0] == ">":
        raise Misfit(f"the array's bytes are swapped (typestr {typestr!r})")
    if interface.get("mask") is not None:
        raise Misfit(_MASKED)
    why = "is immutable" if home == "immutable" else "is read-only" if readonly else ""
    # As a plain tuple: each launch makes one for every array, and the class would take three times as long.
    return _new(ArrayView, (address, nbytes, element, why, False, interface.get("stream"), value, interface, False))


def _element_of_bytes(element: Element, value: object) -> Element:
    """By the dtype: structures and extension types have no type string of their own."""
    dtype = getattr(value, "dtype", None)
    if dtype is None and element.scalar != "void":
        return MEMORY
    if hasattr(dtype, "itemsize") and hasattr(dtype, "hasobject"):
        return numpy_element(dtype)
    return element


def _dlpack_view(value: object, stream: int, device: str, home: str, failure: Exception | None) -> ArrayView:
    try:
        tensor = dlpack.read_tensor(value, stream)
    except Exception as error:  # `__dlpack__` is foreign code: any exception is its way to say no
        if home == "immutable" and getattr(value, "is_deleted", bool)():
            raise Misfit("the array was deleted, as those are that jax.jit was given as donated") from error
        first = "" if failure is None else f"its __cuda_array_interface__ failed: {failure}; and "
        raise Misfit(f"{first}its __dlpack__ failed: {error}") from error
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
    why = "is immutable" if home == "immutable" else "is read-only" if tensor.readonly else ""
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


def _is_dense(shape: Sequence[int], strides: Sequence[int]) -> bool:
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
