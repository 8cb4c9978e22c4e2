"""Objects of the driver that end when nobody holds them any more, once the kernels that were launched have run."""

from __future__ import annotations

import contextlib
import os
import weakref
from typing import TYPE_CHECKING

from jitload.cuda import driver
from jitload.errors import JitloadError

if TYPE_CHECKING:
    from types import ModuleType

    from jitload.cuda.driver import Foreign


class Owned:
    """One object.

    Args:
        call: the function that ends it, "cuTexObjectDestroy".
        thing: what that takes.
        below: what it needs, which is held for as long.

    Attributes:
        thing: what was given.
    """

    def __init__(self, call: str, thing: Foreign, *below: Owned) -> None:
        bindings = driver.ensure_context()
        context = driver.check("cuCtxGetCurrent", bindings.cuCtxGetCurrent())
        self.thing = thing
        self._finalizer = weakref.finalize(self, _end, bindings, context, call, thing, below, os.getpid())
        self._finalizer.atexit = False  # at exit the driver frees everything itself, and may be gone

    def close(self) -> None:
        """Wait for the device, and end it. May be repeated."""
        self._finalizer()


def _end(
    bindings: ModuleType, context: Foreign, call: str, thing: Foreign, _below: tuple[Owned, ...], process: int
) -> None:
    """End an object once no kernel uses it; in a child of `fork()` it is the parent's."""
    if os.getpid() != process:
        return
    with contextlib.suppress(JitloadError):
        driver.check("cuCtxPushCurrent", bindings.cuCtxPushCurrent(context))
        try:
            with driver.beside_captures(bindings):
                bindings.cuCtxSynchronize()
                getattr(bindings, call)(thing)
        finally:
            bindings.cuCtxPopCurrent()
