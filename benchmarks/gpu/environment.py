"""Step "environment": what jitload finds here, and what the other steps will find."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from gpu.check import NotHere, Seen, within
from gpu.machine import describe, need_hardware
from gpu.native_code import sources_digest
from gpu.watch import run_command

if TYPE_CHECKING:
    from collections.abc import Callable

TOOLS = ("compute-sanitizer", "ncu", "nvcc", "cuobjdump", "gcc")
#: What other steps compare with or test with.
PEERS = ("torch", "cupy", "triton", "jax", "numba.cuda", "cuda.core", "tvm_ffi", "pytest", "xdist", "hypothesis")

PRESENT = """
import importlib.util, sys
for name in sys.argv[1:]:
    try:
        print(name, importlib.util.find_spec(name) is not None)
    except Exception:
        print(name, False)
"""


def checks(short: bool) -> dict[str, Callable[[], Any]]:
    """The checks of this step."""
    del short
    return {
        "the card": the_card,
        "jitload doctor": doctor,
        "native launches": native_launches,
        "tools": tools,
        "packages": packages,
        "the card is idle": idle,
    }


def the_card() -> Seen:
    """What the driver says of it."""
    machine = describe()
    text = (
        f"{machine['card']}, {machine['arch']}, CUDA {machine['driver_cuda']}, NVRTC {machine['nvrtc'] or 'not here'}"
    )
    return Seen(text, machine)


@within(90)
def doctor() -> Seen:
    """Every finding of `jitload doctor` that is not ok."""
    command = [sys.executable, "-m", "jitload", "doctor", "--json"]
    done = run_command(command, seconds=80, stderr=subprocess.DEVNULL)
    report = json.loads(done.stdout)
    findings = [one for one in report["checks"] if one["status"] != "ok"]
    text = "; ".join(f"{one['name']}: {one['found']}" for one in findings) or "all is well"
    assert done.returncode == 0, text
    return Seen(text, {"findings": findings})


def native_launches() -> str:
    """The extension, built from these very sources."""
    from jitload.launch import native

    build = native.build()
    if build.module is None:
        raise NotHere(f"{build.found}; {build.fix}")
    digest = sources_digest().decode()
    assert digest == build.module.SOURCES_DIGEST, (
        f"{build.found} was built from other sources than those of this checkout"
    )
    return build.found


def tools() -> str:
    """Programs that steps start."""
    found = {name: shutil.which(name) for name in TOOLS}
    return ", ".join(f"{name}: {place or 'not here'}" for name, place in found.items())


@within(60)
def packages() -> str:
    """Asked in a process of its own: importing all of them at once may fail in ways of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PRESENT, *PEERS], capture_output=True, text=True, timeout=50, check=False
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    missing = [name for name, here in rows if here != "True"]
    return f"not installed: {', '.join(missing)}" if missing else "all are installed"


def idle() -> str:
    """Nobody else computes on it: figures would be theirs too."""
    need_hardware("the checking driver is never busy")
    if shutil.which("nvidia-smi") is None:
        raise NotHere("nvidia-smi is not here")
    fields = "utilization.gpu,memory.used,clocks.sm,clocks.mem,temperature.gpu,power.draw"
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=15, check=True, env=dict(os.environ))
    return f"{fields}: {done.stdout.splitlines()[0]}"
