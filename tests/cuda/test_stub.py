"""Driver, modules and launches down to the driver calls, on a libcuda that records and fails as told."""


def test_devices(on_stub):
    on_stub("""
assert driver.is_available()
assert driver.device_arch() == driver.device_arch(0) == "sm_90"
assert driver.driver_version() == (12, 9)
assert driver.device_name() == "Stub GPU"
error = raises(DriverError, "cuDeviceGet failed", driver.device_arch, 7)
assert (error.code, error.name, error.call) == (101, "CUDA_ERROR_INVALID_DEVICE", "cuDeviceGet")
assert counter("retains").value == 0, "asking about devices makes no context"
""")


def test_no_device(on_stub):
    on_stub("""
counter("devices").value = 0
assert not driver.is_available()
text = "no CUDA device: the driver finds no GPU"
advice = "; run with JITLOAD_DEVICE=cpu, or load where a GPU is"
raises(LoadError, text + advice, driver.device_arch)
raises(LoadError, text + advice, saxpy_module("ptx").get_function, "saxpy")
raises(LoadError, text + ", and a cubin runs on a GPU alone", saxpy_module().get_function, "saxpy")
""")


def test_a_launch_reaches_the_driver_bit_for_bit(on_stub):
    on_stub("""
module = saxpy_module()
assert counter("loads").value == 0, "the driver is asked when a kernel is fetched"
kernel = module["saxpy"]
assert bytes(ctypes.c_char.in_dll(stub, "stub_loaded")) == b"i"
assert (kernel.name, kernel.device) == ("saxpy", "cuda")
kernel[(2, 3, 4), (8, 8), 0x99, 4096](2.5, 0x1000, 0x2000, -7)
record = last()
assert bytes(record.parameters)[:28] == struct.pack("<f4xQQi", 2.5, 0x1000, 0x2000, -7)
assert (list(record.grid), list(record.block)) == ([2, 3, 4], [8, 8, 1])
assert (record.shared, record.stream, record.function, record.attribute_count) == (4096, 0x99, 0x3000, 0)
bound = kernel.bind(grid=5, block=32)
bound(1.0, 1, 2, 0)
bound(3.0, 0xFFFF_8000_0000_0000, 2, 0)
record = last()
assert bytes(record.parameters)[:28] == struct.pack("<f4xQQi", 3.0, 0xFFFF_8000_0000_0000, 2, 0)
assert list(record.grid) == [5, 1, 1]
kernel(1.0, 1, 2, 0, grid=4, block=32, cluster=(2, 1), cooperative=True)
record = last()
assert [list(a) for a in record.attributes[:2]] == [[4, 2, 1, 1], [2, 1, 0, 0]]
assert counter("non_portable").value == 0
kernel(1.0, 1, 2, 0, grid=16, block=32, cluster=16)
assert counter("non_portable").value == 1
kernel._function.launch(bytearray(struct.pack("<f4xQQi", 9.0, 1, 2, 0)), (1, 1, 1), (1, 1, 1), 0, 0, None, False)
assert bytes(last().parameters)[:4] == struct.pack("<f", 9.0)
assert counter("launches").value == 6
""")


def test_host_arrays_travel(on_stub):
    on_stub("""
kernel = saxpy_module()["saxpy"]
x, y = np.arange(1000, dtype="f4"), np.ones(1000, "f4")
kernel[4, 256](2.0, x, y, 1000)
assert (y == 1 + 2 * x).all()
assert counter("overtaken").value == 0, "a copy may still be on its way when the call for it returns"
base = np.ones(20, "f4")
kernel[1, 32](1.0, base[:10], base[10:], 10)
assert base.tolist() == [1.0] * 10 + [2.0] * 10
kernel[1, 32](1.0, np.zeros(0, "f4"), np.zeros(0, "f4"), 0)
assert counter("allocations").value == 0
fail("cuMemAlloc_v2", 2)
error = raises(DriverError, "for 4000 bytes of x", kernel[1, 32], 1.0, x, y, 1000)
assert (error.code, error.call) == (2, "cuMemAlloc")
fail("cuMemcpyDtoH_v2", 700)
before = y.copy()
raises(DriverError, "cuMemcpyDtoH failed", kernel[1, 32], 1.0, x, y, 1000)
assert (y == before).all()
assert counter("allocations").value == 0
""")


def test_contexts_are_made_per_thread_and_once_per_device(on_stub):
    on_stub("""
import threading
kernel = saxpy_module()["saxpy"]
bound = kernel.bind(grid=1, block=1)
bound(1.0, 1, 2, 0)
errors = []
def work():
    try:
        for _ in range(50):
            bound(1.0, 1, 2, 0)
            kernel[1, 2](1.0, 1, 2, 0)
    except Exception as error:
        errors.append(error)
threads = [threading.Thread(target=work) for _ in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
assert errors == []
assert counter("launches").value == 401
assert counter("retains").value == 1
""")


def test_a_current_context_is_respected(on_stub):
    on_stub("""
driver.bindings()
stub.cuCtxSetCurrent(ctypes.c_void_p(0x7777))
saxpy_module()["saxpy"][1, 1](1.0, 1, 2, 0)
assert counter("retains").value == 0
""")


def test_a_forked_child_is_told(on_stub):
    on_stub("""
kernel = saxpy_module()["saxpy"]
kernel[1, 1](1.0, 1, 2, 0)
child = os.fork()
if child == 0:
    code = 1
    try:
        for call in (lambda: kernel[1, 1](1.0, 1, 2, 0), lambda: kernel[1, 1](1.0, np.ones(1, "f4"), 2, 0),
                     driver.device_arch):
            error = raises(LoadError, "a forked child cannot use CUDA", call)
            assert str(os.getppid()) in str(error)
        code = 0
    finally:
        os._exit(code)
assert os.waitpid(child, 0)[1] == 0
""")


def test_a_child_of_a_process_that_only_asked_for_a_gpu(on_stub):
    """The probe starts CUDA too, so a child that is forked after it cannot."""
    on_stub("""
assert driver.is_available()
child = os.fork()
if child == 0:
    code = 1
    try:
        raises(LoadError, f"CUDA was started in its parent {os.getppid()}", driver.device_arch)
        code = 0
    finally:
        os._exit(code)
assert os.waitpid(child, 0)[1] == 0
""")


def test_a_driver_that_cannot_start(on_stub):
    on_stub("""
fail("cuInit", 803)
assert not driver.is_available()
error = raises(LoadError, "the CUDA driver cannot start: cuInit failed", driver.device_arch)
assert "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH" in str(error) and isinstance(error.__cause__, DriverError)
""")


def test_failed_launches(on_stub):
    on_stub("""
kernel = saxpy_module()["saxpy"]
fail("cuLaunchKernelEx", 700)
error = raises(DriverError, "launching kernel 'saxpy'", kernel[1, 1], 1.0, 1, 2, 0)
assert (error.code, error.name, error.call) == (700, "CUDA_ERROR_ILLEGAL_ADDRESS", "cuLaunchKernelEx")
fail("cuLaunchKernelEx", 701)
error = raises(LaunchError, "too many registers", kernel[1, 1024], 1.0, 1, 2, 0)
assert isinstance(error.__cause__, DriverError)
fail("cuLaunchKernelEx", 720)
raises(LaunchError, "must fit on the device at once", kernel, 1.0, 1, 2, 0, grid=9, block=1, cooperative=True)
fail("cuLaunchKernelEx", 98765)
error = raises(DriverError, "CUresult 98765", kernel[1, 1], 1.0, 1, 2, 0)
fail("", 0)
kernel[1, 1](1.0, 1, 2, 0)
assert counter("launches").value == 1
""")


def test_large_shared_memory(on_stub):
    on_stub("""
kernel = saxpy_module()["saxpy"]
kernel[1, 1, 0, 40_000](1.0, 1, 2, 0)
assert counter("dynamic_shared").value == 0
kernel[1, 1, 0, 48 * 1024](1.0, 1, 2, 0)  # with the 1024 static bytes of the stub's kernel past 48 KB
assert counter("dynamic_shared").value == 48 * 1024
kernel[1, 1, 0, 231_000](1.0, 1, 2, 0)
kernel[1, 1, 0, 100_000](1.0, 1, 2, 0)
assert counter("dynamic_shared").value == 231_000, "never lowered"
assert last().shared == 100_000
raises(LaunchError, "sm_90 allows 232448 bytes per block", kernel[1, 1, 0, 232_000], 1.0, 1, 2, 0)
""")


def test_synchronous_launches(on_stub):
    on_stub("""
kernel = saxpy_module()["saxpy"]
kernel[1, 1](1.0, 1, 2, 0)
assert counter("syncs").value == 0
with jitload.configure(sync=True):
    waiting = kernel.bind(grid=1, block=1)
waiting(1.0, 1, 2, 0)
assert counter("syncs").value == 1
fail("cuStreamSynchronize", 700)
raises(DriverError, "cuStreamSynchronize failed", waiting, 1.0, 1, 2, 0)
""")


def test_names_and_globals(on_stub):
    on_stub("""
module = saxpy_module()
assert module.implements_function("saxpy")
raises(SymbolNotFoundError, "'axpy'", module.get_function, "axpy")
address, nbytes = module.get_global("table")
assert (address, nbytes) == (0x5000, 64)
raises(SymbolNotFoundError, "no variable 'tables'", module.get_global, "tables")
fail("cuLibraryGetGlobal", 999)
raises(LoadError, "cuLibraryGetGlobal", module.get_global, "table")
fail("cuLibraryGetKernel", 209)
error = raises(LoadError, "no code for sm_90", saxpy_module().get_function, "saxpy")
assert isinstance(error.__cause__, DriverError)
""")


def test_the_driver_knows_layouts(on_stub):
    """A module that comes without its KernelInfo asks the driver; typed values are then up to the caller."""
    on_stub("""
kernel = saxpy_module(known=False)["saxpy"]
assert [(p.offset, p.size, p.type, p.pointer) for p in kernel.info.params] == [
    (0, 4, "b32", False), (8, 8, "b64", None), (16, 8, "b64", None), (24, 4, "b32", False)]
x, y = np.ones(4, "f4"), np.ones(4, "f4")
kernel[1, 4](np.float32(2), x, y, np.int32(4))
assert y.tolist() == [3.0] * 4
raises(ArgumentError, "pass np.float32(...)", kernel[1, 4], 2.0, x, y, np.int32(4))
raises(ArgumentError, "pass np.int32(...) or np.float32(...)", kernel[1, 4], 2, x, y, np.int32(4))
counter("version").value = 12030
raises(LoadError, "has no parameter layout", saxpy_module(known=False).get_function, "saxpy")
saxpy_module()["saxpy"]
counter("version").value = 12040
counter("layout").value = 0
raises(LoadError, "they come from different compiles", saxpy_module().get_function, "saxpy")
""")


def test_ptx_tells_its_types_itself(on_stub):
    """The same text gives the same kernel on a GPU and on the CPU executor, whatever the driver can tell."""
    on_stub("""
text = b".entry saxpy(.param .f32 a, .param .u64 x, .param .u64 y, .param .u32 n) { ret; }"
for version in (12090, 12030):
    counter("version").value = version
    kernel = saxpy_module("ptx", text, known=False)["saxpy"]
    assert [(p.offset, p.size, p.type) for p in kernel.info.params] == [
        (0, 4, "f32"), (8, 8, "u64"), (16, 8, "u64"), (24, 4, "u32")]
    x, y = np.ones(4, "f4"), np.ones(4, "f4")
    kernel[1, 4](2.0, x, y, 4)
    assert y.tolist() == [3.0] * 4
counter("version").value = 12090
other = b".entry saxpy(.param .u64 x) { ret; }"
raises(LoadError, "they come from different compiles", saxpy_module("ptx", other, known=False).get_function, "saxpy")
""")


def test_a_bare_image_has_the_types_of_its_symbols(on_stub):
    on_stub("""
for kind in ("cubin", "fatbin"):
    kernel = saxpy_module(kind, known=False)["_Z5saxpyIfEvT_PKS0_PS0_i"]
    assert [(p.type, p.cpp, p.pointer, p.const) for p in kernel.info.params] == [
        ("f32", "float", False, False), ("u64", "const float *", True, True), ("u64", "float *", True, False),
        ("u32", "int", False, False)]
    x, y = np.ones(4, "f4"), np.ones(4, "f4")
    kernel[1, 4](2.0, x, y, 4)
    assert y.tolist() == [3.0] * 4
    raises(ArgumentError, "float64", kernel[1, 4], 2.0, x.astype("f8"), y, 4)
untyped = KernelInfo("saxpy<float>", "_Z5saxpyIfEvT_PKS0_PS0_i", [Parameter(p.offset, p.size, p.alignment, p.type) for p in INFO.params])
module = CudaModule("cubin", b"image" + bytes(64))
module.attach_kernels([untyped])
assert module["saxpy<float>"].info.parameters == ("float", "const float *", "float *", "int")
""")


def test_ptx_errors_carry_the_log(on_stub):
    on_stub("""
error = raises(LoadError, "the PTX has errors", saxpy_module("ptx", b"// BROKEN").get_function, "saxpy")
assert error.log == "ptxas application ptx input, line 3; fatal : Parsing error"
assert error.log in str(error) and error.kind == "ptx"
fail("cuLibraryLoadData", 222)
raises(LoadError, "newer than the driver (CUDA 12.9)", saxpy_module("ptx", b"// fine").get_function, "saxpy")
fail("cuLibraryLoadData", 209)
raises(LoadError, "no code for sm_90; compile for it, or ship PTX", saxpy_module().get_function, "saxpy")
""")


def test_a_closed_module(on_stub):
    on_stub("""
module = saxpy_module()
kernel = module["saxpy"]
bound = kernel.bind(grid=1, block=1)
bound(1.0, 1, 2, 0)
module.close()
module.close()
assert counter("unloads").value == 1
for launch in (bound, kernel[1, 1], kernel[2, 2]):
    raises(LoadError, "its module is closed", launch, 1.0, 1, 2, 0)
assert counter("launches").value == 1
raises(LoadError, "closed", module.get_function, "saxpy")
raises(LoadError, "closed", module.get_global, "table")
saxpy_module().close()
assert counter("unloads").value == 1, "what was never loaded is not unloaded"
""")


def test_kernels_keep_their_module(on_stub):
    on_stub("""
import gc, weakref
module = saxpy_module()
gone = weakref.ref(module)
kernel = module["saxpy"]
del module
gc.collect()
assert gone() is not None
kernel[1, 1](1.0, 1, 2, 0)
assert counter("unloads").value == 0
""")


def test_with_a_gpu_nothing_of_the_cpu_executor_is_imported(on_stub):
    on_stub(
        """
@jitload.jit_kernel(cache=jitload.Cache())
def saxpy(a, x, y, n):
    r'''
    extern "C" __global__ void saxpy(float a, const float *x, float *y, int n)
    {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < n) y[i] = a * x[i] + y[i];
    }
    '''

x, y = np.arange(1000, dtype="f4"), np.ones(1000, "f4")
saxpy[4, 256](2.0, x, y, 1000)
saxpy.bind(grid=4, block=256)(2.0, 0x1000, 0x2000, 7)
artifact = saxpy.artifact()
assert (artifact.kind, artifact.arch) == ("cubin", "sm_90")
assert counter("launches").value == 2
assert not [name for name in sys.modules if name.startswith("jitload.cpu")]
""",
        anew=True,
    )
