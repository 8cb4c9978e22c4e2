"""Whether the CPU executor can make machine code, and does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload import config
from jitload.cli.checks.finding import missing, ok, problem
from jitload.cli.checks.sample import COUNT, KERNEL, PTX
from jitload.config import configure
from jitload.lazy import lazy

if TYPE_CHECKING:
    import numpy as np

    from jitload.cli.checks.finding import Finding
    from jitload.cli.checks.sample import Sample
    from jitload.cpu import module as modules
    from jitload.cpu.native import machine
else:
    np = lazy("numpy")
    modules = lazy("jitload.cpu.module")
    machine = lazy("jitload.cpu.native.machine")

_INSTALL = (
    "pip install 'jitload[native]', if kernels that are launched often are to be machine code on the CPU executor"
)


def check_machine_code(_sample: Sample) -> Finding:
    """LLVM is there, and what it makes of a kernel runs."""
    engine = config.current().cpu_engine
    out = np.zeros(COUNT, np.int32)
    try:
        maker = machine.maker()
        # Strict, so that nothing is kept: this looks, and leaves all as it was.
        with configure(device="cpu", cpu_engine="native", cpu_check=None, sync=True, strict=True):
            module = modules.load_ptx(PTX.encode())
            module.get_function(KERNEL)(out, COUNT, grid=2, block=COUNT // 2)
            native = module.device_function(KERNEL).native
    except ImportError as error:
        return missing(f"llvmlite cannot be imported ({error})", _INSTALL, engine=engine)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is the finding
        return problem(f"{type(error).__name__}: {error}", "set JITLOAD_CPU_ENGINE=lanes", engine=engine)
    wrong = native.refused or ("" if (out == 3 * np.arange(COUNT) + 1).all() else f"wrong numbers: {out[:4].tolist()}")
    if wrong:
        return problem(wrong, "set JITLOAD_CPU_ENGINE=lanes", engine=engine)
    return ok(f"by {maker}, ran; JITLOAD_CPU_ENGINE is {engine}", engine=engine, **maker._asdict())
