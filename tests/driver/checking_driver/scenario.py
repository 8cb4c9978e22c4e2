"""What machine the model pretends to be, from the environment of the process."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field

#: JSON with the fields of `Scenario`.
VARIABLE = "CHECKING_DRIVER"


@dataclass
class Scenario:
    """The machine.

    Attributes:
        capabilities: (major, minor) of each device.
        version: what cuDriverGetVersion says: 1000 * major + 10 * minor; 0 is that of the <cuda.h> it is built with.
        loads: when an image is read and compiled, and its faults show: "library" (cuLibraryLoadData), "kernel"
            (cuLibraryGetKernel) or "function" (cuKernelGetFunction, an attribute, or a launch). All are within the
            documentation of lazy loading; the last is the default, since it forgives least.
        registers: per thread, of every kernel that the driver compiles.
        pools: whether the devices have memory pools.
        fail: driver function -> status: the next call of it gives that, and does nothing.
        images: a directory with the PTX of each cubin that was compiled on this machine, by the cubin's digest.
        report: a file that gets a line for each call that the documentation forbids.
    """

    capabilities: list[list[int]] = field(default_factory=lambda: [[9, 0]])
    version: int = 0
    loads: str = "function"
    registers: int = 32
    pools: bool = True
    fail: dict[str, int] = field(default_factory=dict)
    images: str = ""
    report: str = ""


def scenario() -> Scenario:
    """The scenario of this process."""
    return Scenario(**json.loads(os.environ.get(VARIABLE) or "{}"))
