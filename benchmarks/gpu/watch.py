"""Run the checks of a module in processes of their own, bounded: a crash or a hang costs the check that it is in."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpu.check import FAIL, NO_TIME, Result, allowed

if TYPE_CHECKING:
    from collections.abc import Callable

#: For the start of a process, with everything that it imports.
START_SECONDS = 60.0
#: A process that dies before it has said which checks there are is started again this often.
MOST_BAD_STARTS = 2
#: By what limits are multiplied in the short form.
SHORT_SLACK = 5.0


class Watch:
    """The checks of one step.

    Args:
        module: with `checks(short)`.
        short: a smaller form, for machines that only check the program itself; such machines may be slow.
        until: on `time.monotonic`: nothing runs longer.
        log: a file for what the processes print.
        tell: called with each result.
    """

    def __init__(self, module: str, *, short: bool, until: float, log: Path, tell: Callable[[Result], None]) -> None:
        self._module = module
        self._short = short
        self._slack = SHORT_SLACK if short else 1.0
        self._until = until
        self._log = log
        self._tell = tell
        self._names: list[str] = []
        self._done: list[str] = []

    def run(self) -> None:
        """All checks; those for which there is no time are told as such."""
        bad_starts, ended = 0, False
        while not ended and time.monotonic() < self._until:
            before = len(self._done)
            ended, why = self._run_process()
            if len(self._done) == before and not ended:
                bad_starts += 1
                if bad_starts > MOST_BAD_STARTS:
                    self._result(Result("the step itself", FAIL, why, 0.0, {}))
                    return
        for name in self._names or ["the step itself"]:
            if name not in self._done and not (ended and self._names):
                self._result(Result(name, NO_TIME, "the time of the step was over", 0.0, {}))

    def _result(self, result: Result) -> None:
        self._done.append(result.name)
        self._tell(result)

    def _run_process(self) -> tuple[bool, str]:
        """One process, until it ends: whether all checks are done, and what it died of if not."""
        reading, writing = os.pipe()
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "gpu.child", str(writing)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(writing,),
                start_new_session=True,
            )
        os.close(writing)
        seconds = self._until - time.monotonic()
        orders = {"module": self._module, "short": self._short, "done": self._done}
        orders |= {"seconds": seconds, "slack": self._slack}
        with contextlib.suppress(BrokenPipeError), process.stdin or contextlib.nullcontext() as stdin:
            stdin.write(json.dumps(orders).encode())
        try:
            return self._listen(reading, process)
        finally:
            os.close(reading)
            end_session(process)

    def _listen(self, reading: int, process: subprocess.Popen[bytes]) -> tuple[bool, str]:
        pending, running = b"", ""
        until = time.monotonic() + START_SECONDS * self._slack
        while True:
            limit = min(until, self._until)
            if not select.select([reading], [], [], max(0.0, limit - time.monotonic()))[0]:
                if running and until <= self._until:
                    self._result(Result(running, FAIL, "it hung, and was ended", 0.0, {}))
                return False, "its process hung at the start"
            piece = os.read(reading, 1 << 16)
            if not piece:
                death = self._death(process)
                if running:
                    self._result(Result(running, FAIL, death, 0.0, {}))
                return False, death
            *lines, pending = (pending + piece).split(b"\n")
            for line in lines:
                words: dict[str, Any] = json.loads(line)
                if "names" in words:
                    self._names = words["names"]
                elif "begin" in words:
                    running, until = words["begin"], time.monotonic() + words["seconds"]
                elif "result" in words:
                    running, until = "", time.monotonic() + START_SECONDS * self._slack
                    self._result(Result(*words["result"]))
                else:
                    return True, ""

    def _death(self, process: subprocess.Popen[bytes]) -> str:
        code = process.wait()
        ending = self._log.read_bytes()[-1500:].decode(errors="replace").strip().splitlines()[-3:]
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"
        return f"its process ended {how}: {' / '.join(ending)}"


def end_session(process: subprocess.Popen[Any]) -> None:
    """End a process and whatever runs in its session, in other process groups too."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            session = int(stat.read_text().rpartition(")")[2].split()[3])
            if session == process.pid:
                os.kill(int(stat.parent.name), signal.SIGKILL)
    process.wait()


def run_command(command: list[str], *, seconds: float, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program with its output as text; one that takes too long is ended with all that it started.

    It gets no more than what is left of the step's time.

    Raises:
        TimeoutError: it took too long; the text has the end of its output.
    """
    limit = allowed(seconds)
    options.setdefault("stderr", subprocess.STDOUT)
    options |= {"process_group": 0} if sys.version_info >= (3, 11) else {"preexec_fn": os.setpgrp}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)
    try:
        output, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output = process.communicate()[0] or ""
        raise TimeoutError(f"it took more than {limit:.0f} s: {' / '.join(output.splitlines()[-3:])}") from None
    return subprocess.CompletedProcess(command, process.returncode, output, "")
