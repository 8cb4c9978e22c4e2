import numpy as np
import jitload

SOURCE = r"""
#include <cstdint>

template <class T>
__global__ void clamp(T *x, T least, T most, std::uint32_t n)
{
    std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] = x[i] < least ? least : x[i] > most ? most : x[i];
}
"""

@jitload.jit_kernel(source=SOURCE, entry="clamp<{T}>")
def clamp(x: np.ndarray, least: float, most: float, n: int, *, T: str = ...) -> None: ...

x = np.linspace(-2, 2, 1000, dtype=np.float32)
clamp.forall(x.size)(x, -1, 1, x.size)                     # a thread per element, T from the array
assert (x.min(), x.max()) == (-1, 1)

bound = clamp.specialize(T="float").bind(grid=4, block=256)           # for a loop: nothing is looked up again
bound(x, -0.5, 0.5, x.size)
assert x.max() == 0.5

try:
    clamp.specialize(T="float")[4, 256](x.astype(np.float64), -1, 1, x.size)
except jitload.ArgumentError as error:
    assert "float64" in str(error) and error.position == 0

found = clamp.specialize(T="float").explain()
print(found)                           # which image would serve, from where; what differs in the nearest
counts = jitload.stats()
assert counts.compiles >= 1 and counts.hits["memory"] >= 0

artifact = clamp.specialize(T="double").artifact(kind="cubin", arch="sm_90")
taken = artifact.kernels["clamp<double>"].resources
assert taken and taken.registers <= 32 and taken.stack_bytes == 0
print(jitload.occupancy(artifact, 256))                    # 8 blocks, 64 warps per multiprocessor (100%), ...

with jitload.configure(device="cpu"):
    profile = jitload.cpu_profile(clamp, x, -1, 1, x.size, grid=4, block=256)
assert profile.total.sector_efficiency == 1.0              # every access is coalesced
print(profile)
