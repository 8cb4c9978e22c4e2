"""Template kernels: keyword-only parameters are the template arguments, each combination is a kernel of its own."""

from __future__ import annotations

import numpy as np

import jitload

SOURCE = r"""
template <typename T, int BLOCK>
__global__ void block_sum(const T *x, T *partial, int n)
{
    __shared__ T shared[BLOCK];
    int i = blockIdx.x * BLOCK + threadIdx.x;
    shared[threadIdx.x] = i < n ? x[i] : T(0);
    for (int step = BLOCK / 2; step > 0; step /= 2) {
        __syncthreads();
        if (threadIdx.x < step) shared[threadIdx.x] += shared[threadIdx.x + step];
    }
    if (threadIdx.x == 0) partial[blockIdx.x] = shared[0];
}
"""


@jitload.jit_kernel(source=SOURCE, entry="block_sum<{T}, {BLOCK}>")
def block_sum(
    x: np.ndarray,
    partial: np.ndarray,
    n: int,
    *,
    T: str = "float",  # noqa: N803 - the names of the template
    BLOCK: int = 256,  # noqa: N803
) -> None:
    """Sum of each block of BLOCK elements."""


def main() -> None:
    n = 10_000
    rng = np.random.default_rng(0)
    for dtype, block in ((np.float32, 256), (np.float64, 128), (np.int32, 64)):
        x = (rng.standard_normal(n) * 100).astype(dtype)
        partial = np.zeros(-(-n // block), dtype)
        kernel = block_sum.specialize(T=np.dtype(dtype), BLOCK=block)
        kernel[len(partial), block](x, partial, n)
        total, expected = float(partial.sum(dtype=np.float64)), float(x.sum(dtype=np.float64))
        print(f"{kernel.entry:<28} sum {total:12.3f}   NumPy {expected:12.3f}")
        if not np.isclose(total, expected, rtol=1e-5, atol=1e-2):
            raise SystemExit("wrong numbers")


if __name__ == "__main__":
    main()
