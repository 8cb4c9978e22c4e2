"""The native column of loads and stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.faults import Refused
from jitload.cpu.native import rows
from jitload.cpu.native.places import behind, place
from jitload.cpu.native.reach import read_access
from jitload.cpu.text.ir import Sink, Vector

if TYPE_CHECKING:
    from jitload.cpu.code.instruction import Modifiers
    from jitload.cpu.native.writer import KernelWriter
    from jitload.cpu.text.ir import Instruction, Operand


def emit_load(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`ld`."""
    w.unguarded()
    access = read_access(instruction, modifiers, write=False)
    type_ = access.type
    items = _items(access.other, access.elements)
    values = rows.load(w, access) if rows.is_row(w, access) else None
    if values is None:
        pointer = place(w, access)
        places = [behind(w, pointer, number * type_.size) for number in range(len(items))]
        values = [w.new(f"load i{type_.bits}, ptr {one}, align {type_.size}") for one in places]
    for item, value in zip(items, values, strict=True):
        if not isinstance(item, Sink):
            w.result(item, type_.bits, value, signed=type_.kind == "s")


def emit_store(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`st`."""
    w.unguarded()
    access = read_access(instruction, modifiers, write=True)
    type_ = access.type
    read = w.number if type_.kind == "f" else w.value
    values = [read(item, type_.bits) for item in _items(access.other, access.elements)]
    if rows.is_row(w, access):
        rows.store(w, access, values)
        return
    pointer = place(w, access)
    for number, value in enumerate(values):
        last = rows.last(w, type_.bits, value)
        w.act(f"store i{type_.bits} {last}, ptr {behind(w, pointer, number * type_.size)}, align {type_.size}")


def _items(operand: Operand, count: int) -> tuple[Operand, ...]:
    if not count:
        return (operand,)
    if not isinstance(operand, Vector) or len(operand.items) != count:
        raise Refused(f"a vector of {count} elements is expected")
    return operand.items
