"""Programs that call the driver by its bindings, on the checking driver, and look at what its model makes of it."""

import pytest

PRELUDE = '''
import ctypes, gc, os, sys, threading
import numpy as np
import jitload
from cuda.bindings import driver as cu
from checking_driver import driver as model
from checking_driver import status

def ok(outcome):
    """What a call gave, which must have gone well."""
    assert int(outcome[0]) == 0, (outcome[0], model.forbidden)
    return outcome[1] if len(outcome) == 2 else outcome[1:] or None

def refused(code, why, outcome):
    """A call must have ended with this status, for this reason, and be in the report."""
    assert int(outcome[0]) == code, (outcome[0], model.forbidden[-1:])
    assert why in model.forbidden.pop(), why

def gives(code, outcome):
    """A call must have ended with this status, which is no fault of the caller's."""
    assert int(outcome[0]) == code and not model.forbidden, (outcome[0], model.forbidden)

ok(cu.cuInit(0))
def use(ordinal):
    ok(cu.cuCtxSetCurrent(ok(cu.cuDevicePrimaryCtxRetain(ok(cu.cuDeviceGet(ordinal))))))
if model.devices:
    use(0)

PTX = b"""
.version 7.8
.target sm_75
.address_size 64
.visible .const .align 4 .b8 table[16];
.visible .entry fill(.param .u64 p, .param .u32 value) {
    .reg .b64 %p;
    .reg .b32 %v;
    .shared .align 4 .b8 room[1024];
    ld.param.u64 %p, [p];
    ld.param.u32 %v, [value];
    st.shared.u32 [room], %v;
    st.global.u32 [%p], %v;
    ret;
}
.visible .entry raise(.param .u64 p) { .reg .b32 %r; ld.global.u32 %r, [16]; ret; }
"""

def load(image=PTX):
    return ok(cu.cuLibraryLoadData(image + bytes(1), [], [], 0, [], [], 0))

def kernel_of(library, name=b"fill"):
    return ok(cu.cuLibraryGetKernel(library, name))

def config(grid=(1, 1, 1), block=(1, 1, 1), shared=0, stream=0, attributes=()):
    made = cu.CUlaunchConfig()
    made.gridDimX, made.gridDimY, made.gridDimZ = grid
    made.blockDimX, made.blockDimY, made.blockDimZ = block
    made.sharedMemBytes, made.hStream = shared, cu.CUstream(int(stream))
    made.attrs, made.numAttrs = list(attributes), len(attributes)
    return made

def launch(kernel, *values, **options):
    """Launch with (value, ctypes type) pairs."""
    given = tuple(zip(*values)) if values else 0
    return cu.cuLaunchKernelEx(config(**options), cu.CUfunction(int(kernel)), given, 0)

def fill(kernel, address, value=7, **options):
    return launch(kernel, (int(address), ctypes.c_void_p), (value, ctypes.c_uint), **options)

def word(address):
    """The word at a device address as it lies there now: nothing is waited for."""
    seen = bytearray(4)
    model.arena.read(int(address), memoryview(seen))
    return int.from_bytes(seen, "little")
'''


@pytest.fixture
def driver(on_driver):
    """`driver(program, **scenario)` runs it behind PRELUDE; nothing but what it expects may be in the report."""

    def run(program, **scenario):
        return on_driver(f"{PRELUDE}\n{program}\nassert model.forbidden == [], model.forbidden\n", **scenario)

    return run
