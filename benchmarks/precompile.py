"""What worker processes and shared headers save, as ratios in one run.

    python benchmarks/precompile.py [--kernels 48] [--cub 12]

Every row is a whole `jitload.precompile` into an empty cache, worker processes started anew, the same requests on both
sides of a ratio. The rows of a ratio take turns, and the best of each is kept: other work on the machine only adds.
"""

import argparse
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import jitload
from jitload.batch import workers
from jitload.batch.precompile import precompile
from jitload.source.request import CompileRequest
from jitload.tiers.cache import Cache

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


def best(rounds: int, *rows) -> list[float]:
    """The best time of each row; the rows take turns."""
    times = [[row() for row in rows] for _ in range(rounds)]
    return [min(column) for column in zip(*times, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernels", type=int, default=48, help="kernels without headers, for the scaling")
    parser.add_argument("--half", type=int, default=32, help="kernels with cuda_fp16.h")
    parser.add_argument("--cub", type=int, default=12, help="kernels with cub/block/block_reduce.cuh")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    warm = jitload.compile("__global__ void k() {}", arch="sm_90", cache=Cache())
    print(f"NVRTC {warm.toolchain.version}, {os.cpu_count()} cores, best of {options.rounds} rounds\n")

    plain = requests(PLAIN, options.kernels)
    one, two, threads = best(
        options.rounds,
        lambda: seconds(plain, jobs=1),
        lambda: seconds(plain, jobs=2),
        lambda: seconds(plain, jobs=2, threads=True),
    )
    print(f"{options.kernels} kernels without headers")
    print(f"  1 worker process         {one:7.2f} s")
    print(f"  2 worker processes       {two:7.2f} s  {one / two:5.2f}x")
    print(f"  2 threads, this process  {threads:7.2f} s  {one / threads:5.2f}x\n")

    for name, source, count in (("cuda_fp16.h", HALF, options.half), ("cub/block/block_reduce.cuh", CUB, options.cub)):
        if count < 2:
            continue
        wanted, fewer = requests(source, count), requests(source, count // 2)
        apart, shared, half = best(
            options.rounds,
            lambda wanted=wanted: seconds(wanted, jobs=1, share=False),
            lambda wanted=wanted: seconds(wanted, jobs=1),
            lambda fewer=fewer: seconds(fewer, jobs=1),
        )
        each = apart / count
        # What one more kernel costs once the headers are there: the difference of two batches.
        more = max(shared - half, 1e-9) / (count - count // 2)
        print(f"{count} kernels with {name}, 1 worker process")
        print(f"  headers parsed for each  {apart:7.2f} s  {each * 1e3:6.0f} ms per kernel")
        ratio = f"{apart / shared:5.2f}x"
        print(f"  headers shared           {shared:7.2f} s  {shared / count * 1e3:6.0f} ms per kernel  {ratio}")
        print(f"  one more kernel                     {more * 1e3:6.0f} ms             {each / more:5.2f}x\n")


if __name__ == "__main__":
    main()
