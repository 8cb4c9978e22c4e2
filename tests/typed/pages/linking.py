
import numpy as np
from pathlib import Path
import jitload
main = """extern "C" __device__ int helped();
extern "C" __global__ void step(int *x, int n) { *x = helped() + n; }
template <class T> __global__ void reduce(T *x) { *x += helped(); }
"""
for name, written in {
    "main.cu": main,
    "helpers.cu": 'extern "C" __device__ int helped() { return 42; }',
    "scale.cu": 'extern "C" __global__ void scale(int *x) { *x *= 2; }',
}.items():
    Path(name).write_text(written)
paths = [Path("main.cu"), Path("helpers.cu")]
ptx_bytes = jitload.compile(Path("scale.cu"), kind="ptx", arch="compute_80").data
unit = jitload.compile(Path("scale.cu"), kind="ltoir", arch="sm_80", options=["-rdc=true"])
mine = jitload.compile(Path("helpers.cu"), kind="cubin", arch="sm_90", options=["-rdc=true"]).data
head = f"{'mine.o/':<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(mine):<10}`\n"
Path("libmine.a").write_bytes(b"!<arch>\n" + head.encode() + mine + b"\n" * (len(mine) % 2))

import jitload

units = [jitload.compile(path, kind="ltoir", arch="sm_80", options=["-rdc=true"]) for path in paths]
linked = jitload.link(units, arch="sm_90")               # a cubin, optimised over all units
text = jitload.link(units, kind="ptx", arch="sm_80")     # PTX, which runs on the CPU executor too
cubin = jitload.link([ptx_bytes], arch="sm_90")          # PTX to a cubin, without a driver
linked = jitload.link([unit, "libmine.a", "libcudadevrt.a"], arch="sm_90")

program = jitload.compile(sources=[Path("main.cu"), Path("helpers.cu")], names=["reduce<float>"])

@jitload.jit_kernel(file="main.cu", link=["helpers.cu", "libmine.a"])
def step(x: np.ndarray, n: int) -> None: ...
