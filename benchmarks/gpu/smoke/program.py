"""The kernels of this step, compiled and loaded."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

import jitload
from jitload.cuda import driver

SOURCE = Path(__file__).with_name("kernels.cu")
WHOLE_GRID = Path(__file__).with_name("whole_grid.cu")
N = 1000
GRID, BLOCK = 4, 256


def artifact(kind: str = "cubin", arch: Any = None, source: Path = SOURCE) -> Any:
    """The kernels; for this card, where no arch is named."""
    if arch is None:
        number = driver.device_arch()[3:]
        arch = f"compute_{number}" if kind == "ptx" else f"sm_{number}"
    return jitload.compile(source, kind=kind, arch=arch)


@functools.cache
def module() -> Any:
    """The cubin for this card, loaded once per process."""
    return artifact().load()


def ramp() -> np.ndarray:
    """0 to N - 1."""
    return np.arange(N, dtype=np.float32)


def check_saxpy(kernel: Any) -> None:
    """`kernel` computes y += a x of arrays of the host."""
    y = np.ones(N, np.float32)
    kernel[GRID, BLOCK](2.0, ramp(), y, N)
    expect(y, 1 + 2 * ramp())


def expect(got: Any, wanted: Any) -> None:
    """All elements are equal.

    Raises:
        AssertionError: they are not; the text has the first that differs.
    """
    got, wanted = np.broadcast_arrays(np.asarray(got), np.asarray(wanted))
    wrong = np.flatnonzero(got != wanted)
    if wrong.size:
        first = wrong[0]
        differ = f"{wrong.size} of {got.size} differ"
        raise AssertionError(f"{differ}; element {first} is {got.flat[first]}, not {wanted.flat[first]}")
