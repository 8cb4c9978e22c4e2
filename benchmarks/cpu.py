"""What a launch on the CPU executor costs, for the kernels of `kernels/`: run by hand, best of several launches."""

from __future__ import annotations

import pathlib
import time

import numpy as np

import jitload

KERNELS = pathlib.Path(__file__).parent.parent / "kernels"


def best_ms(launch, rounds: int = 7) -> float:
    figures = []
    for _ in range(rounds):
        started = time.perf_counter()
        launch()
        figures.append(time.perf_counter() - started)
    return min(figures) * 1e3


def load(file: str, name: str, *names: str):
    return jitload.compile(KERNELS / file, kind="ptx", arch="compute_75", names=names).load()[name]


def main() -> None:
    rng = np.random.default_rng(0)
    n = 1_000_000
    x, y = rng.standard_normal((2, n), dtype=np.float32)
    a, b = rng.standard_normal((2, 256, 256), dtype=np.float32)
    c = np.zeros_like(a)
    out = np.zeros(1, np.float32)
    with jitload.configure(device="cpu"):
        saxpy = load("saxpy.cu", "saxpy")
        matmul = load("matmul.cu", "matmul")
        warp_reduce = load("warp_reduce.cu", "warp_reduce")
        rows = {
            "saxpy, 1M elements": (lambda: saxpy[-(-n // 256), 256](2.0, x, y, n), 25.0),
            "saxpy, one block of 256 threads": (lambda: saxpy[1, 256](2.0, x[:256], y[:256], 256), 0.6),
            "tiled matmul, 256 x 256": (lambda: matmul[(16, 16), (16, 16)](a, b, c, 256, 256, 256), 100.0),
            "warp-shuffle reduction, 1M elements": (lambda: warp_reduce[1024, 256](x, out, n), 120.0),
        }
        for what, (launch, target) in rows.items():
            print(f"{what:<40} {best_ms(launch):8.2f} ms   target {target:g} ms")


if __name__ == "__main__":
    main()
