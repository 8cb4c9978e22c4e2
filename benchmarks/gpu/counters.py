"""Step "counters": what `jitload.cpu_profile` counts, beside what the hardware counts of the same launch."""

from __future__ import annotations

import csv
import io
import shutil
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from gpu.check import NotHere, Seen, within
from gpu.counted import profile
from gpu.machine import is_model, need_hardware
from gpu.watch import run_command

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 30.0
KERNELS = ("saxpy", "transpose", "reduce")
#: What ncu says on machines that it does not work on.
UNABLE = ("ERR_NVGPUCTRPERM", "LibraryNotLoaded", "Failed to initialize the profiler", "No kernels were profiled")


class Counter(NamedTuple):
    """A counter of the hardware, and the figure of the profile that is to be the same.

    Attributes:
        metric: its name for ncu.
        what: the figure, in words of docs/cpu.md.
        of: gives it of the totals of a profile.
        exact: whether both count the same thing; else the two are shown side by side.
    """

    metric: str
    what: str
    of: Callable[[Any], int]
    exact: bool = True


def _of(space: str, way: str, figure: str) -> Callable[[Any], int]:
    return lambda total: int(getattr(total.memory(space, way), figure))


_GLOBAL = "l1tex__t_{}_pipe_lsu_mem_global_op_{}.sum"
COUNTERS = (
    Counter(_GLOBAL.format("requests", "ld"), "global load requests", _of("global", "load", "requests")),
    Counter(_GLOBAL.format("requests", "st"), "global store requests", _of("global", "store", "requests")),
    Counter(_GLOBAL.format("sectors", "ld"), "global load sectors", _of("global", "load", "sectors")),
    Counter(_GLOBAL.format("sectors", "st"), "global store sectors", _of("global", "store", "sectors")),
    Counter("smsp__inst_executed_op_shared_ld.sum", "shared load requests", _of("shared", "load", "requests"), False),
    Counter("smsp__inst_executed_op_shared_st.sum", "shared store requests", _of("shared", "store", "requests"), False),
    # Turns that a warp waits for another one are conflicts for the hardware too.
    Counter(
        "l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_ld.sum",
        "shared load conflicts",
        _of("shared", "load", "bank_conflicts"),
        False,
    ),
    Counter(
        "l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_st.sum",
        "shared store conflicts",
        _of("shared", "store", "bank_conflicts"),
        False,
    ),
    # Instructions of PTX here, of machine code there.
    Counter("smsp__inst_executed.sum", "warp instructions", lambda total: int(total.inst_executed), False),
    Counter(
        "smsp__thread_inst_executed.sum", "thread instructions", lambda total: int(total.thread_inst_executed), False
    ),
)
HEAD = ["kernel", "counter", "cpu_profile", "hardware", ""]


def checks(short: bool) -> dict[str, Callable[[], Any]]:
    """The launches by themselves, then one per kernel."""
    del short
    kernels = {f"{name} beside ncu": within(SECONDS + 5)(partial(compare, name)) for name in KERNELS}
    return {"the launches by themselves": within(SECONDS)(alone), **kernels}


def alone() -> str:
    """All of them run on the card and on the executor."""
    for name in KERNELS:
        done = run_command([sys.executable, "-m", "gpu.counted", name], seconds=SECONDS)
        assert done.returncode == 0, " / ".join(done.stdout.strip().splitlines()[-3:])
    totals = {name: profile(name).total for name in KERNELS}
    return "; ".join(f"{name}: {int(total.inst_executed)} warp instructions" for name, total in totals.items())


def compare(name: str) -> Seen:
    """One kernel.

    Raises:
        AssertionError: a counter that both have differs.
    """
    if not is_model() and shutil.which("ncu") is None:
        raise NotHere("ncu is not here")
    need_hardware("it has no counters")
    metrics = ",".join(counter.metric for counter in COUNTERS)
    ncu = ["ncu", "--csv", "--print-units", "base", "--clock-control", "none", "--metrics", metrics]
    done = run_command([*ncu, sys.executable, "-m", "gpu.counted", name], seconds=SECONDS)
    unable = next((line for line in done.stdout.splitlines() if any(words in line for words in UNABLE)), None)
    if unable:
        raise NotHere(f"ncu does not work here: {unable.strip('= ')}")
    assert done.returncode == 0, " / ".join(done.stdout.strip().splitlines()[-3:])
    rows = compared(name, profile(name).total, read(done.stdout, name))
    wrong = [row for row in rows if row[-1] == "differs"]
    assert not wrong, "; ".join(f"{what}: {here}, hardware {there}" for _, what, here, there, _ in wrong)
    return Seen("", {"table": {"head": HEAD, "rows": rows}})


def compared(name: str, total: Any, measured: dict[str, int]) -> list[list[Any]]:
    """A row per counter that the hardware gave."""
    rows = []
    for counter in COUNTERS:
        if counter.metric in measured:
            here, there = counter.of(total), measured[counter.metric]
            verdict = "equal" if here == there else "differs" if counter.exact else "counted in its own way"
            rows.append([name, counter.what, here, there, verdict])
    return rows


def read(output: str, kernel: str) -> dict[str, int]:
    """Metric -> value, of what `ncu --csv` prints among what the program prints."""
    lines = output.splitlines()
    start = next((at for at, line in enumerate(lines) if line.startswith('"ID"')), len(lines))
    values = {}
    for row in csv.DictReader(io.StringIO("\n".join(lines[start:]))):
        if (row.get("Kernel Name") or "").partition("(")[0] == kernel and row.get("Metric Value"):
            values[row["Metric Name"]] = round(float(row["Metric Value"].replace(",", "")))
    assert values, f"ncu told nothing of {kernel}: {' / '.join(lines[-3:])}"
    return values
