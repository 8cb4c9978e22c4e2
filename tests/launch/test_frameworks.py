"""Arrays of torch and JAX on the host: what their own rules forbid is refused in their own words."""

import sys

import numpy as np
import numpy.ma.mrecords
import pytest

import jitload
from jitload import ArgumentError, CpuFault
from jitload.values import Parameter

POINTER = Parameter(0, 8, 8, "u64", name="p", declared="float *", cpp="float *", pointer=True)
CONST = Parameter(0, 8, 8, "u64", name="p", declared="const float *", cpp="const float *", pointer=True, const=True)
UNKNOWN = Parameter(0, 8, 8, "u64", name="p", pointer=None)


@pytest.fixture
def torch(framework):
    return framework("torch")


@pytest.fixture
def jax(framework):
    return framework("jax")


@pytest.fixture
def take(make_kernel):
    """take(parameter, array): launch on the recording CPU, and the number of copies back."""

    def launch(parameter, array):
        kernel, function = make_kernel(parameter, device="cpu")
        kernel[1, 1](array)
        return sum(entry[0] == "read" for entry in function.memory.log)

    return launch


def refused(take, parameter, array, words):
    with pytest.raises(ArgumentError, match=words):
        take(parameter, array)


# -- torch --


def test_a_tensor_that_requires_grad_may_be_read(torch, take):
    leaf = torch.zeros(4, requires_grad=True)
    assert take(CONST, leaf) == 0
    assert take(CONST, torch.nn.Parameter(torch.zeros(4))) == 0
    refused(take, POINTER, leaf, r"requires grad .* launch under torch\.no_grad\(\) or on \.detach\(\)")
    with torch.no_grad():
        assert take(POINTER, leaf) == 1
    refused(take, POINTER, leaf * 2, r"requires grad .* would not see what is written")
    assert take(POINTER, (leaf * 2).detach()) == 1


def test_autograd_hears_of_a_write(torch, take):
    x = torch.ones(4, requires_grad=True)
    y = x.exp()  # keeps its result for the gradient
    before = y._version
    take(CONST, y)
    assert y._version == before
    with torch.no_grad():
        with pytest.raises(ArgumentError):
            take(POINTER, y.double())
        assert y._version == before
        take(POINTER, y)
    assert y._version == before + 1
    take(POINTER, y.detach())
    assert y._version == before + 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_tensors_of_inference_mode_are_taken(torch, take):
    with torch.inference_mode():
        assert take(POINTER, torch.zeros(4)) == 1


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_host_tensors_are_staged_on_either_device(torch, make_kernel, device):
    kernel, function = make_kernel(POINTER, device=device)
    tensor = torch.zeros(4)
    function.body = lambda memory, block: memory.blocks[int.from_bytes(block, "little")].__setitem__(3, 0x40)
    kernel[1, 1](tensor)
    assert tensor.tolist() == [2.0, 0, 0, 0]


def test_tensors_whose_memory_is_not_what_they_show(torch, take):
    z = torch.zeros(4, dtype=torch.complex64)
    complex_pointer = Parameter(0, 8, 8, "u64", cpp="float2 *", pointer=True)
    refused(take, complex_pointer, z.conj(), r"conjugates of what it shows; pass \.resolve_conj\(\)")
    take(complex_pointer, z.conj().resolve_conj())
    refused(take, POINTER, torch.imag(z.conj()), r"negatives of what it shows; pass \.resolve_neg\(\)")
    refused(take, POINTER, torch.eye(3).to_sparse(), r"layout is torch\.sparse_coo; pass \.to_dense\(\)")
    refused(take, POINTER, torch.zeros(4, device="meta"), r"on device 'meta'")
    refused(take, POINTER, torch.zeros(4, 4)[:, 1], r"not contiguous; pass \.contiguous\(\)")
    assert take(POINTER, torch.zeros(4, 3).T) == 1
    assert take(POINTER, torch.zeros(4, 3)[:0]) == 0


def test_tensors_without_memory(torch, take):
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        fake = torch.zeros(4)
    refused(take, POINTER, fake, r"make the launch a torch\.library\.custom_op")
    with pytest.raises(ArgumentError, match=r"custom_op"):
        torch.vmap(lambda x: take(CONST, x) or x)(torch.zeros(2, 4))


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_launch_is_in_no_record_of_torch_and_says_so(torch, take):
    from torch.fx.experimental.proxy_tensor import make_fx

    def launch(x):
        take(CONST, x)
        return x

    for record in (
        lambda: torch.jit.trace(launch, (torch.zeros(4),)),
        lambda: make_fx(launch)(torch.zeros(4)),
        lambda: make_fx(launch, pre_dispatch=True)(torch.zeros(4)),
    ):
        with pytest.raises(ArgumentError, match=r"records what torch does.*custom_op"):
            record()
    assert take(POINTER, torch.zeros(4)) == 1


def test_a_tensor_of_a_launch_waits_for_no_python_of_torch(torch, take):
    """Every launch asks each tensor whether torch records: its own functions for that take as long as all the rest. (Writes are counted by one.)"""
    x, entered = torch.zeros(4), []
    take(CONST, x)
    sys.setprofile(lambda frame, event, _: event == "call" and entered.append(frame.f_code.co_filename))
    try:
        take(CONST, x)
    finally:
        sys.setprofile(None)
    assert entered
    assert [name for name in entered if name.startswith(torch.__path__[0])] == []


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # by torch.autograd.forward_ad itself
def test_what_forward_mode_follows_is_not_written(torch, take):
    forward = torch.autograd.forward_ad
    with forward.dual_level():
        dual = forward.make_dual(torch.zeros(4), torch.ones(4))
        assert take(CONST, dual) == 0
        refused(take, POINTER, dual, r"has a tangent .* launch on the primal of forward_ad\.unpack_dual")
        assert take(POINTER, forward.unpack_dual(dual).primal) == 1
        assert take(POINTER, torch.zeros(4)) == 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda t: t.zeros(4, dtype=t.float64), r"float64 is not float32; convert it with \.to\(torch\.float32\)\."),
        (lambda t: t.zeros(4, dtype=t.int32), r"\.to\(torch\.float32\), or reinterpret its bytes with \.view\(torch\."),
        (lambda t: t.zeros(4, dtype=t.bfloat16), r"bfloat16 is not float32; convert it with \.to\(torch\.float32\)\."),
    ],
)
def test_advice_is_in_words_of_torch(torch, take, make, words):
    refused(take, POINTER, make(torch), words)


def test_a_tensor_is_told_what_bfloat16_is_in_torch(torch, take):
    brain = Parameter(0, 8, 8, "u64", cpp="__nv_bfloat16 *", pointer=True)
    refused(take, brain, torch.zeros(4, dtype=torch.float16), r"\.to\(torch\.bfloat16\)")


# -- JAX --


def test_a_donated_array_says_that_it_is_gone(jax, take):
    x = jax.numpy.zeros(4)
    jax.jit(lambda x: x + 1, donate_argnums=0)(x)
    refused(take, CONST, x, "the array was deleted, as those are that jax.jit was given as donated")


def test_a_jax_array_is_never_written(jax, take):
    x = jax.numpy.zeros(4, jax.numpy.float32)
    assert take(CONST, x) == 0
    for parameter in (POINTER, UNKNOWN):
        refused(
            take,
            parameter,
            x,
            r"is immutable .* pass np\.array\(\.\.\.\) of it, a copy, or declare the parameter const",
        )
    assert take(POINTER, np.array(x)) == 1
    refused(take, POINTER, np.asarray(x), r"is read-only")


def test_advice_is_in_words_of_jax(jax, take):
    x = jax.numpy.zeros(4, jax.numpy.int32)
    refused(take, CONST, x, r"jax\.Array of dtype int32 .*\.astype\(jnp\.float32\), or .* \.view\(jnp\.float32\)")


def test_a_tracer_is_no_array(jax, take):
    with pytest.raises(ArgumentError, match=r"launch outside of jax\.jit"):
        jax.jit(lambda x: take(CONST, x))(jax.numpy.zeros(4, jax.numpy.float32))


# -- NumPy and others --


@pytest.mark.parametrize(
    ("cpp", "array", "words"),
    [
        ("const float *", np.zeros(4), r"convert it with \.astype\(np\.float32\)\. The"),
        (
            "const float *",
            np.zeros(4, "i4"),
            r"\.astype\(np\.float32\), or reinterpret its bytes with \.view\(np\.float32\)",
        ),
        (
            "const bool *",
            np.zeros(4, "u1"),
            r"\.astype\(np\.bool_\), or reinterpret its bytes with \.view\(np\.bool_\)",
        ),
        ("const cuda::std::complex<float> *", np.zeros(4, "c16"), r"convert it with \.astype\(np\.complex64\)"),
        (
            "const __nv_bfloat16 *",
            np.zeros(4, "u2"),
            r"\.astype\(ml_dtypes\.bfloat16\), or .*\.view\(ml_dtypes\.bfloat16\)",
        ),
        ("const float4 *", np.zeros((2, 4)), r"\.astype\(np\.float32\).*last axis must be a multiple of 4 long"),
        (
            "const float *",
            np.ma.masked_array(np.zeros(4, "f4"), np.ones(4, bool)),
            r"would not see the mask; pass \.filled",
        ),
    ],
)
def test_advice_is_in_words_of_numpy(take, cpp, array, words):
    refused(take, Parameter(0, 8, 8, "u64", cpp=cpp, pointer=True, const=True), array, words)


@pytest.mark.parametrize("masked", [np.ma.MaskedArray, np.ma.mrecords.MaskedRecords, "Own"])
def test_a_mask_is_seen_in_whatever_class(take, masked):
    class Own(np.ndarray):
        """As astropy.utils.masked has it: no subclass of NumPy's masked array."""

        mask = property(lambda self: np.ones(self.shape, bool))

    kind = Own if masked == "Own" else masked
    refused(take, CONST, np.zeros(4, "f4").view(kind), r"would not see the mask; pass \.filled")


class Image(np.ndarray):
    """One with a method of that name, which is no mask."""

    def mask(self, least):
        return self > least


@pytest.mark.parametrize("kind", [np.matrix, np.memmap, np.recarray, Image])
def test_other_subclasses_are_what_they_hold(take, kind):
    assert take(POINTER, np.zeros((1, 4), "f4").view(kind)) == 1


def test_a_buffer_without_an_element_type_goes_anywhere(take):
    """What rmm and cuda.core give: bytes, and no dtype to convert."""

    class Buffer:
        def __init__(self, array):
            self.array = array
            self.__dlpack__, self.__dlpack_device__ = array.__dlpack__, array.__dlpack_device__

    assert take(POINTER, Buffer(np.zeros(16, "i1"))) == 1
    assert take(POINTER, Buffer(np.zeros(16, "u1"))) == 1
    refused(take, POINTER, Buffer(np.zeros(16, "i2")), "int16 is not float32")


def test_advice_for_what_cannot_convert_itself(framework, take):
    tensor = framework("tvm_ffi").from_dlpack(np.zeros(4, "i4"))
    refused(
        take, CONST, tensor, r"convert it with np\.from_dlpack\(\.\.\.\)\.astype\(np\.float32\), or .*\.\.\)\.view\(np"
    )


# -- addresses on the CPU executor --

BUMP = 'extern "C" __global__ void bump(float *x) { if (x) x[threadIdx.x] += 1; }'
INSIDE = 'struct Box { int n; float *x; }; extern "C" __global__ void bump(Box box) { box.x[threadIdx.x] += 1; }'


def loaded(source):
    with jitload.configure(device="cpu"):
        return jitload.compile(source, kind="ptx", arch="compute_75").load()["bump"]


def test_an_address_of_the_host_is_told_from_the_executors_own():
    import ctypes

    x = np.zeros(4, np.float32)
    bump = loaded(BUMP)
    with pytest.raises(
        ArgumentError, match=r"is an address of host memory, .* pass the array itself, not its \.data_ptr"
    ):
        bump(x.ctypes.data, grid=1, block=4)
    for same in (
        ctypes.c_void_p(x.ctypes.data),
        x.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
        np.uint64(x.ctypes.data),
    ):
        with pytest.raises(ArgumentError, match="is an address of host memory"):
            bump.bind(grid=1, block=4)(same)
    bump(0, grid=1, block=4)
    bump(None, grid=1, block=4)


def test_an_address_of_the_executor_is_taken():
    from jitload.cpu.memory.arena import process_arena

    arena = process_arena()
    address = arena.allocate(16, "mine")
    arena.write(address, memoryview(bytes(16)))
    loaded(BUMP)(address, grid=1, block=4)
    found = bytearray(16)
    arena.read(address, memoryview(found))
    arena.free(address)
    assert np.frombuffer(found, "f4").tolist() == [1, 1, 1, 1]


def test_a_host_address_within_a_structure_is_named_by_the_fault():
    x = np.zeros(4, np.float32)
    box = np.zeros((), np.dtype([("n", "i4"), ("x", "u8")], align=True))
    box["x"] = x.ctypes.data
    with pytest.raises(CpuFault, match=r"Nearest: no allocation, but memory of the host") as caught:
        loaded(INSIDE)(box, grid=1, block=4)
    assert "pass the array itself" in caught.value.nearest


def test_nothing_here_imports_a_framework():
    """Launches look frameworks up among the modules that are imported, and import none."""
    import subprocess

    code = "import jitload.launch.codec, sys; print({'numpy', 'torch', 'jax', 'ml_dtypes'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
