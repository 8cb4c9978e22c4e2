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


#: What Dask does besides, up to a hundred times a second, in each process: a fortieth of a busy core each.
_QUIET = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "false",
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL": "5s",
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s",
}


class Scheduler:
    """A scheduler, at `address`."""

    def __init__(self, directory: pathlib.Path) -> None:
        file, self._log = directory / "scheduler.json", directory / "scheduler.log"
        options = ["--host", "127.0.0.1", "--port", "0", "--no-show", "--scheduler-file", str(file)]
        self._process = start("scheduler", *options, log=self._log)
        until(file.exists, "the scheduler to be there")
        self.address = until(lambda: file.read_text() and json.loads(file.read_text()), "its file")["address"]

    def until_it_has_lost(self, count: int) -> None:
        """Wait until so many workers that it had are gone."""
        until(lambda: self._log.read_text().count("Remove worker") >= count, "the scheduler to miss its workers")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class Cluster:
    """The workers that one test has on a scheduler; they are started by `start_workers`.

    Attributes:
        address: of the scheduler.
        workers: the processes, in the order in which they were started.
    """

    def __init__(self, scheduler: Scheduler, directory: pathlib.Path) -> None:
        self.address = scheduler.address
        self.directory = directory
        self.workers: list[subprocess.Popen] = []

    def start_workers(self, count: int, *arguments: str, prelude: str = "", **variables: str) -> list[subprocess.Popen]:
        """Start workers with a thread each, and a cache and a home of their own; wait until the scheduler has them."""
        started = []
        # All at once: each takes a second to import what it needs.
        for _ in range(count):
            name = f"w{len(self.workers)}"
            cache = {"JITLOAD_CACHE_DIR": str(self.directory / f"cache-{name}"), **variables}
            options = ["--no-nanny", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1", "--name", name]
            options += ["--local-directory", str(self.directory / name), *arguments, self.address]
            log = self.directory / f"worker-{len(self.workers)}.log"
            started.append(start("worker", *options, log=log, prelude=prelude, cwd=self.directory, **cache))
            self.workers.append(started[-1])
        for number in range(len(self.workers) - count, len(self.workers)):
            log = self.directory / f"worker-{number}.log"
            until(lambda log=log: "Registered to" in log.read_text(), f"{log.name} to say that it is registered")
        return started

    def kill(self, process: subprocess.Popen) -> None:
        process.kill()
        process.wait()

    def stop(self) -> None:
        for process in self.workers:
            process.kill()
        for process in self.workers:
            process.wait()


def start(
    what: str, *arguments: str, log: pathlib.Path, prelude: str = "", cwd: pathlib.Path | None = None, **variables: str
) -> subprocess.Popen:
    """A scheduler or worker, as a process."""
    program = f"{prelude}\nfrom distributed.cli.dask_{what} import main\nmain()"
    with open(log, "wb") as file:
        return subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            env={**os.environ, **_QUIET, **variables},
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=cwd or log.parent,
        )


def until(condition, what: str, seconds: float = 60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)
    return found
