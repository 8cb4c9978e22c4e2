"""The command: what it runs has a GPU, and a forbidden call fails it."""

import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")
SAXPY = """
import numpy as np
from checking_driver import driver as model
from jitload import jit_kernel

@jit_kernel(kind={kind!r})
def saxpy(a, x, y, n):
    r'''
    extern "C" __global__ void saxpy(float a, const float *x, float *y, int n)
    {{
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < n) y[i] = a * x[i] + y[i];
    }}
    '''

x, y = np.arange(1000, dtype="f4"), np.ones(1000, "f4")
saxpy[4, 256](2.0, x, y, 1000)
assert (y == 1 + 2 * x).all()
assert [launch[0] for launch in model.launches] == ["saxpy"] and saxpy.artifact().kind == {kind!r}
"""


@pytest.mark.parametrize("kind", ["cubin", "ptx", "fatbin", "ltoir"])
def test_every_kind_runs(on_driver, tmp_path, kind):
    program = tmp_path / "program.py"
    program.write_text(SAXPY.format(kind=kind))
    on_driver(f"import runpy; runpy.run_path({str(program)!r})")


def test_the_scenario_and_a_report_of_forbidden_calls(checking_driver):
    program = (
        "from cuda.bindings import driver as cu; cu.cuInit(0); assert cu.cuDriverGetVersion()[1] == 12040; "
        "assert int(cu.cuDeviceGetCount()[1]) == 2; cu.cuDeviceGet({})"
    )
    command = [sys.executable, RUN, "--capability", "8.0", "--capability", "9.0", "--version", "12.4", "--set"]
    outcomes = [
        subprocess.run(
            [*command, "pools=false", sys.executable, "-c", program.format(ordinal)],
            capture_output=True,
            text=True,
            check=False,
        )
        for ordinal in (1, 2)
    ]
    assert [done.returncode for done in outcomes] == [0, 1]
    assert "1x cuDeviceGet: CUDA_ERROR_INVALID_DEVICE: device 2" in outcomes[1].stderr
