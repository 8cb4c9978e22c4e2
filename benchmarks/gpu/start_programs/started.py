"""What the programs share: the time of each part, the CUDA source, and how to say that something is not installed."""

import contextlib
import json
import sys
import time

N, GRID, BLOCK = 1000, 4, 256
SAXPY = """
extern "C" __global__ void saxpy(float a, const float *x, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += a * x[i];
}
"""
SCALE = """
extern "C" __global__ void scale(float a, float *y, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] *= a;
}
"""
_NOT_HERE = 77
_times = {}


@contextlib.contextmanager
def part(name):
    """Time a part of the program: "import", "first" or "second"."""
    started = time.perf_counter()
    yield
    _times[name] = (time.perf_counter() - started) * 1e3


@contextlib.contextmanager
def imports():
    """Time the imports; a package that is not installed ends the program and is named."""
    try:
        with part("import"):
            yield
    except ImportError as error:
        not_here(f"not installed: {error}")


def not_here(why):
    """End the program for want of something."""
    print(why)
    sys.exit(_NOT_HERE)


def tell(result):
    """Print the times, once the result is found to be right: 3 x, where x is 0 to N - 1 and y began as 0."""
    assert [float(one) for one in result[:4]] == [0.0, 3.0, 6.0, 9.0], result[:4]
    assert float(result[N - 1]) == 3.0 * (N - 1), result[N - 1]
    print(json.dumps(_times))
