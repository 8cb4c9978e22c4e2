"""What a type checker tells a user: every line that is ignored here is an error, or mypy says that it is none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import jitload

Floats = NDArray[np.float32]


@jitload.jit_kernel(source="...")
def saxpy(a: float, x: Floats, y: Floats, n: int) -> None: ...


def launch(x: Floats, whole: NDArray[np.int32]) -> None:
    saxpy[4, 256](2.0, x, x)  # type: ignore[call-arg]
    saxpy[4, 256](2.0, x, x, "n")  # type: ignore[arg-type]
    saxpy[4, 256](2.0, x, whole, 4)  # type: ignore[arg-type]
    saxpy[4, 256](2.0, x, x, 4, m=1)  # type: ignore[call-arg]
    saxpy.bind(grid=4, blok=256)  # type: ignore[call-arg]
    saxpy.kernel().bind(4, 256)  # type: ignore[call-arg]
    saxpy.kernel().bind(grid=4, blok=256)  # type: ignore[call-arg]
    saxpy.bind(grid=4, block=256)(2.0)  # type: ignore[call-arg]
    saxpy.forall(4)(x)  # type: ignore[call-arg, arg-type]
    saxpy.lauch()  # type: ignore[attr-defined]


def compile_ahead(kind: str) -> None:
    jitload.compile("", kind="cubn")  # type: ignore[arg-type]
    jitload.compile("", kind=kind)  # type: ignore[arg-type]
    jitload.compile("", "sm_90")  # type: ignore[call-arg]
    jitload.compile("", archs="sm_90")  # type: ignore[call-arg]
    jitload.configure("cpu")  # type: ignore[call-arg]
    jitload.Session("cpu")  # type: ignore[call-arg]
    saxpy.artifact(kind="cubn")  # type: ignore[arg-type]
    jitload.precompile([saxpy], kinds=["cubn"])  # type: ignore[list-item]
    jitload.configure(device="gpu")  # type: ignore[arg-type]
    jitload.Bundle.create("app.jlb", [saxpy], arch="sm_90")  # type: ignore[call-arg]
