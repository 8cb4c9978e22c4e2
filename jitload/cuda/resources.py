"""What a kernel takes of a multiprocessor, as the driver says of the machine code that it has for a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cuda import driver
from jitload.values import Resources

if TYPE_CHECKING:
    from jitload.cuda.driver import Foreign

# CUfunction_attribute values (cuda.h), by what they are here.
_ATTRIBUTES = {"max_threads": 0, "shared_bytes": 1, "stack_bytes": 3, "registers": 4}


def ask_resources(kernel: Foreign, ordinal: int) -> Resources | None:
    """The resources of a CUkernel on a device, or None where the driver does not tell."""
    bindings = driver.bindings()
    device = driver.check("cuDeviceGet", bindings.cuDeviceGet(ordinal))
    found: dict[str, int] = {}
    for name, number in _ATTRIBUTES.items():
        status, value = bindings.cuKernelGetAttribute(bindings.CUfunction_attribute(number), kernel, device)
        if status:
            return None
        found[name] = int(value)
    # Registers are spilled to the stack: without one there is nothing spilled, of another one nobody knows.
    spilled = 0 if not found["stack_bytes"] else None
    return Resources(**found, spill_store_bytes=spilled, spill_load_bytes=spilled)
