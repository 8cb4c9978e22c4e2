"""Threads that only test mbarriers, again and again: when that is to be called an end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from jitload.cpu.isa.effects import effects_of
from jitload.cpu.lanes.affine import dense
from jitload.cpu.run.standstill import expect_completion

if TYPE_CHECKING:
    from jitload.cpu.lanes.affine import Affine
    from jitload.cpu.native.errand_code import ErrandCode
    from jitload.cpu.run.batch import Batch
    from jitload.cpu.run.frame import Frame
    from jitload.cpu.types import Array, Lanes

#: Stops in a row at nothing but such tests in vain; some loops count to give up. Lanes take as many steps ...
_IDLE_STOPS = 1 << 12
#: ... and many more where something else stands in the loops, which others might see.
_MOST_STOPS = 1 << 16


class _Done(Protocol):
    """What of an errand is looked at."""

    code: ErrandCode
    waits: bool


class Idleness:
    """What the threads of one block stopped for, from stop to stop."""

    def __init__(self) -> None:
        self._stops = 0
        self._in_vain = True
        self._only_tests = True

    def see(self, errand: _Done, frame: Frame, lanes: Array) -> None:
        """An errand has been done for some threads."""
        code = errand.code
        tests = code.instruction.opcode == "mbarrier" and "polls" in effects_of("mbarrier", code.instruction.modifiers)
        if tests and not any(_some(frame.registers[one.index], lanes) for one in code.written):
            self._only_tests &= errand.waits
        elif tests or not errand.waits:  # a clock in such a loop changes nothing
            self._in_vain = False

    def expect_end(self, batch: Batch) -> None:
        """All errands of this stop have been done.

        Raises:
            CpuFault: for long nobody has done anything else than wait.
        """
        if not self._in_vain:
            batch.unmet.clear()
            self._stops, self._only_tests = 0, True
        self._stops += self._in_vain
        self._in_vain = True
        if self._stops >= (_IDLE_STOPS if self._only_tests else _MOST_STOPS):
            expect_completion(batch)


def _some(value: Lanes | Affine, lanes: Array) -> bool:
    found = dense(value)
    return bool(np.any(found[lanes] if found.ndim else found))
