"""The two registries, connected: loaders, modules, functions and errors go both ways, and nothing stays behind."""

import ctypes
import gc
import weakref

import numpy as np
import pytest

tvm_ffi = pytest.importorskip("tvm_ffi", reason="apache-tvm-ffi is not installed")

import jitload
from jitload.errors import LoaderNotFoundError, LoadError
from jitload.interop import tvm_ffi as bridge
from jitload.interop import tvm_ffi_modules
from jitload.interop.tvm_ffi_kernels import call_kernel
from jitload.loader.module import Module
from jitload.loader.registry import load_module_from_bytes, register_loader, registered_kinds, unregister_loader
from jitload.loader.whole import pack_module
from jitload.values import KernelInfo, Parameter

PREFIX = "ffi.Module.load_from_bytes."


def names():
    return set(tvm_ffi.registry.list_global_func_names())


def load_echo(data):
    return Module("echo", {"payload": lambda: data, "twice": lambda x: 2 * x}, data=data)


pytestmark = pytest.mark.usefixtures("installed")


@pytest.fixture
def echo():
    with register_loader("echo", load_echo):
        yield


@pytest.fixture
def load():
    return tvm_ffi.get_global_func("ffi.ModuleLoadFromBytes")


def register_theirs(kind, function):
    tvm_ffi.register_global_func(PREFIX + kind, function)
    return PREFIX + kind


# The three tests of apache/tvm-ffi pull request 591 again, through tvm-ffi's registry and calls.


def test_round_trip_through_a_loader_registered_from_python(echo, load):
    module = load("echo", b"some bytes")
    assert isinstance(module, tvm_ffi.Module)
    assert module["payload"]() == b"some bytes"
    assert module.payload() == b"some bytes"


def test_no_loader_is_a_runtime_error_that_names_the_missing_key(load):
    with pytest.raises(RuntimeError, match=r"ffi\.Module\.load_from_bytes\.no_such_kind"):
        load("no_such_kind", b"")


def test_the_exception_of_a_loader_reaches_the_caller(load):
    def refuse(data):
        raise ValueError(f"cannot load {bytes(data)!r}")

    with register_loader("refuse", refuse), pytest.raises(ValueError, match="cannot load b'x'"):
        load("refuse", b"x")


# The registries.


def test_every_loader_of_ours_is_a_global_of_theirs():
    published = {name.removeprefix(PREFIX) for name in names() if name.startswith(PREFIX)}
    assert {"cubin", "ptx", "fatbin", "ltoir", "library_bin"} <= published
    assert "cuda" not in published
    assert {"ffi.Module.create.cubin", "ffi.Module.create.ptx"} <= names()
    assert "ffi.Module.create.cuda" not in names()


def test_loaders_come_and_go_there_as_they_do_here():
    assert PREFIX + "late" not in names()
    with register_loader("late", load_echo):
        assert tvm_ffi.get_global_func(PREFIX + "late")(b"12345678")["payload"]() == b"12345678"
    assert PREFIX + "late" not in names()
    register_loader("late", load_echo)
    with register_loader("late", lambda data: Module("other", {"payload": lambda: b"other"}), override=True):
        assert tvm_ffi.get_global_func(PREFIX + "late")(b"")["payload"]() == b"other"
    assert tvm_ffi.get_global_func(PREFIX + "late")(b"x")["payload"]() == b"x"
    unregister_loader("late")
    assert PREFIX + "late" not in names()


def test_cuda_is_never_claimed():
    with register_loader("cuda", load_echo):
        assert PREFIX + "cuda" not in names()


def test_a_kind_that_only_they_know_is_found_here(load):
    name = register_theirs("theirs", lambda data: Module("inner", {"size": lambda: len(data)}))
    try:
        assert "theirs" in registered_kinds()
        for payload in (b"", b"7 bytes", b"8 bytes!", b"a\0b"):
            module = load_module_from_bytes("theirs", payload)
            assert module.kind == "theirs"
            assert module["size"]() == len(payload)
            assert module.save_to_bytes() == payload
            assert load("theirs", payload)["size"]() == len(payload)
        assert module.implements_function("size")
        assert not module.implements_function("absent")
        with pytest.raises(KeyError):
            module["absent"]
    finally:
        tvm_ffi.registry.remove_global_func(name)
    assert "theirs" not in registered_kinds()


def test_a_kind_that_nobody_knows_ends_at_once():
    """Each side asks the other; neither asks back."""
    with pytest.raises(LoaderNotFoundError, match=r"load_from_bytes\.nobodys"):
        load_module_from_bytes("nobodys", b"")


def test_what_a_consumer_registered_first_stays_theirs(load):
    name = register_theirs("mine", lambda data: Module("theirs", {"who": lambda: "them"}))
    try:
        with register_loader("mine", lambda data: Module("ours", {"who": lambda: "us"})):
            assert load("mine", b"")["who"]() == "them"
            assert load_module_from_bytes("mine", b"")["who"]() == "us"
        assert name in names()
        bridge.uninstall()
        assert name in names()
    finally:
        tvm_ffi.registry.remove_global_func(name)


def test_what_a_consumer_put_over_ours_stays_too(load):
    tvm_ffi.register_global_func(
        PREFIX + "cubin", lambda data: Module("theirs", {"who": lambda: "them"}), override=True
    )
    try:
        assert load("cubin", b"")["who"]() == "them"
        bridge.uninstall()
        assert PREFIX + "cubin" in names()
    finally:
        tvm_ffi.registry.remove_global_func(PREFIX + "cubin")


def test_an_existing_entry_point_of_tvm_ffi_is_left_alone():
    bridge.uninstall()
    tvm_ffi.register_global_func("ffi.ModuleLoadFromBytes", lambda kind, data: "upstream's")
    try:
        bridge.install()
        assert tvm_ffi.get_global_func("ffi.ModuleLoadFromBytes")("echo", b"") == "upstream's"
        bridge.uninstall()
        assert "ffi.ModuleLoadFromBytes" in names()
    finally:
        tvm_ffi.registry.remove_global_func("ffi.ModuleLoadFromBytes")


def test_uninstall_leaves_no_trace():
    bridge.uninstall()
    before, errors = names(), dict(tvm_ffi.core.ERROR_NAME_TO_TYPE)
    assert not {name for name in before if "load_from_bytes" in name or "Module.create" in name}
    bridge.install()
    bridge.install()
    assert names() > before
    bridge.uninstall()
    bridge.uninstall()
    assert (names(), tvm_ffi.core.ERROR_NAME_TO_TYPE) == (before, errors)
    with pytest.raises(TypeError, match="install"):
        tvm_ffi.get_global_func("ffi.ModuleGetKind")(Module("python"))
    with register_loader("echo", load_echo):
        assert names() == before


# Modules.


def test_our_module_is_accepted_where_theirs_is_wanted():
    module = Module("python", {"twice": lambda x: 2 * x, "odd<name>": lambda: "odd", "main": lambda: "main"})
    get_function = tvm_ffi.get_global_func("ffi.ModuleGetFunction")
    assert get_function(module, "twice", False)(21) == 42
    theirs = bridge.to_tvm_ffi(module)
    assert theirs["odd<name>"]() == "odd"
    assert theirs() == "main"
    assert theirs.is_runnable()
    assert not theirs.implements_function("absent")


def test_imports_go_along_and_diamonds_stay_shared():
    foot = Module("foot", {"foot": lambda: "foot"})
    sides = [Module("left"), Module("right")]
    top = Module("top", {"top": lambda: "top"})
    for side in sides:
        side.import_module(foot)
        top.import_module(side)
    theirs = bridge.to_tvm_ffi(top)
    left, right = theirs.imports
    assert left.imports[0].same_as(right.imports[0])
    assert theirs.get_function("foot", query_imports=True)() == "foot"
    again = bridge.from_tvm_ffi(theirs)
    assert len(list(again.walk())) == 4
    assert again.get_function("foot", query_imports=True)() == "foot"
    assert bridge.to_tvm_ffi(again).same_as(theirs)


def test_our_module_can_be_imported_into_theirs():
    root = bridge.to_tvm_ffi(Module("root"))
    root.import_module(Module("leaf", {"leaf": lambda: "leaf"}))
    assert root.get_function("leaf", query_imports=True)() == "leaf"


def test_what_their_module_imports_here_it_imports_there_too(echo):
    """Its own code looks among the imports that tvm-ffi knows, also for a parent of theirs in a blob of ours."""
    name = register_theirs("theirs", lambda data: Module("inner", {"who": lambda: "them"}))
    try:
        parent = load_module_from_bytes("theirs", b"x")
        parent.import_module(load_module_from_bytes("echo", b"leaf"))
        parent = load_module_from_bytes("library_bin", pack_module(parent))
    finally:
        tvm_ffi.registry.remove_global_func(name)
    assert parent.get_function("payload", query_imports=True)() == b"leaf"
    assert parent.tvm_ffi_module.get_function("payload", query_imports=True)() == b"leaf"
    assert len(parent.tvm_ffi_module.imports) == 1


def test_a_module_and_its_image_go_when_the_last_function_does():
    before = tvm_ffi_modules.loaded_libraries()
    module = Module("python", {"f": lambda: "alive"})
    gone = weakref.ref(module)
    function = bridge.to_tvm_ffi(module)["f"]
    del module
    gc.collect()
    assert function() == "alive"
    assert tvm_ffi_modules.loaded_libraries() == before + 1
    del function
    gc.collect()
    assert tvm_ffi_modules.loaded_libraries() == before
    gc.collect()
    assert gone() is None


def test_many_conversions_do_not_mix_up_their_libraries():
    modules = [bridge.to_tvm_ffi(Module("n", {"f": lambda n=n: n})) for n in range(100)]
    assert [module["f"]() for module in modules] == list(range(100))


def test_only_their_modules_are_taken_over():
    with pytest.raises(TypeError, match=r"expected a tvm_ffi\.Module"):
        bridge.from_tvm_ffi(5)


@pytest.mark.parametrize("value", [None, 5, "add", object(), Module])
def test_only_modules_of_ours_are_converted(value):
    with pytest.raises(TypeError, match=r"expected a jitload\.Module"):
        bridge.to_tvm_ffi(value)


# Errors.


@pytest.mark.parametrize("error", [ValueError, TypeError, KeyError, LoadError, jitload.ArgumentError, jitload.CpuFault])
def test_errors_keep_their_types_on_the_way(load, error):
    def refuse(data):
        raise error("from the loader")

    with register_loader("refuse", refuse), pytest.raises(error, match="from the loader"):
        load("refuse", b"")


@pytest.mark.parametrize("arguments", [(5, b""), ("echo", "text"), (b"echo", b"")])
def test_the_entry_point_checks_its_arguments(echo, load, arguments):
    with pytest.raises(TypeError, match="takes a str and bytes"):
        load(*arguments)


# Kernels.

SOURCE = r"""
extern "C" __global__ void saxpy(float a, const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += a * x[i];
}
"""


@pytest.fixture(scope="module")
def ptx(tmp_path_factory):
    with jitload.configure(cache_dir=str(tmp_path_factory.mktemp("cache"))):
        return jitload.compile(SOURCE, kind="ptx", arch="compute_75").data


@pytest.fixture
def on_cpu():
    with jitload.configure(device="cpu"):
        yield


def vectors():
    return np.arange(100, dtype=np.float32), np.ones(100, np.float32)


def test_a_kernel_is_a_function_of_theirs_on_tensors(ptx, on_cpu, load):
    saxpy = load("ptx", ptx)["saxpy"]
    for wrap in (lambda array: array, tvm_ffi.from_dlpack):
        x, y = vectors()
        saxpy(2.0, wrap(x), wrap(y), x.size, 4, 1, 1, 32, 1, 1)
        assert np.array_equal(y, 1 + 2 * x)
    x, y = vectors()
    saxpy(2, x, y, x.size, 4, 1, 1, 32, 1, 1, 0, 0)
    assert np.array_equal(y, 1 + 2 * x)


def test_a_kernel_says_what_it_wants(ptx, on_cpu, load):
    saxpy = load("ptx", ptx)["saxpy"]
    x, y = vectors()
    with pytest.raises(jitload.ArgumentError, match="then grid x, y, z, block x, y, z"):
        saxpy(2.0, x, y, x.size)
    with pytest.raises(jitload.ArgumentError, match="argument 0"):
        saxpy("two", x, y, 100, 4, 1, 1, 32, 1, 1)
    with pytest.raises(jitload.ArgumentError, match="not contiguous"):
        saxpy(2.0, np.zeros((10, 10), np.float32).T[1:], y, 90, 4, 1, 1, 32, 1, 1)


def test_constructors_take_names_and_a_source(ptx, on_cpu):
    create = tvm_ffi.get_global_func("ffi.Module.create.ptx")
    for code in (ptx, ptx.rstrip(b"\0").decode()):
        module = create(code, {"axpy": "saxpy"}, "// CUDA C++")
        x, y = vectors()
        module["axpy"](2.0, x, y, x.size, 4, 1, 1, 32, 1, 1)
        assert np.array_equal(y, 1 + 2 * x)
    assert create(ptx)["saxpy"] is not None


class Launches:
    """A GPU kernel of one parameter that only remembers how it was launched."""

    info = KernelInfo("k", "k", [Parameter(0, 8, 8, "u64")])
    name, device = "k", "cuda"

    def __call__(self, *args, stream, **configuration):
        self.args, self.stream, self.configuration = args, stream, configuration

    def __getitem__(self, key):
        self.configuration = dict(zip(("grid", "block"), key, strict=True))

        def launch(*args):
            self.args, self.stream = args, "the framework's"

        return launch


DIMENSIONS = (1, 2, 3, 32, 4, 5)


def test_the_stream_is_that_of_the_arguments_else_of_the_environment_else_of_the_framework():
    kernel = Launches()
    call_kernel(kernel, (1, *DIMENSIONS))
    assert kernel.stream == "the framework's"
    with tvm_ffi.use_raw_stream(tvm_ffi.device("cuda", 0), 0x77):
        call_kernel(kernel, (1, *DIMENSIONS))
        assert kernel.stream == 0x77
        call_kernel(kernel, (1, *DIMENSIONS, 0, ctypes.c_void_p(0x55)))
        assert kernel.stream == 0x55
        call_kernel(kernel, (1, *DIMENSIONS, 64))
        assert kernel.stream == 0x77
    assert kernel.configuration == {"grid": (1, 2, 3), "block": (32, 4, 5), "shared_bytes": 64}


class _Managed(ctypes.Structure):
    """DLManagedTensor (dlpack.h)."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("ndim", ctypes.c_int32),
        ("dtype", ctypes.c_uint8 * 2),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    )


class GpuTensor:
    """Says by DLPack that it lies on a GPU; nobody here can look."""

    def __init__(self, address, code, bits, ordinal, strides=(3, 1)):
        self._device = (2, ordinal)
        self._numbers = ((ctypes.c_int64 * 2)(2, 3), (ctypes.c_int64 * 2)(*strides))
        pointers = [ctypes.cast(numbers, ctypes.POINTER(ctypes.c_int64)) for numbers in self._numbers]
        device, dtype = (ctypes.c_int32 * 2)(*self._device), (ctypes.c_uint8 * 2)(code, bits)
        self._tensor = _Managed(address, device, 2, dtype, 1, *pointers, 256, None, None)

    def __dlpack_device__(self):
        return self._device

    def __dlpack__(self, **options):
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return new(ctypes.addressof(self._tensor), b"dltensor", None)


@pytest.mark.parametrize(
    ("code", "bits", "typestr"),
    [(0, 64, "<i8"), (1, 8, "|u1"), (2, 16, "<f2"), (2, 64, "<f8"), (4, 16, "|V2"), (6, 8, "|b1")],
)
def test_a_gpu_tensor_is_passed_by_its_fields_and_chooses_the_device_of_the_stream(code, bits, typestr):
    kernel, source = Launches(), GpuTensor(0x7F0000000000, code, bits, ordinal=3)
    tensor = tvm_ffi.from_dlpack(source)
    with tvm_ffi.use_raw_stream(tvm_ffi.device("cuda", 3), 0x33):
        call_kernel(kernel, (tensor, *DIMENSIONS))
    interface = kernel.args[0].__cuda_array_interface__
    assert interface == {"version": 3, "shape": (2, 3), "typestr": typestr, "data": (0x7F0000000100, False)}
    assert kernel.stream == 0x33


def test_an_integer_of_theirs_says_that_it_is_one_where_an_image_tells_sizes_only():
    kernel = Launches()
    kernel.info = KernelInfo("k", "k", [Parameter(0, 4, 4, "b32", pointer=False)])
    call_kernel(kernel, (7, *DIMENSIONS))
    assert isinstance(kernel.args[0], ctypes.c_int64)
    assert kernel.args[0].value == 7


def test_the_strides_of_a_gpu_tensor_are_the_kernels_affair():
    """As in every other launch: it may get them as arguments."""
    kernel, source = Launches(), GpuTensor(0x7F0000000000, 2, 32, ordinal=0, strides=(1, 2))
    call_kernel(kernel, (tvm_ffi.from_dlpack(source), *DIMENSIONS))
    assert kernel.args[0].__cuda_array_interface__["strides"] == (4, 8)
