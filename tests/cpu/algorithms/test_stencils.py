"""Stencils and convolutions against sums of shifted arrays."""

from __future__ import annotations

import numpy as np

from tests.cpu.algorithms.builds import blocks, sizes

BUILDS = ("90", "90 unfused", "100 fast")
TAPS = np.array([0.03125, 0.109375, 0.21875, 0.28125, 0.21875, 0.109375, 0.03125])


def plane(height, width, x=16, y=16):
    return (blocks(width, x), blocks(height, y)), (x, y)


def windows(x, pad, mode="constant"):
    padded = np.pad(x, pad, mode=mode) if pad else x
    return np.lib.stride_tricks.sliding_window_view(padded, (2 * pad + 1, 2 * pad + 1), axis=(0, 1))


@sizes(1, 5, 128, 333, 2000)
def test_stencil_with_halo(program, rng, size):
    x, y = rng.standard_normal(size).astype(np.float32), np.zeros(size, np.float32)
    program.run("stencil_1d", blocks(size, 128), 128, x, y, size)
    np.testing.assert_allclose(y, np.convolve(x.astype(float), TAPS)[3:-3], atol=1e-5)


@sizes((1, 1), (3, 40), (17, 33), (50, 20))
def test_jacobi_step(program, rng, size):
    x = rng.standard_normal(size)
    y, want = np.zeros(size), x.copy()
    if min(size) > 2:
        want[1:-1, 1:-1] = 0.25 * (x[1:-1, :-2] + x[1:-1, 2:] + x[:-2, 1:-1] + x[2:, 1:-1])
    program.run("jacobi", *plane(*size), x, y, *size)
    np.testing.assert_allclose(y, want, rtol=1e-15)


@sizes((1, 1, 1), (5, 7, 9), (6, 5, 20))
def test_stencil_in_three_dimensions(program, rng, size):
    x, y = rng.standard_normal(size).astype(np.float32), np.zeros(size, np.float32)
    nz, ny, nx = size
    program.run("stencil_3d", (blocks(nx, 8), blocks(ny, 4), blocks(nz, 4)), (8, 4, 4), x, y, *size)
    want = -6.0 * x.astype(float)
    wide = np.pad(x.astype(float), 1)
    for axis in range(3):
        for shift in (-1, 1):
            want += np.roll(wide, shift, axis)[1:-1, 1:-1, 1:-1]
    np.testing.assert_allclose(y, want, atol=1e-5)


@sizes((1, 1), (3, 3), (20, 45), (33, 16))
def test_game_of_life(program, rng, size):
    x, y = (rng.random(size) < 0.4).astype(np.uint8), np.zeros(size, np.uint8)
    program.run("game_of_life", *plane(*size), x, y, *size)
    around = sum(np.roll(x, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j)
    np.testing.assert_array_equal(y, (around == 3) | ((around == 2) & (x == 1)))


@sizes((3, 5, 3, 5), (20, 37, 3, 2), (17, 16, 1, 1))
def test_direct_convolution(program, rng, size):
    height, width, rows, columns = size
    x, f = (
        rng.standard_normal((height, width)).astype(np.float32),
        rng.standard_normal((rows, columns)).astype(np.float32),
    )
    y = np.zeros((height - rows + 1, width - columns + 1), np.float32)
    program.run("convolve_direct", *plane(*y.shape), x, f, y, *size)
    view = np.lib.stride_tricks.sliding_window_view(x.astype(float), (rows, columns))
    np.testing.assert_allclose(y, np.einsum("rcij,ij->rc", view, f.astype(float)), atol=1e-5)


@sizes((1, 1), (16, 16), (19, 40))
def test_tiled_convolution(program, rng, size):
    x, y = rng.standard_normal(size).astype(np.float32), np.zeros(size, np.float32)
    program.run("convolve_tiled", *plane(*size), x, y, *size)
    kernel = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]])
    np.testing.assert_allclose(y, np.einsum("rcij,ij->rc", windows(x.astype(float), 1, "edge"), kernel), atol=1e-5)


@sizes((1, 1), (20, 33), (9, 64))
def test_separable_filter_in_constant_memory(program, rng, size):
    x = rng.standard_normal(size).astype(np.float32)
    middle, y = np.zeros_like(x), np.zeros_like(x)
    program.run("separable_rows", *plane(*size), x, middle, *size)
    program.run("separable_columns", *plane(*size), middle, y, *size)
    want = np.einsum("rcij,i,j->rc", windows(x.astype(float), 3), TAPS, TAPS)
    np.testing.assert_allclose(y, want, atol=1e-5)


@sizes((1, 1), (18, 35), (7, 16))
def test_box_filter_of_pixels(program, rng, size):
    x = rng.integers(0, 256, (*size, 4)).astype(np.uint8)
    y = np.zeros_like(x)
    program.run("box_filter", *plane(*size), x, y, *size)
    channels = [windows(x[..., k].astype(int), 1, "edge").sum((2, 3)) // 9 for k in range(4)]
    np.testing.assert_array_equal(y, np.stack(channels, -1))
