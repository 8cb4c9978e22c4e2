"""Code for `cvt` to and from pairs of 8-bit floats (PTX ISA section 9.7.9.21)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import Modifiers, operands
from jitload.cpu.faults import Refused

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction

PAIRS = ("e4m3x2", "e5m2x2")


def emit_cvt_fp8(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`cvt` with one side among `PAIRS`."""
    modifiers.need("rn")
    relu, saturated = modifiers.flag("relu"), modifiers.flag("satfinite")
    first = modifiers.need("f16x2", *PAIRS)
    second = modifiers.need("f32", "f16x2", *PAIRS)
    if first == "f16x2" and second in PAIRS and not saturated:
        d, a = operands(instruction, 2)
        codes = writer.temporary(writer.source(a, "u16"))
        high = f"({codes} >> {writer.function.constant('u16', 8)})"
        name = second.removesuffix("x2")
        value = f"pack([from_fp8({codes}, {name!r}), from_fp8({high}, {name!r})], u32)"
        writer.result(d, "u32", f"join(relu(pairs({value}, f16)))" if relu else value)
        return
    if first not in PAIRS or second in PAIRS or not saturated:
        raise Refused(f"conversion from .{second} to .{first} is not supported like this")
    name = first.removesuffix("x2")
    if second == "f32":
        d, a, b = operands(instruction, 3)
        high, low = writer.source(a, "f32"), writer.source(b, "f32")
    else:
        d, a = operands(instruction, 2)
        halves = writer.temporary(f"unpack({writer.source(a, 'u32')}, f16, 2)")
        high, low = f"{halves}[1]", f"{halves}[0]"
    writer.result(d, "u16", f"pack_fp8({high}, {low}, {name!r}, {relu})")
