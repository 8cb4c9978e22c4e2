"""How a farm scales, as ratios in one run: 1 and 2 Dask workers of one thread each, and this machine without Dask.

    python benchmarks/farm.py [--kernels 48] [--rounds 3]

Scheduler and workers are processes of this machine, started once; every round is a whole `jitload.precompile` of
kernels that no cache has, with worker processes that have compiled before. The rows take turns. It needs
two cores that nobody else uses. What two of them are worth to NVRTC alone, the last row tells.
"""

from __future__ import annotations

import argparse
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

from measure import Budget, Row, show, turns

from jitload.batch.cluster import dask_executor
from jitload.batch.precompile import precompile
from jitload.source.request import CompileRequest
from jitload.tiers.cache import Cache

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from tests.batch.farm import Cluster, Scheduler

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What two workers are compared with.
ONE = "1 worker"

# Enough arithmetic to keep the optimiser busy: what scales is the compiler.
SOURCE = """
extern "C" __global__ void chain%(number)d(float *x, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  float a = x[i];
  #pragma unroll
  for (int k = 0; k < 40; ++k) a = a * (k %% 7 + %(number)d) + x[(i + k * k) %% n] / (a + k);
  x[i] = a;
}
"""


def requests(first: int, count: int) -> list[CompileRequest]:
    return [
        CompileRequest(SOURCE % {"number": number}, kind="cubin", arch="sm_90", name=f"chain{number}.cu")
        for number in range(first, first + count)
    ]


#: Compiles kernels when told to, and nothing else.
BARE = """
import sys
from benchmarks.farm import requests
from jitload.compiler.program import compile_artifact
from jitload.compiler.toolkit import toolkit_roots
from jitload.headers.closure import Closure
from jitload.tiers.cache import Cache
warm, *wanted = requests(int(sys.argv[1]), int(sys.argv[2]) + 1)
compiler = Cache().compiler(warm)
compile_artifact(warm, Closure(warm, toolkit_roots()), compiler)
print(flush=True)
sys.stdin.readline()
for one in wanted:
    compile_artifact(one, Closure(one, toolkit_roots()), compiler)
"""


def bare(first: int, count: int, processes: int) -> float:
    """Seconds of so many compiles in processes that do nothing else."""
    root = pathlib.Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'benchmarks'}"}
    each = count // processes
    started = [
        subprocess.Popen(
            [sys.executable, "-c", BARE, str(first + number * each), str(each)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for number in range(processes)
    ]
    for process in started:
        process.stdout.readline()
    begun = time.perf_counter()
    for process in started:
        process.stdin.close()
    for process in started:
        if process.wait():
            raise RuntimeError("a compile failed")
        process.stdout.close()
    return time.perf_counter() - begun


def rows(rounds: int, kernels: int = 48) -> Iterator[Row]:
    """Seconds of whole runs; every run has kernels of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:  # killed workers end slowly
        scheduler = Scheduler(pathlib.Path(directory))
        cluster = Cluster(scheduler, pathlib.Path(directory))
        numbers = itertools.count(step=kernels)

        def run(how: dict[str, Any], count: int = kernels) -> float:
            number = next(numbers)
            wanted, cache = requests(number, count), Cache(f"{directory}/{number}")
            started = time.perf_counter()
            report = precompile(wanted, cache=cache, **how)
            seconds = time.perf_counter() - started
            if not report.ok:
                raise RuntimeError(str(report))
            return seconds

        try:
            cluster.start_workers(2)
            with dask_executor(cluster.address) as both:
                ways = {
                    "": {"executor": both},
                    ONE: {"executor": both._client.get_executor(workers=["w0"])},
                    "2 processes here": {"jobs": 2},
                    "1 process here": {"jobs": 1},
                }
                for how in ways.values():  # worker processes have compiled before
                    run(how, 4)
                actions = {name: lambda how=how: run(how) for name, how in ways.items()}
                for count, name in ((2, "2 bare compilers"), (1, "1 bare compiler")):
                    actions[name] = lambda count=count: bare(next(numbers), kernels, count)
                found = turns(actions, rounds)
        finally:
            cluster.stop()
            scheduler.stop()
    alone = found.pop("2 bare compilers"), {"1 bare compiler": found.pop("1 bare compiler")}
    here = found["2 processes here"], {"1 process here": found.pop("1 process here")}
    what = f"{kernels} kernels by 2"
    yield Row(f"{what} Dask workers", "s", found.pop(""), found, Budget(1 / 1.8, ONE))
    yield Row(f"{what} processes of this machine", "s", *here, Budget(1 / 1.8, "1 process here"))
    yield Row(f"{what} compilers that do nothing else", "s", *alone, note="what the machine is worth")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernels", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    show(rows(given.rounds, given.kernels))


if __name__ == "__main__":
    main()
