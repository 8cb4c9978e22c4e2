"""What a launch costs in Python, beside what the same launch costs others.

No GPU is needed: a do-nothing libcuda is built with gcc and put in front of the real one in a child process, so every
figure is Python and bindings alone. Ratios are what to look at; nanoseconds belong to the machine.

    python benchmarks/launch.py
"""

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STUB = r"""
#include <stdint.h>
#include <string.h>
typedef int R;
R nothing(void) { return 0; }
R cuInit(unsigned f) { return 0; }
R cuDriverGetVersion(int *v) { *v = 12090; return 0; }
R cuDeviceGetCount(int *n) { *n = 1; return 0; }
R cuDeviceGet(int *d, int o) { *d = o; return 0; }
R cuDeviceGetAttribute(int *v, int a, int d) { *v = a == 75 ? 9 : a == 76 ? 0 : 1024; return 0; }
R cuCtxGetCurrent(void **c) { *c = (void *)0x1000; return 0; }
R cuCtxGetDevice(int *d) { *d = 0; return 0; }
R cuLibraryLoadData(void **l, const void *p, void *a, void *b, unsigned c, void *d, void *e, unsigned f) {
  *l = (void *)0x2000; return 0; }
R cuLibraryGetKernel(void **k, void *l, const char *n) { *k = (void *)0x3000; return 0; }
R cuKernelGetParamInfo(void *k, size_t i, size_t *o, size_t *s) {
  static const int offset[] = {0, 8, 16, 24}, size[] = {4, 8, 8, 4};
  if (i > 3) return 1;
  *o = offset[i]; *s = size[i]; return 0; }
R cuLaunchKernel(void *f, unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned g, unsigned s,
                 void *st, void **p, void **x) { return 0; }
R cuLaunchKernelEx(void *c, void *f, void **p, void **x) { return 0; }
#define ONE(n) if (!strcmp(s, #n)) { *p = (void *)n; if (q) *q = 0; return 0; }
R cuGetProcAddress_v2(const char *s, void **p, int v, uint64_t f, int *q) {
  ONE(cuInit) ONE(cuDriverGetVersion) ONE(cuDeviceGetCount) ONE(cuDeviceGet) ONE(cuDeviceGetAttribute)
  ONE(cuCtxGetCurrent) ONE(cuCtxGetDevice) ONE(cuLibraryLoadData) ONE(cuLibraryGetKernel) ONE(cuKernelGetParamInfo)
  ONE(cuLaunchKernel) ONE(cuLaunchKernelEx)
  if (!strcmp(s, "cuGetProcAddress")) { *p = (void *)cuGetProcAddress_v2; return 0; }
  *p = (void *)nothing; if (q) *q = 0; return 0; }
R cuGetProcAddress(const char *s, void **p, int v, uint64_t f) { return cuGetProcAddress_v2(s, p, v, f, 0); }
"""


def main() -> None:
    """Measure in a child process that sees the do-nothing driver."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=300, help="rounds over all rows; the best of each is kept")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        report(measure(rows(), options.rounds))
        return
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "stub.c")
        source.write_text(STUB)
        library = str(Path(folder, "libcuda.so.1"))
        subprocess.run(["gcc", "-w", "-O2", "-shared", "-fPIC", "-o", library, str(source)], check=True)
        command = [sys.executable, __file__, "--child", "--rounds", str(options.rounds)]
        subprocess.run(command, env={**os.environ, "LD_LIBRARY_PATH": folder}, check=True)


def rows():
    """Every call that is measured, by name; `a, x, y, n` are what a user has in hand."""
    from cuda.bindings import driver

    kernel = saxpy_kernel()
    a, x, y, n = 2.0, 0x7F0000000000, 0x7F0000010000, 100
    block = ctypes.create_string_buffer(32)
    pointers = (ctypes.c_void_p * 4)(*[ctypes.addressof(block) + offset for offset in (0, 8, 16, 24)])
    function, stream, address = driver.CUfunction(0x3000), driver.CUstream(0), ctypes.addressof(pointers)
    rows.keep = (block, pointers)
    launch = driver.cuLaunchKernel
    bound = kernel.bind(grid=1, block=256)
    types = (ctypes.c_float, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
    measured = {
        "an empty call": lambda: None,
        "cuda.bindings cuLaunchKernel, packed before": lambda: launch(
            function, 1, 1, 1, 256, 1, 1, 0, stream, address, 0
        ),
        "cuda.bindings cuLaunchKernel, (values, types)": lambda: launch(
            function, 1, 1, 1, 256, 1, 1, 0, stream, ((a, x, y, n), types), 0
        ),
        "jitload bound(a, x, y, n)": lambda: bound(a, x, y, n),
        "jitload kernel[1, 256](a, x, y, n)": lambda: kernel[1, 256](a, x, y, n),
        "jitload kernel[(1,), (256,)](a, x, y, n)": lambda: kernel[(1,), (256,)](a, x, y, n),
        "jitload kernel(a, x, y, n, grid=1, block=256)": lambda: kernel(a, x, y, n, grid=1, block=256),
        "jitload bound, arrays with __cuda_array_interface__": array_call(bound, a, n),
    }
    measured.update(cuda_core_rows(a, x, y, n))
    return measured


def saxpy_kernel():
    """The kernel, loaded the way users load it; the stub never looks at the image."""
    from jitload.cuda.module import CudaModule
    from jitload.values import KernelInfo, Parameter

    parameters = [
        Parameter(0, 4, 4, "f32", name="a", declared="float", pointer=False),
        Parameter(8, 8, 8, "u64", name="x", declared="const float *", pointer=True, const=True),
        Parameter(16, 8, 8, "u64", name="y", declared="float *", pointer=True),
        Parameter(24, 4, 4, "u32", name="n", declared="int", pointer=False),
    ]
    module = CudaModule("cubin", b"stub")
    module.attach_kernels([KernelInfo("saxpy", "saxpy", parameters)])
    return module["saxpy"]


class DeviceArray:
    """The least that is a GPU array."""

    __cuda_array_interface__ = {"shape": (100,), "typestr": "<f4", "data": (0x7F0000000000, False), "version": 3}


def array_call(bound, a, n):
    """A launch on two device arrays."""
    x, y = DeviceArray(), DeviceArray()
    return lambda: bound(a, x, y, n)


def cuda_core_rows(a, x, y, n):
    """The same launch with cuda.core, where it is installed."""
    try:
        import numpy as np
        from cuda.core import Device, LaunchConfig, ObjectCode, launch
    except ImportError:
        print("cuda.core is not installed: its rows are left out")
        return {}
    device = Device(0)
    device.set_current()
    stream = device.create_stream()
    kernel = ObjectCode.from_cubin(b"stub").get_kernel("saxpy")
    config = LaunchConfig(grid=1, block=256)
    boxed = (np.float32(a), x, y, np.int32(n))
    return {
        "cuda.core launch, scalars boxed before": lambda: launch(stream, config, kernel, *boxed),
        "cuda.core launch, plain Python values": lambda: launch(
            stream, config, kernel, np.float32(a), x, y, np.int32(n)
        ),
    }


def measure(calls, rounds, loops=700):
    """Best nanoseconds per call; the rows take turns, so that a slow moment of the machine hits all of them."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter_ns()
            for _ in range(loops):
                call()
            best[name] = min(best[name], (time.perf_counter_ns() - start) / loops)
    return best


def report(best) -> None:
    """Print the rows, without the cost of the loop and the lambda, beside the raw call."""
    floor = best.pop("an empty call")
    raw = best["cuda.bindings cuLaunchKernel, packed before"] - floor
    print(f"{'':54} {'ns':>6}  ratio   (loop and lambda taken off: {floor:.0f} ns)")
    for name, nanoseconds in best.items():
        print(f"{name:54} {nanoseconds - floor:6.0f}  {(nanoseconds - floor) / raw:5.2f}")


if __name__ == "__main__":
    main()
