
import numpy as np
import jitload
from pathlib import Path

Path("saxpy.cu").write_text("""extern "C" __global__ void saxpy(float a, const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i] + y[i];
}
""")

@jitload.jit_kernel(file="saxpy.cu")
def saxpy(a: float, x: np.ndarray, y: np.ndarray, n: int) -> None: ...

@jitload.jit_kernel(source="template <class T, int B> __global__ void reduce(T *x, T *y, int n) {}", entry="reduce<{T}, 32>")
def reduce(x: np.ndarray, out: np.ndarray, n: int, *, T: str = ...) -> None: ...

jitload.Bundle.create("ops.jlb", [saxpy, reduce.specialize(T="double")], archs=["sm_80", "sm_90a", "compute_90"])
