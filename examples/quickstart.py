"""Decorate a CUDA C++ kernel, launch it on arrays, compare with NumPy; run the script twice to see the cache.

Runs on an NVIDIA GPU, and on the CPU executor where there is none.
"""

from __future__ import annotations

import time

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


def main() -> None:
    n, block = 100_000, 256
    grid = (n + block - 1) // block
    rng = np.random.default_rng(0)
    x = rng.standard_normal(n, dtype=np.float32)
    y = rng.standard_normal(n, dtype=np.float32)
    expected = 2.0 * x.astype(np.float64) + y

    started = time.perf_counter()
    saxpy[grid, block](2.0, x, y, n)
    first_ms = (time.perf_counter() - started) * 1e3
    error = np.abs(y - expected).max()
    if not error < 1e-5:
        raise SystemExit(f"wrong numbers: largest error {error}")

    stats = jitload.stats()
    artifact = saxpy.artifact()
    kernel = saxpy.kernel()
    if stats.compiles:
        print(f"compiled : 1 kernel in {stats.compile_seconds * 1e3:.0f} ms with {artifact.toolchain}")
    else:
        print(f"compiled : nothing; the disk cache had it and saved {artifact.compile_seconds * 1e3:.0f} ms")
    print(f"cached   : key {artifact.key[:16]}..., in {jitload.Cache.default().directory}")
    print(f"loaded   : {len(artifact.data)} bytes of {artifact.kind} for {artifact.arch}")
    print(f"ran on   : {kernel.device}, {grid} blocks of {block} threads; {first_ms:.1f} ms with all of the above")
    print(f"checked  : {n} numbers against NumPy, largest error {error:.1e}")

    started = time.perf_counter()
    saxpy[grid, block](2.0, x, y, n)
    print(f"again    : {(time.perf_counter() - started) * 1e3:.1f} ms, only the launch")


if __name__ == "__main__":
    main()
