"""Find the bank conflicts of a transposition, mend them, and assert that they do not come back: without a GPU.

A tile of 32 x 32 floats is written by rows and read by columns. The 32 words of a column lie on one bank of shared
memory, so the warp is served in 32 turns. One float of padding per row puts them on 32 banks.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import jitload

SOURCE = r"""
template <int PITCH>
__global__ void transpose(const float *x, float *y, int n)
{
    __shared__ float tile[32][PITCH];
    int column = blockIdx.x * 32, row = blockIdx.y * 32;
    tile[threadIdx.y][threadIdx.x] = x[(row + threadIdx.y) * n + column + threadIdx.x];
    __syncthreads();
    y[(column + threadIdx.y) * n + row + threadIdx.x] = tile[threadIdx.x][threadIdx.y];
}
"""


@jitload.jit_kernel(source=SOURCE, entry="transpose<{PITCH}>")
def transpose(x: np.ndarray, y: np.ndarray, n: int, *, PITCH: int = 32) -> None:  # noqa: N803 - the name of the template
    """y = x.T for n x n floats, n a multiple of 32."""


def line_of(code: str) -> int:
    """The line of this file that begins with some code: profiles name the lines of the Python file."""
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.strip().startswith(code))


def profile_of(pitch: int, x: np.ndarray) -> jitload.CpuProfile:
    n = len(x)
    y = np.zeros_like(x)
    profile = jitload.cpu_profile(transpose.specialize(PITCH=pitch), x, y, n, grid=(n // 32, n // 32), block=(32, 32))
    if not np.array_equal(y, x.T):
        raise SystemExit("wrong numbers")
    return profile


def main() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((128, 128), dtype=np.float32)
    with jitload.configure(device="cpu"):
        plain, padded = profile_of(32, x), profile_of(33, x)

    print(plain)
    writes_rows, reads_columns = line_of("tile[threadIdx.y]"), line_of("y[(column")
    read = plain.line(reads_columns).memory("shared", "load")
    print(f"\nline {reads_columns} reads a column: {read.requests} requests take {read.wavefronts} wavefronts")
    print(f"with a pitch of 33: {padded.line(reads_columns).memory('shared', 'load').wavefronts}")

    # What a test of the kernel would say. The figures are exact, so they can be compared with ==.
    assert read.wavefronts == 32 * read.requests
    assert padded.total.bank_conflicts == 0
    assert padded.line(writes_rows).sectors_per_request == padded.line(reads_columns).sectors_per_request == 4.0
    assert padded.total.divergent_branches == 0
    print("asserted: no bank conflicts with padding, coalesced loads and stores, no divergence")


if __name__ == "__main__":
    main()
