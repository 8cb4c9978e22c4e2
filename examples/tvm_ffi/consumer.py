"""A library of somebody else that loads cubins for the whole process: jitload finds it, and leaves it in force.

consumer.cc registers `ffi.Module.load_from_bytes.cubin` with tvm-ffi. `jitload_tvm_ffi.install()`, called later, sees
the kind taken: whoever asks tvm-ffi for a cubin, C++ and Rust too, gets the consumer's loader, and jitload's own is the
one that `jitload.load_module_from_bytes` uses. Other kinds are jitload's in both.

Needs a C++ compiler, CUDA's headers and runtime as packages, and the extra `tvm-ffi`. Runs the kernel where a GPU is.
"""

from __future__ import annotations

import pathlib
import subprocess
import tempfile

import tvm_ffi
from cuda import pathfinder
from tvm_ffi import libinfo

import jitload
from jitload.interop import tvm_ffi as jitload_tvm_ffi

HERE = pathlib.Path(__file__).parent
SOURCE = 'extern "C" __global__ void scale(float *x, float a, int n) { if (threadIdx.x < n) x[threadIdx.x] *= a; }'


def build(directory: pathlib.Path) -> pathlib.Path:
    """Compile consumer.cc."""
    library = directory / "consumer.so"
    ours, cuda = (pathlib.Path(path) for path in (libinfo.find_libtvm_ffi(), runtime()))
    found = map(pathfinder.find_nvidia_header_directory, ("cudart", "nvcc"))
    headers = {path for path in found if path is not None}
    includes = [libinfo.find_include_path(), libinfo.find_dlpack_include_path(), *sorted(headers)]
    command = ["c++", "-std=c++17", "-O1", "-shared", "-fPIC", *(f"-I{path}" for path in includes)]
    command += [str(HERE / "consumer.cc"), "-o", str(library), f"-L{ours.parent}", "-ltvm_ffi"]
    command += [str(cuda), f"-Wl,-rpath,{cuda.parent}"]
    subprocess.run(command, check=True)  # noqa: S603 - a fixed command
    return library


def runtime() -> str:
    """The path of libcudart."""
    return str(pathfinder.load_nvidia_dynamic_lib("cudart").abs_path)


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        tvm_ffi.load_module(str(build(pathlib.Path(directory))))
    key = "ffi.Module.load_from_bytes.cubin"
    theirs = tvm_ffi.get_global_func(key)
    jitload_tvm_ffi.install()
    if not tvm_ffi.get_global_func(key).same_as(theirs):
        raise SystemExit("the consumer's loader was replaced")
    print("found    : the consumer's loader of cubins, which stays")

    cubin = jitload.compile(SOURCE, kind="cubin", arch="sm_80").data
    module = tvm_ffi.get_global_func("ffi.ModuleLoadFromBytes")("cubin", cubin)
    print(f"asked    : tvm-ffi for a cubin, and got a module of kind {module.kind!r}")
    print(f"asked    : jitload for a cubin, and got {jitload.load_module_from_bytes('cubin', cubin)!r}")
    try:
        module.get_function("scale")
        print("loaded   : the kernel of the consumer's module")
    except RuntimeError as error:
        print("no GPU   :", str(error).strip().splitlines()[-1])

    jitload_tvm_ffi.uninstall()
    if not tvm_ffi.get_global_func(key).same_as(theirs):
        raise SystemExit("the consumer's loader went with ours")


if __name__ == "__main__":
    main()
