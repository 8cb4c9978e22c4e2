"""A shared library with a kernel of jitload inside, opened by tvm-ffi.

The library holds host code in C++ and, behind a symbol, a module tree: the library itself and, as its import, a PTX
module. `tvm_ffi.load_module` reads the tree and asks the loader of kind "ptx" for the submodule. That loader is
jitload's, and here the kernel runs on the CPU executor.

Needs a C++ compiler, and the extra `tvm-ffi`.
"""

from __future__ import annotations

import pathlib
import subprocess
import tempfile

import numpy as np
import tvm_ffi
from tvm_ffi import libinfo

import jitload
from jitload.interop import tvm_ffi as jitload_tvm_ffi

HERE = pathlib.Path(__file__).parent
SOURCE = r"""
extern "C" __global__ void saxpy(float a, const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += a * x[i];
}
"""


def build(directory: pathlib.Path, blob: bytes) -> pathlib.Path:
    """Compile host.cc with the blob in it."""
    (directory / "library_bin.inc").write_text(",".join(map(str, blob)))
    library = directory / "host.so"
    runtime = pathlib.Path(libinfo.find_libtvm_ffi())
    includes = [directory, libinfo.find_include_path(), libinfo.find_dlpack_include_path()]
    command = ["c++", "-std=c++17", "-O1", "-shared", "-fPIC", *(f"-I{path}" for path in includes)]
    command += [str(HERE / "host.cc"), "-o", str(library), f"-L{runtime.parent}", "-ltvm_ffi"]
    subprocess.run(command, check=True)  # noqa: S603 - a fixed command
    return library


def main() -> None:
    jitload.configure(device="cpu")
    tree = jitload.LibraryModule()
    tree.import_module(jitload.compile(SOURCE, kind="ptx", arch="compute_75").load())
    blob = jitload.pack_module(tree)
    print(f"packed   : a library and the {tree.imports[0]!r}, {len(blob)} bytes")

    jitload_tvm_ffi.install()
    with tempfile.TemporaryDirectory() as directory:
        module = tvm_ffi.load_module(str(build(pathlib.Path(directory), blob)))
    print(f"opened   : a module of kind {module.kind!r} that imports {[imported.kind for imported in module.imports]}")

    x, y = np.arange(1000, dtype=np.float32), np.ones(1000, np.float32)
    module["scaled_add"](2.0, x, y)
    if not np.array_equal(y, 1 + 2 * np.arange(1000, dtype=np.float32)):
        raise SystemExit("wrong numbers")
    print("ran      : C++ called the kernel on the CPU executor, and y is 1 + 2 * x")


if __name__ == "__main__":
    main()
