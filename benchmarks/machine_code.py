"""What machine code of kernels gives on the CPU executor, beside lanes: launches, and first launches of new processes.

    python benchmarks/machine_code.py [--rounds N]

Public calls, arrays included. Both engines take turns in each round, so the ratios are what to quote.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import numpy as np
from measure import Budget, Row, show, taken, turns

import jitload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LANES = "lanes"
ONE_BLOCK = "saxpy, one block of 256 threads"
HERE = pathlib.Path(__file__).parent
KERNELS = HERE.parent / "kernels"
#: Prints the seconds of the first launch of a process, which has the PTX in its cache.
NEW_PROCESS = f"""
import pathlib, time
import numpy as np, jitload
kernel = jitload.compile(pathlib.Path({str(KERNELS / "matmul.cu")!r}), kind="ptx", arch="compute_75").load()["matmul"]
a, b, c = np.ones((3, 64, 64), np.float32)
started = time.perf_counter()
kernel[(4, 4), (16, 16)](a, b, c, 64, 64, 64)
print(time.perf_counter() - started)
assert c[5, 7] == 64
"""


def load(file: pathlib.Path, name: str):
    """Of its own in memory: what an engine has made of one kernel is not that of another."""
    return jitload.compile(file, kind="ptx", arch="compute_75").load()[name]


def ways() -> dict[str, tuple[Callable[[], Callable[[], object]], float]]:
    """What is launched -> (makes a launch of a kernel of its own, how much less of lanes it may take)."""
    rng = np.random.default_rng(0)
    n = 1_000_000
    x, y = rng.standard_normal((2, n), dtype=np.float32)
    a, b, c = rng.standard_normal((3, 256, 256), dtype=np.float32)
    q, k, v, out = rng.standard_normal((4, 512, 32), dtype=np.float32)
    total, count = np.zeros(1, np.float32), np.zeros(1, np.int32)
    few_x, few_y = x[:256].copy(), y[:256].copy()

    def saxpy():
        kernel = load(KERNELS / "saxpy.cu", "saxpy")
        return lambda: kernel[-(-n // 256), 256](2.0, x, y, n)

    def matmul():
        kernel = load(KERNELS / "matmul.cu", "matmul")
        return lambda: kernel[(16, 16), (16, 16)](a, b, c, 256, 256, 256)

    def warp_reduce():
        kernel = load(KERNELS / "warp_reduce.cu", "warp_reduce")
        return lambda: kernel[1024, 256](x, total, n)

    def attention():
        kernel = load(HERE / "machine_code.cu", "attention")
        return lambda: kernel[8, 64](q, k, v, out, 512, 0.255)

    def queens():
        kernel = load(HERE / "machine_code.cu", "queens")
        return lambda: kernel[10, 32](10, count)

    def one_block():
        kernel = load(KERNELS / "saxpy.cu", "saxpy")
        return lambda: kernel[1, 256](2.0, few_x, few_y, 256)

    return {
        "saxpy, 1M elements": (saxpy, 4),
        "tiled matmul, 256 x 256": (matmul, 6),
        "warp-shuffle reduction, 1M elements": (warp_reduce, 5),
        "attention, 512 queries and keys of 32": (attention, 50),
        "10 queens": (queens, 200),
        ONE_BLOCK: (one_block, 5),
    }


def launches(rounds: int) -> Iterator[Row]:
    for what, (make, least) in ways().items():
        engines: dict[str, Callable[[], float]] = {}
        calls = 20 if what == ONE_BLOCK else 1  # which alone is too short for the clock
        for engine in ("native", LANES):
            launch = make()

            def timed(engine: str = engine, launch: Callable[[], object] = launch, calls: int = calls) -> float:
                with jitload.configure(cpu_engine=engine):
                    return taken(launch, calls)

            engines[engine] = timed
        found = turns(engines, rounds, first=1)
        yield Row(f"machine code: {what}", "ms", found["native"], {LANES: found[LANES]}, Budget(1 / least, LANES))


def new_processes(rounds: int) -> Iterator[Row]:
    """The first launch of a process: of what another one kept, and where nothing was and compiling is left open."""
    with tempfile.TemporaryDirectory() as kept, tempfile.TemporaryDirectory() as empty:

        def first(engine: str, cache: str) -> float:
            settings = {"JITLOAD_CPU_ENGINE": engine, "JITLOAD_CACHE_DIR": cache, "JITLOAD_DEVICE": "cpu"}
            done = subprocess.run(
                [sys.executable, "-c", NEW_PROCESS],
                env={**os.environ, **settings},
                capture_output=True,
                check=True,
            )
            return float(done.stdout)

        found = turns(
            {
                "native": lambda: first("native", kept),
                "auto": lambda: first("auto", empty),
                LANES: lambda: first("lanes", empty),
            },
            rounds,
            first=1,
        )
    beside = {LANES: found[LANES]}
    yield Row("a process's first launch, machine code kept", "ms", found["native"], beside, Budget(1, LANES, more=10))
    yield Row("a process's first launch, engine auto", "ms", found["auto"], beside, Budget(1.05, LANES))


def rows(rounds: int) -> Iterator[Row]:
    """Both engines, and first launches."""
    with jitload.configure(device="cpu"):
        yield from launches(rounds)
    yield from new_processes(rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    show(rows(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
