"""Images, libraries, kernels: when faults show, and what is remembered per device."""

import pytest


def test_a_library_that_was_unloaded(driver):
    driver("""
library = load()
kernel = kernel_of(library)
ok(cu.cuKernelGetFunction(kernel))
assert int(kernel_of(library)) == int(kernel), "one kernel, however often it is asked for"
memory, stream = ok(cu.cuMemAlloc(4)), ok(cu.cuStreamCreate(1))
ok(fill(kernel, memory, 7, stream=stream))
ok(cu.cuLibraryUnload(library))
assert word(memory) == 7, "what was launched before still runs"
refused(400, "destroyed", fill(kernel, memory))
refused(400, "destroyed", cu.cuKernelGetFunction(kernel))
refused(400, "destroyed", cu.cuLibraryGetKernel(library, b"fill"))
refused(400, "destroyed", cu.cuLibraryUnload(library))
assert model.handles.living("library") == model.handles.living("kernel") == 0
""")


def test_names(driver):
    driver("""
library = load()
gives(500, cu.cuLibraryGetKernel(library, b"nope"))
gives(500, cu.cuLibraryGetGlobal(library, b"nope"))
address, nbytes = ok(cu.cuLibraryGetGlobal(library, b"table"))
assert nbytes == 16
ok(cu.cuMemcpyHtoD(address, bytes(16), 16))
kernel = kernel_of(library)
places = [ok(cu.cuKernelGetParamInfo(kernel, number)) for number in range(2)]
assert [(int(offset), int(size)) for offset, size in places] == [(0, 8), (8, 4)]
gives(1, cu.cuKernelGetParamInfo(kernel, 2))
refused(1, "parameter 3 of 2", cu.cuKernelGetParamInfo(kernel, 3))
""")


LOG = """
errors = bytearray(1024)
option = cu.CUjit_option
names = [option.CU_JIT_ERROR_LOG_BUFFER, option.CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES]
bad = PTX[:-60]
load_bad = lambda: cu.cuLibraryLoadData(bad + bytes(1), names, [errors, len(errors)], 2, [], [], 0)
"""


@pytest.mark.parametrize("loads", ["library", "kernel", "function"])
def test_an_error_of_the_compiler_shows_when_the_image_is_loaded(driver, loads):
    """That may be long after cuLibraryLoadData; its log goes into the buffers that were given then."""
    driver(
        LOG
        + f"loads = {loads!r}"
        + """
if loads == "library":
    gives(218, load_bad())
else:
    library = ok(load_bad())
    assert not errors[0]
    if loads == "kernel":
        gives(218, cu.cuLibraryGetKernel(library, b"fill"))
    else:
        kernel = ok(cu.cuLibraryGetKernel(library, b"fill"))
        assert not errors[0]
        gives(218, cu.cuKernelGetFunction(kernel))
assert errors.startswith(b"ptxas error")
""",
        loads=loads,
    )


def test_a_log_buffer_that_is_gone_is_never_written_to(driver):
    driver(
        LOG
        + """
kernel = kernel_of(ok(load_bad()))
del errors
gc.collect()
refused(1, "a log buffer given to cuLibraryLoadData is gone", cu.cuKernelGetFunction(kernel))
"""
    )


def test_a_first_launch_loads_too(driver):
    driver(
        LOG
        + """
kernel = kernel_of(ok(load_bad()))
gives(218, fill(kernel, 0))
assert errors.startswith(b"ptxas error")
"""
    )


def test_images(driver):
    driver(
        """
gives(200, cu.cuLibraryLoadData(b"no image" + bytes(64), [], [], 0, [], [], 0))
cubin = jitload.compile('extern "C" __global__ void k() {}', arch="sm_80").data
refused(200, "does not know the PTX", cu.cuLibraryLoadData(cubin[:100] + bytes([1 ^ cubin[100]]) + cubin[101:], [], [], 0, [], [], 0))
refused(1, "log buffer without a size", cu.cuLibraryLoadData(
    PTX + bytes(1), [cu.CUjit_option.CU_JIT_ERROR_LOG_BUFFER], [bytearray(8)], 1, [], [], 0))
refused(1, "unknown option", cu.cuLibraryLoadData(
    PTX + bytes(1), [cu.CUjit_option.CU_JIT_LTO], [1], 1, [], [], 0))
kernel = kernel_of(load(PTX.replace(b"sm_75", b"sm_90")))
gives(209, cu.cuKernelGetFunction(kernel))
""",
        capabilities=[[8, 0]],
    )


def test_a_driver_older_than_the_ptx(driver):
    driver(
        """
assert ok(cu.cuDriverGetVersion()) == 12040
gives(222, cu.cuKernelGetFunction(kernel_of(load(PTX.replace(b"7.8", b"8.5")))))
ok(cu.cuKernelGetFunction(kernel_of(load(PTX.replace(b"7.8", b"8.4")))))
""",
        version=12040,
    )


def test_a_cubin_runs_where_it_fits(driver):
    driver(
        """
artifacts = [jitload.compile('extern "C" __global__ void fill(unsigned *p, unsigned v) { *p = v; }', arch=arch)
             for arch in ("sm_80", "sm_90")]
fitting, other = (kernel_of(load(artifact.data)) for artifact in artifacts)
memory = ok(cu.cuMemAlloc(4))
ok(fill(fitting, memory, 7))
ok(cu.cuStreamSynchronize(0))
assert word(memory) == 7
gives(209, fill(other, memory, 8))
""",
        capabilities=[[8, 6]],
    )


def test_attributes_belong_to_a_device(driver):
    driver(
        """
attribute = cu.CUfunction_attribute
SHARED, DYNAMIC = attribute.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
kernel = kernel_of(load())
assert ok(cu.cuKernelGetAttribute(SHARED, kernel, 0)) == 1024
assert ok(cu.cuKernelGetAttribute(DYNAMIC, kernel, 0)) == 47 * 1024
memory = ok(cu.cuMemAlloc(4))
refused(1, "dynamic shared memory", fill(kernel, memory, shared=48 * 1024))
ok(cu.cuKernelSetAttribute(DYNAMIC, 100_000, kernel, 0))
ok(fill(kernel, memory, shared=100_000))
ok(cu.cuKernelSetAttribute(DYNAMIC, 60_000, kernel, 0))
refused(1, "dynamic shared memory", fill(kernel, memory, shared=100_000))
refused(1, "dynamic shared memory", cu.cuKernelSetAttribute(DYNAMIC, 227 * 1024, kernel, 0))
use(1)
refused(1, "dynamic shared memory", fill(kernel, ok(cu.cuMemAlloc(4)), shared=60_000))
refused(1, "dynamic shared memory", cu.cuKernelSetAttribute(DYNAMIC, 101_000, kernel, 1))  # 8.6 has 99 KiB
refused(101, "device 2", cu.cuKernelSetAttribute(DYNAMIC, 100_000, kernel, 2))
refused(1, "cannot be", cu.cuKernelSetAttribute(attribute.CU_FUNC_ATTRIBUTE_NUM_REGS, 8, kernel, 0))
""",
        capabilities=[[9, 0], [8, 6]],
    )


def test_variables_belong_to_a_device(driver):
    driver(
        """
library = load()
first, _ = ok(cu.cuLibraryGetGlobal(library, b"table"))
use(1)
second, _ = ok(cu.cuLibraryGetGlobal(library, b"table"))
assert int(first) != int(second)
""",
        capabilities=[[9, 0], [9, 0]],
    )
