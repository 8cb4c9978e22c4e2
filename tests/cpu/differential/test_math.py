"""The functions of math.h as NVRTC inlines them, within the bounds of the CUDA C++ Programming Guide (in ulp)."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

#: name -> (bound for float, bound for double, arguments, smallest and largest argument)
FUNCTIONS = {
    "exp": (2, 1, 1, -100, 100), "exp2": (2, 1, 1, -140, 140), "exp10": (2, 1, 1, -40, 40), "expm1": (1, 1, 1, -20, 80),
    "log": (1, 1, 1, 1e-38, 1e30), "log2": (1, 1, 1, 1e-38, 1e30), "log10": (2, 1, 1, 1e-38, 1e30), "log1p": (1, 1, 1, -0.999, 1e6),
    "sin": (2, 2, 1, -3e5, 3e5), "cos": (2, 2, 1, -3e5, 3e5), "tan": (4, 2, 1, -1e3, 1e3), "asin": (2, 2, 1, -1, 1),
    "acos": (2, 2, 1, -1, 1), "atan": (2, 2, 1, -1e5, 1e5), "atan2": (3, 2, 2, -50, 50), "sinh": (3, 2, 1, -80, 80),
    "cosh": (2, 1, 1, -80, 80), "tanh": (2, 1, 1, -10, 10), "asinh": (3, 3, 1, -1e5, 1e5), "acosh": (4, 3, 1, 1, 1e5),
    "atanh": (3, 2, 1, -0.999, 0.999), "pow": (4, 2, 2, 0.01, 25), "cbrt": (1, 1, 1, -1e9, 1e9), "hypot": (3, 2, 2, -1e10, 1e10),
    "erf": (2, 2, 1, -5, 5), "erfc": (4, 5, 1, -5, 9), "tgamma": (5, 10, 1, 0.1, 30), "lgamma": (6, 4, 1, 3, 1e6),
    "fmod": (0, 0, 2, -1e4, 1e4), "remainder": (0, 0, 2, -1e4, 1e4), "fdim": (0, 0, 2, -9, 9), "sqrt": (0, 0, 1, 0, 1e30),
}  # fmt: skip
COUNT = 2048
HOST = """#include <cmath>
static long double exp10l_(long double x) { return powl(10, x); }
#define exp10l exp10l_
"""


def text(kind: str, letter: str, host: bool) -> str:
    parts = [HOST] if host else []
    for name, (*_, arguments, _, _) in FUNCTIONS.items():
        operands = "x[i]" + (", y[i]" if arguments == 2 else "")
        if host:
            call = f"for (int i = 0; i < {COUNT}; i++) o[i] = ({kind}){name}l({operands});"
            parts.append(f'extern "C" void {name}_({kind} *x, {kind} *y, {kind} *o) {{ {call} }}')
        else:
            call = f"int i = blockIdx.x * blockDim.x + threadIdx.x; o[i] = {name}{letter}({operands});"
            parts.append(
                f'extern "C" __global__ void {name}_(const {kind} *x, const {kind} *y, {kind} *o) {{ {call} }}'
            )
    return "\n".join(parts)


@pytest.fixture(scope="module", params=["float", "double"])
def both(request, cuda, host):
    kind = request.param
    letter = "f" if kind == "float" else ""
    return kind, cuda(text(kind, letter, host=False)), host(text(kind, letter, host=True))


def ordered(values: np.ndarray) -> np.ndarray:
    """Integers as far apart as the floats are in ulp."""
    word = values.view(f"i{values.dtype.itemsize}").astype(object)
    return np.array([w if w >= 0 else -(w & (1 << 8 * values.dtype.itemsize - 1) - 1) for w in word], object)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_within_the_documented_bounds(both, name):
    kind, device, host = both
    dtype = np.float32 if kind == "float" else np.float64
    single, double, _, low, high = FUNCTIONS[name]
    rng = np.random.default_rng(len(name))
    x, y = (rng.uniform(low, high, COUNT).astype(dtype) for _ in range(2))
    if low >= 1e-38 and high >= 1e9:
        x = np.exp(rng.uniform(np.log(1e-37), np.log(1e30), COUNT)).astype(dtype)
    x[: COUNT // 8] = np.clip(rng.standard_normal(COUNT // 8), low, high)
    got, want = np.zeros(COUNT, dtype), np.zeros(COUNT, dtype)
    device.run(f"{name}_", COUNT // 128, 128, x, y, got)
    getattr(host, f"{name}_")(*(ctypes.c_void_p(one.ctypes.data) for one in (x, y, want)))
    distance = np.abs(ordered(got) - ordered(want))
    both_nan = np.isnan(got) & np.isnan(want)
    worst = int(np.argmax(np.where(both_nan, 0, distance)))
    bound = single if kind == "float" else double
    assert both_nan[worst] or distance[worst] <= bound, (
        float(x[worst]),
        float(y[worst]),
        float(got[worst]),
        float(want[worst]),
        distance[worst],
    )
