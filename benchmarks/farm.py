"""How a farm scales, as ratios in one run: 1 and 2 Dask workers of one thread each, and this machine without Dask.

    python benchmarks/farm.py [--kernels 48] [--rounds 3]

Scheduler and workers are processes of this machine, started once; every round is a whole `jitload.precompile` of
kernels that no cache has, with worker processes that have compiled before. The rows take turns, and the best of each is
kept. It needs two cores that nobody else uses: `load` says what the machine did besides.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
import tempfile
import time

from jitload.batch.cluster import dask_executor
from jitload.batch.precompile import precompile
from jitload.source.request import CompileRequest
from jitload.tiers.cache import Cache

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from tests.batch.farm import Cluster, Scheduler

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernels", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    best: dict[str, float] = {}
    number = 0
    with tempfile.TemporaryDirectory() as directory:
        scheduler = Scheduler(pathlib.Path(directory))
        cluster = Cluster(scheduler, pathlib.Path(directory))
        try:
            cluster.start_workers(2)
            with dask_executor(cluster.address) as both:
                client = both._client
                ways = {
                    "farm, 1 worker": {"executor": client.get_executor(workers=["w0"])},
                    "farm, 2 workers": {"executor": both},
                    "here, 1 process": {"jobs": 1},
                    "here, 2 processes": {"jobs": 2},
                }
                for round_number in range(given.rounds + 1):
                    for name, how in ways.items():
                        count = given.kernels if round_number else 4
                        wanted = requests(number, count)
                        number += count
                        started = time.perf_counter()
                        report = precompile(wanted, cache=Cache(f"{directory}/{number}"), **how)
                        seconds = time.perf_counter() - started
                        assert report.ok, str(report)
                        if round_number:
                            best[name] = min(best.get(name, seconds), seconds)
        finally:
            cluster.stop()
            scheduler.stop()
    print(f"{given.kernels} kernels, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    for name, seconds in best.items():
        print(f"{name:20} {seconds:6.2f} s  {given.kernels / seconds:6.1f} kernels/s")
    print(f"\n1 -> 2 workers       {best['farm, 1 worker'] / best['farm, 2 workers']:.2f}x")
    print(f"1 -> 2 processes     {best['here, 1 process'] / best['here, 2 processes']:.2f}x")
    print(f"farm over here       {best['farm, 2 workers'] / best['here, 2 processes']:.2f}")


if __name__ == "__main__":
    main()
