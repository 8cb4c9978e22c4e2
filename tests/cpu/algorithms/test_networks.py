"""Layers against their formulas in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.cpu.algorithms.builds import blocks, sizes

BUILDS = ("90", "100 fast", "80")


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@sizes((1, 1), (3, 31), (5, 200), (2, 64))
def test_layernorm_forward_and_backward(program, rng, size):
    rows, width = size
    x, dy = normal(rng, *size), normal(rng, *size)
    gain, bias = normal(rng, width), normal(rng, width)
    y, mean, rstd = np.zeros_like(x), np.zeros(rows, np.float32), np.zeros(rows, np.float32)
    program.run("layernorm_forward", rows, 64, x, gain, bias, y, mean, rstd, width, np.float32(1e-2))
    unit = (x - x.mean(1, keepdims=True, dtype=float)) / np.sqrt(x.var(1, keepdims=True, dtype=float) + 1e-2)
    np.testing.assert_allclose(y, unit * gain + bias, atol=1e-4)

    dx, dgain, dbias = np.zeros_like(x), np.zeros(width, np.float32), np.zeros(width, np.float32)
    program.run("layernorm_backward", rows, 64, dy, x, gain, mean, rstd, dx, dgain, dbias, width)
    g = dy.astype(float) * gain
    inner = g - g.mean(1, keepdims=True) - unit * (g * unit).mean(1, keepdims=True)
    np.testing.assert_allclose(dx, inner / np.sqrt(x.var(1, keepdims=True, dtype=float) + 1e-2), atol=2e-4)
    np.testing.assert_allclose(dgain, (dy * unit).sum(0), atol=1e-4)
    np.testing.assert_allclose(dbias, dy.astype(float).sum(0), atol=1e-5)


@sizes((1, 1), (4, 100), (2, 33))
def test_rmsnorm(program, rng, size):
    rows, width = size
    x, gain = normal(rng, *size), normal(rng, width)
    y = np.zeros_like(x)
    program.run("rmsnorm", rows, 64, x, gain, y, width, np.float32(1e-5))
    np.testing.assert_allclose(
        y, x / np.sqrt((x.astype(float) ** 2).mean(1, keepdims=True) + 1e-5) * gain, rtol=1e-4, atol=1e-6
    )


@sizes((1, 1), (9, 70), (4, 32))
def test_softmax_of_a_row_per_warp(program, rng, size):
    x = 5 * normal(rng, *size)
    y = np.zeros_like(x)
    program.run("softmax_warp", blocks(size[0] * 32, 96), 96, x, y, *size)
    np.testing.assert_allclose(y, softmax(x.astype(float)), rtol=1e-5)


@sizes(1, 40, 1000, 300)
def test_gelu(program, rng, size):
    x = 3 * normal(rng, size)
    exact, by_tanh = np.zeros_like(x), np.zeros_like(x)
    program.run("gelu", blocks(size, 128), 128, x, exact, by_tanh, size)
    w = x.astype(float)
    np.testing.assert_allclose(exact, 0.5 * w * (1 + np.vectorize(math.erf)(w / math.sqrt(2))), atol=2e-6)
    np.testing.assert_allclose(
        by_tanh,
        0.5 * w * (1 + np.tanh(math.sqrt(2 / math.pi) * (w + 0.044715 * w**3))),
        atol=1e-3 if b"tanh.approx" in program.ptx else 2e-6,
    )


@sizes((1, 2), (6, 130), (3, 50))
def test_cross_entropy(program, rng, size):
    rows, width = size
    x, labels = 4 * normal(rng, *size), rng.integers(0, width, rows).astype(np.int32)
    loss, grad = np.zeros(rows, np.float32), np.zeros_like(x)
    program.run("cross_entropy", rows, 64, x, labels, loss, grad, width)
    p = softmax(x.astype(float))
    np.testing.assert_allclose(loss, -np.log(p[np.arange(rows), labels]), atol=1e-5, rtol=1e-5)
    p[np.arange(rows), labels] -= 1
    np.testing.assert_allclose(grad, p, atol=1e-6)


@sizes(1, 129, 1000, 70)
def test_adam(program, rng, size):
    p, g, m, v = normal(rng, size), normal(rng, size), normal(rng, size), normal(rng, size) ** 2
    hyper = np.array([1e-2, 0.9, 0.999, 1e-8, 0.01], np.float32)
    w = p.astype(float)
    m64, v64 = 0.9 * m.astype(float) + 0.1 * g, 0.999 * v.astype(float) + 0.001 * g.astype(float) ** 2
    w -= 1e-2 * (m64 / (1 - 0.9**7) / (np.sqrt(v64 / (1 - 0.999**7)) + 1e-8) + 0.01 * w)
    packed = np.frombuffer(hyper.tobytes() + (7).to_bytes(4, "little"), np.dtype((np.void, 24)))[0]
    program.run("adam", blocks(size, 128), 128, p, g, m, v, packed, size)
    np.testing.assert_allclose(p, w, atol=1e-4)
    np.testing.assert_allclose(m, m64, atol=1e-6)
    np.testing.assert_allclose(v, v64, atol=1e-6)


@pytest.mark.parametrize("kernel", ["attention_naive", "attention_online"])
@sizes((1, 0), (7, 1), (45, 1), (64, 0), slow=[(300, 1)])
def test_attention(program, rng, kernel, size):
    n, causal = size
    q, k, v = (normal(rng, n, 32) for _ in range(3))
    out = np.zeros_like(q)
    if kernel == "attention_naive":
        program.run(kernel, n, 64, q, k, v, out, n, causal, shared=4 * n)
    else:
        program.run(kernel, blocks(n, 32), 32, q, k, v, out, n, causal)
    scores = q.astype(float) @ k.astype(float).T / math.sqrt(32)
    if causal:
        scores = np.where(np.tri(n) > 0, scores, -np.inf)
    np.testing.assert_allclose(out, softmax(scores) @ v, atol=2e-5)
