"""Arrays and addresses: what may be passed for a pointer, and what the refusal says."""

import ctypes
import struct
from array import array as array_of
from decimal import Decimal

import numpy as np
import pytest

from jitload import ArgumentError
from jitload.values import Parameter

ADDRESS = struct.Struct("<Q")


def pointer(declared="float *", const=False, known=True, name="p"):
    return Parameter(0, 8, 8, "u64", name=name, declared=declared, pointer=True if known else None, const=const)


EITHER = Parameter(0, 8, 8, "u64", name="bits", pointer=None)


class GpuArray:
    """What a GPU array of any library shows."""

    def __init__(self, typestr="<f4", readonly=False, address=0x7F00_0000_1000, **more):
        self.__cuda_array_interface__ = {
            "shape": (4,),
            "typestr": typestr,
            "data": (address, readonly),
            "version": 3,
            **more,
        }


class Index:
    """What PyCUDA's allocations are: an integer to Python."""

    def __index__(self):
        return 4096


class Int:
    """What the driver bindings' CUdeviceptr is."""

    def __int__(self):
        return 4096


class Ptr:
    """What CuPy's MemoryPointer is."""

    ptr = 4096


@pytest.mark.parametrize("given", [(), (1.0,), (1.0, 1, 2), (1.0, 1, 2, 3, 4), (1.0, 1, 2, 3, 4, 5, 6)])
def test_the_count_is_checked_and_the_whole_signature_named(saxpy, given):
    kernel, function = saxpy
    for launch in (kernel[1, 1], kernel.bind(grid=1, block=1, stream=0)):
        with pytest.raises(ArgumentError) as caught:
            launch(*given)
        text = str(caught.value)
        assert f"'saxpy' takes 4 arguments, got {len(given)}" in text
        assert "saxpy(float a, const float *x, float *y, int n)" in text
        assert caught.value.kernel == "saxpy"
        assert caught.value.position is None
    assert function.launches == []


def test_a_kernel_without_parameters_takes_none(make_kernel):
    kernel, function = make_kernel()
    kernel[1, 1]()
    assert function.launches[0][0] == b""
    with pytest.raises(ArgumentError, match=r"takes 0 arguments, got 1 \(int\)"):
        kernel[1, 1](1)


def test_an_error_says_which_argument_and_holds_it(saxpy):
    kernel, _ = saxpy
    with pytest.raises(ArgumentError) as caught:
        kernel[1, 1](1.0, 1, 2, 2**31)
    assert str(caught.value) == (
        "kernel 'saxpy', argument 3 (int n): 2147483648 does not fit: the range is -2147483648 to 2147483647. "
        "The kernel is saxpy(float a, const float *x, float *y, int n)"
    )
    assert (caught.value.position, caught.value.parameter, caught.value.kernel) == (3, "n", "saxpy")
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize("value", [0, 4096, 2**64 - 1, np.uint64(2**64 - 1), np.int64(5), ctypes.c_void_p(4096)])
def test_addresses_are_integers(pack_one, value):
    expected = ADDRESS.pack(getattr(value, "value", value))
    assert pack_one(pointer(), value) == expected
    assert pack_one(EITHER, value) == expected


@pytest.mark.parametrize(
    "value",
    [
        Index(),
        Int(),
        Ptr(),
        ctypes.c_uint64(4096),
        ctypes.c_size_t(4096),
        ctypes.c_longlong(4096),
        ctypes.cast(4096, ctypes.POINTER(ctypes.c_float)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_stands_for_an_address_is_one(pack_one, value):
    assert pack_one(pointer(), value) == ADDRESS.pack(4096)


def test_a_failing_index_is_the_cause(pack_one):
    class Closed:
        def __index__(self):
            raise RuntimeError("freed already")

    with pytest.raises(ArgumentError, match="its __index__ failed: freed already"):
        pack_one(pointer(), Closed())


@pytest.mark.parametrize("value", [-1, 2**64])
def test_an_address_out_of_range_raises(pack_one, value):
    with pytest.raises(ArgumentError, match=r"is not an address: it must be from 0 to 2\*\*64 - 1"):
        pack_one(pointer(), value)


def test_none_is_null_only_where_a_pointer_is_known(pack_one):
    assert pack_one(pointer(), None) == ADDRESS.pack(0)
    assert pack_one(pointer(), ctypes.c_void_p()) == ADDRESS.pack(0)
    with pytest.raises(ArgumentError, match="expected an integer, got None"):
        pack_one(EITHER, None)


@pytest.mark.parametrize(
    "cpp", ["int &", "const float &", "int &&", "const int (&)[4]", "float *const &", "c::a<int &> &"]
)
@pytest.mark.parametrize("value", [None, 0, ctypes.c_void_p()])
def test_a_reference_is_never_null(pack_one, cpp, value):
    parameter = Parameter(0, 8, 8, "u64", cpp=cpp, pointer=True)
    with pytest.raises(ArgumentError, match="refers to something, and the null pointer is nothing"):
        pack_one(parameter, value)
    assert pack_one(parameter, 4096) == ADDRESS.pack(4096)


@pytest.mark.parametrize("cpp", ["int *", "c::a<int &> *", "void (*)(int &)"])
def test_a_pointer_to_what_speaks_of_references_may_be_null(pack_one, cpp):
    assert pack_one(Parameter(0, 8, 8, "u64", cpp=cpp, pointer=True), None) == ADDRESS.pack(0)


@pytest.mark.parametrize(
    "value",
    [True, np.bool_(1), 1.0, "x", b"x" * 8, [1, 2], (1,), object(), np.float64(3), np.float32(3), Decimal(4096)],
)
def test_what_is_no_pointer_is_refused(pack_one, value):
    with pytest.raises(ArgumentError, match="expected an array or an address"):
        pack_one(pointer(), value)


def test_the_canonical_type_alone_says_that_it_is_a_pointer(pack_one):
    parameter = Parameter(0, 8, 8, "u64", cpp="float *", pointer=None)
    assert pack_one(parameter, None) == ADDRESS.pack(0)
    number = Parameter(0, 8, 8, "u64", cpp="unsigned long", pointer=None)
    with pytest.raises(ArgumentError, match="expected an integer"):
        pack_one(number, np.zeros(1))


@pytest.mark.parametrize(
    "value",
    [[1.0], (1.0,), array_of("f", [1]), memoryview(b"1234"), bytearray(4)],
    ids=lambda value: type(value).__name__,
)
def test_what_numpy_makes_an_array_of_is_told_the_way(pack_one, value):
    with pytest.raises(ArgumentError, match=r"got [\w.]+; pass np\.asarray"):
        pack_one(pointer(), value)


@pytest.mark.parametrize("parameter", [pointer("long long *"), EITHER], ids=["pointer", "either"])
@pytest.mark.parametrize("array", [np.array(4096), np.array([4096])], ids=["0-d", "1-d"])
def test_an_integer_array_is_never_an_address(make_kernel, parameter, array):
    kernel, function = make_kernel(parameter)
    kernel[1, 1](array)
    (address,) = ADDRESS.unpack(function.launches[0][0])
    assert address != 4096
    assert ("write", 8) in function.memory.log


def test_a_size_t_takes_integers_and_no_arrays(pack_one):
    size = Parameter(0, 8, 8, "u64", name="n", declared="size_t", pointer=False)
    assert pack_one(size, np.array(7)) == ADDRESS.pack(7)  # a 0-d array is a scalar
    for array in (np.array([7]), GpuArray()):
        with pytest.raises(ArgumentError, match="expected an integer"):
            pack_one(size, array)


def test_gpu_arrays_give_their_pointer(pack_one):
    assert pack_one(pointer(), GpuArray()) == ADDRESS.pack(0x7F00_0000_1000)
    assert pack_one(EITHER, GpuArray()) == ADDRESS.pack(0x7F00_0000_1000)
    assert pack_one(pointer(), GpuArray(address=None)) == ADDRESS.pack(0)


def test_a_gpu_array_for_the_cpu_is_told_the_way(pack_one):
    with pytest.raises(ArgumentError, match=r"in GPU memory .*\(\.get\(\) or \.cpu\(\)\), or set JITLOAD_DEVICE=cuda"):
        pack_one(pointer(), GpuArray(), device="cpu")


def test_pending_work_of_the_producer_is_waited_for(make_kernel):
    """By the device, which is told of every array that another stream still works on."""
    kernel, function = make_kernel(pointer())
    kernel[1, 1](GpuArray(stream=77))
    kernel[1, 1](GpuArray(stream=77))
    kernel[1, 1](GpuArray(stream=None))
    kernel[1, 1](GpuArray(stream=1))  # the legacy default stream is the one launched on
    kernel[1, 1, 77](GpuArray(stream=77))
    assert function.awaited == [(0, 77), (0, 77)]
    assert function.synchronized == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"typestr": ">f4"}, "swapped"),
        ({"data": 5}, "malformed"),
        ({"mask": GpuArray()}, "masked"),
        ({"typestr": "<f8"}, "elements of 8 bytes"),
    ],
)
def test_bad_gpu_arrays(pack_one, more, words):
    with pytest.raises(ArgumentError, match=words):
        pack_one(pointer(), GpuArray(**more))


def test_a_gpu_buffer_without_an_element_type_goes_anywhere(pack_one):
    """What rmm gives: bytes, and no dtype to convert."""
    assert pack_one(pointer("float4 *"), GpuArray("|u1")) == ADDRESS.pack(0x7F00_0000_1000)
    assert pack_one(pointer("double *"), GpuArray("|i1")) == ADDRESS.pack(0x7F00_0000_1000)
    bytes_with_a_dtype = GpuArray("|u1")
    bytes_with_a_dtype.dtype = np.dtype("u1")
    with pytest.raises(ArgumentError, match="uint8 is not float64"):
        pack_one(pointer("double *"), bytes_with_a_dtype)


def test_gpu_arrays_of_extension_types_are_told_by_their_dtype(pack_one):
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    brain = GpuArray("<V2")
    brain.dtype = np.dtype(ml_dtypes.bfloat16)
    assert pack_one(pointer("__nv_bfloat16 *"), brain) == ADDRESS.pack(0x7F00_0000_1000)
    with pytest.raises(ArgumentError, match="bfloat16 is not float16"):
        pack_one(pointer("__half *"), brain)


def test_a_gpu_array_must_be_aligned_and_its_vectors_side_by_side(pack_one):
    with pytest.raises(ArgumentError, match="aligned to 16 bytes"):
        pack_one(pointer("float4 *"), GpuArray(address=0x1004))
    with pytest.raises(ArgumentError, match="the 4 must lie side by side"):
        pack_one(pointer("float4 *"), GpuArray(strides=(8,)))
    assert pack_one(pointer("float *"), GpuArray(strides=(8,))) == ADDRESS.pack(0x7F00_0000_1000)  # the kernel's affair


def test_an_interface_that_raises_is_the_cause(pack_one):
    class NeedsGradient:
        @property
        def __cuda_array_interface__(self):
            raise RuntimeError("call detach() first")

    with pytest.raises(ArgumentError, match=r"failed: call detach\(\) first") as caught:
        pack_one(pointer(), NeedsGradient())
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize(
    ("declared", "dtype"),
    [
        ("float *", "f4"),
        ("double *", "f8"),
        ("int *", "i4"),
        ("long long *", "i8"),
        ("__half *", "f2"),
        ("__nv_bfloat16 *", "V2"),
        ("cuComplex *", "c8"),
        ("float2 *", "c8"),
        ("float4 *", "f4"),
        ("unsigned char *", "u1"),
        ("bool *", "?"),
        ("char *", "i1"),
        ("char *", "u1"),
        ("void *", "f8"),
        ("float *", "V12"),
        ("Node *", "f8"),
        ("T *", "f2"),
        ("", "f8"),
        ("float **", "u8"),
    ],
)
def test_elements_that_go_together(make_kernel, declared, dtype):
    kernel, function = make_kernel(pointer(declared))
    kernel[1, 1](np.zeros(4, dtype))
    assert len(function.launches) == 1


@pytest.mark.parametrize(
    ("declared", "dtype"),
    [
        ("const float *", "f8"),
        ("double *", "f4"),
        ("int *", "i8"),
        ("unsigned char *", "f4"),
        ("bool *", "i4"),
        ("__half *", "f4"),
        ("float *", "c16"),
        ("double2 *", "f4"),
        ("float **", "f4"),
        ("float *", "i4"),
        ("float *", "c8"),
        ("__nv_bfloat16 *", "f2"),
        ("__nv_bfloat16 *", "u2"),
        ("unsigned int *", "i4"),
        ("float *", "u1"),
        ("char *", "f8"),
    ],
)
def test_elements_that_do_not_go_together(make_kernel, declared, dtype):
    kernel, function = make_kernel(pointer(declared, const=True))
    size = np.dtype(dtype).itemsize
    with pytest.raises(ArgumentError, match=rf"dtype {np.dtype(dtype)} and shape \(4,\) has elements of {size} bytes"):
        kernel[1, 1](np.zeros(4, dtype))
    assert function.launches == []


def test_strided_host_arrays_are_told_the_way(make_kernel):
    kernel, _ = make_kernel(pointer())
    grid = np.zeros((6, 4), "f4")
    kernel[1, 1](grid)
    kernel[1, 1](grid.T)  # dense in Fortran's order
    kernel[1, 1](grid[2:4])
    for strided in (grid[:, 1], grid[::2], grid[::-1]):
        with pytest.raises(ArgumentError, match=r"not contiguous; pass np\.ascontiguousarray"):
            kernel[1, 1](strided)


def test_swapped_and_object_arrays_are_refused(pack_one):
    with pytest.raises(ArgumentError, match="bytes are swapped"):
        pack_one(pointer(), np.zeros(3, ">f4"))
    for dtype in ([("v", ">f4", (2,))], [("v", [("x", ">f4")], (2,))], [("x", "<f4"), ("y", ">f4")]):
        with pytest.raises(ArgumentError, match="bytes are swapped"):
            pack_one(pointer("float2 *"), np.zeros(3, dtype))
    with pytest.raises(ArgumentError, match="Python objects"):
        pack_one(pointer(""), np.zeros(3, object))


def test_a_read_only_array_needs_a_pointer_to_const(make_kernel):
    array = np.zeros(4, "f4")
    array.flags.writeable = False
    kernel, function = make_kernel(pointer("const float *", const=True))
    kernel[1, 1](array)
    kernel[1, 1](GpuArray(readonly=True))
    assert len(function.launches) == 2
    for parameter in (pointer(), EITHER):
        kernel, function = make_kernel(parameter)
        for readonly in (array, GpuArray(readonly=True)):
            with pytest.raises(ArgumentError, match="read-only and the parameter is not a pointer to const"):
                kernel[1, 1](readonly)
        assert function.launches == []


def test_the_canonical_type_says_const(make_kernel):
    array = np.zeros(4, "f4")
    array.flags.writeable = False
    kernel, function = make_kernel(Parameter(0, 8, 8, "u64", cpp="const float *", pointer=True))
    kernel[1, 1](array)
    assert [entry[0] for entry in function.memory.log] == ["allocate", "write", "free"]


def test_torch_tensors_need_no_interface(pack_one, monkeypatch):
    """A stand-in for torch, with the accessors that the real one has."""

    class Tensor:
        is_cuda, requires_grad = True, True

        def __init__(self, size):
            self.size = size

        def data_ptr(self):
            return 0x7000

        def element_size(self):
            return self.size

        def numel(self):
            return 10

        def is_complex(self):
            return False

        def __index__(self):
            return 4096

    torch = type("torch", (), {"Tensor": Tensor})
    monkeypatch.setitem(__import__("sys").modules, "torch", torch)
    parameter = pointer()
    from jitload.launch.pointers import Pointer

    assert Pointer(parameter, "cuda").convert(Tensor(4), 0).address == 0x7000
    with pytest.raises(Exception, match="elements of 2 bytes"):
        Pointer(parameter, "cuda").convert(Tensor(2), 0)
    with pytest.raises(Exception, match="in GPU memory"):
        Pointer(parameter, "cpu").convert(Tensor(4), 0)
