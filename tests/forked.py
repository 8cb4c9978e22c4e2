"""Processes that a warm Python forks, which has imported what each of them would import first.

    with Warm(environment) as warm:
        done = warm.run("import jitload\nprint(jitload.__version__)", environment)

Each program has a process of its own, as with `python -c`: its `__main__`, environment, directory and streams. What a new
Python costs before a program's first line (NumPy, the bindings, jitload's modules, and coverage where that is measured), 0.8
seconds of a processor, is paid once. Not for tests of what is imported, or of what Python does when it starts.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

#: Packages whose modules are imported ahead. What is imported by nobody else there, the command line say, is not.
_AHEAD = (
    "compiler", "cpu", "cuda", "files", "format", "headers", "images", "jit", "launch", "loader", "settings", "source", "tiers",
)  # fmt: skip


#: How coverage is told to measure what starts, before a test that is not measured takes it away.
_MEASURED = {name: value for name, value in os.environ.items() if name == "COVERAGE_PROCESS_START"}
#: What is read when a Python starts alone begins with one of these.
_OF_THE_START = ("LANG", "LC_", "LD_", "PYTHON")


class Warm:
    """A Python that waits for programs, and forks for each.

    Args:
        environment: of its start.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self._of_the_start = _read_at_the_start(environment)
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            # Measured where the tests are, whichever of them comes first; no threads of OpenBLAS where processes are forked.
            env={**environment, **_MEASURED, "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._asks, self._answers = self._process.stdin, self._process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._asks.close()
        self._answers.close()
        self._process.wait()

    def run(
        self, program: str, environment: dict[str, str], seconds: float = 120
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program to its end, in a Python of its own where that would read something else when it starts.

        Raises:
            subprocess.TimeoutExpired: it was ended after so many seconds.
        """
        if _read_at_the_start(environment) != self._of_the_start:
            return run_anew(program, environment, seconds)
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            asked = {
                "program": program,
                "environment": environment,
                "directory": os.getcwd(),
                "streams": [os.devnull, str(out), str(err)],
            }
            pid = self._ask(asked)
            if not select.select([self._answers], [], [], seconds)[0]:
                os.kill(pid, signal.SIGKILL)
                self._answer()
                raise subprocess.TimeoutExpired(program, seconds, out.read_bytes(), err.read_bytes())
            return subprocess.CompletedProcess(program, self._answer(), out.read_bytes(), err.read_bytes())

    def _ask(self, asked: dict[str, Any]) -> int:
        self._asks.write(json.dumps(asked).encode() + b"\n")
        self._asks.flush()
        return self._answer()

    def _answer(self) -> int:
        line = self._answers.readline()
        assert line, "the Python that forks has ended"
        return int(line)


def run_anew(program: str, environment: dict[str, str], seconds: float = 120) -> subprocess.CompletedProcess[bytes]:
    """The same in a Python that has imported nothing."""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, capture_output=True, timeout=seconds, check=False)


def _read_at_the_start(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_OF_THE_START)}


def _serve() -> None:
    """Fork for each line of the input: tell the number of the process, and then how it ended."""
    sys.path[0] = ""  # as with -c
    _import_ahead()
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        pid = os.fork()
        if not pid:
            answers.close()
            _become(asked)
            return
        answers.write(b"%d\n" % pid)
        answers.write(b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _import_ahead() -> None:
    import gc
    import importlib
    import pkgutil

    for name in ("numpy", "cuda.bindings.driver", "cuda.bindings.nvrtc", "jitload.door"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for room in _AHEAD:
        package = importlib.import_module(f"jitload.{room}")
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            with contextlib.suppress(ImportError):
                importlib.import_module(found.name)
    gc.collect()
    gc.freeze()


def _become(asked: dict[str, Any]) -> None:
    """Be the process of one program."""
    import types

    for number, path in enumerate(asked["streams"]):
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["directory"])
    sys.stdin, sys.argv = os.fdopen(0), ["-c"]
    if "COVERAGE_PROCESS_START" not in os.environ and "coverage" in sys.modules:
        sys.modules["coverage"].Coverage.current().stop()
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    exec(compile(asked["program"], "<string>", "exec"), main.__dict__)  # what it raises ends this process as any other


if __name__ == "__main__":
    _serve()
