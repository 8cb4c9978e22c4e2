"""Every call that is measured, by name: jitload's, and the same launch made by others."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = """
extern "C" __global__ void saxpy(float a, const float *x, float *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i] + y[i];
}
extern "C" __global__ void wide(float *t0, float *t1, float *t2, float *t3, float *t4, int i0, int i1, int i2, int i3,
                                int i4, int i5, int i6, int i7, int i8, int i9, int i10, int i11, int i12, int i13) {}
"""
#: What saxpy is called with. With n = 0 it touches no memory, so the addresses need not be real.
A, X, Y, N = 2.0, 0x7F0000000000, 0x7F0000010000, 0
RAW = "cuda.bindings cuLaunchKernel, packed before"


class InterfaceArray:
    """The least that is a GPU array."""

    __cuda_array_interface__ = {"shape": (100,), "typestr": "<f4", "data": (X, False), "version": 3}


def exchange_tensor(library: ctypes.CDLL):
    """A tensor whose type has DLPack's C exchange API, written in C, and `__dlpack__` beside it."""
    new_capsule = ctypes.pythonapi.PyCapsule_New
    new_capsule.restype, new_capsule.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    table = ctypes.c_char.in_dll(library, "exchange")
    managed = ctypes.c_void_p()
    ctypes.CFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_void_p)(
        ctypes.c_void_p.from_address(ctypes.addressof(table) + 24).value
    )(None, ctypes.addressof(managed))

    class Tensor:
        __dlpack_c_exchange_api__ = new_capsule(ctypes.addressof(table), b"dlpack_exchange_api", None)

        def __dlpack_device__(self):
            return 2, 0

        def __dlpack__(self, *, stream=None, max_version=None):
            return new_capsule(managed.value, b"dltensor_versioned", None)

    return Tensor()


def tvm_tensor(tensor):
    """The same as a tensor of tvm-ffi, and wrapped as the one type of tvm-ffi that has the exchange API."""
    torch = sys.modules.get("torch", sys)
    if torch is sys:  # tvm-ffi would import it, and jitload then ask it for its stream in every launch
        sys.modules["torch"] = None
    try:
        import tvm_ffi
    except ImportError:
        return None, None
    finally:
        if torch is sys:
            del sys.modules["torch"]
    made = tvm_ffi.from_dlpack(tensor)
    return made, tvm_ffi.core.DLTensorTestWrapper(made)


def pack(*values):
    """A parameter block for the driver's own interface: the address of its pointers, and what keeps it alive."""
    kept = [kind(value) for kind, value in values]
    pointers = (ctypes.c_void_p * len(kept))(*map(ctypes.addressof, kept))
    return ctypes.addressof(pointers), (kept, pointers)


def raw_rows(artifact):
    """The driver's bindings and ctypes, with everything made before that can be."""
    from cuda.bindings import driver

    status, library = driver.cuLibraryLoadData(artifact.data, [], [], 0, [], [], 0)
    assert not status, status
    status, kernel = driver.cuLibraryGetKernel(library, b"saxpy")
    assert not status, status
    function, stream = driver.CUfunction(int(kernel)), driver.CUstream(0)
    types = (ctypes.c_float, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
    address, raw_rows.kept = pack(*zip(types, (A, X, Y, N), strict=True))
    launch, plain = driver.cuLaunchKernel, ctypes.CDLL("libcuda.so.1").cuLaunchKernel
    plain.argtypes = (ctypes.c_void_p, *[ctypes.c_uint] * 7, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    handle = int(kernel)
    return {
        RAW: lambda: launch(function, 1, 1, 1, 256, 1, 1, 0, stream, address, 0),
        "cuda.bindings cuLaunchKernel, (values, types)": lambda: launch(
            function, 1, 1, 1, 256, 1, 1, 0, stream, ((A, X, Y, N), types), 0
        ),
        "ctypes cuLaunchKernel, packed before": lambda: plain(handle, 1, 1, 1, 256, 1, 1, 0, None, address, None),
    }


def jitload_rows(artifact, library):
    """Every way to launch, and every kind of array that can be had without a framework."""
    import jitload

    module = artifact.load()
    kernel, wide = module["saxpy"], module["wide"].bind(grid=1, block=256)
    bound = kernel.bind(grid=1, block=256)
    interface, tensor = InterfaceArray(), exchange_tensor(library)
    t = tensor
    rows = {
        "jitload bound(a, x, y, n)": lambda: bound(A, X, Y, N),
        "jitload kernel[1, 256](a, x, y, n)": lambda: kernel[1, 256](A, X, Y, N),
        "jitload kernel[(1,), (256,)](a, x, y, n)": lambda: kernel[(1,), (256,)](A, X, Y, N),
        "jitload kernel(a, x, y, n, grid=1, block=256)": lambda: kernel(A, X, Y, N, grid=1, block=256),
        "jitload bound, two tensors, exchange API": lambda: bound(A, tensor, tensor, N),
        "jitload bound, two arrays, __cuda_array_interface__": lambda: bound(A, interface, interface, N),
        "jitload bound, 19 arguments, 5 tensors": lambda: wide(
            t, t, t, t, t, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
        ),
    }
    made, wrapped = tvm_tensor(tensor)
    if made is not None:
        rows["jitload bound, two tensors of tvm-ffi"] = lambda: bound(A, made, made, N)
        rows["jitload bound, two of its wrapper, exchange API"] = lambda: bound(A, wrapped, wrapped, N)
        rows.update(tvm_rows(library, made))
        rows.update(launcher_rows(artifact, made))
    assert jitload.stats().compiles <= 1
    return rows


def tvm_rows(library, tensor):
    """tvm-ffi's call of a function that does nothing, with the arguments of a launch."""
    import tvm_ffi

    function = tvm_ffi.load_module(library._name)["nothing"]
    return {
        "tvm-ffi function(a, x, y, n)": lambda: function(A, X, Y, N),
        "tvm-ffi function, two tensors": lambda: function(A, tensor, tensor, N),
    }


def launcher_rows(artifact, tensor):
    """The same launch by tvm-ffi's own launcher, which is a header for C++; where a compiler and CUDA's headers are."""
    import tvm_ffi
    from cuda import pathfinder
    from tvm_ffi import libinfo

    compiler = shutil.which("c++")
    cuda = {pathfinder.find_nvidia_header_directory(name) for name in ("cudart", "nvcc")} - {None}
    if compiler is None or not cuda:
        return {}
    ctypes.CDLL("libcuda.so.1", ctypes.RTLD_GLOBAL)
    source = Path(__file__).with_name("tvm_launcher.cc")
    ours = Path(libinfo.find_libtvm_ffi()).parent
    includes = [libinfo.find_include_path(), libinfo.find_dlpack_include_path(), *sorted(cuda)]
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder, "tvm_launcher.so")
        command = [compiler, "-std=c++17", "-O2", "-shared", "-fPIC", "-Wl,-z,lazy", source, "-o", built]
        subprocess.run([*command, *(f"-I{path}" for path in includes), f"-L{ours}", "-ltvm_ffi"], check=True)
        module = tvm_ffi.load_module(str(built))
    module["load"](artifact.data)
    tensors, addresses = module["tensors"], module["addresses"]
    return {
        "tvm-ffi's cubin_launcher.h, (a, x, y, n)": lambda: addresses(A, X, Y, N),
        "tvm-ffi's cubin_launcher.h, two tensors": lambda: tensors(A, tensor, tensor, N),
    }


def cuda_core_rows(artifact):
    """The same launch with cuda.core, where it is installed."""
    try:
        import numpy as np
        from cuda.core import Device, LaunchConfig, ObjectCode, launch
    except ImportError:
        return {}
    device = Device(0)
    device.set_current()
    stream = device.default_stream
    kernel = ObjectCode.from_cubin(artifact.data).get_kernel("saxpy")
    config = LaunchConfig(grid=1, block=256)
    boxed = (np.float32(A), X, Y, np.int32(N))
    return {
        "cuda.core launch, scalars boxed before": lambda: launch(stream, config, kernel, *boxed),
        "cuda.core launch, plain Python values": lambda: launch(
            stream, config, kernel, np.float32(A), X, Y, np.int32(N)
        ),
    }


def framework_rows(artifact):
    """Launches on tensors of torch and CuPy, where these have a GPU; every launch asks for their stream then."""
    bound = artifact.load()["saxpy"].bind(grid=1, block=256)
    rows = {"jitload bound(a, x, y, n), framework imported": lambda: bound(A, X, Y, N)}
    for name, make in {"torch": torch_tensor, "cupy": cupy_array}.items():
        tensor = make()
        if tensor is not None:
            rows[f"jitload bound, two tensors of {name}"] = lambda tensor=tensor: bound(A, tensor, tensor, N)
    return rows if len(rows) > 1 else {}


def torch_tensor():
    """100 floats on the GPU; None without torch, or where it has none."""
    try:
        import torch
    except ImportError:
        return None
    return torch.zeros(100, device="cuda") if torch.cuda.is_available() else None


def cupy_array():
    """100 floats on the GPU; None without CuPy."""
    try:
        import cupy
    except ImportError:
        return None
    return cupy.zeros(100, dtype=cupy.float32)
