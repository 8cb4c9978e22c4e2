"""Code for `cvt` to and from pairs of floats of 8 bits and fewer (PTX ISA section 9.7.9.21)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import Modifiers, operands
from jitload.cpu.faults import Refused
from jitload.cpu.lanes import fp8

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction, Operand

_SCALES = "ue8m0x2"
_FLOATS = ("e4m3x2", "e5m2x2", "e3m2x2", "e2m3x2", "e2m1x2")


def emit_cvt_fp8(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`cvt` with a pair of floats of 8 bits or fewer, or of scales, on one side."""
    writer.function.use(fp8)
    if _SCALES in instruction.modifiers:
        _emit_scales(writer, instruction, modifiers)
        return
    modifiers.need("rn")
    relu, saturated = modifiers.flag("relu"), modifiers.flag("satfinite")
    first = modifiers.need("f16x2", "bf16x2", *_FLOATS)
    second = modifiers.need("f32", "f16x2", "bf16x2", *_FLOATS)
    if first == "f16x2" and second in _FLOATS and not saturated:
        d, a = operands(instruction, 2)
        name = second.removesuffix("x2")
        value = f"unpack_narrow({writer.source(a, _word(second))}, {name!r})"
        writer.result(d, "u32", f"join(relu(pairs({value}, f16)))" if relu else value)
        return
    if first == "bf16x2" and second in _FLOATS:
        d, a = operands(instruction, 2)
        pair, name = writer.source(a, _word(second)), second.removesuffix("x2")
        writer.result(d, "u32", f"unpack_brains({pair}, {name!r}, {relu}, {saturated})")
        return
    if first not in _FLOATS or second in _FLOATS or not saturated:
        raise Refused(f"conversion from .{second} to .{first} is not supported like this")
    high, low, d = _numbers(writer, instruction, second)
    writer.result(d, _word(first), f"pack_narrow({high}, {low}, {first.removesuffix('x2')!r}, {relu})")


def _word(name: str) -> str:
    """How a pair lies in a register: two of 4 bits in a byte, others in a byte each."""
    return "u8" if name == "e2m1x2" else "u16"


def _numbers(writer: BlockWriter, instruction: Instruction, source_type: str) -> tuple[str, str, Operand]:
    """The numbers for the upper and the lower part, and where the pair goes."""
    if source_type == "f32":
        d, a, b = operands(instruction, 3)
        return writer.source(a, "f32"), writer.source(b, "f32"), d
    d, a = operands(instruction, 2)
    part = "u16" if source_type == "bf16x2" else "f16"
    halves = writer.temporary(f"unpack({writer.source(a, 'u32')}, {part}, 2)")
    high, low = f"{halves}[1]", f"{halves}[0]"
    return (f"from_bf16({high})", f"from_bf16({low})", d) if part == "u16" else (high, low, d)


def _emit_scales(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """Powers of two, `ue8m0`: exponents alone, without a sign."""
    mode = modifiers.need("rn", "rz", "rp")
    saturated = modifiers.flag("satfinite")
    first, second = modifiers.need("bf16x2", _SCALES), modifiers.need("f32", "bf16x2", _SCALES)
    if (first, mode, saturated) == ("bf16x2", "rn", False) and second == _SCALES:
        d, a = operands(instruction, 2)
        writer.result(d, "u32", f"unpack_scales({writer.source(a, 'u16')})")
        return
    if first != _SCALES or second == _SCALES or mode == "rn":
        raise Refused(f"conversion .{mode} from .{second} to .{first} is not supported like this")
    high, low, d = _numbers(writer, instruction, second)
    writer.result(d, "u16", f"pack_scales({high}, {low}, {mode!r}, {saturated})")
