"""Read a DLPack capsule without taking it over (DLPack v1.0, include/dlpack/dlpack.h).

The capsule keeps its name, so its own destructor frees the tensor when the reader drops it; parsing by hand rather
than through NumPy is what lets bfloat16, float8 and CUDA tensors through.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, NamedTuple

from jitload.launch.elements import Element, dlpack_element

if TYPE_CHECKING:
    from jitload.launch.foreign import Given

#: DLDeviceType values (dlpack.h).
CPU, CUDA, CUDA_HOST, CUDA_MANAGED = 1, 2, 3, 13
_READ_ONLY = 1  # DLPACK_FLAG_BITMASK_READ_ONLY


class Tensor(NamedTuple):
    """What a launch must know about a DLPack tensor; strides are in elements, `dtype` is a DLDataType as one number."""

    address: int
    element: Element
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    readonly: bool
    device_type: int
    dtype: int
    capsule: object


class DLTensor(ctypes.Structure):
    """As dlpack.h has it."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class VersionedTensor(ctypes.Structure):
    """`DLManagedTensorVersioned` of dlpack.h."""

    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", DLTensor),
    )


def read_tensor(producer: Given, stream: int) -> Tensor:
    """Ask `producer` for its tensor; on a GPU its data is then ready for work queued on `stream`.

    Raises:
        ValueError: the capsule is not one that this reader knows.
        Exception: whatever `__dlpack__` of the producer raises.
    """
    device_type = int(producer.__dlpack_device__()[0])
    # The protocol writes the legacy default stream as 1; 0 is not allowed, and a CPU producer takes None only.
    wanted = (stream or 1) if device_type in {CUDA, CUDA_MANAGED} else None
    try:
        capsule = producer.__dlpack__(stream=wanted, max_version=(1, 0))
    except TypeError:  # a producer from before DLPack 1.0 knows no max_version
        capsule = producer.__dlpack__(stream=wanted)
    return _parse(capsule)


def _parse(capsule: object) -> Tensor:
    address_of = ctypes.pythonapi.PyCapsule_GetPointer
    address_of.restype, address_of.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    is_valid = ctypes.pythonapi.PyCapsule_IsValid
    is_valid.restype, is_valid.argtypes = ctypes.c_int, (ctypes.py_object, ctypes.c_char_p)
    readonly = False
    if is_valid(capsule, b"dltensor_versioned"):
        managed = VersionedTensor.from_address(address_of(capsule, b"dltensor_versioned"))
        if managed.major != 1:
            raise ValueError(f"DLPack version {managed.major}.{managed.minor} is not known here")
        readonly = bool(managed.flags & _READ_ONLY)
        tensor = managed.tensor
    elif is_valid(capsule, b"dltensor"):
        tensor = DLTensor.from_address(address_of(capsule, b"dltensor"))
    else:
        raise ValueError("__dlpack__ returned something that is not a DLPack capsule")
    dimensions = range(tensor.ndim)
    return Tensor(
        address=(tensor.data or 0) + tensor.byte_offset,
        element=dlpack_element(tensor.code, tensor.bits, tensor.lanes),
        shape=tuple([tensor.shape[i] for i in dimensions]),
        strides=tuple([tensor.strides[i] for i in dimensions]) if tensor.strides else None,
        readonly=readonly,
        device_type=tensor.device_type,
        dtype=tensor.code | tensor.bits << 8 | tensor.lanes << 16,
        capsule=capsule,
    )
