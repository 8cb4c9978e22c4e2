"""Matrix products and their relatives against NumPy."""

from __future__ import annotations

import numpy as np

from tests.cpu.algorithms.builds import blocks, sizes

BUILDS = ("90", "90 unfused", "120")


def cover(m, n, tile):
    return (blocks(n, tile), blocks(m, tile)), (16, 16)


def operands(rng, m, n, k, *batch):
    return rng.standard_normal((*batch, m, k)).astype(np.float32), rng.standard_normal((*batch, k, n)).astype(
        np.float32
    )


def close(found, want, k):
    np.testing.assert_allclose(found, want, atol=1e-5 * k**0.5 + 1e-6)


@sizes((1, 1, 1), (5, 33, 17), (40, 20, 50), (32, 32, 32), slow=[(130, 100, 70)])
def test_gemm_in_tiles(program, rng, size):
    m, n, k = size
    a, b = operands(rng, m, n, k)
    c = np.zeros((m, n), np.float32)
    program.run("gemm_tiled", *cover(m, n, 16), a, b, c, m, n, k)
    close(c, a.astype(float) @ b, k)


@sizes((1, 1, 1), (3, 20, 11), (17, 16, 30))
def test_gemm_batched(program, rng, size):
    m, n, k = size
    a, b = operands(rng, m, n, k, 5)
    c = np.zeros((5, m, n), np.float32)
    grid, block = cover(m, n, 16)
    program.run("gemm_batched", (*grid, 5), block, a, b, c, m, n, k)
    close(c, a.astype(float) @ b, k)


@sizes((1, 1, 1), (70, 65, 20), (64, 64, 8))
def test_gemm_blocked_in_registers(program, rng, size):
    m, n, k = size
    a, b = operands(rng, m, n, k)
    c = rng.standard_normal((m, n)).astype(np.float32)
    want = 1.5 * (a.astype(float) @ b) - 0.5 * c
    program.run("gemm_registers", *cover(m, n, 64), a, b, c, m, n, k, np.float32(1.5), np.float32(-0.5))
    close(c, want, k)


@sizes((64, 64, 16), (128, 64, 48), (64, 128, 32))
def test_gemm_with_vector_loads(program, rng, size):
    m, n, k = size
    a, b = operands(rng, m, n, k)
    c = np.zeros((m, n), np.float32)
    program.run("gemm_vectors", *cover(m, n, 64), a, b, c, n, k)
    close(c, a.astype(float) @ b, k)


@sizes((1, 1, 4), (20, 18, 36), (16, 33, 64))
def test_gemm_of_bytes(program, rng, size):
    m, n, k = size
    a, b = rng.integers(-128, 128, (m, k)).astype(np.int8), rng.integers(-128, 128, (n, k)).astype(np.int8)
    c = np.zeros((m, n), np.int32)
    program.run("gemm_dp4a", *cover(m, n, 16), a, b, c, m, n, k)
    np.testing.assert_array_equal(c, a.astype(int) @ b.astype(int).T)


@sizes(1, 70, 300)
def test_strassen(program, rng, size):
    a, b = rng.integers(-99, 99, (2, size, 2, 2)).astype(float)
    c = np.zeros_like(a)
    program.run("strassen", blocks(size, 64), 64, a, b, c, size)
    np.testing.assert_array_equal(c, a @ b)


@sizes((1, 1), (9, 100), (40, 31))
def test_gemv(program, rng, size):
    a, x = rng.standard_normal(size).astype(np.float32), rng.standard_normal(size[1]).astype(np.float32)
    y = np.zeros(size[0], np.float32)
    program.run("gemv", blocks(size[0], 3), 96, a, x, y, *size)
    close(y, a.astype(float) @ x, size[1])


@sizes((1, 1), (33, 70), (64, 31))
def test_transposition(program, rng, size):
    x = rng.standard_normal(size)
    y = np.zeros(size[::-1])
    program.run("transpose_padded", (blocks(size[1], 32), blocks(size[0], 32)), (32, 8), x, y, *size)
    np.testing.assert_array_equal(y, x.T)


@sizes((1, 5), (2, 1_000_000), (9, 12_345), (7, 0))
def test_matrix_power(program, rng, size):
    side, exponent = size
    modulus = 2_147_483_629
    x = rng.integers(0, modulus, (side, side)).astype(np.uint32)
    base, want = x.astype(object), np.eye(side, dtype=object)
    for bit in bin(exponent)[2:]:
        want = want @ want % modulus
        want = want @ base % modulus if bit == "1" else want
    program.run("matrix_power", 1, (side, side), x, side, exponent, modulus, shared=8 * side * side)
    np.testing.assert_array_equal(x, want.astype(np.uint32))


@sizes(2, 16, 256, 2048)
def test_fft_there_and_back(program, rng, size):
    signal = (rng.standard_normal(size) + 1j * rng.standard_normal(size)).astype(np.complex64)
    x = signal.copy()
    program.run("fft", 1, size // 2, x, size, 0, shared=8 * size)
    np.testing.assert_allclose(x, np.fft.fft(signal), atol=3e-5 * size)
    program.run("fft", 1, size // 2, x, size, 1, shared=8 * size)
    np.testing.assert_allclose(x / size, signal, atol=1e-5)
