"""What a hit costs: in memory, from the disk, in a new process; and what a cold compile costs over raw NVRTC.

Run by hand: `python benchmarks/cache.py`; with `--entries 1000,100000,1000000`, what a cache of so many entries costs
(the last takes 4 GB of disk and some ten minutes). Every figure is a median of interleaved rounds of one run, of puts
the mean, and the ratios are what to quote. Install `cuda-core` beside jitload to see the same for its
FileStreamProgramCache.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time

import jitload
from jitload.cli.cache_report import stats_json
from jitload.compiler import nvrtc
from jitload.digest import sha256_hex
from jitload.format.entry import encode_entry
from jitload.tiers.account import Account
from jitload.tiers.audit import row_of
from jitload.tiers.cache import FLUSH_EVERY
from jitload.tiers.journal import Journal
from jitload.values import Kind

# About 5 KB of cubin, the size that the budgets speak of.
BODY = "".join(f"x[{number}] = n * {number};" for number in range(60))
SOURCE = f'extern "C" __global__ void k(float *x, int n) {{ {BODY} }}'
CUB = """
#include <cub/block/block_reduce.cuh>
__global__ void k(int *x)
{
    __shared__ typename cub::BlockReduce<int, 128>::TempStorage storage;
    int sum = cub::BlockReduce<int, 128>(storage).Sum(x[threadIdx.x]);
    if (threadIdx.x == 0) x[0] = sum;
}
"""

NEW_PROCESS = """
import jitload
data = jitload.compile({source!r}, kind="cubin", arch="sm_90").data
assert jitload.stats().compiles == {compiles}
"""
CUDA_CORE = """
from cuda.core import Program, ProgramOptions
from cuda.core.utils import FileStreamProgramCache
cache = FileStreamProgramCache({directory!r})
data = Program({source!r}, "c++", ProgramOptions(arch="sm_90")).compile("cubin", cache=cache).code
"""
IN_PROCESS = """
import time, jitload
for source in {sources!r}:
    started = time.perf_counter()
    data = jitload.compile(source, kind="cubin", arch="sm_90").data
    print(time.perf_counter() - started)
assert jitload.stats().compiles == 0
"""


def median_us(function, *, rounds: int = 9, calls: int = 200) -> float:
    figures = []
    for _ in range(rounds):
        started = time.perf_counter()
        for _ in range(calls):
            function()
        figures.append((time.perf_counter() - started) / calls)
    return statistics.median(figures) * 1e6


def run_ms(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return (time.perf_counter() - started) * 1e3


def interleaved_ms(codes: dict[str, str], rounds: int = 15) -> dict[str, float]:
    figures: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(rounds):
        for name, code in codes.items():
            figures[name].append(run_ms(code))
    return {name: statistics.median(values) for name, values in figures.items()}


def row(what: str, figure: str, budget: str = "") -> None:
    print(f"{what:<58} {figure:>14}   {budget}")


def measure_hits(directory: str) -> None:
    cache = jitload.Cache(directory)

    def memory_hit() -> None:
        jitload.compile(SOURCE, kind="cubin", arch="sm_90", cache=cache)

    def disk_hit() -> None:
        cache.memory.clear()
        memory_hit()

    memory_hit()
    artifact = jitload.compile(SOURCE, kind="cubin", arch="sm_90", cache=cache)
    assert cache.disk is not None
    store = cache.disk
    print(f"cubin of {len(artifact.data)} bytes")
    row("memory hit through compile()", f"{median_us(memory_hit):.1f} us", "budget 10 us")
    row("verified disk hit through compile()", f"{median_us(disk_hit):.1f} us", "budget 45 us")
    row("verified disk hit, store level", f"{median_us(lambda: store.read(artifact.key)):.1f} us", "budget 25 us")
    measure_peer_hits(f"{directory}/cuda-core", memory_hit, disk_hit, lambda: store.read(artifact.key))


def measure_peer_hits(directory: str, memory_hit, disk_hit, store_hit) -> None:
    """The same in cuda.core, in turn with ours: the budgets were set against these, on one machine."""
    try:
        from cuda.core import Program, ProgramOptions
        from cuda.core.utils import FileStreamProgramCache, InMemoryProgramCache, make_program_cache_key
    except ImportError:
        return
    options = ProgramOptions(arch="sm_90")
    files, memory = FileStreamProgramCache(directory), InMemoryProgramCache()
    key = make_program_cache_key(code=SOURCE, code_type="c++", options=options, target_type="cubin")

    def through(cache) -> None:
        Program(SOURCE, "c++", options).compile("cubin", cache=cache)

    through(files)
    through(memory)
    for what, ours, theirs, budget in (
        ("memory hit through compile()", memory_hit, lambda: through(memory), 10 / 12.6),
        ("disk hit through compile()", disk_hit, lambda: through(files), 45 / 47),
        ("disk hit, store level", store_hit, lambda: files.get(key), 25 / 27),
    ):
        pairs = [(median_us(ours, rounds=1), median_us(theirs, rounds=1)) for _ in range(15)]
        a, b = (min(figures) for figures in zip(*pairs, strict=True))
        row(f"{what}, ours / cuda.core", f"{a:.1f} / {b:.1f} us", f"x{a / b:.2f}; budget x{budget:.2f}")


def measure_cold(directory: str) -> None:
    """Fresh kernels, compiled by jitload and by bare NVRTC in turn."""
    cache = jitload.Cache(directory)
    options = ["--device-int128"]

    def raw(source: str) -> None:
        nvrtc.compile_program(nvrtc.Run(source.encode(), "k.cu", {}, tuple(options), Kind.CUBIN, "sm_90"))

    ours, bare = [], []
    for number in range(24):
        source = f"// {number}\n{SOURCE}"
        started = time.perf_counter()
        jitload.compile(source, kind="cubin", arch="sm_90", options=options, cache=cache)
        ours.append(time.perf_counter() - started)
        started = time.perf_counter()
        raw(source + "\n")
        bare.append(time.perf_counter() - started)
    a, b = statistics.median(ours[4:]) * 1e3, statistics.median(bare[4:]) * 1e3
    row("cold compile, kept / raw NVRTC", f"{a:.1f} / {b:.1f} ms", f"x{a / b:.2f} + budget: 1.05x + 2 ms")


def measure_processes(directory: str) -> None:
    os.environ["JITLOAD_CACHE_DIR"] = directory
    subprocess.run([sys.executable, "-c", NEW_PROCESS.format(source=SOURCE, compiles=1)], check=True)
    codes = {
        "python -c pass": "pass",
        "import jitload": "import jitload",
        "new process, verified hit": NEW_PROCESS.format(source=SOURCE, compiles=0),
    }
    try:
        import cuda.core.utils  # noqa: F401

        codes["cuda.core, new process, hit"] = CUDA_CORE.format(source=SOURCE, directory=f"{directory}/cuda-core")
        run_ms(codes["cuda.core, new process, hit"])
    except ImportError:
        print("(cuda-core is not installed: no peer to compare with)")
    figures = interleaved_ms(codes)
    base = figures["python -c pass"]
    row("python -c pass", f"{base:.1f} ms")
    row("import jitload, over that", f"{figures['import jitload'] - base:.1f} ms", "budget 25 ms")
    ours = figures["new process, verified hit"]
    row("new process: import, key, verified hit", f"{ours:.1f} ms", "budget 60 ms wall")
    if "cuda.core, new process, hit" in figures:
        peer = figures["cuda.core, new process, hit"]
        row("the same with cuda.core (unverified)", f"{peer:.1f} ms", f"{peer / ours:.1f}x ours; budget 5x")


def measure_cub(directory: str) -> None:
    """A second process that hits a CUB kernel: as its first hit, which imports what a hit needs, and as its second."""
    os.environ["JITLOAD_CACHE_DIR"] = directory
    small = NEW_PROCESS.format(source=SOURCE, compiles=1)
    subprocess.run([sys.executable, "-c", small], check=True)
    cold = run_ms(NEW_PROCESS.format(source=CUB, compiles=1))
    first, second = ([hits_ms(sources)[-1] for _ in range(9)] for sources in ([CUB], [SOURCE, CUB]))
    row("CUB source, first process", f"{cold:.0f} ms")
    row("CUB source, second process, its first hit", f"{statistics.median(first):.1f} ms")
    row("CUB source, second process, after another hit", f"{statistics.median(second):.1f} ms", "budget 15 ms")


def hits_ms(sources: list[str]) -> list[float]:
    """What each hit takes in a new process."""
    code = IN_PROCESS.format(sources=sources)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return [float(line) * 1e3 for line in done.stdout.splitlines()]


def filled_cache(directory: str, entries: int) -> jitload.Cache:
    """A cache with so many entries: real ones of a small kernel under made-up keys, written without waiting for disks.

    Their rows come to the index as those of puts do, in larger parts.
    """
    cache = jitload.Cache(directory, max_bytes=1 << 50)
    disk = cache.disk
    assert disk is not None
    started = time.perf_counter()
    for first in range(0, entries, 10_000):
        rows = {}
        for number in range(first, min(first + 10_000, entries)):
            made = made_up(f"filled {number}")
            disk.directory.write(f"objects/{made.key[:2]}/{made.key[2:]}", encode_entry(made), durable=False)
            rows[made.key] = row_of(made, {})
        assert cache.index is not None
        assert Account(disk, cache.index).write(rows, Journal(disk.directory)) is not None
    row(f"{entries} entries, made", f"{time.perf_counter() - started:.0f} s")
    return cache


def made_up(text: str) -> jitload.Artifact:
    state = {**TINY.__getstate__(), "kernels": tuple(TINY.kernels.values()), "key": sha256_hex(text.encode())}
    return jitload.Artifact(**state)


def measure_growth(directory: str, sizes: list[int]) -> None:
    """What is done with a cache, at each of these sizes; the puts in turn, and at the bound as well."""
    global TINY
    TINY = jitload.compile(SOURCE, kind="ptx", arch="compute_90", cache=jitload.Cache())
    caches = {entries: filled_cache(f"{directory}/{entries}", entries) for entries in sizes}
    numbers = itertools.count()

    def puts_ms(cache: jitload.Cache) -> float:
        """One put of as many as come to one writing of the index, which is among them."""
        fresh = [made_up(f"put {next(numbers)}") for _ in range(FLUSH_EVERY)]
        started = time.perf_counter()
        for artifact in fresh:
            cache.put(artifact)
        return (time.perf_counter() - started) / FLUSH_EVERY * 1e3

    for where in ("put", "put, at the bound"):
        rounds = [{entries: puts_ms(cache) for entries, cache in caches.items()} for _ in range(24)][2:]
        base = statistics.mean(one[sizes[0]] for one in rounds)
        for entries in sizes:
            mean = statistics.mean(one[entries] for one in rounds)
            row(f"{where}, {entries} entries", f"{mean:.2f} ms", f"x{mean / base:.2f}; budget 1.5x of 1000")
        for cache in caches.values():
            assert cache.disk is not None
            cache.disk.max_bytes = cache.stats().bytes
    for entries, cache in caches.items():
        measure_upkeep(entries, cache)


def measure_upkeep(entries: int, cache: jitload.Cache) -> None:
    assert cache.disk is not None
    store, bound = cache.disk, cache.disk.max_bytes
    keys = [key for shard in list(store.shards())[:50] for key in store.keys_of(shard)[:1]]
    hits = sorted(timed_ms(lambda key=key: store.read(key)) for key in keys)
    row(f"verified disk hit, store level, {entries} entries", f"{hits[len(hits) // 2] * 1e3:.1f} us")
    for what, action in (
        ("gc, nothing to drop", lambda: cache.gc(bound)),
        ("cache.stats()", cache.stats),
        ("ls: every entry", lambda: collections.deque(cache.entries(), maxlen=0)),
        ("jitload cache stats", lambda: stats_json(cache)),
        ("gc of a tenth", lambda: cache.gc(int(cache.stats().bytes * 0.99))),
    ):
        row(f"{what}, {entries} entries", f"{timed_ms(action):.0f} ms")
    assert cache.stats().bytes <= bound


def timed_ms(action) -> float:
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", help="sizes of caches, the smallest first: 1000,100000")
    sizes = parser.parse_args().entries
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a new process should find jitload compiled, as installed
    with tempfile.TemporaryDirectory() as directory:
        if sizes:
            measure_growth(directory, [int(size) for size in sizes.split(",")])
            return
        measure_hits(f"{directory}/hits")
        measure_cold(f"{directory}/cold")
        measure_processes(f"{directory}/processes")
        measure_cub(f"{directory}/cub")


if __name__ == "__main__":
    main()
