"""Constant memory: a convolution whose coefficients the host sets, before the first launch and between launches."""

from __future__ import annotations

import numpy as np

import jitload

SOURCE = r"""
namespace filters { __constant__ float taps[5]; }

extern "C" __global__ void convolve(const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float sum = 0;
    for (int k = 0; k < 5; ++k) {
        int j = i + k - 2;
        if (0 <= j && j < n) sum += filters::taps[k] * x[j];
    }
    y[i] = sum;
}
"""

FILTERS = {
    "smooth": np.array([1, 4, 6, 4, 1], np.float32) / 16,
    "slope": np.array([1, -8, 0, 8, -1], np.float32) / 12,
}


@jitload.jit_kernel(source=SOURCE)
def convolve(x: object, y: object, n: int) -> None:
    """`y` becomes the convolution of `x` with the taps in constant memory."""


def main() -> None:
    n = 1000
    x = np.sin(np.linspace(0, 20, n, dtype=np.float32))
    y = np.zeros_like(x)
    for name, taps in FILTERS.items():
        convolve.constant("filters::taps", taps)
        convolve[-(-n // 128), 128](x, y, n)
        expected = np.convolve(x, taps[::-1], mode="same")
        print(f"{name:<7} largest difference from NumPy {np.abs(y - expected).max():.1e}")
        if not np.allclose(y, expected, atol=1e-5):
            raise SystemExit(f"{name} is wrong")

    held = np.zeros(5, np.float32)
    convolve.module.get_global("filters::taps").copy_to(held)
    print("constant memory holds", held)


if __name__ == "__main__":
    main()
