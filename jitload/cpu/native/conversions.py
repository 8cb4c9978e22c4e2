"""The native column of conversions between integers, f32 and f64."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.faults import Refused
from jitload.cpu.native.directed import narrowed, odd_sum, toward, two_sum
from jitload.cpu.native.floats import FLOAT, as_bits, as_float, flushed, is_nan, round_integral, saturated, settled
from jitload.cpu.native.text import float_text

if TYPE_CHECKING:
    from jitload.cpu.code.instruction import Modifiers
    from jitload.cpu.native.writer import KernelWriter
    from jitload.cpu.text.ir import Instruction
    from jitload.cpu.types import Type


def emit_cvt(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`cvt` between integers, f32 and f64."""
    if len(instruction.operands) != 2 or "pack" in instruction.modifiers:
        raise Refused("this conversion has no native form")
    source, type_ = modifiers.type(), modifiers.type()
    for one in (source, type_):
        if not (one.kind in {"u", "s"} or one.name in {"f32", "f64"}):
            raise Refused(f"conversion of .{one.name} has no native form")
    target, a = instruction.operands
    flush, saturate = modifiers.flag("ftz"), modifiers.flag("sat")
    mode = modifiers.choice("rn", "rz", "rm", "rp", "rni", "rzi", "rmi", "rpi")
    value = w.number(a, source.bits) if source.kind == "f" else w.value(a, source.bits)
    if flush and source.name == "f32":
        value = flushed(w, value, 32)
    if type_.kind != "f":
        if source.kind != "f":
            found = _between_integers(w, value, source, type_, saturate)
        else:
            found = to_integer(w, value, source, type_, mode)
        w.result(target, type_.bits, found, signed=type_.kind == "s")
        return
    found = (
        _from_integer(w, value, source, type_, mode) if source.kind != "f" else _between(w, value, source, type_, mode)
    )
    if saturate:
        found = saturated(w, found, type_.bits)
    if flush and type_.name == "f32":
        found = flushed(w, found, 32)
    w.result(target, type_.bits, found)


def _between_integers(w: KernelWriter, value: str, source: Type, type_: Type, saturate: bool) -> str:
    if saturate:
        value = _clamped(w, value, source, type_)
    if source.bits == type_.bits:
        return value
    if source.bits > type_.bits:
        return w.new(f"trunc i{source.bits} {value} to i{type_.bits}")
    return w.new(f"{'sext' if source.kind == 's' else 'zext'} i{source.bits} {value} to i{type_.bits}")


def _clamped(w: KernelWriter, value: str, source: Type, type_: Type) -> str:
    """`.sat` of integers: into what both types hold."""
    for name, bounds in (
        ("max", [_range(one)[0] for one in (source, type_)]),
        ("min", [_range(one)[1] for one in (source, type_)]),
    ):
        bound = max(bounds) if name == "max" else min(bounds)
        if bound != bounds[0]:
            sign = "s" if source.kind == "s" else "u"
            value = w.new(
                f"call i{source.bits} @llvm.{sign}{name}.i{source.bits}(i{source.bits} {value}, i{source.bits} {bound})"
            )
    return value


def _range(type_: Type) -> tuple[int, int]:
    return (-(1 << (type_.bits - 1)), (1 << (type_.bits - 1)) - 1) if type_.kind == "s" else (0, (1 << type_.bits) - 1)


def to_integer(w: KernelWriter, value: str, source: Type, type_: Type, mode: str) -> str:
    """Rounded, clamped; NaN is 0, or the middle of the range where 64 bits are about."""
    x = as_float(w, round_integral(w, value, source.bits, mode), source.bits)
    sign, kind = "s" if type_.kind == "s" else "u", f"i{type_.bits}"
    found = w.new(f"call {kind} @llvm.fpto{sign}i.sat.{kind}.f{source.bits}({FLOAT[source.bits]} {x})")
    nan = 1 << (type_.bits - 1) if 64 in {source.bits, type_.bits} else 0
    return w.select(is_nan(w, value, source.bits), kind, str(nan), found)


def _from_integer(w: KernelWriter, value: str, source: Type, type_: Type, mode: str) -> str:
    sign = "s" if source.kind == "s" else "u"
    if mode != "rn":
        return _from_integer_directed(w, value, source, type_, mode)
    x = w.new(f"{sign}itofp i{source.bits} {value} to {FLOAT[type_.bits]}")
    return as_bits(w, x, type_.bits)


def _from_integer_directed(w: KernelWriter, value: str, source: Type, type_: Type, mode: str) -> str:
    if type_.bits == 32:
        return narrowed(w, odd_double(w, value, source), mode)
    if source.bits <= 32:  # which f64 holds
        return as_bits(w, odd_double(w, value, source), 64)
    total, lost = two_sum(w, *_in_two(w, value, source))
    below, above = (w.new(f"fcmp {test} double {lost}, {float_text(0, 64)}") for test in ("olt", "ogt"))
    return toward(w, as_bits(w, total, 64), (below, above), mode)


def odd_double(w: KernelWriter, value: str, source: Type) -> str:
    """An integer as a double that is exact or rounded to odd."""
    if source.bits > 32:
        return odd_sum(w, *_in_two(w, value, source))
    return w.new(f"{'s' if source.kind == 's' else 'u'}itofp i{source.bits} {value} to double")


def _in_two(w: KernelWriter, value: str, source: Type) -> tuple[str, str]:
    """An integer of 64 bits as the sum of two doubles."""
    low = w.new(f"and i64 {value}, {0xFFFFFFFF}")
    high = w.new(f"sub i64 {value}, {low}")
    return w.new(f"{'s' if source.kind == 's' else 'u'}itofp i64 {high} to double"), w.new(
        f"uitofp i64 {low} to double"
    )


def _between(w: KernelWriter, value: str, source: Type, type_: Type, mode: str) -> str:
    if mode in {"rni", "rzi", "rmi", "rpi"}:
        value, mode = round_integral(w, value, source.bits, mode), "rn"
        if source.name != type_.name:
            raise Refused("this conversion has no native form")
    if source.name == type_.name:
        return settled(w, value, source.bits, [value])
    x = as_float(w, value, source.bits)
    if type_.bits == 64:
        return doubled(w, value, x)
    if mode != "rn":
        return settled(w, narrowed(w, x, mode), 32, [])
    return settled(w, as_bits(w, w.new(f"fptrunc double {x} to float"), 32), 32, [])


def doubled(w: KernelWriter, value: str, x: str) -> str:
    """f32 to f64, with the payload of a NaN at the upper end."""
    found = as_bits(w, w.new(f"fpext float {x} to double"), 64)
    wide = w.new(f"zext i32 {value} to i64")
    payload = w.new(f"shl i64 {w.new(f'and i64 {wide}, 8388607')}, 29")
    sign = w.new(f"shl i64 {w.new(f'lshr i64 {wide}, 31')}, 63")
    nan = w.new(f"or i64 {w.new(f'or i64 {payload}, {sign}')}, {0x7FF8000000000000}")
    return w.select(is_nan(w, value, 32), "i64", nan, found)
