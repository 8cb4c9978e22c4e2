"""What the CPU executor costs: launches, preparation, and the same algorithms on numba's CUDA simulator.

    python benchmarks/cpu.py [--numba PYTHON] [--rounds N]

Wall time, nobody watching the launches. `--numba` names a Python that has numba (by default
this one); without it the comparison is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import pathlib
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from measure import Budget, Row, show, taken, turns

import jitload
from jitload.cpu.module import load_ptx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: What is compared with.
SIMULATOR = "numba's CUDA simulator"
KERNELS = pathlib.Path(__file__).parent.parent / "kernels"
LONG = """extern "C" __global__ void mix(unsigned* x) {
    unsigned a = x[threadIdx.x], b = a * 7u;
    #pragma unroll
    for (int i = 0; i < 500; ++i) { a ^= b << 5; b += a * (0x9e3779b9u + i); a ^= b >> 7; b -= a ^ (i * 77u); }
    x[threadIdx.x] = a + b;
}"""


def compiled(file: str, *names: str):
    return jitload.compile(KERNELS / file, kind="ptx", arch="compute_75", names=names)


def cases() -> dict[str, tuple[Callable[[], None], float, float | None]]:
    """Launches: what they may cost on lanes in ms, and how many times as long as machine code, where that is bound."""
    rng = np.random.default_rng(0)
    n = 1_000_000
    x, y = rng.standard_normal((2, n), dtype=np.float32)
    a, b = rng.standard_normal((2, 256, 256), dtype=np.float32)
    c = np.zeros_like(a)
    out = np.zeros(1, np.float32)
    saxpy = compiled("saxpy.cu").load()["saxpy"]
    matmul = compiled("matmul.cu").load()["matmul"]
    warp_reduce = compiled("warp_reduce.cu").load()["warp_reduce"]
    return {
        "saxpy, 1M elements": (lambda: saxpy[-(-n // 256), 256](2.0, x, y, n), 25.0, 4.0),
        "saxpy, one block of 256 threads": (lambda: saxpy[1, 256](2.0, x[:256], y[:256], 256), 0.6, None),
        "tiled matmul, 256 x 256": (lambda: matmul[(16, 16), (16, 16)](a, b, c, 256, 256, 256), 100.0, None),
        "warp-shuffle reduction, 1M elements": (lambda: warp_reduce[1024, 256](x, out, n), 120.0, 5.0),
    }


def launches(rounds: int) -> Iterator[Row]:
    """On lanes, and beside them as machine code, where llvmlite is."""
    ways = cases()
    engines: list[Literal["lanes", "native"]] = ["lanes", *(["native"] if importlib.util.find_spec("llvmlite") else [])]

    def once(launch: Callable[[], None], engine: Literal["lanes", "native"]) -> float:
        with jitload.configure(cpu_engine=engine):
            return taken(launch)

    steps = {(what, engine): partial(once, launch, engine) for what, (launch, *_) in ways.items() for engine in engines}
    found = turns(steps, rounds, first=1)
    for what, (_, most, times) in ways.items():
        lanes = found[what, "lanes"]
        yield Row(what, "ms", lanes, budget=Budget(most))
        if "native" in engines:
            budget = None if times is None else Budget(1 / times, "lanes")
            yield Row(f"{what}, machine code", "ms", found[what, "native"], {"lanes": lanes}, budget)


def preparation(rounds: int) -> Iterator[Row]:
    """Text to functions that can be launched: reading, decoding, checking, generating and compiling code."""
    long = jitload.compile(LONG, name="mix.cu", kind="ptx", arch="compute_75")
    ways = {}
    for name, artifact in (
        ("saxpy", compiled("saxpy.cu")),
        ("warp_reduce", compiled("warp_reduce.cu")),
        ("matmul", compiled("matmul.cu")),
        ("mix", long),
    ):
        size = len(load_ptx(artifact.data).device_function(name).code.places)
        ways[f"preparation of {name}, {size} instructions"] = lambda data=artifact.data, name=name: taken(
            lambda: load_ptx(data).device_function(name)
        )
    for what, figures in turns(ways, rounds).items():
        # 4 ms for 90 instructions is what was asked for.
        budget = Budget(4 * int(what.split()[-2]) / 90) if "warp_reduce" in what else None
        yield Row(what, "ms", figures, budget=budget)


def beside_simulator(rounds: int, python: str = sys.executable) -> Iterator[Row]:
    """The same algorithms and sizes as `simulator.py`, which runs once: it takes a second and more for a launch."""
    child = subprocess.run(
        [python, str(pathlib.Path(__file__).parent / "simulator.py")], capture_output=True, text=True, check=False
    )
    if child.returncode:
        print(f"numba's simulator: not measured, {(child.stderr.strip().splitlines() or ['no output'])[-1]}")
        return
    theirs = json.loads(child.stdout)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 1_000_000), dtype=np.float32)
    a, b = rng.standard_normal((2, 256, 256), dtype=np.float32)
    c, out = np.zeros_like(a), np.zeros(len(x) // 256 + 1, np.float32)
    saxpy = compiled("saxpy.cu").load()["saxpy"]
    matmul = compiled("matmul.cu").load()["matmul"]
    reduce = compiled("block_reduce.cu", "reduce<float, 128>").load()["reduce<float, 128>"]

    def multiply(size: int) -> None:
        matmul[(size // 16, size // 16), (16, 16)](a[:size, :size].copy(), b[:size, :size].copy(), c, size, size, size)

    ours = {
        "saxpy": lambda size: saxpy[-(-size // 256), 256](2.0, x[:size], y[:size], size),
        "matmul": multiply,
        "reduce": lambda size: reduce[-(-size // 256), 128](x[:size], out, size),
    }
    for what, launch in ours.items():
        size, seconds = theirs[what]
        launch(size)
        figures = tuple(taken(lambda launch=launch, size=size: launch(size)) for _ in range(rounds))
        beside = {SIMULATOR: (seconds,) * rounds}
        yield Row(f"{what} of {size} beside a simulator", "ms", figures, beside, Budget(0.01, SIMULATOR))


def rows(rounds: int, python: str = sys.executable) -> Iterator[Row]:
    """Launches, preparation, and the simulator, where that Python has numba."""
    with jitload.configure(device="cpu"):
        yield from launches(rounds)
        yield from preparation(rounds)
        yield from beside_simulator(rounds, python)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--numba", default=sys.executable, help="a Python that has numba")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    show(rows(given.rounds, given.numba))


if __name__ == "__main__":
    main()
