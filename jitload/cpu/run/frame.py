"""Call frames: the registers of one function, for all lanes that came there by the same calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jitload.cpu.code.registers import write_lanes
from jitload.cpu.types import DTYPES

if TYPE_CHECKING:
    from jitload.cpu.code.block_code import CallCode, FunctionCode
    from jitload.cpu.lanes.affine import Affine
    from jitload.cpu.run.batch import Batch
    from jitload.cpu.types import Array, Lanes


class Frame:
    """A node in the tree of calls.

    Attributes:
        code: the function.
        registers: its register file; an entry is a scalar while all lanes agree, else an array over the batch.
        base: where its local memory starts in each lane's slab.
        parent: the caller's frame, or None in a kernel.
        call: the call that leads here.
        depth: how many calls deep.
        lanes_inside: how many lanes are in it or below it.
        undefined: registers of which some lanes are undefined, as `undefined.remember` keeps them; None for no such.
    """

    __slots__ = (
        "base",
        "call",
        "children",
        "code",
        "depth",
        "lanes_inside",
        "parent",
        "registers",
        "serial",
        "undefined",
    )

    def __init__(self, code: FunctionCode, base: int, parent: Frame | None, call: CallCode | None, serial: int) -> None:
        self.code = code
        self.registers: list[Lanes | Affine] = list(code.zeros)
        self.base = base
        self.parent = parent
        self.call = call
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.serial = serial
        self.lanes_inside = 0
        self.children: dict[tuple[int, str], Frame] = {}
        self.undefined: dict[int, tuple[Array, int]] | None = None


def write_register(batch: Batch, frame: Frame, number: int, rep: str, lanes: Array | None, value: Lanes) -> None:
    """Write a register from outside generated code; `rep` is how the register file holds it."""
    if value.dtype != DTYPES[rep]:
        value = value.view(DTYPES[rep])
    if lanes is None:
        frame.registers[number] = value
    else:
        write_lanes(frame.registers, number, lanes, value, batch.lanes_total)


def copy_local(batch: Batch, lanes: Array | None, source: int, target: int, nbytes: int) -> None:
    """Copy bytes within each lane's local memory: arguments and results of calls."""
    memory = batch.local.views["u8"]
    stride = batch.local.stride
    if lanes is None:
        rows = memory[: stride * batch.lanes_total].reshape(-1, stride)
        rows[:, target : target + nbytes] = rows[:, source : source + nbytes].copy()
        return
    starts = (lanes * stride)[:, None] + np.arange(nbytes)
    memory[starts + target] = memory[starts + source]
