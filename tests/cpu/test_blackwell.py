"""Kernels for compute capability 10.0 as people write them: TMA, mbarriers and tensor memory together, right and with faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import jitload
from jitload.settings.check import CPU_CHECKS
from tests.cpu.test_hopper import bf16

SOURCE = Path(__file__).with_name("blackwell.cu").read_text()
M, N = 128, 96
SHARED = 1024 + 3 * (M + N) * 64 * 2 + 64
SCALED = 1024 + 2 * 128 * 128 + 8 * 512 + 32
#: What 4 bits are, and bits of e4m3 of three powers of two.
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6])
SCALES = {0.5: 0x30, 1.0: 0x38, 4.0: 0x48}


@pytest.fixture(scope="module", autouse=True)
def _on_the_executor():
    with jitload.configure(device="cpu"):
        yield


@pytest.fixture(scope="module")
def module():
    return jitload.compile(SOURCE, arch="compute_100a").load()


def run(module, m, n, k, plant=0):
    chance = np.random.default_rng(m + n + k)
    a, b = chance.integers(-3, 4, (m, k)), chance.integers(-3, 4, (n, k))
    c = np.full((m, n), np.nan, np.float32)
    maps = [jitload.TensorMap(bf16(one), (rows, 64), swizzle=128) for one, rows in ((a, M), (b, N))]
    grid = (-(-n // N), m // M)
    module["product"](*maps, c, n, k, plant, grid=grid, block=192, shared_bytes=SHARED)
    return c, a @ b.T


@pytest.mark.parametrize("checks", [(), CPU_CHECKS], ids=["plain", "checked"])
@pytest.mark.parametrize(("m", "n", "k"), [(128, 96, 64), (256, 120, 328)])
def test_product(module, m, n, k, checks):
    """Tiles that reach beyond the matrices are filled with zeros; a ring goes round, and blocks have their own memory."""
    with jitload.configure(cpu_check=checks):
        got, wanted = run(module, m, n, k)
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(("plant", "text"), [
    (1, "128 columns of tensor memory that tcgen05.dealloc never frees"),
    (2, "D in columns 0 to 95, which are not all allocated"),
    (3, r"tcgen05.ld.32x32b at lane 96 by warp 2 of a warpgroup: legal is lane 64 \(0\)"),
    (4, "legal are 0b001 in bits 46 to 48"),
    (5, "128 rows and 8 columns: legal for .kind::f16 are"),
    (6, "lacks 0 arrivals and -16 bytes"),
])  # fmt: skip
def test_planted_faults(module, plant, text):
    with pytest.raises(jitload.CpuFault, match=text):
        run(module, 128, 96, 64, plant)


def scale_atoms(scales):
    """Scales (row, part of 16 elements) as 512 bytes for 128 rows and 4 parts."""
    codes = np.vectorize(SCALES.__getitem__)(scales).astype(np.uint8)
    words, row, part, byte = codes.reshape(4, 32, -1, 4), 1, 2, 3
    return np.ascontiguousarray(words.transpose(part, row, 0, byte)).reshape(-1)


def test_nvfp4(module):
    """Elements of 4 bits with a scale for every 16, which are brought to tensor memory by copies: exact numbers."""
    k, chance = 768, np.random.default_rng(4)
    codes = [chance.integers(0, 16, (128, k)) for _ in "ab"]
    scales = [chance.choice([*SCALES], (128, k // 16)) for _ in "ab"]
    packed = [(one[:, ::2] | one[:, 1::2] << 4).astype(np.uint8) for one in codes]
    maps = [jitload.TensorMap(one, (128, 128), swizzle=128) for one in packed]
    c = np.zeros((128, 128), np.float32)
    atoms = [scale_atoms(one) for one in scales]
    module["scaled"](*maps, *atoms, c, k, grid=1, block=128, shared_bytes=SCALED)
    left, right = (E2M1[one] * np.repeat(two, 16, axis=1) for one, two in zip(codes, scales, strict=True))
    np.testing.assert_array_equal(c, left @ right.T)
