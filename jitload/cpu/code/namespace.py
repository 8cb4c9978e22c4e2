"""The names that generated code may use."""

from __future__ import annotations

from functools import cache

import numpy as np

from jitload.cpu.code.registers import fetch, keep, keep_copies
from jitload.cpu.lanes import approximate, convert, floats, fp8, integers, matrix, nan, packed, stochastic, video
from jitload.cpu.lanes.affine import dense
from jitload.cpu.memory import (
    atomics,
    cluster,
    copies,
    fragments,
    generic,
    mbarrier,
    multicast,
    queries,
    surfaces,
    tensors,
    textures,
)
from jitload.cpu.types import DTYPES


def make_namespace() -> dict[str, object]:
    """A fresh namespace for one kernel."""
    return _names().copy()


@cache
def _names() -> dict[str, object]:
    names: dict[str, object] = {
        "__builtins__": {},
        "fetch": fetch,
        "keep": keep,
        "keep_copies": keep_copies,
        "dense": dense,
        "where": np.where,
        "np_minimum": np.minimum,
        "np_maximum": np.maximum,
        "np_sqrt": np.sqrt,
        "np_abs": np.abs,
        **{rep: dtype.type for rep, dtype in DTYPES.items() if rep != "p"},
    }
    for module in (
        approximate,
        atomics,
        cluster,
        convert,
        copies,
        floats,
        fp8,
        fragments,
        generic,
        integers,
        matrix,
        mbarrier,
        multicast,
        nan,
        packed,
        queries,
        stochastic,
        surfaces,
        tensors,
        textures,
        video,
    ):
        names |= {name: value for name, value in vars(module).items() if _is_defined_in(value, module.__name__)}
    return names


def _is_defined_in(value: object, module: str) -> bool:
    name = getattr(value, "__name__", "_")
    return callable(value) and getattr(value, "__module__", "") == module and not name.startswith("_")
