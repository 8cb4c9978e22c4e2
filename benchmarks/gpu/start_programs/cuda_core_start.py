"""cuda.core, with its cache of programs in a directory where it has one."""

import os
from pathlib import Path

from started import BLOCK, GRID, SAXPY, SCALE, N, imports, part, tell

with imports():
    import numpy as np
    from cuda.core import Device, LaunchConfig, Program, ProgramOptions, launch
    from gpu.device_array import DeviceArray

    from jitload.cuda import driver

options = ProgramOptions(arch=driver.device_arch())
try:
    from cuda.core.utils import FileStreamProgramCache

    cached = {"cache": FileStreamProgramCache(Path(os.environ["XDG_CACHE_HOME"]))}
except ImportError:
    cached = {}


def run(source, name, *arguments):
    kernel = Program(source, "c++", options).compile("cubin", **cached).get_kernel(name)
    launch(stream, LaunchConfig(grid=GRID, block=BLOCK), kernel, *arguments)
    stream.sync()


with part("first"):
    device = Device(0)
    device.set_current()
    stream = device.create_stream()
    x, y = DeviceArray(np.arange(N, dtype="f4")), DeviceArray(np.zeros(N, "f4"))
    run(SAXPY, "saxpy", np.float32(1), x.address, y.address, np.int32(N))
    y.host()
with part("second"):
    run(SCALE, "scale", np.float32(3), y.address, np.int32(N))
    result = y.host()
tell(result)
