"""Which engine runs a launch: machine code where it is asked for and the kernel has it, else lanes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from jitload import forks, log
from jitload.cpu.faults import Refused
from jitload.lazy import lazy

if TYPE_CHECKING:
    from jitload.cpu.kernel_code import KernelCode
    from jitload.cpu.native import compile as compiling
    from jitload.cpu.native import launch as launching
    from jitload.cpu.native.compile import NativeKernel
    from jitload.cpu.run.grid import Grid
else:
    compiling = lazy("jitload.cpu.native.compile")  # with llvmlite, which need not be there
    launching = lazy("jitload.cpu.native.launch")


class NativeCode:
    """The machine code of one kernel, compiled when it is first asked for.

    Attributes:
        refused: why there is none, or "".
    """

    def __init__(self, code: KernelCode) -> None:
        self._code = code
        self._kernel: NativeKernel | None = None
        self._lock = threading.Lock()
        self.refused = ""
        forks.after_fork(self._settle)

    def _settle(self) -> None:
        self._lock = threading.Lock()

    def run(self, grid: Grid) -> bool:
        """Run every block of a grid; whether that could be done at all. Nothing has run where it could not.

        Raises:
            CpuFault: the kernel was stopped.
        """
        kernel = self._compiled()
        if kernel is None:
            return False
        launching.NativeLaunch(kernel, grid).run()
        return True

    def _compiled(self) -> NativeKernel | None:
        with self._lock:
            if self._kernel is None and not self.refused:
                try:
                    self._kernel = compiling.compile_native(self._code)
                except Refused as refusal:
                    self.refused = compiling.why_refused(refusal)
                except ImportError as error:
                    self.refused = f"llvmlite cannot be imported ({error}): pip install 'jitload[native]'"
                if self.refused:
                    log.debug("kernel %r has no machine code and runs on lanes: %s", self._code.name, self.refused)
            return self._kernel
