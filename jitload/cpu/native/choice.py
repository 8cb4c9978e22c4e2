"""Which engine runs a launch: machine code where it is asked for, or pays, and the kernel has it; else lanes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from jitload import forks, log
from jitload.cpu.faults import Refused
from jitload.cpu.native.background import background
from jitload.errors import CpuFault
from jitload.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.cpu.kernel_code import KernelCode
    from jitload.cpu.native import compile as compiling
    from jitload.cpu.native import kept, machine
    from jitload.cpu.native import launch as launching
    from jitload.cpu.native.compile import NativeKernel
    from jitload.cpu.run.grid import Grid
    from jitload.cpu.text.ir import Place
else:
    compiling = lazy("jitload.cpu.native.compile")  # with llvmlite, which need not be there
    kept = lazy("jitload.cpu.native.kept")
    launching = lazy("jitload.cpu.native.launch")
    machine = lazy("jitload.cpu.native.machine")

#: What compiling costs for so many instructions, the import of llvmlite included: of 85 kernels of kernels/ and of the
#: tests' algorithms 84 took less, and attention_online half again as much.
COMPILE_SECONDS, COMPILE_SECONDS_EACH = 0.1, 0.002
#: When that is looked for which another process may have kept.
LOOK_SECONDS = 0.02
#: A kernel with more is not compiled while the program runs: the end of the interpreter would have to wait for it.
MOST_INSTRUCTIONS = 5000


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
        self._kernel: tuple[NativeKernel, machine.MachineCode] | None = None
        self._lock = threading.Lock()
        self._spent = 0.0
        self._asked = False
        self._sought = False
        self._looked = False
        self.refused = ""
        self.declined = ""
        self.launches = 0
        forks.after_fork(self._settle)

    def _settle(self) -> None:
        self._lock = threading.Lock()
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
        if self._spent < LOOK_SECONDS or self._asked or self._kernel is not None or self.refused or self._decline():
            return
        if self._spent >= COMPILE_SECONDS + COMPILE_SECONDS_EACH * len(self._code.places):
            self._asked = True
            background.add(self._compile)
        elif not self._sought:
            self._sought = True
            background.add(self._find)

    def _decline(self) -> bool:
        """Whether engine auto is to leave the kernel to lanes; looked at once."""
        if not self._looked:
            self._looked, instructions = True, len(self._code.places)
            if _depends_on_order(self._code.places):
                self.declined = "its atomic operations may give other results in another order"
            elif instructions > MOST_INSTRUCTIONS:
                self.declined = f"{instructions} instructions are more than are compiled beside a program"
            if self.declined:
                log.debug("kernel %r stays on lanes in engine auto: %s", self._code.name, self.declined)
        return bool(self.declined)

    def _find(self) -> None:
        """Take what is kept."""
        self._compile(anew=False)

    def _compile(self, *, anew: bool = True) -> None:
        """Take what is kept, or else compile and keep it."""
        with self._lock:
            if self._kernel is not None or self.refused or background.ending:
                return
            try:
                found = kept.find(self._code)
                if found is None and not anew:
                    return
                kernel = compiling.compile_native(self._code) if found is None else found
                self._kernel = kernel, machine.MachineCode(kernel.code)
                if found is None:
                    kept.keep(self._code, kernel)
                log.debug(
                    "kernel %r has machine code, %s", self._code.name, "compiled now" if found is None else "kept"
                )
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


_SUMS = {"f16", "f16x2", "bf16", "bf16x2", "f32", "f64"}


def _depends_on_order(places: Iterable[Place]) -> bool:
    """Whether an atomic operation gives back what was there, exchanges, or sums floats: threads take turns at those."""
    return any(_takes_turns(place.text.split()) for place in places)


def _takes_turns(words: list[str]) -> bool:
    name = next((word for word in words if not word.startswith("@")), "").rstrip(";")
    opcode, *modifiers = name.split(".")
    return opcode == "atom" or (opcode == "red" and not _SUMS.isdisjoint(modifiers))
