"""Step "starts": from the start of a process to the first result of a kernel, with empty caches and with full ones.

Each program is a file of gpu/start_programs; what it prints are its own times. The caches of everybody are in one
directory, which is empty at first.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpu.check import NotHere, Seen, within
from gpu.machine import is_model, need_hardware
from gpu.watch import run_command

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS = Path(__file__).with_name("start_programs")
#: Exit status of a program that lacks what it needs; the last line of its output says what.
NOT_HERE = 77
LIMIT_SECONDS = 40.0
#: Name -> the program and what it is told.
STARTS: dict[str, tuple[str, dict[str, str]]] = {
    "jitload, cubin": ("jitload_start.py", {"START_KIND": "cubin"}),
    "jitload, PTX": ("jitload_start.py", {"START_KIND": "ptx"}),
    "jitload, PTX, the driver's cache off": ("jitload_start.py", {"START_KIND": "ptx", "CUDA_CACHE_DISABLE": "1"}),
    "CuPy": ("cupy_start.py", {}),
    "Triton": ("triton_start.py", {}),
    "torch": ("torch_start.py", {}),
    "cuda.core": ("cuda_core_start.py", {}),
    "numba-cuda": ("numba_start.py", {}),
}
#: What keeps compiled kernels where it is told.
CACHES = ("JITLOAD_CACHE_DIR", "CUDA_CACHE_PATH", "CUPY_CACHE_DIR", "TRITON_CACHE_DIR", "NUMBA_CACHE_DIR")
HEAD = ["start", "whole process", "import", "to the first result", "a second kernel"]


def checks(short: bool) -> dict[str, Callable[[], Any]]:
    """One per program."""
    warm = 1 if short else 3
    return {name: within(LIMIT_SECONDS * 2)(partial(measure, name, *start, warm)) for name, start in STARTS.items()}


def measure(name: str, program: str, variables: dict[str, str], warm: int) -> Seen:
    """Once with empty caches, then the best of `warm` times with full ones; milliseconds."""
    if not program.startswith("jitload"):
        need_hardware("others make calls that the checking driver does not know")
    with tempfile.TemporaryDirectory() as folder:
        caches = {variable: str(Path(folder, variable)) for variable in CACHES}
        caches["XDG_CACHE_HOME"] = str(Path(folder, "others"))
        environment = {**os.environ, **caches, **variables}
        cold = run(program, environment)
        full = min((run(program, environment) for _ in range(warm)), key=lambda times: times[0])
    bare = empty_process()
    shown = [[f"{name}, {how}", *(f"{value:.1f} ms" for value in row)] for how, row in (("cold", cold), ("warm", full))]
    figures = {"table": {"head": HEAD, "rows": shown}, "cold": cold, "warm": full, "bare": bare}
    if is_model():
        return Seen("the program runs; no figure here is one of hardware", figures)
    return Seen(f"{cold[0]:.0f} ms cold, {full[0]:.0f} ms warm; a process that does nothing takes {bare:.0f}", figures)


def run(program: str, environment: dict[str, str]) -> list[float]:
    """Milliseconds: the whole process, its imports, from there to the first result, and of a second kernel.

    Raises:
        NotHere: what the program needs is not installed.
        AssertionError: it failed.
    """
    started = time.perf_counter()
    done = run_command([sys.executable, str(PROGRAMS / program)], seconds=LIMIT_SECONDS, env=environment)
    took = (time.perf_counter() - started) * 1e3
    said = done.stdout.strip().splitlines()[-3:]
    if done.returncode == NOT_HERE:
        raise NotHere(said[-1] if said else "it said nothing")
    assert done.returncode == 0, f"exit status {done.returncode}: {' / '.join(said)}"
    times = json.loads(said[-1])
    return [took, times["import"], times["first"], times["second"]]


@functools.cache
def empty_process() -> float:
    """Milliseconds of a process that does nothing: best of 5."""
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        run_command([sys.executable, "-c", "pass"], seconds=LIMIT_SECONDS)
        best = min(best, (time.perf_counter() - started) * 1e3)
    return best
