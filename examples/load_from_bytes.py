"""Modules from bytes that are already in memory: a loader of your own, and a kernel image fetched from somewhere.

The registry dispatches by kind alone, and no file is written on the way.
"""

from __future__ import annotations

import numpy as np

import jitload

SOURCE = r"""
extern "C" __global__ void scale(float *x, float factor, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] *= factor;
}
"""


def load_echo(data: bytes) -> jitload.Module:
    """A loader: bytes of kind "echo" become a module whose function gives them back."""
    return jitload.Module("echo", {"echo": lambda: data}, data=data)


def fetch(kind: str, arch: str) -> jitload.Artifact:
    """What a kernel server would answer; here it compiles, which needs no GPU."""
    return jitload.compile(SOURCE, kind=jitload.Kind(kind), arch=arch)


def main() -> None:
    with jitload.register_loader("echo", load_echo):
        module = jitload.load_module_from_bytes("echo", b"any bytes")
        print(f"echo     : {module['echo']()!r} through {module!r}")

    cubin = fetch("cubin", "sm_90").data
    module = jitload.load_module_from_bytes("cubin", cubin)
    print(f"cubin    : {len(cubin)} bytes became {module!r}")

    ptx = fetch("ptx", "compute_75").data
    module = jitload.load_module_from_bytes("ptx", ptx)
    x = np.arange(1000, dtype=np.float32)
    module["scale"][4, 256](x, 3.0, x.size)
    if not np.array_equal(x, 3 * np.arange(1000, dtype=np.float32)):
        raise SystemExit("wrong numbers")
    print(f"ptx      : {len(ptx)} bytes became {module!r}, and x is 3 * x")

    try:
        jitload.load_module_from_bytes("unheard-of", b"")
    except jitload.LoaderNotFoundError as error:
        print(f"unknown  : {error}")


if __name__ == "__main__":
    main()
