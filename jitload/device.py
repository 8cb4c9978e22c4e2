"""What runs kernels here: the CUDA driver or the CPU executor, by the settings in force and by what is there."""

from __future__ import annotations

from jitload import config
from jitload.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jitload.cuda import driver
else:
    driver = lazy("jitload.cuda.driver")  # only "auto" has to look for a driver


def resolve_device(settings: config.Config | None = None) -> str:
    """What runs kernels under the settings in force: "cuda" or "cpu".

    Args:
        settings: `config.current()`, where the caller has it already.
    """
    device = (config.current() if settings is None else settings).device
    if device != "auto":
        return device
    return "cuda" if driver.is_available() else "cpu"
