"""The names that generated code may use."""

from __future__ import annotations

from functools import cache
from types import FunctionType
from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.code.registers import fetch, keep, keep_copies
from jitload.cpu.lanes import approximate, convert, floats, integers, nan, packed
from jitload.cpu.lanes.affine import dense
from jitload.cpu.memory import atomics, cluster, generic
from jitload.cpu.types import DTYPES

if TYPE_CHECKING:
    from types import ModuleType


def make_namespace() -> dict[str, object]:
    """A fresh namespace for one kernel, without functions that few kernels need (`FunctionWriter.use` brings those)."""
    return _names().copy()


@cache
def _names() -> dict[str, object]:
    return {
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
        **{
            name: value
            for file in (approximate, atomics, cluster, convert, floats, generic, integers, nan, packed)
            for name, value in functions_of(file).items()
        },
    }


@cache
def functions_of(file: ModuleType) -> dict[str, object]:
    """The functions of a file of lanes or of memory that generated code may call."""
    return {name: value for name, value in vars(file).items() if _is_defined_in(value, file.__name__)}


def _is_defined_in(value: object, module: str) -> bool:
    return isinstance(value, FunctionType | type) and value.__module__ == module and not value.__name__.startswith("_")
