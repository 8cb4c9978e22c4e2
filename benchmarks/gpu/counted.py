"""Three kernels whose counters are compared: `python -m gpu.counted NAME` launches one of them once, on the card."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np

import jitload
from jitload.cuda import driver

SOURCE = """
extern "C" __global__ void saxpy(float a, const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += a * x[i];
}

// Reads a column of the tile: 32 threads that want one bank.
extern "C" __global__ void transpose(const float *x, float *y, int n)
{
    __shared__ float tile[32][32];
    int column = blockIdx.x * 32 + threadIdx.x, row = blockIdx.y * 32 + threadIdx.y;
    tile[threadIdx.y][threadIdx.x] = x[row * n + column];
    __syncthreads();
    column = blockIdx.y * 32 + threadIdx.x;
    row = blockIdx.x * 32 + threadIdx.y;
    y[row * n + column] = tile[threadIdx.x][threadIdx.y];
}

extern "C" __global__ void reduce(const float *x, float *sums, int n)
{
    __shared__ float partial[256];
    int i = blockIdx.x * 256 + threadIdx.x;
    partial[threadIdx.x] = i < n ? x[i] : 0.0f;
    __syncthreads();
    for (int width = 128; width > 0; width /= 2) {
        if (threadIdx.x < width) partial[threadIdx.x] += partial[threadIdx.x + width];
        __syncthreads();
    }
    if (threadIdx.x == 0) sums[blockIdx.x] = partial[0];
}
"""
SIDE = 256


class Counted(NamedTuple):
    """A launch: grid, block, and the arguments."""

    grid: Any
    block: Any
    arguments: tuple[Any, ...]


def launches() -> dict[str, Counted]:
    """By the kernel's name."""
    n = 20_000
    rng = np.random.default_rng(1)
    square = rng.random((SIDE, SIDE), np.float32)
    line = rng.random(n, np.float32)
    return {
        "saxpy": Counted(-(-n // 256), 256, (2.0, line, np.zeros(n, np.float32), n)),
        "transpose": Counted((SIDE // 32, SIDE // 32), (32, 32), (square, np.zeros_like(square), SIDE)),
        "reduce": Counted(-(-n // 256), 256, (line, np.zeros(-(-n // 256), np.float32), n)),
    }


def profile(name: str) -> Any:
    """What the executor counts."""
    launch = launches()[name]
    with jitload.configure(device="cpu"):
        kernel = jitload.compile(SOURCE, kind="ptx", arch="compute_75").load()[name]
        return jitload.cpu_profile(kernel, *launch.arguments, grid=launch.grid, block=launch.block)


def main() -> None:
    """Launch one, and nothing else."""
    name = sys.argv[1]
    launch = launches()[name]
    kernel = jitload.compile(SOURCE, kind="cubin", arch=driver.device_arch()).load()[name]
    kernel(*launch.arguments, grid=launch.grid, block=launch.block)
    print(f"{name} ran")


if __name__ == "__main__":
    main()
