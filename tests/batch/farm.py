"""A Dask scheduler and its workers on loopback, as processes of their own, for the tests of the farm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pathlib


class Cluster:
    """A scheduler; workers by `start_workers`.

    Attributes:
        address: of the scheduler.
        workers: the processes, in the order in which they were started.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.workers: list[subprocess.Popen] = []
        self._file = directory / "scheduler.json"
        self._scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-show", "--scheduler-file", str(self._file)
        )
        until(self._file.exists, "the scheduler to be there")
        self.address = until(lambda: self._file.read_text() and json.loads(self._file.read_text()), "its file")[
            "address"
        ]

    def start_workers(self, count: int, *arguments: str, prelude: str = "", **variables: str) -> list[subprocess.Popen]:
        """Start workers with a thread each, and a cache and a home of their own; wait until the scheduler has them."""
        started = []
        for _ in range(count):
            name = f"w{len(self.workers)}"
            cache = {"JITLOAD_CACHE_DIR": str(self.directory / f"cache-{name}"), **variables}
            options = ["--no-nanny", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1", "--name", name]
            options += ["--local-directory", str(self.directory / name), *arguments, self.address]
            started.append(self._start("worker", *options, prelude=prelude, **cache))
            self.workers.append(started[-1])
        for number in range(len(self.workers) - count, len(self.workers)):
            log = self.directory / f"worker-{number}.log"
            until(lambda log=log: "Registered to" in log.read_text(), f"{log.name} to say that it is registered")
        return started

    def kill(self, process: subprocess.Popen) -> None:
        process.kill()
        process.wait()

    def stop(self) -> None:
        for process in [*self.workers, self._scheduler]:
            process.kill()
        for process in [*self.workers, self._scheduler]:
            process.wait()

    def _start(self, what: str, *arguments: str, prelude: str = "", **variables: str) -> subprocess.Popen:
        program = f"{prelude}\nfrom distributed.cli.dask_{what} import main\nmain()"
        with open(self.directory / f"{what}-{len(self.workers)}.log", "wb") as log:
            return subprocess.Popen(
                [sys.executable, "-c", program, *arguments],
                env={**os.environ, **variables},
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
            )


def until(condition, what: str, seconds: float = 60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)
    return found
