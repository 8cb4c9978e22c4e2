"""numba-cuda, with its cache on the disk."""

from started import BLOCK, GRID, N, imports, not_here, part, tell

with imports():
    import numpy as np
    from numba import cuda

if not cuda.is_available():
    not_here("numba-cuda sees no GPU")


@cuda.jit(cache=True)
def saxpy(a, x, y, n):
    i = cuda.grid(1)
    if i < n:
        y[i] += a * x[i]


@cuda.jit(cache=True)
def scale(a, y, n):
    i = cuda.grid(1)
    if i < n:
        y[i] *= a


with part("first"):
    x, y = cuda.to_device(np.arange(N, dtype="f4")), cuda.to_device(np.zeros(N, "f4"))
    saxpy[GRID, BLOCK](np.float32(1), x, y, N)
    y.copy_to_host()
with part("second"):
    scale[GRID, BLOCK](np.float32(3), y, N)
    result = y.copy_to_host()
tell(result)
