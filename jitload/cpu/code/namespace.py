"""The names that generated code may use."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from jitload.cpu.lanes import approximate, convert, floats, fp8, integers, matrix, packed, video
from jitload.cpu.lanes.affine import Affine, dense
from jitload.cpu.memory import atomics, copies, fragments, generic, mbarrier
from jitload.cpu.types import DTYPES

if TYPE_CHECKING:
    from jitload.cpu.run.batch import Batch
    from jitload.cpu.run.frame import Frame

Lanes = Any


def fetch(frame: Frame, lanes: Any, numbers: tuple[int, ...]) -> list[Lanes]:
    """The current lanes of registers; a value that all lanes share stays as it is."""
    registers = frame.registers
    values = [registers[number] for number in numbers]
    return values if lanes is None else [value.take(lanes) if value.ndim else value for value in values]


def keep(batch: Batch, frame: Frame, lanes: Any, numbers: tuple[int, ...], *values: Lanes) -> None:
    """Write registers back whose values belong to nobody else."""
    registers = frame.registers
    if lanes is None:
        for number, value in zip(numbers, values, strict=True):
            registers[number] = value
    else:
        for number, value in zip(numbers, values, strict=True):
            put(registers, number, lanes, value, batch.lanes_total)


def keep_copies(batch: Batch, frame: Frame, lanes: Any, numbers: tuple[int, ...], *values: Lanes) -> None:
    """Write registers back whose values may be those of others."""
    if lanes is None:
        keep(batch, frame, lanes, numbers, *[value.copy() for value in values])
    else:
        keep(batch, frame, lanes, numbers, *values)


def put(registers: list[Lanes], number: int, lanes: Any, value: Lanes, total: int) -> None:
    """Write the current lanes of a register. Only here is an array changed in place, and it has one owner."""
    current = registers[number]
    if type(current) is Affine:
        current = registers[number] = current.lanes().copy()
    elif not current.ndim:
        current = registers[number] = np.full(total, current)
    current[lanes] = value


def column(value: Lanes) -> Lanes:
    """A predicate per lane, to go with both halves of packed values."""
    return value[:, None] if value.ndim else value


def make_namespace() -> dict[str, Any]:
    """A fresh namespace for one kernel."""
    return _names().copy()


@cache
def _names() -> dict[str, Any]:
    names: dict[str, Any] = {
        "__builtins__": {},
        "fetch": fetch,
        "keep": keep,
        "keep_copies": keep_copies,
        "column": column,
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
        convert,
        copies,
        floats,
        fp8,
        fragments,
        generic,
        integers,
        matrix,
        mbarrier,
        packed,
        video,
    ):
        names |= {name: value for name, value in vars(module).items() if _is_defined_in(value, module.__name__)}
    return names


def _is_defined_in(value: Any, module: str) -> bool:
    return callable(value) and getattr(value, "__module__", "") == module and not value.__name__.startswith("_")
