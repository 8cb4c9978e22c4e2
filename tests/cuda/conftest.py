"""Child processes that find the stub driver of stub.c where libcuda is looked for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PRELUDE = """
import ctypes, os, struct, sys
import numpy as np
import jitload
from jitload import ArgumentError, DriverError, LaunchError, LoadError, SymbolNotFoundError
from jitload.artifact import KernelInfo, Parameter
from jitload.cuda import driver
from jitload.cuda.module import CudaModule

stub = ctypes.CDLL("libcuda.so.1")

class Record(ctypes.Structure):
    _fields_ = (("grid", ctypes.c_uint32 * 3), ("block", ctypes.c_uint32 * 3), ("shared", ctypes.c_uint32),
                ("attribute_count", ctypes.c_uint32), ("attributes", (ctypes.c_uint32 * 4) * 4),
                ("stream", ctypes.c_uint64), ("function", ctypes.c_uint64), ("parameters", ctypes.c_ubyte * 32))

def last():
    return Record.in_dll(stub, "stub_launch_record")

def counter(name):
    return ctypes.c_int.in_dll(stub, "stub_" + name)

def fail(call, code):
    stub.stub_fail(call.encode(), code)

INFO = KernelInfo("saxpy", "saxpy", [
    Parameter(0, 4, 4, "f32", name="a", declared="float", pointer=False),
    Parameter(8, 8, 8, "u64", name="x", declared="const float *", pointer=True, const=True),
    Parameter(16, 8, 8, "u64", name="y", declared="float *", pointer=True),
    Parameter(24, 4, 4, "u32", name="n", declared="int", pointer=False),
])

def saxpy_module(kind="cubin", data=b"image" + bytes(64), known=True):
    module = CudaModule(kind, data)
    if known:
        module.attach_kernels([INFO])
    return module

def raises(error, words, call, *args, **options):
    try:
        call(*args, **options)
    except error as caught:
        assert words in str(caught), str(caught)
        return caught
    raise AssertionError(f"{error.__name__} was not raised")
"""


@pytest.fixture(scope="session")
def stub_directory(tmp_path_factory):
    """A directory with the stub as libcuda.so.1."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build the stub driver with")
    pytest.importorskip("cuda.bindings", reason="the driver bindings are not installed")
    directory = tmp_path_factory.mktemp("stub")
    source = Path(__file__).with_name("stub.c")
    target = directory / "libcuda.so.1"
    subprocess.run([compiler, "-w", "-O1", "-shared", "-fPIC", "-o", target, source, "-ldl"], check=True)
    return directory


@pytest.fixture
def on_stub(stub_directory):
    """on_stub(program) runs it behind PRELUDE in a process that has the stub driver; its assertions are the test's."""

    def run(program):
        environment = {**os.environ, "LD_LIBRARY_PATH": str(stub_directory)}
        done = subprocess.run(
            [sys.executable, "-c", PRELUDE + program],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run
