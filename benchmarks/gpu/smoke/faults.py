"""What a lost context says. Each of these takes the context of its process along, and the rest runs in a new one."""

from __future__ import annotations

import ctypes

import numpy as np

from gpu.device_array import DeviceArray, wait
from gpu.machine import need_hardware
from gpu.smoke.program import N, artifact, module, ramp
from jitload.cuda import c_functions, driver
from jitload.errors import JitloadError


def fault_of_host_arrays() -> str:
    """A launch that waits for its kernel says which one it was."""
    try:
        module()["out_of_bounds"][1, 1](np.zeros(4, np.float32))
    except JitloadError as error:
        assert "out_of_bounds" in str(error), str(error)
        return str(error)[:300]
    raise AssertionError("nothing was raised")


def fault_that_shows_later() -> str:
    """The launch returned; the next one says that the context is lost, and of which kernel that may come."""
    place, program = DeviceArray(np.zeros(4, np.float32)), artifact().load()
    program["out_of_bounds"][1, 1](place)
    for attempt in (wait, lambda: program["saxpy"][4, 256](1.0, ramp(), ramp(), N)):
        try:
            attempt()
        except JitloadError as error:
            said = str(error)
        else:
            raise AssertionError("nothing was raised")
    assert "out_of_bounds" in said, said
    program.close()
    return said[:300]


def launch_of_nothing() -> str:
    """A null handle is an error of the driver, and not the end of the process."""
    need_hardware("the checking driver forbids it")
    bindings = driver.ensure_context()
    configuration = bindings.CUlaunchConfig()
    configuration.gridDimX = configuration.gridDimY = configuration.gridDimZ = 1
    configuration.blockDimX = configuration.blockDimY = configuration.blockDimZ = 1
    status = c_functions.launch_entry()(ctypes.c_void_p(configuration.getPtr()), None, None, None)
    assert status, "it was taken"
    return f"CUresult {status}"


CHECKS = {
    "a launch of nothing": launch_of_nothing,
    "a fault under arrays of the host": fault_of_host_arrays,
    "a fault that shows later": fault_that_shows_later,
}
