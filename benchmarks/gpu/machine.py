"""What machine this is: `python -m gpu.machine` prints it as JSON."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib.metadata
import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from gpu.check import NotHere

ROOT = Path(__file__).resolve().parents[2]
#: The card that tests/driver plays.
MODEL = "Checking Driver"
#: Whose versions go with the figures, where they are installed.
PACKAGES = (
    *(
        "cuda-bindings",
        "cuda-core",
        "nvidia-cuda-nvrtc",
        "nvidia-cuda-nvrtc-cu12",
        "nvidia-nvjitlink",
        "numpy",
        "torch",
    ),
    *("triton", "cupy-cuda13x", "cupy-cuda12x", "numba-cuda", "jax", "apache-tvm-ffi"),
)


def describe() -> dict[str, Any]:
    """Card, driver and versions; `model` says that the card is the checking driver of the tests.

    Raises:
        jitload.JitloadError: there is no GPU, or it cannot be used; the text says why.
    """
    import jitload
    from jitload.cuda import driver
    from jitload.launch import native

    driver.ensure_context()
    name = driver.device_name()
    model = name.startswith(MODEL)
    return {
        "date": dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "card": name,
        "arch": driver.device_arch(),
        "cards": driver.device_count(),
        "multiprocessors": driver.device_attribute(16),  # CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
        "model": model,
        "driver": "" if model else driver_release(),
        "driver_cuda": ".".join(map(str, driver.driver_version())),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "jitload": f"{jitload.__version__}{revision()}",
        "jitload_from": str(Path(jitload.__file__).parent),
        "nvrtc": nvrtc_version(),
        "launches": native.build().found,
        "packages": dict(installed()),
    }


def driver_release() -> str:
    """As nvidia-smi says it, e.g. "580.159.04"; "" where there is none."""
    if shutil.which("nvidia-smi") is None:
        return ""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return done.stdout.partition("\n")[0].strip() if done.returncode == 0 else ""


def nvrtc_version() -> str:
    """Of the compiler that jitload uses, e.g. "13.0.88"; "" where there is none."""
    from jitload.compiler import toolkit

    with contextlib.suppress(Exception):
        return toolkit.nvrtc_version(toolkit.find_nvrtc())
    return ""


def revision() -> str:
    """The commit of this checkout, where git knows it."""
    git = shutil.which("git")
    if git is None:
        return ""
    done = subprocess.run(
        [git, "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True, timeout=20, check=False
    )
    return f" ({done.stdout.strip()})" if done.returncode == 0 else ""


def installed() -> list[tuple[str, str]]:
    """Name and version of those of `PACKAGES` that are here."""
    found = []
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append((name, importlib.metadata.version(name)))
    return found


def is_model() -> bool:
    """Whether the card is the checking driver of the tests."""
    from jitload.cuda import driver

    return driver.device_name().startswith(MODEL)


def need_hardware(why: str) -> None:
    """Stop a check that the checking driver cannot answer.

    Raises:
        NotHere: the card is the checking driver.
    """
    if is_model():
        raise NotHere(f"needs hardware: {why}")


def main() -> int:
    """Print the description; exit with 1 and the reason where there is no GPU."""
    from jitload.errors import JitloadError

    try:
        print(json.dumps(describe()))
    except JitloadError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
