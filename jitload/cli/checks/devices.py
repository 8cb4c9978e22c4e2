"""What runs kernels: the driver, the GPUs, the CPU executor, and which of them is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload import config
from jitload.cli.checks.compiler import driver_version, pip_command
from jitload.cli.checks.finding import missing, ok, problem
from jitload.cuda import driver
from jitload.device import resolve_device
from jitload.errors import DriverError, LoadError

if TYPE_CHECKING:
    from jitload.cli.checks.finding import Finding
    from jitload.cli.checks.sample import Sample

NO_GPU = "nothing, if this machine has no GPU: kernels run on the CPU executor"


def check_driver(_sample: Sample) -> Finding:
    """The CUDA driver's library, and the CUDA version that it speaks."""
    number = driver_version()
    if number is None:
        return missing("no libcuda.so.1", f"install NVIDIA's driver (a container needs --gpus all); or {NO_GPU}")
    text = ".".join(map(str, number))
    return ok(f"libcuda.so.1, speaks CUDA {text}", version=text)


def check_gpu(sample: Sample) -> Finding:
    """The GPUs with their archs; the first one really runs a kernel."""
    try:
        gpus = _list_gpus()
    except (LoadError, DriverError) as error:
        if isinstance(error.__cause__, ImportError) and driver_version() is not None:
            return problem(str(error), pip_command())
        if isinstance(error, DriverError):
            return problem(str(error), "run nvidia-smi: the driver has a GPU and cannot use it")
        return missing("no CUDA device", NO_GPU)
    found = ", ".join(f"{number}: {name} ({arch})" for number, (name, arch) in enumerate(gpus))
    details: dict[str, object] = {"gpus": [{"name": name, "arch": arch} for name, arch in gpus]}
    try:
        what = sample.run("cuda")
    except Exception as error:  # noqa: BLE001 - whatever goes wrong on the GPU is the finding
        fix = "update the driver, or set JITLOAD_DEVICE=cpu"
        return problem(f"{found}; a kernel does not run: {type(error).__name__}: {error}", fix, **details)
    return ok(f"{found}; ran {what}", **details)


def check_executor(sample: Sample) -> Finding:
    """The CPU executor really runs a kernel."""
    try:
        what = sample.run("cpu")
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in the executor is the finding
        fix = "reinstall jitload and numpy: pip install --force-reinstall jitload numpy"
        return problem(f"a kernel does not run: {type(error).__name__}: {error}", fix)
    return ok(f"ran {what}")


def check_device(sample: Sample) -> Finding:
    """Where kernels run under the settings in force, and whether they do."""
    setting = config.current().device
    resolved = resolve_device()
    name = "GPU" if resolved == "cuda" else "CPU executor"
    found = f"JITLOAD_DEVICE={setting} means the {name}"
    try:
        sample.run(resolved)
    except Exception as error:  # noqa: BLE001 - why is said by the check of that device
        fix = "see the line of the cpu executor"
        if resolved == "cuda":
            instead = "auto" if setting == "cuda" else "cpu"
            fix = f"see the lines of the driver and the gpu, or set JITLOAD_DEVICE={instead}"
        return problem(f"{found}, where no kernel runs ({type(error).__name__})", fix, setting=setting, device=resolved)
    return ok(found, setting=setting, device=resolved)


def _list_gpus() -> list[tuple[str, str]]:
    """(name, arch) of every GPU.

    Raises:
        LoadError: CUDA cannot be used here.
        DriverError: the driver is there and does not start.
    """
    return [(driver.device_name(ordinal), driver.device_arch(ordinal)) for ordinal in range(driver.device_count())]
