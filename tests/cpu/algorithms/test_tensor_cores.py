"""Products on tensor cores against NumPy; the inputs are small integers, so sums are exact."""

from __future__ import annotations

import numpy as np
import pytest

from tests.cpu.algorithms.builds import sizes

LEAST = 80
BUILDS = ("90", "80", "120")

STORED = {
    "wmma_half": lambda x: x.astype(np.float16),
    "mma_half": lambda x: x.astype(np.float16),
    "mma_bfloat": lambda x: (x.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16),
    "mma_tf32": lambda x: x.astype(np.float32),
    "wmma_bytes": lambda x: x.astype(np.int8),
    "mma_bytes": lambda x: x.astype(np.int8),
}


@pytest.mark.parametrize("kernel", STORED)
@sizes((16, 16, 32), (48, 32, 96), (32, 64, 64))
def test_product(program, rng, kernel, size):
    m, n, k = size
    a, b = rng.integers(-8, 9, (m, k)), rng.integers(-8, 9, (n, k))
    c = np.zeros((m, n), np.int32 if kernel.endswith("bytes") else np.float32)
    program.run(kernel, (n // 16, m // 16), 32, STORED[kernel](a), STORED[kernel](b), c, n, k)
    np.testing.assert_array_equal(c, a @ b.T)
