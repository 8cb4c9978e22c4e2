"""How a user with a type checker writes kernels: mypy, strict here, has nothing to say of it. Never run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import jitload

Floats = NDArray[np.float32]


@jitload.jit_kernel
def saxpy(a: float, x: Floats, y: Floats, n: int) -> None:
    r"""extern "C" __global__ void saxpy(float a, const float *x, float *y, int n) {}"""


@jitload.jit_kernel(file="reduce.cu", entry="reduce<{T}, {BLOCK}>")
def reduce(x: Floats, out: Floats, n: int, *, T: str = ..., BLOCK: int = 256) -> None: ...


def launch(x: Floats) -> None:
    saxpy[4, 256](2.0, x, x, 4)
    saxpy[4, 256, None, 0](2.0, x, x, n=4)
    saxpy[lambda a, x, y, n: (n + 255) // 256, 256](2.0, x, x, 4)
    saxpy(2.0, x, x, 4, grid=4, block=256)
    saxpy.bind(grid=4, block=256, stream=None)(2.0, x, x, 4)
    saxpy.forall(4)(2.0, x, x, 4)
    reduce[4, 256](x, x, 4)
    reduce[4, 256](x, x, 4, T="double")
    reduce.specialize(T="double", BLOCK=64)[4, 256](x, x, 4)
    either: jitload.JitKernel = saxpy if x.size else reduce
    either[4, 256](x)


def compile_ahead(kind: str) -> jitload.Artifact:
    saxpy.precompile(["sm_90", "sm_of_the_future"], kinds="cubin", jobs=2)
    jitload.Bundle.create("app.jlb", [saxpy], archs=["sm_90"], kinds=["ptx", jitload.Kind.CUBIN])
    with jitload.configure(device="cpu", compile="never"):
        return jitload.compile("", kind=jitload.Kind(kind), arch="native")
