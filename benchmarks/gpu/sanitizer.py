"""Step "sanitizer": compute-sanitizer over launches of every kind (gpu/sanitized.py)."""

from __future__ import annotations

import shutil
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from gpu.check import NotHere, within
from gpu.machine import need_hardware
from gpu.watch import run_command

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = [sys.executable, "-m", "gpu.sanitized"]
TOOLS = ("memcheck", "racecheck", "synccheck")
SECONDS = 30.0
#: Exit status of compute-sanitizer where it found something.
FOUND = 9
#: What it says on machines that it does not work on.
UNABLE = ("Device not supported", "Unable to find injection library", "Target application terminated before")


def checks(short: bool) -> dict[str, Callable[[], Any]]:
    """The program by itself, then under each tool; in short, with few kernels."""
    files = ["saxpy.cu", "transpose.cu"] if short else []
    tools = {f"{tool} of it": within(SECONDS + 5)(partial(watched, tool)) for tool in TOOLS}
    return {"the program itself": within(SECONDS + 30)(partial(alone, files)), **tools}


def alone(files: list[str]) -> str:
    """It passes without a tool; and it has filled the cache for the others."""
    done = run_command([*PROGRAM, *files], seconds=SECONDS + 25)
    assert done.returncode == 0, " / ".join(done.stdout.strip().splitlines()[-4:])
    return done.stdout.strip().splitlines()[-1]


def watched(tool: str) -> str:
    """Under one tool.

    Raises:
        AssertionError: it found something; the text has its first findings.
    """
    need_hardware("compute-sanitizer watches machine code")
    if shutil.which("compute-sanitizer") is None:
        raise NotHere("compute-sanitizer is not here")
    command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", str(FOUND), *PROGRAM]
    done = run_command(command, seconds=SECONDS)
    lines = [line for line in done.stdout.splitlines() if line.startswith("=========")]
    unable = next((line for line in lines if any(words in line for words in UNABLE)), None)
    if unable:
        raise NotHere(f"it does not work here: {unable.strip('= ')}")
    said = " / ".join(line.strip("= ") for line in lines if line.strip("= ") and "COMPUTE-SANITIZER" not in line)
    assert done.returncode == 0, f"exit status {done.returncode}: {(said or done.stdout[-600:])[:1500]}"
    return said[:200]
