"""A warm start of Triton with jitload's cache manager and with its own, in turns, as a ratio.

    python benchmarks/triton_cache.py [--rounds N] [--kernels N]

No GPU is needed: kernels are compiled for sm_90. Needs Triton 3.9. A round starts a process for each of the two, which
imports Triton and asks for every kernel; both directories are filled before.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = """
import json, sys, time
import triton, triton.language as tl
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

@triton.jit
def add_kernel(x, y, out, n, block: tl.constexpr):
    i = tl.program_id(0) * block + tl.arange(0, block)
    inside = i < n
    tl.store(out + i, tl.load(x + i, mask=inside) + tl.load(y + i, mask=inside), mask=inside)

hits = []
knobs.compilation.listener = lambda **told: hits.append(told["cache_hit"])
types = {"x": "*fp32", "y": "*fp32", "out": "*fp32", "n": "i32", "block": "constexpr"}
seconds = []
for number in range(int(sys.argv[1])):
    options = {"num_warps": 1 << number % 4, "num_stages": 2 + number // 4}
    start = time.perf_counter()
    triton.compile(ASTSource(add_kernel, types, {"block": 256}), GPUTarget("cuda", 90, 32), options)
    seconds.append(time.perf_counter() - start)
print(json.dumps({"hits": sum(hits), "each": sorted(seconds[1:])[len(seconds) // 2 - 1]}))
"""


def busy() -> float:
    """Seconds of processors that children have taken: on a machine with other work, the time of a clock says little."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def start(program: pathlib.Path, kernels: int, variables: dict[str, str]) -> tuple[float, dict[str, float]]:
    """Seconds that the whole process keeps a processor busy, and what it tells."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("TRITON", "JITLOAD"))}
    environment |= {"PYTHONPATH": str(REPOSITORY), "TRITON_DEFAULT_FP_FUSION": "1", **variables}
    began = busy()
    done = subprocess.run(
        [sys.executable, str(program), str(kernels)], env=environment, capture_output=True, text=True, check=True
    )
    return busy() - began, json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--kernels", type=int, default=8)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        program = pathlib.Path(directory, "program.py")
        program.write_text(PROGRAM)
        sides = {
            "Triton's own": {"TRITON_CACHE_DIR": f"{directory}/own"},
            "jitload's": {
                "JITLOAD_CACHE_DIR": f"{directory}/ours",
                "TRITON_CACHE_MANAGER": "jitload.interop.triton:CacheManager",
            },
        }
        for variables in sides.values():
            start(program, given.kernels, variables)
        whole: dict[str, list[float]] = {name: [] for name in sides}
        each: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(given.rounds):
            for name in sorted(sides, reverse=bool(number % 2)):
                seconds, told = start(program, given.kernels, sides[name])
                if told["hits"] != given.kernels:
                    raise SystemExit(f"{name}: {told['hits']} hits of {given.kernels}")
                whole[name].append(seconds)
                each[name].append(told["each"])
    for name in sides:
        process, kernel = statistics.median(whole[name]), statistics.median(each[name])
        print(f"{name:<14} process {process * 1e3:7.1f} ms   kernel {kernel * 1e6:7.0f} us")
    ratios = [ours / own for own, ours in zip(whole["Triton's own"], whole["jitload's"], strict=True)]
    print(f"process, jitload's over Triton's own: median {statistics.median(ratios):.3f}, best {min(ratios):.3f}")


if __name__ == "__main__":
    main()
