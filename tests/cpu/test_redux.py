"""`redux.sync` against a fold over the lanes of the member mask."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
import pytest

FOLDS = {
    "add": lambda a, b: (a + b) % 2**32,
    "min": min,
    "max": max,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
}
WHOLE = [("add", "u32"), ("add", "s32"), *((name, kind) for name in ("min", "max") for kind in ("u32", "s32"))]
WHOLE += [(name, "b32") for name in ("and", "or", "xor")]


def text(line: str) -> str:
    """Lanes of each warp reduce in two groups: those whose number leaves 0 or 1 when divided by 3, and the others."""
    return f""".visible .entry k(.param .u64 x, .param .u64 y) {{ .reg .b32 %t, %m, %r; .reg .b64 %x, %y; .reg .pred %p; .reg .f32 %a, %d;
        mov.u32 %t, %tid.x; ld.param.u64 %x, [x]; mad.wide.u32 %x, %t, 4, %x; ld.param.u64 %y, [y]; mad.wide.u32 %y, %t, 4, %y;
        ld.global.f32 %a, [%x]; rem.u32 %r, %t, 32; rem.u32 %r, %r, 3; setp.lt.u32 %p, %r, 2; selp.b32 %m, 0xdb6db6db, 0x24924924, %p;
        {line} st.global.f32 [%y], %d; ret; }}"""


def members(words: np.ndarray, lane: int) -> list[int]:
    """The words of the group of a lane."""
    start, chosen = lane // 32 * 32, lane % 32 % 3 < 2
    return [int(words[k]) for k in range(start, start + 32) if (k % 32 % 3 < 2) == chosen]


@pytest.mark.parametrize(("name", "kind"), WHOLE)
def test_integers(ptx, name, kind):
    x = np.random.default_rng(1).integers(0, 2**32, 96).astype(np.uint32)
    y = np.zeros_like(x)
    ptx(text(f".reg .b32 %u, %v; mov.b32 %u, %a; redux.sync.{name}.{kind} %v, %u, %m; mov.b32 %d, %v;")).run(
        "k", 1, 96, x, y
    )
    numbers = x.view(np.int32) if kind == "s32" else x
    assert [int(one) for one in y] == [reduce(FOLDS[name], members(numbers, lane)) % 2**32 for lane in range(96)]


@pytest.mark.parametrize("flags", ["", ".abs", ".NaN", ".abs.NaN"])
@pytest.mark.parametrize("name", ["min", "max"])
def test_floats(ptx, name, flags):
    rng = np.random.default_rng(2)
    x = rng.standard_normal(128).astype(np.float32)
    x[rng.integers(0, 64, 12)] = np.nan
    x[32:64:3] = x[33:64:3] = np.nan
    x[64:96] = np.where(rng.random(32) < 0.5, 0.0, -0.0)
    x[96:104] = [np.inf, -np.inf, 1e-40, -1e-40, 0, -0.0, 3e38, -3e38]
    y = np.zeros_like(x)
    ptx(text(f"redux.sync.{name}{flags}.f32 %d, %a, %m;")).run("k", 1, 128, x, y)
    for lane in range(128):
        group = members(x.view(np.uint32), lane)
        values = [float(np.array(word, np.uint32).view(np.float32)) for word in group]
        values = [abs(one) for one in values] if ".abs" in flags else values
        numbers = [one for one in values if not math.isnan(one)]
        if not numbers or (".NaN" in flags and len(numbers) < len(values)):
            assert y.view(np.uint32)[lane] == 0x7FFFFFFF
        else:
            want = FOLDS[name]((one, math.copysign(1, one)) for one in numbers)
            assert (float(y[lane]), math.copysign(1, y[lane])) == want
