# test_kernels.py
import numpy as np
import jitload

@jitload.jit_kernel
def saxpy(a: float, x: np.ndarray, y: np.ndarray, n: int) -> None:
    r"""
    extern "C" __global__ void saxpy(float a, const float *x, float *y, int n)
    {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < n) y[i] = a * x[i] + y[i];
    }
    """

def test_numbers() -> None:
    x, y = np.arange(1000, dtype=np.float32), np.ones(1000, np.float32)
    saxpy[4, 256](2.0, x, y, 1000)
    np.testing.assert_array_equal(y, 2 * x + 1)

def test_no_race_and_nothing_uninitialised() -> None:
    x, y = np.zeros(100, np.float32), np.zeros(100, np.float32)
    with jitload.configure(cpu_check="memory,race,init"):
        saxpy[1, 128](2.0, x, y, 100)

def test_accesses_are_coalesced() -> None:
    x, y = np.zeros(256, np.float32), np.zeros(256, np.float32)
    profile = jitload.cpu_profile(saxpy, 2.0, x, y, 256, grid=1, block=256)
    assert profile.total.sector_efficiency == 1.0
    assert profile.total.divergent_branches == 0

def test_it_fits_an_h100() -> None:
    taken = saxpy.artifact(kind="cubin", arch="sm_90").kernels["saxpy"].resources
    assert taken and taken.registers <= 16 and taken.spill_store_bytes == 0
    assert jitload.occupancy(taken, 256, arch="sm_90").fraction == 1.0
