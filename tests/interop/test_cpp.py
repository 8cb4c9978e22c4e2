"""C++ fetches a module by kind and bytes with `jitload_ffi.h`, calls functions of it on data, and gets errors as errors."""

import os
import shutil
import sys

import numpy as np
import pytest

tvm_ffi = pytest.importorskip("tvm_ffi", reason="apache-tvm-ffi is not installed")

import jitload
from jitload.interop.tvm_ffi import include_directory

pytestmark = pytest.mark.skipif(shutil.which("c++") is None, reason="there is no C++ compiler here")

CPP = r"""
#include <jitload_ffi.h>
namespace ffi = tvm::ffi;

int64_t load_and_scale(ffi::String kind, ffi::Bytes bytes, double factor, ffi::TensorView x) {
  return jitload::LoadFromBytes(kind, bytes)->GetFunction("scale").value()(factor, x).cast<int64_t>();
}

ffi::Module load(ffi::String kind, ffi::Bytes bytes) { return jitload::LoadFromBytes(kind, bytes); }

ffi::String error_of(ffi::String kind, ffi::Bytes bytes) {
  try {
    jitload::LoadFromBytes(kind, bytes);
  } catch (const ffi::Error& error) {
    return std::string(error.kind()) + ": " + std::string(error.message());
  }
  return "none";
}

void axpy(ffi::Bytes ptx, double a, ffi::TensorView x, ffi::TensorView y) {
  ffi::Module module = jitload::CreateModule("ptx", ptx, {{"axpy", "saxpy"}}, "// CUDA C++");
  int64_t n = x.size(0);
  module->GetFunction("axpy").value()(a, x, y, n, (n + 31) / 32, 1, 1, 32, 1, 1);
}
"""

SOURCE = r"""
extern "C" __global__ void saxpy(float a, const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += a * x[i];
}
"""


@pytest.fixture(scope="module")
def cpp(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        # ninja may be installed in this virtual environment, which need not be the active one.
        patch.setenv("PATH", f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}")
        return tvm_ffi.cpp.load_inline(
            "jitload_test",
            cpp_sources=CPP,
            functions=["load_and_scale", "load", "error_of", "axpy"],
            extra_cflags=["-O0", "-Wall"],
            extra_include_paths=[include_directory()],
            build_directory=str(tmp_path_factory.mktemp("cpp")),
        )


def test_it_loads_and_calls_on_data(installed, scaler, cpp):
    x = np.arange(10, dtype=np.float64)
    assert cpp["load_and_scale"]("scaler", b"3", 2.0, x) == 10
    assert np.array_equal(x, 6 * np.arange(10))


def test_the_module_comes_back_to_python(installed, scaler, cpp):
    x = np.ones(3)
    assert cpp["load"]("scaler", b"4")["scale"](1.0, x) == 3
    assert x.tolist() == [4, 4, 4]


def test_errors_are_errors(installed, scaler, cpp):
    missing = cpp["error_of"]("unknown", b"")
    assert missing.startswith("RuntimeError: Library binary was created using unknown but a loader of that name is not")
    assert "ffi.Module.load_from_bytes.unknown" in missing
    assert cpp["error_of"]("scaler", b"three").startswith("ValueError: invalid literal")
    assert cpp["error_of"]("cubin", b"\x7fELF").startswith("LoadError: not a usable cubin")
    with pytest.raises(jitload.LoadError, match="not a usable cubin"):
        cpp["load"]("cubin", b"\x7fELF")


def test_without_an_installation_the_entry_point_is_missing(cpp):
    assert "ffi.ModuleLoadFromBytes" in cpp["error_of"]("scaler", b"1")


def test_a_kernel_of_ours_runs_on_the_tensors_of_cpp(installed, cpp):
    with jitload.configure(device="cpu"):
        ptx = jitload.compile(SOURCE, kind="ptx", arch="compute_75").data
        x, y = np.arange(100, dtype=np.float32), np.ones(100, np.float32)
        cpp["axpy"](ptx, 2.0, x, y)
    assert np.array_equal(y, 1 + 2 * x)
