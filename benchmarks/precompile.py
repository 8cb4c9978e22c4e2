"""What worker processes and shared headers save, as ratios in one run.

    python benchmarks/precompile.py [--kernels 48] [--cub 12]

Every row is a whole `jitload.precompile` into an empty cache, worker processes started anew, the same requests on both
sides of a ratio, which take turns.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from measure import Budget, Row, show, turns

from jitload.batch import workers
from jitload.batch.precompile import precompile
from jitload.source.request import CompileRequest
from jitload.tiers.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Iterator

# No header, and enough arithmetic to keep the optimiser busy: what scales is the compiler.
PLAIN = """
extern "C" __global__ void chain%(number)d(float *x, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  float a = x[i];
  #pragma unroll
  for (int k = 0; k < 40; ++k) a = a * (k %% 7 + %(number)d) + x[(i + k * k) %% n] / (a + k);
  x[i] = a;
}
"""
HALF = """#include <cuda_fp16.h>
extern "C" __global__ void add%(number)d(__half *x, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] = __hadd(x[i], x[(i + %(number)d) %% n]);
}
"""
CUB = """#include <cub/block/block_reduce.cuh>
extern "C" __global__ void total%(number)d(const float *x, float *sum) {
  using Reduce = cub::BlockReduce<float, 32 * (%(number)d %% 32 + 1)>;
  __shared__ typename Reduce::TempStorage storage;
  float result = Reduce(storage).Sum(x[threadIdx.x + %(number)d]);
  if (threadIdx.x == 0) *sum = result;
}
"""


def requests(source: str, count: int) -> list[CompileRequest]:
    return [
        CompileRequest(source % {"number": number}, kind="cubin", arch="sm_90", name=f"kernel{number}.cu")
        for number in range(count)
    ]


def seconds(wanted: list[CompileRequest], *, jobs: int, share: bool = True, threads: bool = False) -> float:
    """One run into an empty cache, and out again."""
    with tempfile.TemporaryDirectory() as directory:
        cache = Cache(os.path.join(directory, "cache"))
        started = time.perf_counter()
        if threads:
            with ThreadPoolExecutor(jobs) as executor:
                report = precompile(wanted, executor=executor, jobs=jobs, cache=cache)
        elif share:
            report = precompile(wanted, jobs=jobs, cache=cache)
        else:
            # The same requests, each as a batch of its own: nothing to share, everything else the same.
            batches = [workers.Batch([request], cache, directory, "missing") for request in wanted]
            results = list(workers.compile_in_processes(batches, jobs))
            assert all(result.outcome == "compiled" for result in results)
            return time.perf_counter() - started
        taken = time.perf_counter() - started
        assert len(report.compiled) == len(wanted), str(report)
    return taken


def rows(rounds: int, plain: int = 24, half: int = 24, cub: int = 4) -> Iterator[Row]:
    """Workers beside one worker, and headers that are shared beside headers that are parsed for each kernel."""
    wanted = requests(PLAIN, plain)
    ways = {
        "": lambda: seconds(wanted, jobs=2),
        "1 worker process": lambda: seconds(wanted, jobs=1),
        "2 threads, this process": lambda: seconds(wanted, jobs=2, threads=True),
    }
    found = turns(ways, rounds)
    ours = found.pop("")
    yield Row(f"{plain} kernels, 2 worker processes", "s", ours, found, Budget(1 / 1.8, "1 worker process"))
    for name, source, count in (("cuda_fp16.h", HALF, half), ("cub/block/block_reduce.cuh", CUB, cub)):
        if count >= 2:
            yield from shared_headers(name, source, count, rounds)


def shared_headers(name: str, source: str, count: int, rounds: int) -> Iterator[Row]:
    """One batch, and what one more kernel costs once its headers are there: the difference of two batches."""
    wanted, fewer = requests(source, count), requests(source, count // 2)
    ways = {
        "": lambda: seconds(wanted, jobs=1),
        "parsed for each": lambda: seconds(wanted, jobs=1, share=False),
        "half as many": lambda: seconds(fewer, jobs=1),
    }
    found = turns(ways, rounds)
    shared, apart, less = found[""], found["parsed for each"], found["half as many"]
    yield Row(f"{count} kernels with {name}, headers shared", "s", shared, {"parsed for each": apart})
    more = tuple(max(a - b, 1e-9) / (count - count // 2) for a, b in zip(shared, less, strict=True))
    each = tuple(figure / count for figure in apart)
    budget = Budget(1 / 3, "parsed for each")
    yield Row(f"one more kernel with {name}", "ms", more, {"parsed for each": each}, budget)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernels", type=int, default=48, help="kernels without headers, for the scaling")
    parser.add_argument("--half", type=int, default=32, help="kernels with cuda_fp16.h")
    parser.add_argument("--cub", type=int, default=12, help="kernels with cub/block/block_reduce.cuh")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    show(rows(given.rounds, given.kernels, given.half, given.cub))


if __name__ == "__main__":
    main()
