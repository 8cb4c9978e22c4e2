"""Kernels as functions of tvm-ffi.

A kernel of n parameters is called with its n arguments, then with its configuration as integers, in the order of TVM's
launch tags: grid x, y, z, block x, y, z, and, if wanted, the bytes of dynamic shared memory and a stream.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import tvm_ffi

from jitload.errors import ArgumentError
from jitload.launch.kernel import Kernel
from jitload.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from jitload.launch.foreign import Given, Interface, NumpyArray
    from jitload.loader.module import Function
else:
    np = lazy("numpy")

_CUDA, _CUDA_MANAGED = 2, 13  # DLDeviceType (dlpack.h)
_LETTERS = {0: "i", 1: "u", 2: "f", 6: "b"}  # DLDataTypeCode (dlpack.h) -> NumPy's kind; tvm-ffi has no complex
_DIMENSIONS = 6
#: What a parameter is of which only the size is known. tvm-ffi has floats of its own, so its integers are none.
_BITS = frozenset({"b16", "b32", "b64"})


def call_kernel(kernel: Kernel, args: Sequence[Given]) -> None:
    """Launch a kernel with arguments as tvm-ffi gives them.

    The stream is the one in the arguments; else the one that tvm-ffi's environment has for the tensors' device; else,
    as for every launch, the current one of torch or CuPy, else the default stream.

    Raises:
        ArgumentError: the arguments do not fit the kernel, or the configuration is missing.
        LaunchError: the configuration cannot be run.
        DriverError, CpuFault: the device refused or stopped the kernel.
    """
    count = len(kernel.info.params)
    given, configuration = args[:count], args[count:]
    if not _DIMENSIONS <= len(configuration) <= _DIMENSIONS + 2:
        least = count + _DIMENSIONS
        raise ArgumentError(
            f"kernel {kernel.name!r} takes {count} arguments, then grid x, y, z, block x, y, z and perhaps the bytes "
            f"of shared memory and a stream: {least} to {least + 2} values, got {len(args)}. It is {kernel!r}",
            kernel=kernel.name,
        )
    grid, block = tuple(configuration[:3]), tuple(configuration[3:_DIMENSIONS])
    shared_bytes = configuration[_DIMENSIONS] if len(configuration) > _DIMENSIONS else 0
    stream = configuration[_DIMENSIONS + 1] if len(configuration) > _DIMENSIONS + 1 else None
    stream = _environment_stream(kernel, given) if stream is None else _address(stream)
    values = [_argument(value) for value in given]
    if any(param.type in _BITS and not param.cpp and not param.declared for param in kernel.info.params):
        values = [ctypes.c_int64(value) if type(value) is int else value for value in values]
    if stream is None and not shared_bytes:
        kernel[grid, block](*values)
    else:
        kernel(*values, grid=grid, block=block, shared_bytes=shared_bytes, stream=stream)


def as_tvm_ffi_callable(fetch: Callable[[], Function]) -> Function:
    """A Python function for tvm-ffi that fetches a function or kernel when it is first called.

    Args:
        fetch: gives the function; called until it succeeds once.
    """
    found: list[Function] = []

    def call(*args: object) -> object:
        if not found:
            found.append(fetch())
        function = found[0]
        if isinstance(function, Kernel):
            call_kernel(function, args)
            return None
        return function(*args)

    return call


def _environment_stream(kernel: Kernel, args: Sequence[object]) -> int | None:
    """The stream that tvm-ffi's environment has for the device of the first GPU tensor, or None for the default."""
    if kernel.device != "cuda":
        return None
    devices = (value.device for value in args if isinstance(value, tvm_ffi.Tensor))
    ordinal = next((device.index for device in devices if device.dlpack_device_type() == _CUDA), 0)
    return int(tvm_ffi.get_raw_stream(tvm_ffi.device("cuda", ordinal))) or None


def _argument(value: object) -> object:
    if isinstance(value, tvm_ffi.Tensor):
        return _array(value)
    return _address(value)


def _address(value: Given) -> Given:
    """Opaque pointers arrive as `c_void_p`."""
    return value.value or 0 if isinstance(value, ctypes.c_void_p) else value


class GpuArray:
    """A GPU tensor of tvm-ffi, by the CUDA Array Interface."""

    def __init__(self, interface: Interface) -> None:
        self.__cuda_array_interface__ = interface


def _array(tensor: tvm_ffi.Tensor) -> NumpyArray | GpuArray:
    """What the launch takes in place of a tensor."""
    if tensor.device.dlpack_device_type() not in {_CUDA, _CUDA_MANAGED}:
        return host_array(tensor)
    shape = tuple(map(int, tensor.shape))
    interface = {"version": 3, "shape": shape, "typestr": _typestr(tensor.dtype), "data": (tensor.data_ptr(), False)}
    if not tensor.is_contiguous():
        interface["strides"] = tuple([int(stride) * tensor.dtype.itemsize for stride in tensor.strides])
    return GpuArray(interface)


def host_array(tensor: tvm_ffi.Tensor) -> NumpyArray:
    """A NumPy array over the memory of a host tensor, for the time of the call that it was passed to.

    A `TensorView` of C++ arrives as a Tensor that borrows: its `__dlpack__` follows a null handle (a segmentation fault
    in 0.1.15, cython/tensor.pxi, make_ret_dltensor). Its fields can be read, so nothing else is used.

    Raises:
        ArgumentError: the tensor is not contiguous, or its elements are less than a byte.
    """
    _require_contiguous(tensor)
    shape, dtype = tuple(map(int, tensor.shape)), np.dtype(_typestr(tensor.dtype))
    nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if not nbytes:
        return np.empty(shape, dtype)
    memory = memoryview((ctypes.c_char * nbytes).from_address(tensor.data_ptr()))
    array: NumpyArray = np.frombuffer(memory, dtype=dtype).reshape(shape)
    return array


def _require_contiguous(tensor: tvm_ffi.Tensor) -> None:
    if not tensor.is_contiguous():
        shape, strides = tuple(tensor.shape), tuple(tensor.strides)
        raise ArgumentError(
            f"a tensor of shape {shape} and strides {strides} is not contiguous; pass a contiguous copy"
        )


def _typestr(dtype: tvm_ffi.dtype) -> str:
    """The type in NumPy's spelling; what NumPy does not have (bfloat16, float8, vectors) is bytes of that size."""
    letter = _LETTERS.get(int(dtype.type_code))
    if dtype.bits % 8:
        raise ArgumentError(f"a tensor of {dtype} has elements of less than a byte; pass it as bytes")
    if letter is None or dtype.lanes != 1:
        return f"|V{dtype.itemsize}"
    return f"{'|' if dtype.itemsize == 1 else '<'}{letter}{dtype.itemsize}"
