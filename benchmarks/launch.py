"""What a launch costs in Python, beside what the same launch costs others.

No GPU is needed: a do-nothing libcuda is built with a C compiler and put in front of the real one in a child process,
so every figure is Python and bindings alone. With `--driver real` the same rows run on the GPU that is there, and with
tensors of torch and CuPy too. Ratios are what to look at; nanoseconds belong to the machine.

    python benchmarks/launch.py
    JITLOAD_NATIVE=0 python benchmarks/launch.py      # launches in pure Python
    python benchmarks/launch.py --driver real         # on a GPU
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from launches import rows
from measure import Budget, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Calls per turn of a row. The queue of a GPU takes 1,024 launches before a launch waits; it is emptied between turns.
LOOPS = 700
EMPTY = "an empty call"
#: Largest ratio to the raw call, for launches in native code.
BUDGETS = {
    "jitload bound(a, x, y, n)": 0.35,
    "jitload kernel[1, 256](a, x, y, n)": 0.45,
    "jitload bound, two tensors, exchange API": 0.7,
    "jitload bound, two arrays, __cuda_array_interface__": 3.0,
    "jitload bound, 19 arguments, 5 tensors": 2.0,
}


def main() -> None:
    """Measure in a child process that sees the driver that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--driver", choices=["nothing", "real"], default="nothing", help="what is launched on")
    parser.add_argument("--rounds", type=int, default=300, help="rounds over all rows; the best of each is kept")
    parser.add_argument("--loops", type=int, default=LOOPS, help="calls per row and round")
    parser.add_argument("--json", type=Path, help="write {row: [nanoseconds, ratio]} to this file too")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run(options)
        return
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "JITLOAD_CACHE_DIR": str(Path(folder, "cache")), "JITLOAD_DEVICE": "cuda"}
        build(Path(folder, "nothing.so"))
        if options.driver == "nothing":
            build(Path(folder, "libcuda.so.1"), "-DDRIVER")
            environment["LD_LIBRARY_PATH"] = os.pathsep.join([folder, environment.get("LD_LIBRARY_PATH", "")])
        command = [sys.executable, __file__, *sys.argv[1:], "--child", folder]
        sys.exit(subprocess.run(command, env=environment, check=False).returncode)


def suite(rounds: int) -> Iterator[Row]:
    """The rows on the driver that does nothing; a figure is the best of its rounds, which is what is left of noise."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.json")
        command = [sys.executable, __file__, "--rounds", str(rounds), "--json", str(results)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found = {name: (nanoseconds * 1e-9,) for name, (nanoseconds, _) in json.loads(results.read_text()).items()}
    for name, figures in found.items():
        budget = Budget(BUDGETS[name], rows.RAW) if name in BUDGETS else None
        yield Row(name, "ns", figures, {} if name == rows.RAW else {rows.RAW: found[rows.RAW]}, budget)


def build(library: Path, *flags: str) -> None:
    """Compile do_nothing.c."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        sys.exit("a C compiler is needed: the figures are made in front of a library that does nothing")
    source = Path(rows.__file__).with_name("do_nothing.c")
    subprocess.run([compiler, "-w", "-O2", "-shared", "-fPIC", *flags, "-o", library, source], check=True)


def run(options: argparse.Namespace) -> None:
    """All rows, in turns; then those that need a framework, beside the raw call again."""
    import jitload
    from jitload.launch import native

    artifact = jitload.compile(rows.SOURCE, kind="cubin", name="launch")
    library = ctypes.CDLL(str(options.child / "nothing.so"))
    raw = rows.raw_rows(artifact)
    measured = {EMPTY: lambda: None, **raw, **rows.jitload_rows(artifact, library), **rows.cuda_core_rows(artifact)}
    by_native = native.extension() is not None
    print(f"driver: {describe(options.driver)}; launches: {'native code' if by_native else 'pure Python'}")
    budgets = BUDGETS if by_native else {}
    results = report(measure(measured, options.rounds, options.loops), budgets)
    if options.driver == "real":
        frameworks = rows.framework_rows(artifact)
        if frameworks:
            frameworks = {EMPTY: measured[EMPTY], rows.RAW: raw[rows.RAW], **frameworks}
            results.update(report(measure(frameworks, options.rounds, options.loops), budgets))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def describe(asked: str) -> str:
    """What the figures are made on."""
    from jitload.cuda import driver

    return "none, calls do nothing" if asked == "nothing" else f"CUDA {driver.driver_version()}, {driver.device_arch()}"


def measure(calls, rounds, loops):
    """Best nanoseconds per call; the rows take turns, so that a slow moment of the machine hits all of them."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter_ns()
            for _ in range(loops):
                call()
            best[name] = min(best[name], (time.perf_counter_ns() - start) / loops)
            synchronize()
    return best


def synchronize() -> None:
    """Wait for the GPU."""
    from cuda.bindings import driver

    (status,) = driver.cuCtxSynchronize()
    assert not status, status


def report(best, budgets):
    """Print the rows, without the cost of the loop and the lambda, beside the raw call; gives them."""
    floor = best.pop(EMPTY)
    raw = best[rows.RAW] - floor
    results = {name: (nanoseconds - floor, (nanoseconds - floor) / raw) for name, nanoseconds in best.items()}
    print(f"{'':54} {'ns':>6}  ratio  budget   (loop and lambda taken off: {floor:.0f} ns)")
    for name, (nanoseconds, ratio) in results.items():
        budget = f"{budgets[name]:7.2f}" if name in budgets else ""
        print(f"{name:54} {nanoseconds:6.0f}  {ratio:5.2f} {budget}".rstrip())
    return results


if __name__ == "__main__":
    main()
