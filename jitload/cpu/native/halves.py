"""The native column of half precision: f16, bf16 and pairs of them, computed in f32 and rounded once.

A sum or a product in f32 has bits enough that rounding it once more is rounding it once; a fused one is computed in
f64 and rounded to odd first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.faults import Refused
from jitload.cpu.native.directed import narrowed, odd_sum
from jitload.cpu.native.machine import has_half_conversions

if TYPE_CHECKING:
    from jitload.cpu.code.instruction import Modifiers
    from jitload.cpu.native.writer import KernelWriter
    from jitload.cpu.text.ir import Instruction

TYPES = frozenset(["f16", "bf16", "f16x2", "bf16x2"])
_NAN = 0x7FFF
_SUMS = {"add": "fadd", "sub": "fsub", "mul": "fmul"}


def emit_arithmetic(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`add`, `sub`, `mul` and `fma`, of each half of a pair."""
    name = modifiers.type().name
    modifiers.flag("rn")
    target, *operands = instruction.operands
    count = 2 if name.endswith("x2") else 1
    element = name.removesuffix("x2")
    _require(element)
    words = [w.value(one, 16 * count) for one in operands]
    parts = [[_half(w, one, part, count) for one in words] for part in range(count)]
    halves = [_computed(w, instruction.opcode, element, one) for one in parts]
    w.result(target, 16 * count, _joined(w, halves))


def _require(element: str) -> None:
    if element == "f16" and not has_half_conversions():
        raise Refused("this processor converts no halves")


def _half(w: KernelWriter, word: str, part: int, count: int) -> str:
    if count == 1:
        return word
    shifted = w.new(f"lshr i32 {word}, {16 * part}") if part else word
    return w.new(f"trunc i32 {shifted} to i16")


def _joined(w: KernelWriter, halves: list[str]) -> str:
    if len(halves) == 1:
        return halves[0]
    low, high = (w.new(f"zext i16 {one} to i32") for one in halves)
    return w.new(f"or i32 {w.new(f'shl i32 {high}, 16')}, {low}")


def _computed(w: KernelWriter, opcode: str, element: str, halves: list[str]) -> str:
    sources = [widened(w, element, one) for one in halves]
    if opcode in _SUMS:
        return rounded(w, element, w.new(f"{_SUMS[opcode]} float {sources[0]}, {sources[1]}"))
    a, b, c = (w.new(f"fpext float {one} to double") for one in sources)
    return rounded(w, element, _odd_float(w, odd_sum(w, w.new(f"fmul double {a}, {b}"), c)))


def _odd_float(w: KernelWriter, x: str) -> str:
    """A double that is exact or rounded to odd, as a float rounded to odd."""
    cut = narrowed(w, x, "rz")
    back = w.new(f"fpext float {w.new(f'bitcast i32 {cut} to float')} to double")
    inexact = w.new(f"fcmp one double {back}, {x}")
    last = w.new(f"zext i1 {inexact} to i32")
    return w.new(f"bitcast i32 {w.new(f'or i32 {cut}, {last}')} to float")


def widened(w: KernelWriter, element: str, half: str) -> str:
    """A half as a float of LLVM."""
    if element == "f16":
        return w.new(f"fpext half {w.new(f'bitcast i16 {half} to half')} to float")
    wide = w.new(f"zext i16 {half} to i32")
    return w.new(f"bitcast i32 {w.new(f'shl i32 {wide}, 16')} to float")


def rounded(w: KernelWriter, element: str, x: str) -> str:
    """The half next to a float, to even; NaN is the canonical one."""
    if element == "f16":
        found = w.new(f"bitcast half {w.new(f'fptrunc float {x} to half')} to i16")
    else:
        bits = w.new(f"bitcast float {x} to i32")
        odd = w.new(f"and i32 {w.new(f'lshr i32 {bits}, 16')}, 1")
        more = w.new(f"add i32 {w.new(f'add i32 {bits}, 32767')}, {odd}")
        found = w.new(f"trunc i32 {w.new(f'lshr i32 {more}, 16')} to i16")
    return w.select(w.new(f"fcmp uno float {x}, {x}"), "i16", str(_NAN), found)


def emit_conversion(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`cvt` between a half and f32, to nearest."""
    source, type_ = modifiers.type(), modifiers.type()
    target, *operands = instruction.operands
    element = (type_ if source.name == "f32" else source).name.removesuffix("x2")
    _require(element)
    if source.name == "f32" and type_.name in TYPES:
        modifiers.need("rn")
        floats = [w.new(f"bitcast i32 {w.number(one, 32)} to float") for one in reversed(operands)]
        w.result(target, type_.bits, _joined(w, [rounded(w, element, one) for one in floats]))
    elif source.name in {"f16", "bf16"} and type_.name == "f32":
        x = widened(w, element, w.value(operands[0], 16))
        bits = w.new(f"bitcast float {x} to i32")
        if element == "f16":
            bits = w.select(w.new(f"fcmp uno float {x}, {x}"), "i32", str(0x7FFFFFFF), bits)
        w.result(target, 32, bits)
    else:
        raise Refused(f"conversion of .{source.name} to .{type_.name} has no native form")
