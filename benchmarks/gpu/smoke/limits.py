"""How much a block may have: what the driver allows, beside what jitload says before."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from gpu.check import Seen
from gpu.machine import need_hardware
from gpu.smoke.program import expect, module
from jitload.cuda import driver
from jitload.errors import JitloadError

SHARED_OPTIN = 97  # CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, cuda.h
#: CUfunction_attribute (cuda.h) -> field of `Resources`.
ATTRIBUTES = {1: "shared_bytes", 3: "stack_bytes", 4: "registers"}
FLOAT, STATIC = 4, 4096


def shared_memory(name: str, static: int) -> Seen:
    """Up to the last byte that the card has; and one step more is refused before or by the driver."""
    most = driver.device_attribute(SHARED_OPTIN) - static
    seen: dict[str, str] = {}
    for nbytes in (2048, 48 * 1024, 48 * 1024 + 16, most - 1024, most, most + 16):
        if nbytes < 2048 or (nbytes > most and nbytes != most + 16):
            continue
        x = np.arange(256, dtype=np.float32)
        try:
            module()[name].bind(grid=1, block=256, shared_bytes=nbytes)(x, nbytes // FLOAT)
            expect(x, np.arange(256)[::-1])
            seen[str(nbytes)] = "runs"
        except JitloadError as error:
            seen[str(nbytes)] = f"{type(error).__name__}: {str(error)[:120]}"
    # A card that refuses the last bytes keeps them for itself: the driver must have said so in its attribute.
    assert seen[str(most)] == "runs", f"{most} bytes beside {static}: {seen[str(most)]}"
    assert seen[str(most + 16)] != "runs", f"{most + 16} bytes beside {static} were taken"
    return Seen(f"up to {most} dynamic bytes beside {static}; then {seen[str(most + 16)]}", seen)


def resources() -> Seen:
    """What the cubin tells of its kernels is what the driver has."""
    need_hardware("the checking driver has no registers")
    apart, figures = [], {}
    bindings = driver.ensure_context()
    for name in module().functions:
        kernel = module()[name]
        told: Any = kernel.info.resources
        assert told is not None, f"{name}: the cubin told nothing"
        for number, field in ATTRIBUTES.items():
            attribute = bindings.CUfunction_attribute(number)
            device = driver.check("cuCtxGetDevice", bindings.cuCtxGetDevice())
            handle = bindings.CUkernel(kernel.handle)
            outcome = bindings.cuKernelGetAttribute(attribute, handle, device)
            has, says = int(driver.check("cuKernelGetAttribute", outcome)), getattr(told, field)
            figures[f"{name} {field}"] = [says, has]
            # The driver counts local memory of any kind, the cubin the frame that is always there.
            if has != says and not (field == "stack_bytes" and has >= says):
                apart.append(f"{name}: {field} {says}, driver {has}")
    assert not apart, "; ".join(apart)
    return Seen(f"{len(figures)} figures of {len(module().functions)} kernels", figures)


def occupancy() -> Seen:
    """Blocks per multiprocessor as the driver computes them, for 8 sizes of block and 3 of shared memory."""
    need_hardware("its occupancy is jitload's own")
    import jitload

    bindings, figures, apart = driver.ensure_context(), {}, []
    for name in module().functions:
        kernel = module()[name]
        for block in (32, 64, 96, 128, 256, 384, 512, 1024):
            for shared_bytes in (0, 5000, 40_000):
                says = jitload.occupancy(kernel, block, shared_bytes=shared_bytes).blocks_per_sm
                function = bindings.CUfunction(kernel.handle)
                outcome = bindings.cuOccupancyMaxActiveBlocksPerMultiprocessor(function, block, shared_bytes)
                has = int(driver.check("cuOccupancyMaxActiveBlocksPerMultiprocessor", outcome))
                figures[f"{name} {block} {shared_bytes}"] = [says, has]
                if says != has:
                    apart.append(f"{name}, block {block}, {shared_bytes} bytes: {says}, driver {has}")
    assert not apart, f"{len(apart)} of {len(figures)}: {'; '.join(apart[:8])}"
    return Seen(f"{len(figures)} launches", figures)


CHECKS = {
    "shared memory": partial(shared_memory, "reverse", 0),
    "shared memory beside static": partial(shared_memory, "reverse_static", STATIC),
    "resources": resources,
    "occupancy": occupancy,
}
