"""What the CPU executor costs: launches, preparation, and the same algorithms on numba's CUDA simulator.

    python benchmarks/cpu.py [--numba PYTHON] [--rounds N]

Wall time, best of several rounds, nobody watching the launches. `--numba` names a Python that has numba (by default
this one); without it the comparison is left out.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

import numpy as np

import jitload
from jitload.cpu.module import load_ptx

KERNELS = pathlib.Path(__file__).parent.parent / "kernels"
LONG = """extern "C" __global__ void mix(unsigned* x) {
    unsigned a = x[threadIdx.x], b = a * 7u;
    #pragma unroll
    for (int i = 0; i < 500; ++i) { a ^= b << 5; b += a * (0x9e3779b9u + i); a ^= b >> 7; b -= a ^ (i * 77u); }
    x[threadIdx.x] = a + b;
}"""


def best_ms(launch, rounds: int) -> float:
    figures = []
    for _ in range(rounds):
        started = time.perf_counter()
        launch()
        figures.append(time.perf_counter() - started)
    return min(figures) * 1e3


def compiled(file: str, *names: str):
    return jitload.compile(KERNELS / file, kind="ptx", arch="compute_75", names=names)


def launches(rounds: int) -> None:
    rng = np.random.default_rng(0)
    n = 1_000_000
    x, y = rng.standard_normal((2, n), dtype=np.float32)
    a, b = rng.standard_normal((2, 256, 256), dtype=np.float32)
    c = np.zeros_like(a)
    out = np.zeros(1, np.float32)
    saxpy = compiled("saxpy.cu").load()["saxpy"]
    matmul = compiled("matmul.cu").load()["matmul"]
    warp_reduce = compiled("warp_reduce.cu").load()["warp_reduce"]
    rows = {
        "saxpy, 1M elements": (lambda: saxpy[-(-n // 256), 256](2.0, x, y, n), 25.0),
        "saxpy, one block of 256 threads": (lambda: saxpy[1, 256](2.0, x[:256], y[:256], 256), 0.6),
        "tiled matmul, 256 x 256": (lambda: matmul[(16, 16), (16, 16)](a, b, c, 256, 256, 256), 100.0),
        "warp-shuffle reduction, 1M elements": (lambda: warp_reduce[1024, 256](x, out, n), 120.0),
    }
    for what, (launch, target) in rows.items():
        print(f"{what:<44} {best_ms(launch, rounds):8.2f} ms   target {target:g} ms")


def preparation(rounds: int) -> None:
    """Text to functions that can be launched: reading, decoding, checking, generating and compiling code."""
    long = jitload.compile(LONG, name="mix.cu", kind="ptx", arch="compute_75")
    for name, artifact, target in (
        ("saxpy", compiled("saxpy.cu"), ""),
        ("warp_reduce", compiled("warp_reduce.cu"), "   target 4 ms for 90 instructions"),
        ("matmul", compiled("matmul.cu"), ""),
        ("mix", long, ""),
    ):
        size = len(load_ptx(artifact.data).device_function(name).code.places)
        took = best_ms(lambda data=artifact.data, name=name: load_ptx(data).device_function(name), rounds)
        print(f"{f'preparation of {name}, {size} instructions':<44} {took:8.2f} ms{target}")


def beside_simulator(python: str, rounds: int) -> None:
    """The same algorithms and sizes as `simulator.py`; and per element, ours at the sizes above."""
    child = subprocess.run(
        [python, str(pathlib.Path(__file__).parent / "simulator.py")], capture_output=True, text=True, check=False
    )
    if child.returncode:
        print(f"numba's simulator: not measured, {(child.stderr.strip().splitlines() or ['no output'])[-1]}")
        return
    theirs = json.loads(child.stdout)
    rng = np.random.default_rng(0)
    n, side = 1_000_000, 256
    x, y = rng.standard_normal((2, n), dtype=np.float32)
    a, b = rng.standard_normal((2, side, side), dtype=np.float32)
    c, out = np.zeros_like(a), np.zeros(n // 256 + 1, np.float32)
    saxpy = compiled("saxpy.cu").load()["saxpy"]
    matmul = compiled("matmul.cu").load()["matmul"]
    reduce = compiled("block_reduce.cu", "reduce<float, 128>").load()["reduce<float, 128>"]

    def multiply(size: int) -> None:
        matmul[(size // 16, size // 16), (16, 16)](a[:size, :size].copy(), b[:size, :size].copy(), c, size, size, size)

    ours = {
        "saxpy": (lambda size: saxpy[-(-size // 256), 256](2.0, x[:size], y[:size], size), n, 1),
        "matmul": (multiply, side, 3),
        "reduce": (lambda size: reduce[-(-size // 256), 128](x[:size], out, size), n, 1),
    }
    for what, (launch, large, power) in ours.items():
        size, seconds = theirs[what]
        same = best_ms(lambda launch=launch, size=size: launch(size), rounds)
        scaled = best_ms(lambda launch=launch, large=large: launch(large), rounds) / large**power
        unit = "multiply-add" if power == 3 else "element"
        print(
            f"{what}: numba's simulator {seconds * 1e3:.0f} ms for {size}, ours {same:.2f} ms "
            f"({seconds * 1e3 / same:.0f}x); per {unit} {seconds * 1e6 / size**power:.3g} us, "
            f"ours at {large} {scaled * 1e3:.3g} us ({seconds * 1e3 / size**power / scaled:.0f}x)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--numba", default=sys.executable, help="a Python that has numba")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with jitload.configure(device="cpu"):
        launches(options.rounds)
        preparation(options.rounds)
        beside_simulator(options.numba, options.rounds)


if __name__ == "__main__":
    main()
