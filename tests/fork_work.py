"""A process that forks while another of its threads is at work: `python fork_work.py BUSY WORK FORKS DIRECTORY`.

BUSY is what the thread does over and over, WORK what each child does once. Prints how many children came to an end.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
import warnings

import numpy as np

import jitload

LOOP = 'extern "C" __global__ void k(int *x, int n) { int s = 0; for (int i = 0; i < n; i++) s += x[0] ^ i; x[0] = s; }'
#: A child that takes longer hangs; it then says where.
CHILD_SECONDS = 100


class Work:
    def __init__(self, directory: str) -> None:
        self.cache = jitload.Cache(directory)
        self.memory = jitload.Cache()
        self.disk = jitload.Cache(f"{directory}-disk")
        self.workload = f"{directory}.jlw"
        self.kernel = self._compile(LOOP, self.memory).load()["k"]
        self._compile(LOOP, self.disk)

    def _compile(self, source: str, cache: jitload.Cache) -> jitload.Artifact:
        return jitload.compile(source, arch="compute_75", cache=cache)

    def launch(self, number: int, loops: int = 10) -> None:
        x = np.ones(4, np.int32)
        self.kernel(x, loops, grid=1, block=1)
        assert x[0] != 1

    def long_launch(self, number: int) -> None:
        self.launch(number, 20000)

    def fetch(self, number: int) -> None:
        """Load a module, decode a kernel of it, and give its variables memory and values."""
        values = ", ".join(map(str, range(100)))
        source = f'__device__ int t[100] = {{{values}}}; extern "C" __global__ void v(int *x) {{ *x = t[*x]; }}'
        x = np.full(1, 7, np.int32)
        self._compile(source, self.memory).load()["v"](x, grid=1, block=1)
        assert x[0] == 7

    def decorated(self, number: int) -> None:
        @jitload.jit_kernel(source=LOOP, cache=self.memory)
        def k(x, n): ...

        x = np.ones(4, np.int32)
        k[1, 1](x, 10)
        assert x[0] != 1

    def compile_same(self, number: int) -> None:
        if os.getpid() == PARENT:
            self.cache.clear()
        assert b".entry k" in self._compile(LOOP, self.cache).data

    def compile_other(self, number: int) -> None:
        self._compile(LOOP.replace("s = 0", f"s = {os.getpid()}{number}"), self.memory)

    def memory_hit(self, number: int) -> None:
        for _ in range(3):
            self._compile(LOOP, self.memory)

    def disk_hit(self, number: int) -> None:
        self.disk.memory.clear()
        self._compile(LOOP, self.disk)

    def index(self, number: int) -> None:
        """What the database of the index needs SQLite for, and the counters, settings and workloads."""
        index = self.disk.index
        index.write({f"{number:064x}": {"kind": "ptx"}})
        with jitload.configure(device="cpu"), jitload.record(self.workload):
            self._compile(LOOP, self.memory)
        assert jitload.stats().compiles > 0


PARENT = os.getpid()


def child(work, number: int) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # from 3.12 on: that there are threads, which is the point
        pid = os.fork()
    if not pid:
        faulthandler.dump_traceback_later(CHILD_SECONDS, exit=True)
        try:
            work(number)
            os._exit(0)
        except BaseException as error:  # noqa: BLE001
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(2)
    return pid


def main(busy: str, wanted: str, forks: int, directory: str) -> None:
    work = Work(directory)
    getattr(work, wanted)(0)
    stop = threading.Event()

    def loop() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            getattr(work, busy)(number)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    time.sleep(0.1)
    ends = []
    for number in range(forks):
        pid = child(getattr(work, wanted), number)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        time.sleep(0.003 * (number % 7))
    stop.set()
    thread.join(60)
    print(ends.count(0), thread.is_alive(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
