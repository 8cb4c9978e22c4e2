"""Code for `cvt.rs` (PTX ISA section 9.7.9.22)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import Modifiers, operands
from jitload.cpu.faults import Refused
from jitload.cpu.lanes import stochastic
from jitload.cpu.text.ir import Register, Vector

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction

_PAIRS = ("f16x2", "bf16x2")
_FOURS = ("e4m3x4", "e5m2x4", "e3m2x4", "e2m3x4", "e2m1x4")


def emit_rounding(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`cvt.rs`."""
    writer.function.use(stochastic)
    modifiers.need("rs")
    relu, saturated = modifiers.flag("relu"), modifiers.flag("satfinite")
    name = modifiers.need(*_PAIRS, *_FOURS)
    modifiers.need("f32")
    target, *numbers, bits = operands(instruction, 3, 4)
    if not isinstance(bits, Register):
        raise Refused("random bits stand in a register")
    random = writer.source(bits, "u32")
    if name in _PAIRS:
        high, low = (writer.source(one, "f32") for one in numbers)
        call = f"round_pair({high}, {low}, {random}, {name[:-2]!r}, {saturated}, {relu})"
        writer.result(target, "u32", call)
        return
    if not isinstance(numbers[0], Vector) or len(numbers[0].items) != 4:
        raise Refused("a vector of 4 elements is expected")
    four = "".join(f"{writer.source(one, 'f32')}, " for one in numbers[0].items)
    rep = "u16" if name == "e2m1x4" else "u32"
    writer.result(target, rep, f"round_four(({four}), {random}, {name[:-2]!r}, {relu})")
