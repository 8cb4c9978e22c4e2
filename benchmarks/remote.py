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
import statistics
import subprocess
import sys
import tempfile
import time

import redis

import jitload
from jitload.artifact import Artifact
from jitload.digest import sha256_hex
from jitload.values import KernelInfo, Kind, Toolchain

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


def hits(port: int, directory: str) -> None:
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
            bare, ours = [], []
            for _ in range(15):
                bare.append(per_call(lambda name=name: client.get(name), calls))
                ours.append(per_call(lambda key=made.key: remote.read(key), calls))
            assert remote.read(made.key)[0] == made
            ratio = statistics.median(one / other for one, other in zip(ours, bare, strict=True))
            both = f"{statistics.median(ours) * 1e6:.0f} / {statistics.median(bare) * 1e6:.0f} us"
            print(f"remote hit, {size >> 10} KB, over a bare GET: {both} = {ratio:.2f} (budget 1.5)")


def stalled(port: int, process: subprocess.Popen, directory: str) -> None:
    """A server that stands still: the first look-up, and 200 after it, in the course of which it is asked again."""
    with jitload.Session(cache_dir=directory, remote=f"redis://127.0.0.1:{port}/0"):
        remote = jitload.Cache.default().remote
        assert remote is not None
        key = artifact(5 << 10).key
        remote.read(key)
        process.send_signal(signal.SIGSTOP)
        try:
            first = per_call(lambda: remote.read(key), 1)
            later = []
            for _ in range(200):
                later.append(per_call(lambda: remote.read(key), 1))
                time.sleep(0.02)
        finally:
            process.send_signal(signal.SIGCONT)
        rest = f"median {statistics.median(later) * 1e3:.3f} ms, worst {max(later) * 1e3:.2f} ms (budget 5 ms)"
        print(f"remote stalled: first look-up {first:.2f} s (budget 2.0), the next 200: {rest}")


def per_call(function, calls: int) -> float:
    """Seconds for one of so many calls."""
    started = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - started) / calls


def starts_and_disk_hits(directory: str) -> None:
    """A process that finds its kernel on the disk, and hits in it, without a remote and with one that is down."""
    environments = {"none": {}, "down": {"JITLOAD_REMOTE": "redis://127.0.0.1:1/0"}}
    base = {**os.environ, "JITLOAD_CACHE_DIR": directory, "JITLOAD_DEVICE": "cpu", "JITLOAD_LOG": "error"}
    subprocess.run([sys.executable, "-c", NEW_PROCESS.replace("== 0", ">= 0")], env=base, check=True)
    starts: dict[str, list[float]] = {name: [] for name in environments}
    disk: dict[str, list[float]] = {name: [] for name in environments}
    for _ in range(15):
        for name, more in environments.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", NEW_PROCESS], env={**base, **more}, check=True)
            starts[name].append(time.perf_counter() - started)
    for _ in range(5):
        for name, more in environments.items():
            done = subprocess.run(
                [sys.executable, "-c", DISK_HITS], env={**base, **more}, check=True, capture_output=True, text=True
            )
            disk[name].append(float(done.stdout))
    for what, figures, scale, unit in (("warm start", starts, 1e3, "ms"), ("disk hit", disk, 1e6, "us")):
        with_it, without = (statistics.median(figures[name]) * scale for name in ("down", "none"))
        print(f"{what}, remote down over none: {with_it:.1f} / {without:.1f} {unit} = {with_it / without:.2f}")


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


def main() -> None:
    """Everything, or a start of ranks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranks", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, redis_server(directory) as (port, process):
        if chosen.ranks:
            ranks(port, chosen.ranks, directory)
            return
        hits(port, str(pathlib.Path(directory, "hits")))
        stalled(port, process, str(pathlib.Path(directory, "stalled")))
        starts_and_disk_hits(str(pathlib.Path(directory, "starts")))


if __name__ == "__main__":
    main()
