"""What the figures were made on: a figure without its machine says nothing."""

from __future__ import annotations

import datetime as dt
import os
import platform
from pathlib import Path
from typing import Any

import jitload
from suite.parts import PEERS, installed

#: What of jitload's own environment has a part in the figures.
OURS = (
    "nvidia-cuda-nvrtc-cu12",
    "nvidia-cuda-nvrtc",
    "cuda-bindings",
    "numpy",
    "cryptography",
    "redis",
    "distributed",
)


def describe() -> dict[str, Any]:
    """Date, processor, system, Python, and the versions of what takes part; None for what is not installed."""
    return {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}, {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "jitload": jitload.__version__,
        "packages": {name: version for name in OURS if (version := installed(name))},
        "peers": {name: installed(package) for name, package in PEERS.items()},
    }


def processor() -> str:
    """Its model, where Linux knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"
