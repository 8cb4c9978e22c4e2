"""What a kernel takes on a GPU, and launches that cannot fit, on the checking driver."""

import pytest

PRELUDE = '''
import numpy as np
import jitload
from cuda.bindings import driver as cu
from checking_driver import driver as model

SOURCE = """
extern "C" __global__ void wide(float *x, int n) {
    float a[96];
#pragma unroll
    for (int i = 0; i < 96; i++) a[i] = x[i * n + threadIdx.x];
    for (int k = 0; k < n; k++) {
#pragma unroll
        for (int i = 0; i < 96; i++) a[i] = a[i] * a[(i + 7) % 96];
    }
#pragma unroll
    for (int i = 0; i < 96; i++) x[i * n + threadIdx.x] = a[i];
}
extern "C" __global__ void tile(float *x) { __shared__ float s[512]; s[threadIdx.x] = x[0]; x[0] = s[threadIdx.x ^ 1]; }
"""

def refused(words, launch):
    """It must be a LaunchError that says this, and no call that the driver refuses."""
    try:
        launch()
    except jitload.LaunchError as error:
        assert words in str(error), error
    else:
        raise AssertionError("not refused")
    assert model.forbidden == [], model.forbidden
    assert model.launches == []
'''


@pytest.fixture
def program(on_driver):
    """`program(text, **scenario)` runs it behind PRELUDE."""

    def run(text, **scenario):
        return on_driver(f"{PRELUDE}\n{text}", **scenario)

    return run


def test_a_block_that_has_too_many_registers_is_refused_before_the_driver_says_701(program):
    program("""
artifact = jitload.compile(SOURCE, kind="cubin", arch="sm_90")
kernel = artifact.load()["wide"]
taken = artifact.kernels["wide"].resources
assert kernel.resources == taken and 64 < taken.registers and 256 <= taken.max_threads < 1024, taken
most = taken.max_threads
words = f"takes {taken.registers} registers per thread, with which a block has at most {most} threads; block (1024, 1, 1)"
x = np.zeros(8, np.float32)
refused(words, lambda: kernel[1, 1024](x, 0))
refused(words, lambda: kernel.bind(grid=1, block=1024))
refused(words, lambda: kernel(x, 0, grid=1, block=1024))
assert jitload.occupancy(kernel, 1024).blocks_per_sm == 0
kernel[1, most](np.zeros(2048, np.float32), 0)
assert len(model.launches) == 1
config = cu.CUlaunchConfig()
config.gridDimX = config.gridDimY = config.gridDimZ = config.blockDimY = config.blockDimZ = 1
config.blockDimX = 1024
status, = cu.cuLaunchKernelEx(config, cu.CUfunction(kernel.handle), 0, 0)
assert int(status) == 701 and f"{taken.registers} registers" in model.forbidden.pop()
""")


def test_what_the_driver_compiled_is_asked_of_it(program):
    """PTX has no registers of its own; shared memory is known of it too."""
    program(
        """
artifact = jitload.compile(SOURCE, kind="ptx", arch="compute_80")
assert artifact.kernels["tile"].resources is None
kernel = artifact.load()["tile"]
assert kernel.arch == "sm_86"
taken = kernel.resources
assert (taken.registers, taken.shared_bytes, taken.max_threads) == (80, 2048, 768), taken
assert (taken.stack_bytes, taken.spill_store_bytes, taken.spill_load_bytes) == (0, 0, 0)
assert kernel.suggest_block() == 768
found = jitload.occupancy(kernel, 768)
assert (found.blocks_per_sm, found.limited_by) == (1, "registers"), found
assert jitload.occupancy(kernel, 256, arch="sm_90").blocks_per_sm == 3
assert not model.forbidden
""",
        capabilities=[[8, 6]],
        registers=80,
    )


@pytest.mark.parametrize("arch", ["compute_80", "sm_80,sm_86"])
def test_a_block_that_is_too_large_for_what_the_driver_compiled_is_refused_before_the_launch(program, arch):
    """PTX, and a fatbin, whose kernels have figures for each of its images."""
    program(
        f"""
artifact = jitload.compile(SOURCE, arch={arch.split(",")})
kernel = artifact.load()["tile"]
x = np.zeros(8, np.float32)
for launch in (lambda: kernel[1, 800](x), lambda: kernel(x, grid=1, block=(32, 25), shared_bytes=64)):
    refused("takes 80 registers per thread on sm_86, where a block has at most 768 threads of it", launch)
kernel.bind(grid=1, block=768)
kernel[1, 512](np.zeros(512, np.float32))
assert len(model.launches) == 1 and not model.forbidden
""",
        capabilities=[[8, 6]],
        registers=80,
    )


def test_the_best_block_is_of_the_current_device(program):
    program(
        """
@jitload.jit_kernel(source=SOURCE)
def tile(x): ...
assert tile.suggest_block() == 768, "two of them"
assert tile.suggest_block(96 * 1024) == 1024, "one has room"
assert tile.suggest_block(lambda threads: 128 * threads) == 768, "one of 96 KiB and its static 2"
assert tile.resources == tile.artifact().kernels["tile"].resources
kernel = tile.kernel()
assert tile.handle == kernel.handle and model.handles.living("kernel") == 1
assert jitload.occupancy(tile, 768).fraction == 1.0
refused("no block fits on sm_89, which allows 101376 bytes", lambda: tile.suggest_block(100 * 1024))
kernel = jitload.compile(SOURCE, kind="cubin", arch="sm_89").load()
tile = kernel["tile"]
kernel.close()
try:
    tile.handle
except jitload.LoadError as error:
    assert "module is closed" in str(error)
else:
    raise AssertionError
assert not model.forbidden
""",
        capabilities=[[8, 9]],
    )


def test_more_shared_memory_than_the_device_has_is_refused_before_the_launch(program):
    program(
        """
kernel = jitload.compile(SOURCE, kind="cubin", arch="sm_80").load()["tile"]
x = np.zeros(8, np.float32)
refused("allows 101376 bytes per block together", lambda: kernel[1, 32, None, 100 * 1024](x))
""",
        capabilities=[[8, 6]],
    )


def test_a_gpu_that_is_not_in_the_table_gets_a_plain_block(program):
    program(
        """
kernel = jitload.compile(SOURCE, kind="ptx", arch="compute_80").load()["tile"]
assert kernel.arch == "sm_130" and kernel.suggest_block() == 256
try:
    jitload.occupancy(kernel, 256)
except jitload.UsageValueError as error:
    assert "the multiprocessor of 'sm_130' is not known" in str(error)
else:
    raise AssertionError
""",
        capabilities=[[13, 0]],
    )
