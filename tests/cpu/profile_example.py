"""The profile that docs/cpu.md shows: a transposition of 128 x 128 floats, from PTX that does not change."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import jitload
from jitload.cpu.module import load_ptx

#: What NVRTC 12.9 makes of the kernel in examples/bank_conflicts.py, with -lineinfo and a pitch of 32.
PTX = Path(__file__).parent / "transpose.ptx"


def take_profile() -> jitload.CpuProfile:
    """The profile of one launch."""
    x = np.arange(128 * 128, dtype=np.float32).reshape(128, 128)
    y = np.zeros_like(x)
    with jitload.configure(device="cpu"), jitload.cpu_profile() as profile:
        load_ptx(PTX.read_bytes())["transpose"][(4, 4), (32, 32)](x, y, 128)
    assert np.array_equal(y, x.T)
    return profile


def example() -> str:
    """The block of docs/cpu.md."""
    return f"```text\n{take_profile()}\n```\n"
