"""jitload: source text to result; arrays are the card's, as for everybody else here."""

import os

from started import BLOCK, GRID, SAXPY, SCALE, N, imports, part, tell

with imports():
    import numpy as np
    from gpu.device_array import DeviceArray

    import jitload

kind = os.environ["START_KIND"]
with part("first"):
    x, y = DeviceArray(np.arange(N, dtype="f4")), DeviceArray(np.zeros(N, "f4"))
    jitload.compile(SAXPY, kind=kind).load()["saxpy"][GRID, BLOCK](1.0, x, y, N)
    y.host()
with part("second"):
    jitload.compile(SCALE, kind=kind).load()["scale"][GRID, BLOCK](3.0, y, N)
    result = y.host()
tell(result)
