"""What a remote costs: a hit over the client's own GET, and everything else while it is there, or down.

Run by hand: `python benchmarks/remote.py` (redis-server has to be installed). Every figure is a median of interleaved
rounds of one run, and the ratios are what to quote. `--ranks 8` shows a start of so many machines on an empty remote.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import redis
from measure import Budget, Row, show, taken, turns

import jitload
from jitload.artifact import Artifact
from jitload.digest import sha256_hex
from jitload.values import KernelInfo, Kind, Toolchain

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What a hit is compared with.
BARE = "its client's bare GET"
SOURCE = 'extern "C" __global__ void k(int *x) { *x = 1; }'
PTX = b".version 8.4\n.target sm_75\n.address_size 64\n.visible .entry k()\n{\n\tret;\n}\n"
NEW_PROCESS = f"""
import jitload
jitload.compile({SOURCE!r}, kind="cubin", arch="sm_90")
assert jitload.stats().compiles == 0, jitload.stats()
"""
DISK_HITS = f"""
import time, jitload
jitload.compile({SOURCE!r}, kind="cubin", arch="sm_90")
jitload.explain(jitload.CompileRequest("__global__ void absent() {{}}", kind="cubin", arch="sm_90"))  # asks the remote
cache = jitload.Cache.default()
times = []
for _ in range(300):
    cache.memory.clear()
    started = time.perf_counter()
    jitload.compile({SOURCE!r}, kind="cubin", arch="sm_90")
    times.append(time.perf_counter() - started)
print(sorted(times)[150])
"""
RANK = """
import sys, time, jitload
start = time.time()
source = "#include <cub/block/block_reduce.cuh>\\n" + sys.argv[1]
jitload.compile(source, kind="cubin", arch="sm_90")
stats = jitload.stats()
print(start, time.time(), stats.compiles, stats.hits["remote"], stats.lease_waits, stats.compile_seconds)
"""
#: A process of a fleet: it wants kernels that nobody has, and prints how many it compiled itself.
MEMBER = """
import sys, jitload
for number in range(int(sys.argv[1])):
    source = f'extern "C" __global__ void k{number}(int *x) {{ *x = {number}; }}'
    jitload.compile(source, kind="cubin", arch="sm_90", name=f"k{number}.cu")
print(jitload.stats().compiles)
"""
CUB = """
__global__ void k(int *x)
{
    __shared__ typename cub::BlockReduce<int, 128>::TempStorage storage;
    int sum = cub::BlockReduce<int, 128>(storage).Sum(x[threadIdx.x]);
    if (threadIdx.x == 0) x[0] = sum;
}
"""


@contextlib.contextmanager
def redis_server(directory: str):
    """A Redis of our own: its port and its process."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    program = shutil.which("redis-server")
    if program is None:
        sys.exit("redis-server is not installed")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL)
    try:
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.01)
        yield port, process
    finally:
        process.kill()
        process.wait()


def artifact(size: int) -> Artifact:
    """One whose image has about that many bytes."""
    return Artifact(
        kind=Kind.PTX,
        data=PTX + b"//" + b"." * (size - len(PTX)) + b"\n\0",
        arch="compute_75",
        name="k.cu",
        key=sha256_hex(str(size).encode()),
        kernels=[KernelInfo("k", "k", [])],
        toolchain=Toolchain("nvrtc", "12.9.86", "ab" * 32),
    )


def hits(port: int, directory: str, rounds: int) -> Iterator[Row]:
    """A verified hit over a bare GET of the same bytes by the same client."""
    client = redis.Redis(port=port)
    with jitload.Session(cache_dir=directory, remote=f"redis://127.0.0.1:{port}/0"):
        remote = jitload.Cache.default().remote
        assert remote is not None
        remote._land = lambda *_: None  # it lands behind the back of who asks
        for size, calls in ((5 << 10, 300), (1 << 20, 40)):
            made = artifact(size)
            remote.put(made)
            remote.flush()
            name = f"jitload/1/e/{made.key}"
            assert remote.read(made.key)[0] == made
            sides = {
                "": lambda key=made.key, calls=calls: taken(lambda: remote.read(key), calls),
                BARE: lambda name=name, calls=calls: taken(lambda: client.get(name), calls),
            }
            found = turns(sides, rounds)
            yield Row(f"remote hit, Redis, {size >> 10} KB", "us", found.pop(""), found, Budget(1.5, BARE))


def stalled(port: int, process: subprocess.Popen, directory: str) -> Iterator[Row]:
    """A server that stands still: the first look-up, and 200 after it, in the course of which it is asked again."""
    with jitload.Session(cache_dir=directory, remote=f"redis://127.0.0.1:{port}/0"):
        remote = jitload.Cache.default().remote
        assert remote is not None
        key = artifact(5 << 10).key
        remote.read(key)
        process.send_signal(signal.SIGSTOP)
        try:
            first = taken(lambda: remote.read(key))
            later = []
            for _ in range(200):
                later.append(taken(lambda: remote.read(key)))
                time.sleep(0.02)
        finally:
            process.send_signal(signal.SIGCONT)
    # One deadline and what it takes to notice it.
    yield Row("remote stands still: the first look-up", "s", (first,), budget=Budget(2.05), note="a deadline is 2 s")
    yield Row("the same: the next 200", "ms", tuple(later), note=f"worst {max(later) * 1e3:.2f} ms", budget=Budget(5))


def starts_and_disk_hits(directory: str, rounds: int) -> Iterator[Row]:
    """A process that finds its kernel on the disk, and hits in it, without a remote and with one that is down."""
    base = {**os.environ, "JITLOAD_CACHE_DIR": directory, "JITLOAD_DEVICE": "cpu", "JITLOAD_LOG": "error"}
    environments = {"": {**base, "JITLOAD_REMOTE": "redis://127.0.0.1:1/0"}, "no remote": base}
    subprocess.run([sys.executable, "-c", NEW_PROCESS.replace("== 0", ">= 0")], env=base, check=True)

    def start(env: dict[str, str]) -> float:
        return taken(lambda: subprocess.run([sys.executable, "-c", NEW_PROCESS], env=env, check=True))

    def disk_hit(env: dict[str, str]) -> float:
        done = subprocess.run([sys.executable, "-c", DISK_HITS], env=env, check=True, capture_output=True, text=True)
        return float(done.stdout)

    for what, unit, one in (("warm start", "ms", start), ("disk hit", "us", disk_hit)):
        found = turns({name: lambda env=env, one=one: one(env) for name, env in environments.items()}, rounds)
        yield Row(f"{what}, with a remote that is down", unit, found.pop(""), found, note="unchanged is wanted")


def cold_fleet(port: int, directory: str, *, hosts: int = 4, processes: int = 8, keys: int = 10) -> Iterator[Row]:
    """So many processes on each of so many hosts (cache directories) that want kernels nobody has, all at once."""
    base = {**os.environ, "JITLOAD_REMOTE": f"redis://127.0.0.1:{port}/0?prefix=fleet", "JITLOAD_LOG": "error"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", MEMBER, str(keys)],
            env={**base, "JITLOAD_CACHE_DIR": os.path.join(directory, f"host-{host}")},
            stdout=subprocess.PIPE,
            text=True,
        )
        for host in range(hosts)
        for _ in range(processes)
    ]
    compiles = sum(int(process.communicate()[0]) for process in started)
    what = f"{hosts} hosts x {processes} processes on {keys} cold keys: compiles"
    yield Row(what, "", (float(compiles),), budget=Budget(keys))


def ranks(port: int, count: int, directory: str) -> None:
    """So many machines (cache directories) start at once on an empty remote: when each began, and when it had it."""
    base = {**os.environ, "JITLOAD_REMOTE": f"redis://127.0.0.1:{port}/0?prefix=ranks", "JITLOAD_DEVICE": "cpu"}
    started = []
    for rank in range(count):
        environment = {**base, "JITLOAD_CACHE_DIR": os.path.join(directory, f"rank-{rank}")}
        command = [sys.executable, "-c", RANK, CUB]
        started.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    rows = [[float(word) for word in process.communicate()[0].split()] for process in started]
    first = min(row[0] for row in rows)
    print("rank  starts at  has it at  compiles  remote hits  lease waits")
    for rank, (start, end, compiles, remote, waits, _) in enumerate(rows):
        print(f"{rank:4}  {start - first:8.2f}s  {end - first:8.2f}s  {compiles:8.0f}  {remote:11.0f}  {waits:11.0f}")
    done = next(row[1] for row in rows if row[2]) - first
    print(f"the compile was done at {done:.2f} s, the last rank had it at {max(row[1] for row in rows) - first:.2f} s")


def rows(rounds: int) -> Iterator[Row]:
    """Everything but a start of ranks."""
    with tempfile.TemporaryDirectory() as directory, redis_server(directory) as (port, process):
        yield from hits(port, str(pathlib.Path(directory, "hits")), rounds)
        yield from stalled(port, process, str(pathlib.Path(directory, "stalled")))
        yield from cold_fleet(port, str(pathlib.Path(directory, "fleet")))
        yield from starts_and_disk_hits(str(pathlib.Path(directory, "starts")), rounds)


def main() -> None:
    """Everything, or a start of ranks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranks", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    if not given.ranks:
        show(rows(given.rounds))
        return
    with tempfile.TemporaryDirectory() as directory, redis_server(directory) as (port, _):
        ranks(port, given.ranks, directory)


if __name__ == "__main__":
    main()
