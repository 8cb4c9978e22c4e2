"""What runs kernels here: the CUDA driver or the CPU executor, by the settings in force and by what is there."""

from __future__ import annotations

from jitload import config


def resolve_device() -> str:
    """What runs kernels under the settings in force: "cuda" or "cpu"."""
    device = config.current().device
    if device != "auto":
        return device
    from jitload.cuda.driver import is_available  # nobody else has to look for a driver

    return "cuda" if is_available() else "cpu"
