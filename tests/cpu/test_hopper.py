"""Kernels for compute capability 9.0 as people write them: TMA, mbarriers and wgmma together, right and with faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import jitload
from jitload.settings.check import CPU_CHECKS

SOURCE = Path(__file__).with_name("hopper.cu").read_text()
ATTENTION = Path(__file__).with_name("attention.cu").read_text()
SHARED = 1024 + 3 * (64 + 128) * 64 * 2 + 64 * 128 * 2 + 48


def bf16(values):
    """As the upper halves of f32; small integers fit."""
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


@pytest.fixture(scope="module", autouse=True)
def _on_the_executor():
    with jitload.configure(device="cpu"):
        yield


@pytest.fixture(scope="module")
def product():
    return jitload.compile(SOURCE, arch="compute_90a").load()["product"]


def run(kernel, m, n, k, *, plant=0, boxes=((64, 64), (128, 64), (64, 64)), swizzle=128):
    chance = np.random.default_rng(m + n + k)
    a, b = chance.integers(-3, 4, (m, k)), chance.integers(-3, 4, (n, k))
    c = np.full((m, n), 0x7FFF, np.uint16)
    maps = [
        jitload.TensorMap(array, box, swizzle=swizzle) for array, box in zip((bf16(a), bf16(b), c), boxes, strict=True)
    ]
    kernel(*maps, k, plant, grid=(-(-n // 128), -(-m // 64)), block=160, shared_bytes=SHARED)
    exact = (a @ b.T).astype(np.float32).view(np.uint32)
    rounded = (exact + 0x7FFF + (exact >> 16 & 1)) >> 16
    return c, rounded.astype(np.uint16)


@pytest.mark.parametrize("checks", [(), CPU_CHECKS], ids=["plain", "checked"])
@pytest.mark.parametrize(("m", "n", "k"), [(64, 128, 64), (100, 200, 208), (130, 136, 520)])
def test_product(product, m, n, k, checks):
    """Tiles that reach beyond the matrices are filled with zeros, and are not stored there; a ring goes round."""
    with jitload.configure(cpu_check=checks):
        got, wanted = run(product, m, n, k)
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(("plant", "text"), [
    (1, "deadlock: all threads that can run wait for mbarriers that nobody completes; this one's lacks 0 arrivals and 16 bytes"),
    (2, "lacks 0 arrivals and -16 bytes"), (3, "misaligned: a box at shared address"),
    (4, "out of bounds: access of 16 bytes at shared"), (5, "do not agree on the descriptor of B"),
    (6, "out of bounds: access of 16 bytes at shared"), (7, "lacks 3 arrivals and 0 bytes"),
])  # fmt: skip
def test_planted_faults(product, plant, text):
    with pytest.raises(jitload.CpuFault, match=text):
        run(product, 64, 128, 520, plant=plant)


def test_a_box_that_is_smaller_than_what_is_expected(product):
    with pytest.raises(jitload.CpuFault, match="lacks 0 arrivals and 8192 bytes"):
        run(product, 64, 128, 64, boxes=((64, 64), (64, 64), (64, 64)))


def test_a_store_by_tma_races_with_what_nobody_waited_for(product):
    with jitload.configure(cpu_check="race"), pytest.raises(jitload.CpuFault, match="race: "):
        run(product, 64, 128, 64, plant=8)


@pytest.mark.parametrize("checks", [(), CPU_CHECKS], ids=["plain", "checked"])
def test_attention(checks):
    """Against float64: probabilities are rounded to bf16 on their way to the second product."""
    kernel = jitload.compile(ATTENTION, arch="compute_90a").load()["attention"]
    chance = np.random.default_rng(0)
    q, k, v = (bf16(chance.standard_normal((rows, 64))) for rows in (128, 192, 192))
    out = np.zeros((128, 64), np.float32)
    with jitload.configure(cpu_check=checks):
        maps = [jitload.TensorMap(array, (64, 64), swizzle=128) for array in (q, k, v)]
        kernel(*maps, out, 192, 0.125, grid=2, block=128)
    exact_q, exact_k, exact_v = ((one.astype(np.uint32) << 16).view(np.float32).astype(np.float64) for one in (q, k, v))
    scores = np.exp(0.125 * exact_q @ exact_k.T)
    np.testing.assert_allclose(out, scores / scores.sum(1, keepdims=True) @ exact_v, atol=4e-3)
