"""Code for conversions between numbers (PTX ISA section 9.7.9.21)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import Modifiers, operands
from jitload.cpu.faults import Refused
from jitload.cpu.types import BITS

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction
    from jitload.cpu.types import Type


def emit_cvt(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`cvt`, but for floats of 8 bits and fewer and for stochastic rounding."""
    if modifiers.choice("pack"):
        _emit_pack(writer, instruction, modifiers)
        return
    source_type, type_ = modifiers.type(), modifiers.type()
    if type_.kind == "x2":
        _emit_cvt_packed(writer, instruction, modifiers, type_, source_type)
    else:
        _emit_cvt_single(writer, instruction, modifiers, type_, source_type)


def _emit_cvt_single(
    writer: BlockWriter, instruction: Instruction, modifiers: Modifiers, type_: Type, source_type: Type
) -> None:
    """One number to one number."""
    d, a = operands(instruction, 2)
    flush, saturated, relu = modifiers.flag("ftz"), modifiers.flag("sat"), modifiers.flag("relu")
    finite = modifiers.flag("satfinite")
    if finite and (source_type.name != "f32" or type_.name not in {"f16", "bf16", "tf32"}):
        raise Refused(f".satfinite from .{source_type.name} to .{type_.name} does not exist")
    mode = modifiers.choice("rn", "rz", "rm", "rp", "rna", "rni", "rzi", "rmi", "rpi")
    if source_type.kind not in {"u", "s", "f", "bf"} or type_.kind not in {"u", "s", "f", "bf", "tf"}:
        raise Refused(f"conversion from .{source_type.name} to .{type_.name} is not supported")
    if type_.is_integer and source_type.is_integer and not saturated:
        x = writer.affine_source(a, source_type.rep)
        writer.result(d, type_.rep, f"{x}.astype({type_.rep})", affine=True)
        return
    x = writer.source(a, source_type.rep)
    if source_type.kind == "bf":
        x = f"from_bf16({x})"
    if finite:
        x = f"clip_finite({x}, {type_.name!r})"
    if flush and source_type.name == "f32":
        x = f"flush({x})"
    if type_.is_integer and source_type.is_integer:
        expression = f"int_to_int({x}, {type_.rep!r}, {saturated})"
    elif type_.is_integer:
        _need_mode(mode, "rni", "rzi", "rmi", "rpi")
        expression = f"float_to_int({x}, {type_.rep!r}, {mode!r})"
    else:
        if source_type.is_integer:
            _need_mode(mode, "rn", "rz", "rm", "rp")
            expression = _from_integer(x, type_, mode)
        else:
            expression = _between_floats(x, source_type, type_, mode)
        expression = _finish_float(expression, type_, flush, saturated, relu)
    writer.result(d, type_.rep, expression, shared=True)


def _need_mode(mode: str, *allowed: str) -> None:
    if mode not in allowed:
        raise Refused(f"rounding .{mode or 'none'} where one of .{', .'.join(allowed)} is expected")


def _from_integer(x: str, type_: Type, mode: str) -> str:
    if type_.kind == "bf":
        return f"to_bf16(int_to_odd({x}), {mode!r})"
    return f"int_to_float({x}, {type_.rep!r}, {mode!r})"


def _between_floats(x: str, source: Type, type_: Type, mode: str) -> str:
    if type_.kind == "tf":
        _need_mode(mode, "rna", "rn", "rz")
        if source.name != "f32":
            raise Refused("only .f32 converts to .tf32")
        return f"to_tf32({x}, {mode!r})"
    if mode in {"rni", "rzi", "rmi", "rpi"}:
        x = f"round_integral({x}, {mode!r})"
        if source.name == type_.name:
            return f"to_bf16({x})" if type_.kind == "bf" else x
        mode = "rn"
    wide = "f32" if source.kind == "bf" else source.name
    if type_.kind == "bf":
        _need_mode(mode, "rn", "rz", "rm", "rp", "" if source.kind == "bf" else "rn")
        x = f"widen({x}, 'f32')" if wide == "f16" else x
        return f"to_bf16({x}, {mode or 'rn'!r})"
    if wide == type_.name:
        if source.kind == "bf":  # a shift, on a GPU too
            return x
        return f"quieted({x})" if wide == "f64" else f"one_nan({x}.copy())"
    if BITS[wide] < type_.bits:
        return f"widen({x}, {type_.rep!r})"
    _need_mode(mode, "rn", "rz", "rm", "rp")
    return f"f64_to_f32({x}, {mode!r})" if type_.name == "f32" else f"to_half({x}, {mode!r})"


def _finish_float(expression: str, type_: Type, flush: bool, saturated: bool, relu: bool) -> str:
    if relu or saturated:
        function = "relu" if relu else "saturate"
        if type_.kind == "bf":
            return f"to_bf16({function}(from_bf16({expression})))"
        if type_.kind == "tf":
            return f"{function}({expression}.view(f32)).view(u32)"
        expression = f"{function}({expression})"
    return f"flush({expression})" if flush and type_.name == "f32" else expression


def _emit_cvt_packed(
    writer: BlockWriter, instruction: Instruction, modifiers: Modifiers, type_: Type, source_type: Type
) -> None:
    """`cvt.rn.f16x2.f32 d, a, b`: a becomes the upper half, b the lower."""
    d, a, b = operands(instruction, 3)
    if type_.name not in {"f16x2", "bf16x2"} or source_type.name != "f32":
        raise Refused(f"conversion from .{source_type.name} to .{type_.name} is not supported")
    mode = modifiers.need("rn", "rz")
    relu = modifiers.flag("relu")
    finite = modifiers.flag("satfinite")
    halves = []
    for operand in (b, a):
        x = writer.source(operand, "f32")
        x = f"clip_finite({x}, {type_.name[:-2]!r})" if finite else x
        x = f"relu({x})" if relu else x
        halves.append(f"to_half({x}, {mode!r}).view(u16)" if type_.name == "f16x2" else f"to_bf16({x}, {mode!r})")
    writer.result(d, "u32", f"pack([{halves[0]}, {halves[1]}], u32)")


def _emit_pack(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`cvt.pack`: two integers clamped into fields, `a` above `b`, and what `c` holds above both."""
    modifiers.need("sat")
    with_c = modifiers.choice("b32")
    modifiers.need("s32")
    name = modifiers.need("u16", "s16", *(("u8", "s8", "u4", "s4", "u2", "s2") if with_c else ()))
    found = operands(instruction, 4 if with_c else 3)
    fields = ", ".join(writer.source(one, "s32") for one in found[1:3])
    c = writer.source(found[3], "u32") if with_c else "None"
    writer.result(found[0], "u32", f"pack_clamped({fields}, {c}, {int(name[1:])}, {name[0] == 's'})")
