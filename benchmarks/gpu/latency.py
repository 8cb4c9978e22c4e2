"""Step "latency": what a launch costs the thread that makes it, beside the same launch by others.

Each check measures its own calls and the raw call of the driver's bindings in turns, in one process, so that ratios
hold on a machine that is not quiet, and a peer that fails costs its own rows alone.
"""

from __future__ import annotations

import ctypes
import importlib.util
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpu.check import NotHere, Seen, needs, within
from gpu.device_array import DeviceArray, wait
from gpu.machine import is_model, need_hardware
from gpu.smoke.frameworks import cupy_with_a_card, torch_with_a_card
from gpu.smoke.program import artifact, module
from gpu.tensors import tensor
from jitload.cuda import driver

if TYPE_CHECKING:
    from collections.abc import Callable

    Calls = dict[str, Callable[[], Any]]

SECONDS = 45.0
RAW = "cuda.bindings cuLaunchKernel, packed before"
N, BLOCK = 32, 32
#: A queue of launches that the card has not run yet must not fill up: the driver would wait then.
CALLS = 200
TRITON = """
import triton
import triton.language as tl

@triton.jit
def saxpy(a, x, y, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    tl.store(y + i, tl.load(y + i, mask=mask) + a * tl.load(x + i, mask=mask), mask=mask)
"""
CUDA = """
extern "C" __global__ void saxpy(float a, const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += a * x[i];
}
"""
#: Checks that go on: what others hold must not be freed under them.
_kept: list[Any] = []


def addresses() -> Calls:
    """Scalars and addresses."""
    x, y = (DeviceArray(np.zeros(N, np.float32)) for _ in range(2))
    _kept.extend([x, y])
    kernel, here, there = module()["saxpy"], x.address, y.address
    bound = kernel.bind(grid=1, block=BLOCK)
    return {
        "jitload bound(a, x, y, n)": lambda: bound(1.0, here, there, N),
        "jitload kernel[1, 32](a, x, y, n)": lambda: kernel[1, BLOCK](1.0, here, there, N),
        "jitload kernel(..., grid=, block=)": lambda: kernel(1.0, here, there, N, grid=1, block=BLOCK),
        "jitload bound, two arrays by __cuda_array_interface__": lambda: bound(1.0, x, y, N),
    }


def host_arrays() -> Calls:
    """Two arrays of the host: copied there, launched, copied back, waited for."""
    kernel = module()["saxpy"]
    small = [np.zeros(N, np.float32) for _ in range(2)]
    large = [np.zeros(1 << 20, np.float32) for _ in range(2)]
    return {
        "jitload kernel[1, 32], two arrays of 128 B of the host": lambda: kernel[1, BLOCK](1.0, *small, N),
        "jitload kernel[1, 32], two arrays of 4 MB of the host": lambda: kernel[1, BLOCK](1.0, *large, N),
    }


def torch_tensors() -> Calls:
    """Tensors of torch, and torch's own launch of something like it."""
    torch = torch_with_a_card()
    x, y = torch.zeros(N, device="cuda"), torch.zeros(N, device="cuda")
    kernel = module()["saxpy"]
    bound = kernel.bind(grid=1, block=BLOCK)
    calls = {
        "jitload bound, two tensors of torch": lambda: bound(1.0, x, y, N),
        "jitload kernel[1, 32], two tensors of torch": lambda: kernel[1, BLOCK](1.0, x, y, N),
        "torch y.add_(x)": lambda: y.add_(x),
    }
    if hasattr(torch.cuda, "_compile_kernel"):
        theirs = torch.cuda._compile_kernel(CUDA, "saxpy")
        calls["torch _compile_kernel"] = lambda: theirs((1, 1, 1), (BLOCK, 1, 1), (1.0, x, y, N))
    return calls


def cupy_arrays() -> Calls:
    """Arrays of CuPy, and its RawKernel."""
    cupy = cupy_with_a_card()
    x, y = cupy.zeros(N, "f4"), cupy.zeros(N, "f4")
    bound, theirs = module()["saxpy"].bind(grid=1, block=BLOCK), cupy.RawKernel(CUDA, "saxpy")
    a, n = np.float32(1), np.int32(N)
    return {
        "jitload bound, two arrays of CuPy": lambda: bound(1.0, x, y, N),
        "CuPy RawKernel": lambda: theirs((1,), (BLOCK,), (a, x, y, n)),
    }


def triton_kernel() -> Calls:
    """Triton's launch of the same on tensors of torch."""
    needs("triton")
    torch = torch_with_a_card()
    x, y = torch.zeros(N, device="cuda"), torch.zeros(N, device="cuda")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "triton_saxpy.py")
        place.write_text(TRITON)
        spec = importlib.util.spec_from_file_location("triton_saxpy", place)
        if spec is None or spec.loader is None:
            raise NotHere("the kernel for Triton cannot be imported")
        theirs = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(theirs)
        theirs.saxpy[(1,)](1.0, x, y, N, BLOCK=BLOCK)
    return {"Triton saxpy[(1,)]": lambda: theirs.saxpy[(1,)](1.0, x, y, N, BLOCK=BLOCK)}


def numba_kernel() -> Calls:
    """numba-cuda's launch of the same on its own arrays."""
    cuda = needs("numba.cuda")
    if not cuda.is_available():
        raise NotHere("numba-cuda sees no GPU")

    @cuda.jit
    def saxpy(a, x, y, n):  # type: ignore[no-untyped-def]
        i = cuda.grid(1)
        if i < n:
            y[i] += a * x[i]

    x, y = cuda.to_device(np.zeros(N, np.float32)), cuda.to_device(np.zeros(N, np.float32))
    a, configured = np.float32(1), saxpy[1, BLOCK]
    return {
        "numba-cuda saxpy[1, 32]": lambda: saxpy[1, BLOCK](a, x, y, N),
        "numba-cuda, configured before": lambda: configured(a, x, y, N),
    }


def cuda_core() -> Calls:
    """cuda.core's launch of the same, scalars boxed before."""
    core = needs("cuda.core")
    if not hasattr(core, "Program"):
        core = needs("cuda.core.experimental")  # where it was before 0.5
    need_hardware("cuda.core makes calls that the checking driver does not know")
    device = core.Device(0)
    device.set_current()
    stream = device.create_stream()
    options = core.ProgramOptions(arch=driver.device_arch())
    kernel = core.Program(CUDA, "c++", options).compile("cubin").get_kernel("saxpy")
    x, y = (DeviceArray(np.zeros(N, np.float32)).address for _ in range(2))
    config, a, n = core.LaunchConfig(grid=1, block=BLOCK), np.float32(1), np.int32(N)
    return {"cuda.core launch": lambda: core.launch(stream, config, kernel, a, x, y, n)}


def tvm_ffi_tensors() -> Calls:
    """Tensors of tvm-ffi, and its own call of a function with the same arguments that does nothing."""
    ffi = needs("tvm_ffi")
    x, y = (tensor(DeviceArray(np.zeros(N, np.float32))) for _ in range(2))
    kernel = module()["saxpy"]
    bound, nothing = kernel.bind(grid=1, block=BLOCK), ffi.get_global_func("testing.nop")
    return {
        "jitload bound, two tensors of tvm-ffi": lambda: bound(1.0, x, y, N),
        "jitload kernel[1, 32], two tensors of tvm-ffi": lambda: kernel[1, BLOCK](1.0, x, y, N),
        "tvm-ffi, a function that does nothing": lambda: nothing(1.0, x, y, N),
    }


def raw_call() -> Calls:
    """The bindings' own call, with everything made before: what the others are compared with."""
    bindings = driver.ensure_context()
    x, y = (DeviceArray(np.zeros(N, np.float32)) for _ in range(2))
    values = (ctypes.c_float(1), ctypes.c_void_p(x.address), ctypes.c_void_p(y.address), ctypes.c_int(N))
    pointers = (ctypes.c_void_p * 4)(*map(ctypes.addressof, values))
    _kept.extend([x, y, values, pointers])
    stream, address = bindings.CUstream(0), ctypes.addressof(pointers)
    function = bindings.CUfunction(_handle_of("saxpy"))
    launch = bindings.cuLaunchKernel
    return {RAW: lambda: launch(function, 1, 1, 1, BLOCK, 1, 1, 0, stream, address, 0)}


def _handle_of(name: str) -> int:
    """A kernel that is loaded beside jitload's own; cuLaunchKernel takes a CUkernel too."""
    bindings = driver.ensure_context()
    library = driver.check("cuLibraryLoadData", bindings.cuLibraryLoadData(artifact().data, [], [], 0, [], [], 0))
    return int(driver.check("cuLibraryGetKernel", bindings.cuLibraryGetKernel(library, name.encode())))


def measure(make: Callable[[], Calls], rounds: int) -> Seen:
    """Best of the rounds for each call; the card has nothing to do when a round begins."""
    calls = {**raw_call(), **make()}
    _kept.append(calls)
    count = 5 if rounds == 1 else CALLS
    best = dict.fromkeys(calls, float("inf"))
    for call in calls.values():  # whatever is made at a first launch
        for _ in range(3):
            call()
        wait()
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.perf_counter_ns()
            for _ in range(count):
                call()
            best[name] = min(best[name], (time.perf_counter_ns() - started) / count)
            wait()
    raw = best[RAW]
    rows = [[name, f"{value:.0f}", f"{value / raw:.2f}"] for name, value in best.items()]
    figures = {"table": {"head": ["launch", "ns", "over raw"], "rows": rows}, "ns": best}
    if is_model():
        return Seen("every row ran; no figure here is one of hardware", figures)
    return Seen("; ".join(f"{name} {value:.0f} ns" for name, value in best.items()), figures)


def checks(short: bool) -> dict[str, Callable[[], Any]]:
    """One per kind of argument, and one per peer."""
    rounds = 1 if short else 40
    parts = {
        "scalars and addresses": addresses,
        "arrays of the host": host_arrays,
        "tvm-ffi": tvm_ffi_tensors,
        "torch": torch_tensors,
        "CuPy": cupy_arrays,
        "Triton": triton_kernel,
        "cuda.core": cuda_core,
        "numba-cuda": numba_kernel,
    }
    return {name: within(SECONDS)(partial(measure, make, rounds)) for name, make in parts.items()}
