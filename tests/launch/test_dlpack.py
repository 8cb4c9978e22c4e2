"""DLPack producers of every kind: old and new capsules, host, pinned and CUDA memory, types NumPy does not have."""

import ctypes
import gc
import struct
import weakref

import numpy as np
import pytest

from jitload import ArgumentError
from jitload.launch import dlpack
from jitload.values import Parameter
from tests.launch.stand_ins import DLPack, Shown

POINTER = Parameter(0, 8, 8, "u64", name="p", declared="float *", pointer=True)
CONST = Parameter(0, 8, 8, "u64", name="p", declared="const float *", pointer=True, const=True)
BRAIN = Parameter(0, 8, 8, "u64", name="p", declared="__nv_bfloat16 *", pointer=True)


class HostTensor:
    """Any library's host tensor: NumPy's capsule, and nothing else of NumPy."""

    def __init__(self, array):
        self.array = array

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)


class OldHostTensor(HostTensor):
    """From before DLPack 1.0: no max_version, an unversioned capsule."""

    def __dlpack__(self, stream=None):
        return self.array.__dlpack__()


class MadeTensor:
    """A capsule written by hand, for memory that this machine does not have."""

    def __init__(self, device=2, code=2, bits=32, shape=(4,), strides=None, address=0x7F00, offset=0, readonly=None):
        self.device, self.asked = device, None
        self.shape = (ctypes.c_int64 * len(shape))(*shape)
        self.strides = (ctypes.c_int64 * len(shape))(*strides) if strides else None
        tensor = dlpack.DLTensor(address, device, 0, len(shape), code, bits, 1, self.shape, self.strides, offset)
        self.name = b"dltensor" if readonly is None else b"dltensor_versioned"
        self.managed = tensor if readonly is None else dlpack.VersionedTensor(1, 0, None, None, int(readonly), tensor)

    def __dlpack_device__(self):
        return (self.device, 0)

    def __dlpack__(self, *, stream=None, max_version=None):
        self.asked = stream
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        return new(ctypes.addressof(self.managed), self.name, None)


def sent(function):
    return struct.unpack("<Q", function.launches[-1][0])[0]


@pytest.mark.parametrize("tensor_type", [HostTensor, OldHostTensor])
@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_a_host_tensor_is_staged_there_and_back(make_kernel, tensor_type, device):
    kernel, function = make_kernel(POINTER, device=device)
    array = np.arange(6, dtype="f4").reshape(2, 3)

    def double(memory, parameters):
        block, offset = memory.at(struct.unpack("<Q", parameters)[0])
        np.frombuffer(block, "f4")[:] *= 2
        assert offset == 0

    function.body = double
    kernel[1, 1](tensor_type(array))
    assert array.tolist() == [[0, 2, 4], [6, 8, 10]]
    assert function.memory.blocks == {}


def test_the_capsule_is_dropped_and_the_tensor_with_it(make_kernel):
    kernel, _ = make_kernel(POINTER)
    array = np.zeros(4, "f4").view(type("Tracked", (np.ndarray,), {}))
    gone = weakref.ref(array)
    kernel[1, 1](HostTensor(array))
    del array
    gc.collect()
    assert gone() is None


def test_strided_and_read_only_host_tensors(make_kernel):
    kernel, function = make_kernel(POINTER)
    with pytest.raises(ArgumentError, match="not contiguous"):
        kernel[1, 1](HostTensor(np.zeros((4, 4), "f4")[:, 1]))
    kernel[1, 1](HostTensor(np.zeros((4, 3), "f4").T))
    host = np.zeros(4, "f4")
    readonly = MadeTensor(device=1, readonly=True, address=host.ctypes.data)
    with pytest.raises(ArgumentError, match="read-only"):
        kernel[1, 1](readonly)
    kernel, function = make_kernel(CONST)
    kernel[1, 1](readonly)
    assert ("read", 16) not in function.memory.log


@pytest.mark.parametrize("device", [dlpack.CUDA, dlpack.CUDA_MANAGED, dlpack.CUDA_HOST])
def test_memory_that_a_gpu_can_reach_is_passed_as_it_is(make_kernel, device):
    kernel, function = make_kernel(POINTER)
    kernel[1, 1](MadeTensor(device=device, address=0x7F00, offset=16))
    assert sent(function) == 0x7F10
    assert function.memory.log == []


def test_the_producer_is_told_the_stream(make_kernel):
    kernel, _ = make_kernel(POINTER)
    tensor = MadeTensor()
    kernel[1, 1](tensor)
    assert tensor.asked == 1  # the protocol's number for the legacy default stream
    kernel[1, 1, 0x55](tensor)
    assert tensor.asked == 0x55


def test_types_that_numpy_has_not(make_kernel):
    kernel, function = make_kernel(BRAIN)
    kernel[1, 1](MadeTensor(code=4, bits=16))
    assert sent(function) == 0x7F00
    with pytest.raises(ArgumentError, match=r"elements of 1 bytes and '__nv_bfloat16 \*'"):
        kernel[1, 1](MadeTensor(code=10, bits=8))  # float8_e4m3fn


class NoInterface(DLPack):
    """As JAX's arrays of bfloat16 are: the interface has no word for their type, and raises."""

    @property
    def __cuda_array_interface__(self):
        raise RuntimeError("no typestr for this")


class Neither(NoInterface):
    def __dlpack__(self, **options):
        raise BufferError("not either")


def test_an_array_whose_interface_raises_goes_by_dlpack(make_kernel):
    kernel, function = make_kernel(POINTER)
    array = NoInterface(Shown())
    for stream in (0, 0, 7):
        kernel[1, 1, stream](array)
    assert [launch[0] for launch in function.launches] == [struct.pack("<Q", array.shown.address)] * 3
    assert array.asked == (1, 1, 7)
    with pytest.raises(
        ArgumentError, match=r"interface__ failed: no typestr .*; and its __dlpack__ failed: not either"
    ):
        kernel[1, 1](Neither(Shown()))


@pytest.mark.parametrize("device", [dlpack.CUDA, dlpack.CUDA_MANAGED])
def test_gpu_tensors_are_refused_by_the_cpu(make_kernel, device):
    kernel, _ = make_kernel(POINTER, device="cpu")
    with pytest.raises(ArgumentError, match="JITLOAD_DEVICE=cuda"):
        kernel[1, 1](MadeTensor(device=device))


def test_other_devices_and_false_capsules_are_refused(make_kernel):
    kernel, _ = make_kernel(POINTER)
    with pytest.raises(ArgumentError, match="DLPack device type 10"):
        kernel[1, 1](MadeTensor(device=10))

    class NoCapsule(MadeTensor):
        def __dlpack__(self, **options):
            return object()

    with pytest.raises(ArgumentError, match="not a DLPack capsule"):
        kernel[1, 1](NoCapsule())
    newer = MadeTensor(readonly=False)
    newer.managed.major = 2
    with pytest.raises(ArgumentError, match=r"DLPack version 2\.0 is not known"):
        kernel[1, 1](newer)
