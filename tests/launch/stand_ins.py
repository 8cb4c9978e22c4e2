"""GPU arrays of every library, on a machine that has no GPU: what a launch may see of them, and no memory behind it.

Each maker takes the same description of an array, so that the same rules can be tried on all of them.
"""

import ctypes
import sys
from types import ModuleType, SimpleNamespace
from typing import NamedTuple

import numpy as np

from jitload.launch import dlpack

_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype, _new_capsule.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)

#: dtype -> DLDataTypeCode.
_CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}


class Shown(NamedTuple):
    """An array as its library shows it. Strides are in elements; `stream` is the one its library works on."""

    address: int = 0x7F00_0000_1000
    dtype: str = "float32"
    shape: tuple = (4,)
    strides: tuple | None = None
    readonly: bool = False
    device_type: int = dlpack.CUDA
    device: int = 0
    stream: int = 0
    negated: bool = False
    conjugated: bool = False
    requires_grad: bool = False


def dl_tensor(shown, keep):
    """A DLTensor; what it points to is put into the list `keep`."""
    dtype = np.dtype(shown.dtype)
    shape = (ctypes.c_int64 * len(shown.shape))(*shown.shape)
    strides = (ctypes.c_int64 * len(shown.shape))(*shown.strides) if shown.strides else None
    keep += [shape, strides]
    code, bits = _CODES[dtype.kind], 8 * dtype.itemsize
    return dlpack.DLTensor(shown.address, shown.device_type, shown.device, len(shape), code, bits, 1, shape, strides, 0)


class Base:
    """What all of them have: the description, which a test may change between two launches."""

    def __init__(self, shown):
        self.shown = shown
        self.keep = []


class Interface(Base):
    """Nothing but `__cuda_array_interface__`."""

    @property
    def __cuda_array_interface__(self):
        shown, dtype = self.shown, np.dtype(self.shown.dtype)
        if shown.device_type != dlpack.CUDA:
            raise AttributeError("not on a GPU")
        strides = shown.strides and tuple(stride * dtype.itemsize for stride in shown.strides)
        return {
            "shape": shown.shape,
            "typestr": dtype.str,
            "data": (shown.address, shown.readonly),
            "strides": strides,
            "stream": shown.stream or 1,
            "version": 3,
        }

    @property
    def dtype(self):
        return np.dtype(self.shown.dtype)


class DLPack(Base):
    """Nothing but `__dlpack__`, of version 1; its producer lets the stream that it is told wait."""

    asked = ()
    freed = 0
    dtype = property(lambda self: np.dtype(self.shown.dtype))

    def __dlpack_device__(self):
        return self.shown.device_type, self.shown.device

    def __dlpack__(self, *, stream=None, max_version=None):
        self.asked = (*self.asked, stream)
        tensor = dl_tensor(self.shown, self.keep)
        managed = dlpack.VersionedTensor(1, 0, None, None, int(self.shown.readonly), tensor)
        self.keep.append(managed)
        return _new_capsule(ctypes.addressof(managed), b"dltensor_versioned", None)


class _Managed(ctypes.Structure):
    _fields_ = (("tensor", dlpack.DLTensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


class OldDLPack(DLPack):
    """From before DLPack 1.0: an unversioned capsule, which has no flags."""

    def __dlpack__(self, *, stream=None, max_version=None):
        managed = _Managed(dl_tensor(self.shown, self.keep), None, None)
        self.keep.append(managed)
        return _new_capsule(ctypes.addressof(managed), b"dltensor", None)


_DELETER = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
_EXPORT = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_STREAM = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_int32, ctypes.c_int32, ctypes.POINTER(ctypes.c_void_p))


class _Exchange(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("older", ctypes.c_void_p),
        ("allocate", ctypes.c_void_p),
        ("export_managed", _EXPORT),
        ("import_managed", ctypes.c_void_p),
        ("export_borrowed", _EXPORT),
        ("current_stream", _STREAM),
    )


def _object(address):
    return ctypes.cast(address, ctypes.py_object).value


def exchange_api(*, borrows=True, major=1, older=None):
    """A table for `__dlpack_c_exchange_api__`, with its capsule and what it counts."""
    state = SimpleNamespace(exported=0, freed=0, borrowed=0, stream=0, fails=False)

    def free(address):
        state.freed += 1

    def export(address, out):
        if state.fails:
            return -1
        array = _object(address)
        managed = dlpack.VersionedTensor(
            1, 2, None, None, int(array.shown.readonly), dl_tensor(array.shown, array.keep)
        )
        managed.deleter = ctypes.cast(deleter, ctypes.c_void_p).value
        array.keep.append(managed)
        state.exported += 1
        ctypes.c_void_p.from_address(out).value = ctypes.addressof(managed)
        return 0

    def borrow(address, out):
        if state.fails:
            return -1
        array = _object(address)
        state.borrowed += 1
        tensor = dl_tensor(array.shown, array.keep)
        ctypes.memmove(out, ctypes.addressof(tensor), ctypes.sizeof(tensor))
        return 0

    def stream(device_type, device, out):
        out[0] = state.stream or None
        return 0

    deleter = _DELETER(free)
    table = _Exchange(major, 2, older, None, _EXPORT(export), None, _EXPORT(borrow), _STREAM(stream))
    if not borrows:
        table.export_borrowed = _EXPORT()
    state.table, state.keep = table, (deleter,)
    state.capsule = _new_capsule(ctypes.addressof(table), b"dlpack_exchange_api", None)
    return state


def exchange_type(**options):
    """A type with an exchange API beside its `__dlpack__`, as tvm-ffi's; `type.api` counts."""
    api = exchange_api(**options)
    return type("Exchange", (DLPack,), {"__dlpack_c_exchange_api__": api.capsule, "api": api})


class Dtype:
    """What torch has for dtypes: one object each."""

    def __init__(self, name):
        self.name = name

    def __str__(self):
        return f"torch.{self.name}"


def install_torch(monkeypatch, *, exchange):
    """A stand-in for torch with GPU tensors; gives the module, whose `api` is None without the exchange API."""
    dtypes = {}
    counted = []

    class Tensor(Base):
        is_cuda = property(lambda self: self.shown.device_type == dlpack.CUDA)
        is_cpu = property(lambda self: self.shown.device_type == dlpack.CPU)
        device = property(lambda self: f"type {self.shown.device_type}")
        is_leaf = True
        requires_grad = property(lambda self: self.shown.requires_grad)
        dtype = property(lambda self: dtypes.setdefault(self.shown.dtype, Dtype(self.shown.dtype)))
        layout = property(lambda self: module.strided if self.shown.strides != "sparse" else module.sparse)
        shape = property(lambda self: self.shown.shape)

        def stride(self):
            shape, strides = self.shown.shape, self.shown.strides
            return strides or tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))

        def is_contiguous(self):
            return self.shown.strides is None

        def is_neg(self):
            return self.shown.negated

        def is_conj(self):
            return self.shown.conjugated

        def numel(self):
            return int(np.prod(self.shown.shape))

        def element_size(self):
            return np.dtype(self.shown.dtype).itemsize

        def get_device(self):
            return self.shown.device

        def data_ptr(self):
            return self.shown.address

        def is_pinned(self):
            return False

    api = exchange_api() if exchange else None
    if exchange:
        Tensor.__dlpack_c_exchange_api__ = api.capsule
    state = SimpleNamespace(stream=0, initialised=True, asked=0)
    cuda = SimpleNamespace(
        is_initialized=lambda: state.initialised, current_stream=lambda: SimpleNamespace(cuda_stream=state.stream)
    )
    graph = SimpleNamespace(increment_version=lambda tensors: counted.extend(tensors))
    module = ModuleType("torch")
    module.Tensor, module.strided, module.sparse, module.cuda = Tensor, "strided", "sparse", cuda
    module.autograd, module.is_grad_enabled = SimpleNamespace(graph=graph), lambda: True
    module.api, module.counted, module.state = api, counted, state
    monkeypatch.setitem(sys.modules, "torch", module)
    return module


def install_cupy(monkeypatch):
    """A stand-in for CuPy; gives the module, whose `state.stream` is the current one."""
    state = SimpleNamespace(stream=0)

    class ndarray(Interface):
        __module__ = "cupy"

        @property
        def data(self):
            return SimpleNamespace(ptr=self.shown.address, device_id=self.shown.device)

        @property
        def shape(self):
            return self.shown.shape

        @property
        def strides(self):
            unit = np.dtype(self.shown.dtype).itemsize
            strides = self.shown.strides or np.empty(self.shown.shape, np.uint8).strides
            return tuple(stride * unit for stride in strides)

        @property
        def __cuda_array_interface__(self):
            return {**Interface.__cuda_array_interface__.fget(self), "stream": state.stream or 1}

    cuda = SimpleNamespace(get_current_stream=lambda: SimpleNamespace(ptr=state.stream))
    module = ModuleType("cupy")
    module.ndarray, module.cuda, module.state = ndarray, cuda, state
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module
