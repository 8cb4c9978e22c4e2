"""Images in the driver: when they are compiled, where its log goes, how long they stay."""

import pytest


def test_a_dropped_module_is_unloaded_when_the_last_kernel_is(on_gpu):
    on_gpu("""
module = load_module_from_bytes("ptx", ptx())
kernel = module["scale"]
bound = kernel.bind(grid=1, block=4)
x = Array([1, 2, 3, 4])
bound(x, 2.0, 4)
del module, kernel
gc.collect()
assert calls("cuLibraryUnload") == 0
bound(x, 2.0, 4)
ok(cu.cuCtxSynchronize())
assert x.now() == [4, 8, 12, 16]
del bound
gc.collect()
assert calls("cuLibraryUnload") == 1
module = load_module_from_bytes("ptx", ptx())
module["scale"]
module.close()
del module
gc.collect()
assert calls("cuLibraryUnload") == 2, "not again what was closed"
""")


def test_dropping_many_leaves_nothing(on_gpu):
    on_gpu("""
for _ in range(50):
    load_module_from_bytes("ptx", ptx())["scale"]
gc.collect()
assert calls("cuLibraryLoadData") == calls("cuLibraryUnload") == 50
""")


def test_another_process_and_the_end_of_this_one_unload_nothing(on_gpu):
    said = on_gpu("""
module = load_module_from_bytes("ptx", ptx())
kernel = module["scale"]
unload = cu.cuLibraryUnload
cu.cuLibraryUnload = lambda handle: (os.write(1, f"unloads {handle}".encode()), unload(handle))[1]
child = os.fork()
if not child:
    del kernel, module
    gc.collect()
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
other = load_module_from_bytes("ptx", ptx())
other["scale"]
del other
gc.collect()
os.write(1, b", and no more: ")
""")
    assert said.startswith("unloads <CUlibrary")
    assert said.endswith(", and no more: ")
    assert said.count("unloads") == 1


def test_unloading_from_the_collector_in_a_capture_breaks_nothing(on_gpu):
    on_gpu("""
module = load_module_from_bytes("ptx", ptx())
module["scale"]
capturing = stream()
ok(cu.cuStreamBeginCapture(capturing, cu.CUstreamCaptureMode(0)))
del module
gc.collect()
assert calls("cuLibraryUnload") == 1
load_module_from_bytes("ptx", ptx())["scale"]
ok(cu.cuStreamEndCapture(capturing))
""")


@pytest.mark.parametrize("loads", ["library", "kernel", "function"])
def test_whenever_the_driver_compiles_its_log_is_in_the_error_of_the_fetch(on_gpu, loads):
    on_gpu(
        """
module = load_module_from_bytes("ptx", BROKEN)
error = raises(LoadError, "the PTX has errors, see the log", module.get_function, "scale")
assert error.log.startswith("ptxas error: ") and error.log in str(error) and error.kind == "ptx"
""",
        loads=loads,
    )


def test_a_kernel_is_loaded_when_it_is_fetched(on_gpu):
    """So that no launch compiles, and one that is captured need not load."""
    on_gpu("""
kernel = load_module_from_bytes("ptx", ptx())["scale"]
assert calls("cuKernelGetFunction") == 1
x, capturing = Array([1]), stream()
ok(cu.cuStreamBeginCapture(capturing, cu.CUstreamCaptureMode(0)))
kernel[1, 1, capturing](x, 2.0, 1)
ok(cu.cuStreamEndCapture(capturing))
""")


def test_only_the_end_of_the_parameters_ends_them(on_gpu):
    on_gpu(
        """
module = load_module_from_bytes("ptx", ptx())
raises(LoadError, "cuKernelGetParamInfo failed", module.get_function, "scale")
assert [p.size for p in module["scale"].info.params] == [8, 4, 4]
""",
        fail={"cuKernelGetParamInfo": 218},
    )
    on_gpu("""
module = load_module_from_bytes("ptx", ptx())
kernel = module["crash"]
kernel[1, 1](0)
raises(DriverError, "CUDA_ERROR_ILLEGAL_ADDRESS", kernel._function.synchronize, 0)
raises(DriverError, "a kernel that was launched earlier has failed", module.get_function, "scale")
""")


@pytest.mark.parametrize("loads", ["library", "kernel", "function"])
def test_ptx_that_is_newer_than_the_driver_is_linked(on_gpu, loads):
    on_gpu(
        """
module = load_module_from_bytes("ptx", ptx("8.5"))
kernel = module["scale"]
x = Array([1, 2])
kernel[1, 2](x, 3.0, 2)
ok(cu.cuCtxSynchronize())
assert x.now() == [3, 6]
del module, kernel
gc.collect()
assert calls("cuLibraryUnload") == calls("cuLibraryLoadData") - (model.scenario.loads == "library")
""",
        version=12040,
        loads=loads,
    )


def test_newer_ptx_without_nvjitlink_says_all_ways_out(on_gpu):
    on_gpu(
        """
import cuda.bindings
sys.modules["cuda.bindings.nvjitlink"] = None
cuda.bindings.__dict__.pop("nvjitlink", None)
module = load_module_from_bytes("ptx", ptx("8.5"))
error = raises(LoadError, "the PTX is newer than the driver (CUDA 12.4)", module.get_function, "scale")
assert "update the driver" in str(error) and "pip install" in str(error)
""",
        version=12040,
    )


def test_what_is_typed_on_the_cpu_is_typed_on_a_gpu(on_gpu):
    on_gpu("""
kernel = load_module_from_bytes("ptx", ptx())["scale"]
from jitload.cpu import load_ptx
assert kernel.info.params == load_ptx(ptx())["scale"].info.params
x = np.ones(4, "f4")
kernel[1, 4](x, 3, 4)
assert x.tolist() == [3.0] * 4
""")


def test_closing_after_a_fault_hides_nothing(on_gpu):
    on_gpu("""
module = load_module_from_bytes("ptx", ptx())
kernel = module["crash"]
kernel[1, 1](0)
raises(DriverError, "has failed", kernel._function.synchronize, 0)
module.close()
""")
