"""What `JITLOAD_CPU_CHECK` turns on: observers that stop a launch at a race, at a value nobody wrote, at a leak."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.checks.init import InitCheck
from jitload.cpu.checks.memory import MemoryCheck
from jitload.cpu.checks.race import RaceCheck

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.cpu.run.observer import Observer

_CHECKS: dict[str, type[Observer]] = {"memory": MemoryCheck, "race": RaceCheck, "init": InitCheck}


def make_checks(names: Iterable[str]) -> list[Observer]:
    """A fresh observer per check that is named, for one launch."""
    return [_CHECKS[name]() for name in names]
