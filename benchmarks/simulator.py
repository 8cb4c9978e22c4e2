"""The algorithms of `benchmarks/cpu.py` on numba's CUDA simulator: a child process of it, printing one JSON object.

The simulator runs one Python thread per CUDA thread, so sizes are small.
"""

import json
import os
import time

os.environ["NUMBA_ENABLE_CUDASIM"] = "1"

import numpy as np
from numba import cuda, float32

TILE = 16
BLOCK = 128


@cuda.jit
def saxpy(a, x, y, n):
    stride = cuda.gridsize(1)
    i = cuda.grid(1)
    while i < n:
        y[i] = a * x[i] + y[i]
        i += stride


@cuda.jit
def matmul(a, b, c, n):
    a_tile = cuda.shared.array((TILE, TILE), float32)
    b_tile = cuda.shared.array((TILE, TILE), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    col, row = cuda.grid(2)
    total = float32(0)
    for first in range(0, n, TILE):
        a_tile[ty, tx] = a[row, first + tx]
        b_tile[ty, tx] = b[first + ty, col]
        cuda.syncthreads()
        for k in range(TILE):
            total += a_tile[ty, k] * b_tile[k, tx]
        cuda.syncthreads()
    c[row, col] = total


@cuda.jit
def reduce(x, out, n):
    """As `kernels/block_reduce.cu`: one sum per tile of two blocks, by a tree in shared memory."""
    sums = cuda.shared.array(BLOCK, float32)
    thread = cuda.threadIdx.x
    tile = cuda.blockIdx.x
    while tile * 2 * BLOCK < n:
        i = tile * 2 * BLOCK + thread
        total = x[i] if i < n else float32(0)
        if i + BLOCK < n:
            total += x[i + BLOCK]
        sums[thread] = total
        cuda.syncthreads()
        half = BLOCK // 2
        while half:
            if thread < half:
                sums[thread] += sums[thread + half]
            cuda.syncthreads()
            half //= 2
        if thread == 0:
            out[tile] = sums[0]
        tile += cuda.gridDim.x


def best_seconds(launch, rounds: int = 5) -> float:
    figures = []
    for _ in range(rounds):
        started = time.perf_counter()
        launch()
        figures.append(time.perf_counter() - started)
    return min(figures)


def main() -> None:
    rng = np.random.default_rng(0)
    n, side = 1024, 32
    x, y = rng.standard_normal((2, n), dtype=np.float32)
    a, b = rng.standard_normal((2, side, side), dtype=np.float32)
    c, out = np.zeros_like(a), np.zeros(n // BLOCK // 2, np.float32)
    rows = {
        "saxpy": (n, best_seconds(lambda: saxpy[n // 256, 256](np.float32(2), x, y, n))),
        "matmul": (side, best_seconds(lambda: matmul[(side // TILE, side // TILE), (TILE, TILE)](a, b, c, side))),
        "reduce": (n, best_seconds(lambda: reduce[n // BLOCK // 2, BLOCK](x, out, n))),
    }
    np.testing.assert_allclose(out.sum(), x.sum(), rtol=1e-3)
    np.testing.assert_allclose(c, a @ b, rtol=1e-4, atol=1e-4)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
