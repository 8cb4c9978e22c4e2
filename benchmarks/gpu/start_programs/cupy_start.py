"""CuPy: RawKernel."""

from started import BLOCK, GRID, SAXPY, SCALE, N, imports, not_here, part, tell

with imports():
    import cupy
    import numpy as np

try:
    cupy.cuda.runtime.getDeviceCount()
except cupy.cuda.runtime.CUDARuntimeError as error:
    not_here(f"CuPy cannot use the GPU: {error}")
with part("first"):
    x, y = cupy.asarray(np.arange(N, dtype="f4")), cupy.asarray(np.zeros(N, "f4"))
    cupy.RawKernel(SAXPY, "saxpy")((GRID,), (BLOCK,), (np.float32(1), x, y, np.int32(N)))
    y.get()
with part("second"):
    cupy.RawKernel(SCALE, "scale")((GRID,), (BLOCK,), (np.float32(3), y, np.int32(N)))
    result = y.get()
tell(result)
