"""Which engine runs a launch: machine code where it is asked for, or pays, and the kernel has it; else lanes."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from jitload import forks, log
from jitload.cpu.faults import Refused
from jitload.cpu.isa.effects import name_in
from jitload.cpu.native.background import background
from jitload.errors import CpuFault
from jitload.lazy import lazy

if TYPE_CHECKING:
    from jitload.cpu.kernel_code import KernelCode
    from jitload.cpu.native import compile as compiling
    from jitload.cpu.native import errands, kept, loaded, stopped
    from jitload.cpu.native import launch as launching
    from jitload.cpu.native.kernel import NativeKernel
    from jitload.cpu.run.grid import Grid
else:
    compiling = lazy("jitload.cpu.native.compile")  # with llvmlite, which need not be there
    errands = lazy("jitload.cpu.native.errands")
    kept = lazy("jitload.cpu.native.kept")
    launching = lazy("jitload.cpu.native.launch")
    loaded = lazy("jitload.cpu.native.loaded")
    stopped = lazy("jitload.cpu.native.stopped")

#: What compiling costs for so many instructions, the import of llvmlite included: of 85 kernels of kernels/ and of the
#: tests' algorithms 84 took less, and attention_online half again as much.
COMPILE_SECONDS, COMPILE_SECONDS_EACH = 0.1, 0.002
#: When that is looked for which another process may have kept.
LOOK_SECONDS = 0.02
#: A kernel with more is not compiled while the program runs: the end of the interpreter would have to wait for it.
MOST_INSTRUCTIONS = 5000


#: From the import of what compiles on. A signal handler that launches in the middle of it finds half of a module.
_compiles = forks.Calls()
_MISTAKES = (ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class NativeCode:
    """The machine code of one kernel, compiled when it is first asked for, or when that has come to pay.

    Attributes:
        refused: why there is none, or "".
        declined: why engine auto leaves it to lanes, or ""; known once it has come to pay.
        launches: how many launches of machine code there were.
    """

    def __init__(self, code: KernelCode) -> None:
        self._code = code
        self._kernel: tuple[NativeKernel, loaded.MachineCode, stopped.Errands | None] | None = None
        self._lock = threading.RLock()  # a signal handler may launch in the middle of it
        self._spent = 0.0
        self._asked = False
        self._sought = False
        self._looked = False
        self.refused = ""
        self.declined = ""
        self.launches = 0
        forks.after_fork(self._settle)

    def _settle(self) -> None:
        self._lock = threading.RLock()
        self._asked = False

    @property
    def ready(self) -> bool:
        """Whether there is machine code."""
        return self._kernel is not None

    def run(self, grid: Grid, engine: str) -> bool:
        """Run every block of a grid; whether that could be done at all. Nothing has run where it could not.

        Args:
            grid: of a launch that nobody watches.
            engine: "native", which compiles where there is no machine code yet, or "auto", which waits for none.

        Raises:
            CpuFault: the kernel was stopped.
        """
        if self._kernel is None and engine == "native":
            self._compile()
        kernel = self._kernel
        if kernel is None or (engine == "auto" and self._decline()):
            return False
        ran = launching.NativeLaunch(*kernel, grid).run()
        self.launches += ran
        return ran

    def spend(self, seconds: float) -> None:
        """Count what a launch has cost on lanes; when it comes to more than compiling costs, that begins elsewhere."""
        self._spent += seconds
        if self._spent < LOOK_SECONDS or self._asked or self._kernel is not None or self.refused or self.declined:
            return
        if self._spent >= COMPILE_SECONDS + COMPILE_SECONDS_EACH * len(self._code.places):
            self._asked = True
            background.add(partial(self._work, anew=True))
        elif not self._sought:
            self._sought = True
            background.add(partial(self._work, anew=False))

    def _work(self, *, anew: bool) -> None:
        """What is done beside the program: also to look whether there is anything to do takes a while."""
        if not self._decline():
            self._compile(anew=anew, dear=False)

    def _decline(self) -> bool:
        """Whether engine auto is to leave the kernel to lanes; looked at once."""
        if not self._looked and not self.declined:
            kernel = self._kernel
            self.declined = _why_declined(self._code) or (kernel[0].dear if kernel is not None else "")
            self._looked = True
            if self.declined:
                log.debug("kernel %r stays on lanes in engine auto: %s", self._code.name, self.declined)
        return bool(self.declined)

    def _compile(self, *, anew: bool = True, dear: bool = True) -> None:
        """Take what is kept, or else compile and keep it; `dear` as for `compile_native`."""
        if _compiles.inside():
            return  # lanes, for this once
        with self._lock, _compiles:
            if self._kernel is not None or self.refused or background.ending:
                return
            try:
                found = kept.find(self._code)
                if found is None and not anew:
                    return
                kernel = compiling.compile_native(self._code, dear=dear) if found is None else found
                sent = stopped.Errands(self._code, kernel.errands) if kernel.errands else None
                self._kernel = kernel, loaded.MachineCode(kernel), sent
                self._looked = False
                if found is None:
                    kept.keep(self._code, kernel)
                log.debug(
                    "kernel %r has machine code, %s", self._code.name, "compiled now" if found is None else "kept"
                )
            except errands.Dear as why:
                self.declined = compiling.why_refused(why)
                log.debug("kernel %r stays on lanes in engine auto: %s", self._code.name, self.declined)
            except Refused as refusal:
                self._refuse(compiling.why_refused(refusal))
            except CpuFault as fault:
                self._refuse(str(fault))
            except _MISTAKES as error:  # of ours, or text that no compiler writes: lanes know what to say of it
                self._refuse(f"{type(error).__name__}: {error}")
            except ImportError as error:
                self._refuse(f"llvmlite cannot be imported ({error}): pip install 'jitload[native]'")

    def _refuse(self, why: str) -> None:
        self.refused = why
        log.debug("kernel %r has no machine code and runs on lanes: %s", self._code.name, why)


def _why_declined(code: KernelCode) -> str:
    """Why engine auto leaves a kernel to lanes, or ""."""
    if len(code.places) > MOST_INSTRUCTIONS:
        return f"{len(code.places)} instructions are more than are compiled beside a program"
    if any(_sums_floats(place.text) for place in code.places) and compiling.depends_on_order(code):
        return "its sums of floats by atomic operations may be rounded in another way"
    return ""


def _sums_floats(text: str) -> bool:
    """Whether an instruction is an atomic sum of floats."""
    opcode, modifiers = name_in(text)
    return opcode in {"atom", "red"} and "add" in modifiers and modifiers[-1][0] not in "us"
