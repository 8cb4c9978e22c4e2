"""How a remote grows with a fleet: what it is asked, measured here, and a simulation of up to 1e5 processes.

    python benchmarks/fleet.py [--processes 1000,10000,100000] [--entries 10000,100000,1000000] [--kernels 50]

1. What a process start asks of a remote, by the counters of a real redis-server: cold (nothing there), first on its
   host (it is there), warm (the directory of the host has it).
2. A job that starts everywhere at once with an empty remote: the unit is a host, whose processes share a directory and
   a lock. It asks for one kernel after the other; what is not there is compiled by whoever gets the lease, and the
   others ask again, at growing intervals, with jitter or without. The store serves one request after the other.
3. Days of process starts that draw their kernels from all that there are (Zipf), behind edges of a CDN.

The simulation has no clock of its own machine in it: a seed gives the same figures anywhere.
"""

from __future__ import annotations

import argparse
import heapq
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import numpy as np

from jitload.tiers.remote.lease import _LONGEST_SECONDS, _SHARE, _SHORTEST_SECONDS

PER_HOST = 8
#: Of a remote in the network of a site: seconds of a round trip, requests it serves in a second.
ROUND_TRIP, SERVED_PER_SECOND = 0.5e-3, 50_000.0
#: Seconds of a compile (the mean of a log-normal distribution), bytes of an entry.
COMPILE_SECONDS, ENTRY_BYTES = 0.4, 20_000
EDGES = 20

PROGRAM = """
import jitload
for number in range({count}):
    source = f'extern "C" __global__ void k{{number}}(int *x) {{{{ *x = {{number}}; }}}}'
    jitload.compile(source, arch="sm_80", name=f"k{{number}}.cu")
"""


def measured(count: int) -> dict[str, tuple[float, float]]:
    """(requests, bytes) of a kernel by what the start is, from the counters of redis-server; {} where there is none."""
    if shutil.which("redis-server") is None:
        return {}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        server = subprocess.Popen(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory],
            stdout=subprocess.DEVNULL,
        )
        try:
            import redis

            client = redis.Redis(port=port)
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    time.sleep(0.02)
            found = {}
            for start, cache in (("cold", "a"), ("first on its host", "b"), ("warm", "b")):
                client.config_resetstat()
                variables = {"JITLOAD_REMOTE": f"redis://127.0.0.1:{port}", "JITLOAD_CACHE_DIR": f"{directory}/{cache}"}
                command = [sys.executable, "-c", PROGRAM.format(count=count)]
                subprocess.run(command, env={**os.environ, **variables}, check=True)
                calls = sum(
                    row["calls"]
                    for name, row in client.info("commandstats").items()
                    if name.removeprefix("cmdstat_").split("|")[0] not in {"config", "info", "client", "ping", "hello"}
                )
                moved = client.info("stats")
                size = moved["total_net_input_bytes"] + moved["total_net_output_bytes"]
                found[start] = calls / count, size / count
            return found
        finally:
            server.kill()
            server.wait()


class Store:
    """Serves one request after the other; keeps how many came in which hundredth of a second."""

    def __init__(self) -> None:
        self.free = 0.0
        self.requests = 0
        self.rates: dict[int, int] = {}
        self.kinds: dict[str, int] = {}

    def ask(self, now: float, kind: str, count: int = 1) -> float:
        """When the answer to the last of some requests is there."""
        self.requests += count
        self.kinds[kind] = self.kinds.get(kind, 0) + count
        arrived = now + ROUND_TRIP / 2
        self.rates[int(arrived * 100)] = self.rates.get(int(arrived * 100), 0) + count
        self.free = max(self.free, arrived) + count / SERVED_PER_SECOND
        return self.free + ROUND_TRIP / 2

    @property
    def peak(self) -> int:
        """Requests in the busiest hundredth of a second."""
        return max(self.rates.values())


def cold_job(hosts: int, kernels: int, how: str, *, jitter: bool = True, spread: float = 0.0) -> dict[str, float]:
    """A job that begins on all hosts within `spread` seconds, with an empty remote.

    Args:
        hosts: how many.
        kernels: how many each of them asks for, one after the other.
        how: "alone" (no lease), or "lease": who waits asks in turn for the lease and for the kernel.
        jitter: whether waits are spread.
        spread: in seconds.
    """
    dice = random.Random(1)
    store = Store()
    there: set[int] = set()
    held: set[int] = set()
    compiles, ends = 0, []
    # (when, number, what the host does now, kernel, since when it waits)
    todo: list[tuple[float, int, str, int, float]] = []
    order = iter(range(1 << 62))

    def at(when: float, what: str, kernel: int, since: float = 0.0) -> None:
        heapq.heappush(todo, (when, next(order), what, kernel, since))

    for _ in range(hosts):
        at(dice.random() * spread, "look-up", 0)
    while todo:
        now, _, what, kernel, since = heapq.heappop(todo)
        if kernel == kernels:
            ends.append(now)
        elif what == "compiled":
            at(store.ask(now, "write", 2 if how == "alone" else 3), "written", kernel)
            at(now, "look-up", kernel + 1)  # a thread writes
        elif what == "written":
            there.add(kernel)
            held.discard(kernel)
        elif what in {"look-up", "poll", "lease"}:
            at(store.ask(now, what), f"{what} answered", kernel, since)
        elif kernel in there:
            at(store.ask(now, "entry"), "look-up", kernel + 1)
        elif what == "look-up answered" and how != "alone":
            at(now, "lease", kernel, now)
        elif kernel in held and how != "alone":
            pause = min(max(_SHARE * (now - since), _SHORTEST_SECONDS), _LONGEST_SECONDS)
            at(now + pause * (dice.uniform(0.5, 1.0) if jitter else 0.75), "poll", kernel, since)
        else:
            held.add(kernel)
            compiles += 1
            at(now + COMPILE_SECONDS * dice.lognormvariate(-0.125, 0.5), "compiled", kernel)
    ends.sort()
    waited = store.kinds.get("poll", 0) + store.kinds.get("lease", 0)
    return {
        "compiles": compiles,
        "requests per process": store.requests / (hosts * PER_HOST),
        "of them leases and polls": waited / store.requests,
        "busiest 10 ms": store.peak,
        "GB moved": (store.kinds.get("entry", 0) + compiles) * ENTRY_BYTES / 1e9,
        "median start, s": ends[len(ends) // 2],
        "last start, s": ends[-1],
    }


def behind_edges(processes: int, entries: int, kernels: int, seed: int = 1) -> dict[str, float]:
    """Process starts that draw from all entries: what their hosts, the edges and the origin are asked."""
    dice = np.random.default_rng(seed)
    hosts = processes // PER_HOST
    weights = 1.0 / np.arange(1, entries + 1)
    ladder = np.cumsum(weights / weights.sum())
    edges = [np.zeros(entries, bool) for _ in range(EDGES)]
    asked = came = 0
    for host in range(hosts):
        # The processes of a host run one application: the first asks, the directory serves the others.
        wanted = np.unique(np.searchsorted(ladder, dice.random(kernels)))
        edge = edges[host % EDGES]
        asked += len(wanted)
        came += int((~edge[wanted]).sum())
        edge[wanted] = True
    return {
        "requests per process": 2 * asked / processes,
        "KB per process": asked * ENTRY_BYTES / processes / 1e3,
        "origin requests": 2 * came,
        "origin share": came / asked,
    }


def slope(points: list[tuple[float, float]]) -> float:
    """Of the logarithms: 1.0 is in proportion, 0.0 is not at all."""
    x, y = np.log(np.array(points)).T
    return float(np.polyfit(x, y, 1)[0])


def shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def table(rows: list[tuple[str, dict[str, float]]]) -> None:
    names = list(rows[0][1])
    print("| | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for label, row in rows:
        print(f"| {label} | " + " | ".join(shown(row[name]) for name in names) + " |")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", default="1000,10000,100000")
    parser.add_argument("--entries", default="10000,100000,1000000")
    parser.add_argument("--kernels", type=int, default=50)
    given = parser.parse_args()
    processes, entries = ([int(part) for part in text.split(",")] for text in (given.processes, given.entries))

    found = measured(16)
    if found:
        print("What a kernel costs the remote, measured (redis-server, 16 kernels, wire bytes)\n")
        table([(start, {"requests": calls, "bytes": size}) for start, (calls, size) in found.items()])

    few = given.kernels // 5
    print(f"A job of {few} kernels on all hosts at once ({PER_HOST} processes each), empty remote\n")
    rows, herd = [], []
    for count in processes:
        for label, how in (
            ("lease, jitter", {"how": "lease"}),
            ("lease, no jitter", {"how": "lease", "jitter": False}),
            ("alone", {"how": "alone"}),
            ("lease, jitter, in 10 s", {"how": "lease", "spread": 10.0}),
        ):
            row = cold_job(count // PER_HOST, few, **how)
            rows.append((f"{count:,} processes, {label}", row))
            if label == "lease, jitter":
                herd.append((count, row["requests per process"] * count))
    table(rows)
    print(f"slope of requests over processes: {slope(herd):.2f}\n")

    print(f"Starts that draw {given.kernels} kernels from all (Zipf), each host once, behind {EDGES} edges of a CDN\n")
    grown = {(count, size): behind_edges(count, size, given.kernels) for count in processes for size in entries}
    table([(f"{count:,} processes, {size:,} entries", row) for (count, size), row in grown.items()])
    most, largest = max(processes), max(entries)
    for label, points in {
        "processes": [(count, grown[count, largest]["origin requests"]) for count in processes],
        "entries": [(size, grown[most, size]["origin requests"]) for size in entries],
    }.items():
        print(f"slope of origin requests over {label}: {slope(points):.2f}")


if __name__ == "__main__":
    main()
