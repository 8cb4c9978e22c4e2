"""Registers of many lanes at once, as generated code reads and writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from jitload.cpu.lanes.affine import Affine

if TYPE_CHECKING:
    from jitload.cpu.memory.access import RunningLanes
    from jitload.cpu.types import Array, Lanes


class RegisterFile(Protocol):
    """What generated code must know of a call frame; a `Frame` is that.

    Attributes:
        registers: by number: a scalar while all lanes agree, else an array over the batch or an `Affine`.
        base: where local memory of this call starts in each lane's slab.
    """

    registers: list[Lanes | Affine]
    base: int


def fetch(frame: RegisterFile, lanes: Array | None, numbers: tuple[int, ...]) -> list[Lanes | Affine]:
    """The current lanes of registers; a value that all lanes share stays as it is."""
    registers = frame.registers
    values = [registers[number] for number in numbers]
    return values if lanes is None else [value.take(lanes) if value.ndim else value for value in values]


def keep(
    batch: RunningLanes, frame: RegisterFile, lanes: Array | None, numbers: tuple[int, ...], *values: Lanes | Affine
) -> None:
    """Write registers back whose values belong to nobody else."""
    registers = frame.registers
    if lanes is None:
        for number, value in zip(numbers, values, strict=True):
            registers[number] = value
    else:
        for number, value in zip(numbers, values, strict=True):
            write_lanes(registers, number, lanes, value, batch.lanes_total)


def keep_copies(
    batch: RunningLanes, frame: RegisterFile, lanes: Array | None, numbers: tuple[int, ...], *values: Lanes
) -> None:
    """Write registers back whose values may be those of others."""
    if lanes is None:
        keep(batch, frame, lanes, numbers, *[value.copy() for value in values])
    else:
        keep(batch, frame, lanes, numbers, *values)


def write_lanes(registers: list[Lanes | Affine], number: int, lanes: Array, value: Lanes | Affine, total: int) -> None:
    """Write the current lanes of a register. Only here is an array changed in place, and it has one owner."""
    current = registers[number]
    if type(current) is Affine:
        current = registers[number] = current.lanes().copy()
    elif not current.ndim:
        current = registers[number] = np.full(total, current)
    current[lanes] = value
