"""Child processes that find the stub driver of stub.c where libcuda is looked for."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.forked import Warm, run_anew

PRELUDE = """
import ctypes, os, struct, sys
import numpy as np
import jitload
from jitload import ArgumentError, DriverError, LaunchError, LoadError, SymbolNotFoundError
from jitload.values import KernelInfo, Parameter
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


@pytest.fixture(scope="session")
def warm_stub(stub_directory):
    """A Python that forks for each program, with the stub driver."""
    with Warm({**os.environ, "LD_LIBRARY_PATH": str(stub_directory)}) as warm:
        yield warm


@pytest.fixture
def on_stub(stub_directory, warm_stub):
    """on_stub(program) runs it behind PRELUDE in a process that has the stub driver; its assertions are the test's.

    With `anew` of a Python that has imported nothing.
    """

    def run(program, *, anew=False):
        start = run_anew if anew else warm_stub.run
        done = start(PRELUDE + program, {**os.environ, "LD_LIBRARY_PATH": str(stub_directory)}, 60)
        assert done.returncode == 0, done.stderr[-3000:].decode()
        return done.stdout.decode()

    return run


GPU_PRELUDE = '''
import ctypes, gc, os, sys, threading
import numpy as np
import jitload
from jitload import ArgumentError, DriverError, LaunchError, LoadError, SymbolNotFoundError, load_module_from_bytes
from checking_driver import driver as model
from cuda.bindings import driver as cu

def ptx(version="7.8", target="sm_75"):
    return f""".version {version}
.target {target}
.address_size 64
.visible .global .align 4 .u32 counter;
.visible .entry scale(.param .u64 p, .param .f32 a, .param .u32 n) {{
    .reg .pred %q; .reg .b64 %p, %o; .reg .b32 %i, %n; .reg .f32 %a, %x;
    ld.param.u64 %p, [p]; ld.param.f32 %a, [a]; ld.param.u32 %n, [n];
    mov.u32 %i, %tid.x; setp.ge.u32 %q, %i, %n; @%q ret;
    mul.wide.u32 %o, %i, 4; add.s64 %p, %p, %o;
    ld.global.f32 %x, [%p]; mul.f32 %x, %x, %a; st.global.f32 [%p], %x; ret;
}}
.visible .entry room(.param .u64 p) {{ .shared .align 4 .b8 here[1024]; st.shared.u32 [here], 1; ret; }}
.visible .entry crash(.param .u64 p) {{ .reg .b32 %r; .reg .b64 %p; mov.u64 %p, 16; ld.global.u32 %r, [%p]; ret; }}
""".encode()

#: The driver takes it, and finds out when it compiles.
BROKEN = ptx().replace(b"mul.f32 %x", b"mul.f32 %y")

def ok(outcome):
    assert int(outcome[0]) == 0, (outcome[0], model.forbidden)
    return outcome[1] if len(outcome) == 2 else outcome[1:] or None

def use(ordinal):
    ok(cu.cuInit(0))
    ok(cu.cuCtxSetCurrent(ok(cu.cuDevicePrimaryCtxRetain(ok(cu.cuDeviceGet(ordinal))))))

def stream():
    return ok(cu.cuStreamCreate(1))

def raises(error, words, call, *args, **options):
    try:
        call(*args, **options)
    except error as caught:
        assert words in str(caught), str(caught)
        return caught
    raise AssertionError(f"{error.__name__} was not raised")

class Array:
    """Memory of the current device, by the CUDA Array Interface; `stream` still works on it."""
    def __init__(self, values, stream=None):
        values = np.asarray(values, "f4")
        self.address, self.count = int(ok(cu.cuMemAlloc(values.nbytes))), len(values)
        ok(cu.cuMemcpyHtoD(self.address, values, values.nbytes))
        ok(cu.cuStreamSynchronize(0))
        self.__cuda_array_interface__ = {
            "shape": values.shape, "typestr": "<f4", "data": (self.address, False), "version": 3,
            "stream": None if stream is None else int(stream)}
    def now(self):
        """What lies there now: nothing is waited for."""
        back = np.empty(self.count, "f4")
        model.arena.read(self.address, memoryview(back).cast("B"))
        return back.tolist()

def calls(name):
    return model.calls.get(name, 0)
'''


@pytest.fixture
def on_gpu(on_driver):
    """on_gpu(program, **scenario) runs it behind GPU_PRELUDE on the checking driver; no call may have been forbidden."""

    def run(program, **scenario):
        return on_driver(f"{GPU_PRELUDE}\n{program}\nassert model.forbidden == [], model.forbidden\n", **scenario)

    return run
