"""A warm start of Triton with jitload's cache manager and with its own, in turns, as ratios.

    python benchmarks/triton_cache.py [--rounds N] [--kernels N]

No GPU is needed: kernels are compiled for sm_90. Needs Triton 3.9. A round starts a process for each, which imports
Triton and asks for every kernel; the directories are filled before. jitload's manager is set by its variable, or by
`install()`, which also remembers the digest that Triton makes of itself.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from measure import Budget, Row, show, turns

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What it is compared with.
OWN = "its own manager"
INSTALLED = "install()"
REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = """
import json, sys, time
if sys.argv[2] == "install":
    from jitload.interop import triton as jitload_triton
    jitload_triton.install()
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


def start(program: pathlib.Path, kernels: int, how: str, variables: dict[str, str]) -> tuple[float, dict[str, float]]:
    """Seconds that the whole process keeps a processor busy, and what it tells."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("TRITON", "JITLOAD"))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a new process should find jitload compiled, as installed
    environment |= {"PYTHONPATH": str(REPOSITORY), "TRITON_DEFAULT_FP_FUSION": "1", **variables}
    began = busy()
    done = subprocess.run(
        [sys.executable, str(program), str(kernels), how], env=environment, capture_output=True, text=True, check=True
    )
    return busy() - began, json.loads(done.stdout.splitlines()[-1])


def rows(rounds: int, kernels: int = 8) -> Iterator[Row]:
    """A whole process, in seconds of processors, and one kernel in it, in seconds of a clock."""
    with tempfile.TemporaryDirectory() as directory:
        program = pathlib.Path(directory, "program.py")
        program.write_text(PROGRAM)
        ours = {"JITLOAD_CACHE_DIR": f"{directory}/ours"}
        sides = {
            "": ("", {**ours, "TRITON_CACHE_MANAGER": "jitload.interop.triton:CacheManager"}),
            INSTALLED: ("install", ours),
            OWN: ("", {"TRITON_CACHE_DIR": f"{directory}/own"}),
        }
        for how, variables in sides.values():
            for _ in range(2):  # the first one is compiled, and compiles jitload and Triton themselves
                start(program, kernels, how, variables)
        each: dict[str, list[float]] = {name: [] for name in sides}

        def warm(name: str) -> float:
            seconds, told = start(program, kernels, *sides[name])
            if told["hits"] != kernels:
                raise RuntimeError(f"{name or 'ours'}: {told['hits']} hits of {kernels}")
            each[name].append(told["each"])
            return seconds

        found = turns({name: lambda name=name: warm(name) for name in sides}, rounds)
    for name, how in (("", "the variable"), (INSTALLED, INSTALLED)):
        yield Row(
            f"Triton, warm start with {kernels} kernels, by {how}, seconds of processors",
            "ms",
            found[name],
            {OWN: found[OWN]},
            Budget(1.0, OWN),
        )
    yield Row("Triton, one kernel of them", "us", tuple(each[""]), {OWN: tuple(each[OWN])})


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--kernels", type=int, default=8)
    given = parser.parse_args()
    show(rows(given.rounds, given.kernels))


if __name__ == "__main__":
    main()
