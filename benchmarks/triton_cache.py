"""A warm start of Triton with jitload's cache manager and with its own, in turns, as ratios.

    python benchmarks/triton_cache.py [--rounds N] [--kernels N]

No GPU is needed: kernels are compiled for sm_90. Needs Triton 3.9 and a C compiler. A round starts a process for each,
which imports Triton and asks for every kernel; the directories are filled before. jitload's manager is set by its
variable, or by `install()`. Both remember the digest that Triton makes of itself, the variable only where Triton asks
for something else first. With a GPU it does: for its module in C that asks the driver which GPU it is. Here a module of
one function stands for that one. Without, as where a program compiles for a target that it names, the digest is first.
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
VARIABLE = "the variable"
#: How processes start: as with a GPU, and for a target that the program names.
STARTS = {"driver": "", "named": ", target named"}
REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = """
import json, sys, time
if sys.argv[2] == "install()":
    from jitload.interop import triton as jitload_triton
    jitload_triton.install()
import triton, triton.language as tl
from triton import knobs
if sys.argv[3] == "driver":
    from triton.runtime.build import compile_module_from_src
    compile_module_from_src(
        "#include <Python.h>\\nstatic struct PyModuleDef probe = {PyModuleDef_HEAD_INIT, \\"probe\\", 0, -1, 0};\\n"
        "PyMODINIT_FUNC PyInit_probe(void) { return PyModule_Create(&probe); }\\n", "probe")
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


def start(
    program: pathlib.Path, arguments: tuple[str, ...], variables: dict[str, str]
) -> tuple[float, dict[str, float]]:
    """Seconds that the whole process keeps a processor busy, and what it tells."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("TRITON", "JITLOAD"))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a new process should find jitload compiled, as installed
    environment |= {"PYTHONPATH": str(REPOSITORY), "TRITON_DEFAULT_FP_FUSION": "1", **variables}
    began = busy()
    command = [sys.executable, str(program), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return busy() - began, json.loads(done.stdout.splitlines()[-1])


def rows(rounds: int, kernels: int = 8) -> Iterator[Row]:
    """A whole process, in seconds of processors, and one kernel in it, in seconds of a clock."""
    with tempfile.TemporaryDirectory() as directory:
        program = pathlib.Path(directory, "program.py")
        program.write_text(PROGRAM)
        ours = {"JITLOAD_CACHE_DIR": f"{directory}/ours"}
        managers = {
            VARIABLE: {**ours, "TRITON_CACHE_MANAGER": "jitload.interop.triton:CacheManager"},
            INSTALLED: ours,
            OWN: {"TRITON_CACHE_DIR": f"{directory}/own"},
        }
        sides = {
            how + told: ((str(kernels), how, first), variables)
            for first, told in STARTS.items()
            for how, variables in managers.items()
        }
        for arguments, variables in sides.values():
            for _ in range(2):  # the first one is compiled, and compiles jitload and Triton themselves
                start(program, arguments, variables)
        each: dict[str, list[float]] = {side: [] for side in sides}

        def warm(side: str) -> float:
            seconds, told = start(program, *sides[side])
            if told["hits"] != kernels:
                raise RuntimeError(f"{side}: {told['hits']} hits of {kernels}")
            each[side].append(told["each"])
            return seconds

        found = turns({side: lambda side=side: warm(side) for side in sides}, rounds)
    for told in STARTS.values():
        for how in (VARIABLE, INSTALLED):
            yield Row(
                f"Triton, warm start with {kernels} kernels{told}, by {how}, seconds of processors",
                "ms",
                found[how + told],
                {OWN: found[OWN + told]},
                Budget(1.0, OWN),
            )
    yield Row("Triton, one kernel of them", "us", tuple(each[VARIABLE]), {OWN: tuple(each[OWN])})


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--kernels", type=int, default=8)
    given = parser.parse_args()
    show(rows(given.rounds, given.kernels))


if __name__ == "__main__":
    main()
