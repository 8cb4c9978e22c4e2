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
from typing import TYPE_CHECKING

from measure import Budget, Row, show, taken, turns

import jitload
from jitload.cli.cache_report import stats_json
from jitload.compiler import nvrtc
from jitload.digest import sha256_hex
from jitload.format.entry import encode_entry
from jitload.tiers.account import Account
from jitload.tiers.journal import Journal
from jitload.tiers.row import row_of
from jitload.tiers.upkeep import FLUSH_EVERY
from jitload.values import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
COMPILES = """
import sys, jitload
jitload.compile(sys.argv[1], kind="cubin", arch="sm_90")
print(jitload.stats().compiles)
"""
#: What the modules of others cost to import, those that are for the same users.
IMPORTS = {
    "cuda.core": "import cuda.core",
    "CuPy": "import cupy",
    "Triton": "import triton",
    "Warp": "import warp",
    "numba.cuda": "from numba import cuda",
}
PEER = "cuda.core"
IN_PROCESS = """
import time, jitload
for source in {sources!r}:
    started = time.perf_counter()
    data = jitload.compile(source, kind="cubin", arch="sm_90").data
    print(time.perf_counter() - started)
assert jitload.stats().compiles == 0
"""


def row(what: str, figure: str, budget: str = "") -> None:
    print(f"{what:<58} {figure:>14}   {budget}")


def new_process(code: str) -> Callable[[], float]:
    """Seconds of a whole Python that does this."""
    return lambda: taken(lambda: subprocess.run([sys.executable, "-c", code], check=True, capture_output=True))


def hits(directory: str, rounds: int) -> Iterator[Row]:
    """In a process that runs, beside cuda.core, which does not verify what it reads."""
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
    peers = peer_hits(f"{directory}/cuda-core")
    # What cuda.core took where the budgets were set: on another machine the ratio is what can be held.
    for what, ours, limit, there in (
        ("memory hit through compile()", memory_hit, 10, 12.6),
        ("verified disk hit through compile()", disk_hit, 45, 47),
        ("verified disk hit, store level", lambda: store.read(artifact.key), 25, 27),
    ):
        sides = {"": ours, **({PEER: peers[what]} if what in peers else {})}
        found = turns({name: lambda one=one: taken(one, 200) for name, one in sides.items()}, rounds, first=1)
        budget = Budget(limit / there, PEER) if what in peers else Budget(limit)
        note = f"{limit} us where {PEER} takes {there}; {len(artifact.data)} bytes"
        yield Row(what, "us", found.pop(""), found, budget, note)


def peer_hits(directory: str) -> dict[str, Callable[[], object]]:
    """The same in cuda.core, where it is installed: the budgets were set against these, on one machine."""
    try:
        from cuda.core import Program, ProgramOptions
        from cuda.core.utils import FileStreamProgramCache, InMemoryProgramCache, make_program_cache_key
    except ImportError:
        return {}
    options = ProgramOptions(arch="sm_90")
    files, memory = FileStreamProgramCache(directory), InMemoryProgramCache()
    key = make_program_cache_key(code=SOURCE, code_type="c++", options=options, target_type="cubin")

    def through(cache) -> None:
        Program(SOURCE, "c++", options).compile("cubin", cache=cache)

    through(files)
    through(memory)
    return {
        "memory hit through compile()": lambda: through(memory),
        "verified disk hit through compile()": lambda: through(files),
        "verified disk hit, store level": lambda: files.get(key),
    }


def cold_compiles(directory: str, rounds: int) -> Iterator[Row]:
    """Fresh kernels, compiled and kept by jitload, and compiled by bare NVRTC."""
    cache = jitload.Cache(directory)
    options = ["--device-int128"]
    numbers = itertools.count()

    def kept() -> object:
        source = f"// {next(numbers)}\n{SOURCE}"
        return jitload.compile(source, kind="cubin", arch="sm_90", options=options, cache=cache)

    def raw() -> object:
        source = f"// {next(numbers)}\n{SOURCE}".encode()
        return nvrtc.compile_program(nvrtc.Run(source, "k.cu", {}, tuple(options), Kind.CUBIN, "sm_90"))

    found = turns({"": lambda: taken(kept), "raw NVRTC": lambda: taken(raw)}, rounds, first=2)
    ours = found.pop("")
    yield Row("cold compile, kept in memory and on the disk", "ms", ours, found, Budget(1.05, "raw NVRTC", more=2))


def new_processes(directory: str, rounds: int) -> Iterator[Row]:
    """New processes: what an import takes in them, and a hit."""
    os.environ["JITLOAD_CACHE_DIR"] = directory
    subprocess.run([sys.executable, "-c", NEW_PROCESS.format(source=SOURCE, compiles=1)], check=True)
    # Timed inside: the difference of two processes is less than what they differ by from turn to turn.
    sides = {"": "import jitload", **{name: code for name, code in IMPORTS.items() if imports(code)}}
    found = turns({name: lambda code=code: import_of(code) for name, code in sides.items()}, rounds, first=1)
    yield Row("import jitload, in a new process", "ms", found.pop(""), found, Budget(25))

    sides = {"": new_process(NEW_PROCESS.format(source=SOURCE, compiles=0))}
    if imports(CUDA_CORE.split("cache =", maxsplit=1)[0]):
        sides[PEER] = new_process(CUDA_CORE.format(source=SOURCE, directory=f"{directory}/cuda-core"))
    found = turns(sides, rounds, first=1)
    ours = found.pop("")
    yield Row("new process: import, key, verified hit", "ms", ours, found, Budget(60))
    if PEER in found:
        yield Row("the same, over cuda.core's, unverified", "ms", ours, found, Budget(1 / 5, PEER))


def import_of(code: str) -> float:
    """Seconds of an import in a new process."""
    timed = f"import time; started = time.perf_counter(); {code}; print(time.perf_counter() - started)"
    done = subprocess.run([sys.executable, "-c", timed], check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def imports(code: str) -> bool:
    """Whether a new Python can do this."""
    return not subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode


def with_headers(directory: str, rounds: int) -> Iterator[Row]:
    """A second process that hits a CUB kernel: as its first hit, which imports what a hit needs, and as its second."""
    os.environ["JITLOAD_CACHE_DIR"] = directory
    small = NEW_PROCESS.format(source=SOURCE, compiles=1)
    subprocess.run([sys.executable, "-c", small], check=True)
    cold = new_process(NEW_PROCESS.format(source=CUB, compiles=1))()
    yield Row("CUB source, first process", "ms", (cold,))
    found = turns({"first": lambda: hit_of([CUB]), "": lambda: hit_of([SOURCE, CUB])}, rounds, first=1)
    yield Row("CUB source, second process, its first hit", "ms", found["first"], note="with what a hit imports")
    yield Row("CUB source, second process, after another hit", "ms", found[""], budget=Budget(15))


def one_cold_key(directory: str, processes: int) -> Iterator[Row]:
    """So many processes that want one kernel which nobody has."""
    environment = {**os.environ, "JITLOAD_CACHE_DIR": directory}
    started = [
        subprocess.Popen([sys.executable, "-c", COMPILES, SOURCE], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    compiles = sum(int(process.communicate()[0]) for process in started)
    yield Row(f"{processes} processes on one cold key: compiles", "", (float(compiles),), budget=Budget(1))


def hit_of(sources: list[str]) -> float:
    """Seconds of the last of these hits, in a new process."""
    code = IN_PROCESS.format(sources=sources)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


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
    keys = [key for shard in list(store.contents.shards())[:50] for key in store.contents.keys_of(shard)[:1]]
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


def rows(rounds: int) -> Iterator[Row]:
    """Everything but the growth of a cache."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a new process should find jitload compiled, as installed
    with tempfile.TemporaryDirectory() as directory:
        yield from hits(f"{directory}/hits", rounds)
        yield from cold_compiles(f"{directory}/cold", rounds)
        yield from new_processes(f"{directory}/processes", rounds)
        yield from with_headers(f"{directory}/cub", rounds)
        yield from one_cold_key(f"{directory}/key", 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", help="sizes of caches, the smallest first: 1000,100000")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    if not given.entries:
        show(rows(given.rounds))
        return
    with tempfile.TemporaryDirectory() as directory:
        measure_growth(directory, [int(size) for size in given.entries.split(",")])


if __name__ == "__main__":
    main()
