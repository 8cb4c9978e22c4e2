"""The native column of conversions from and to half precision, with one rounding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.faults import Refused
from jitload.cpu.native.conversions import doubled, odd_double, to_integer
from jitload.cpu.native.directed import odd_float
from jitload.cpu.native.floats import as_bits, as_float, flushed, round_integral, saturated, settled
from jitload.cpu.native.halves import Halves, joined, positive, rounded
from jitload.cpu.native.text import float_text
from jitload.cpu.types import TYPES

if TYPE_CHECKING:
    from jitload.cpu.code.instruction import Modifiers
    from jitload.cpu.native.writer import KernelWriter
    from jitload.cpu.text.ir import Instruction, Operand
    from jitload.cpu.types import Type

_MODES = ("rn", "rz", "rm", "rp", "rni", "rzi", "rmi", "rpi")
_HALVES = frozenset({"f16", "bf16"})
#: The largest finite number of a type, as f32.
_LARGEST = {"f16": 0x477FE000, "bf16": 0x7F7F0000}


def emit_conversion(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`cvt` from or to halves; to a pair from two of f32."""
    if modifiers.flag("rs"):
        raise Refused("stochastic rounding has no native form")
    source, type_ = modifiers.type(), modifiers.type()
    target, *operands = instruction.operands
    form = _Conversion(w, modifiers, source)
    if type_.is_integer:
        if source.name not in _HALVES:
            raise Refused(f"conversion of .{source.name} to .{type_.name} has no native form")
        bits = as_bits(w, form.source(operands[0]), 32)
        w.result(target, type_.bits, to_integer(w, bits, TYPES["f32"], type_, form.mode), signed=type_.kind == "s")
    elif type_.name in {"f32", "f64"}:
        w.result(target, type_.bits, form.widened(operands[0], type_))
    elif type_.name in _HALVES or source.name == "f32":
        element = Halves(w, type_.name).element
        w.result(target, type_.bits, joined(w, [form.half(one, element) for one in reversed(operands)]))
    else:
        raise Refused(f"conversion of .{source.name} to .{type_.name} has no native form")


class _Conversion:
    """What one instruction says of how numbers are converted.

    Attributes:
        mode: how they are rounded, or "".
    """

    def __init__(self, w: KernelWriter, modifiers: Modifiers, source: Type) -> None:
        if not (source.kind in {"u", "s"} or source.name in {"f32", "f64", *_HALVES}):
            raise Refused(f"conversion of .{source.name} has no native form")
        self._w = w
        self._source = source
        self._flush, self._saturate = modifiers.flag("ftz"), modifiers.flag("sat")
        self._relu, self._finite = modifiers.flag("relu"), modifiers.flag("satfinite")
        self.mode = modifiers.choice(*_MODES)

    def source(self, operand: Operand) -> str:
        """A float of LLVM that is the number, or that rounded to odd; of f32 flushed as asked."""
        w, source = self._w, self._source
        if source.kind in {"u", "s"}:
            return odd_float(w, odd_double(w, w.value(operand, source.bits), source))
        if source.name == "f64":
            return odd_float(w, as_float(w, w.number(operand, 64), 64))
        if source.name == "f32":
            bits = w.number(operand, 32)
            return as_float(w, flushed(w, bits, 32) if self._flush else bits, 32)
        return Halves(w, source.name).floats(operand)[0]

    def half(self, operand: Operand, element: str) -> str:
        """Bits of a half."""
        w, x, mode = self._w, self.source(operand), self.mode
        if self._finite:
            x = self._clipped(x, element)
        if mode.endswith("i"):
            if self._source.name != element:
                raise Refused("this conversion has no native form")
            x, mode = as_float(w, round_integral(w, as_bits(w, x, 32), 32, mode), 32), "rn"
        x = as_float(w, saturated(w, as_bits(w, x, 32), 32), 32) if self._saturate else x
        return rounded(w, element, positive(w, x) if self._relu else x, mode or "rn")

    def _clipped(self, x: str, element: str) -> str:
        """Brought to the finite numbers of a type; NaN stays."""
        w = self._w
        for sign, test in ((0, "ogt"), (1 << 31, "olt")):
            bound = float_text(_LARGEST[element] | sign, 32)
            x = w.select(w.new(f"fcmp {test} float {x}, {bound}"), "float", bound, x)
        return x

    def widened(self, operand: Operand, type_: Type) -> str:
        """Bits of f32 or f64: f32 has one NaN, but from bf16, which is a shift; f64 keeps its payload."""
        w, x = self._w, self.source(operand)
        if self._source.name not in _HALVES or self.mode:
            raise Refused(f"conversion of .{self._source.name} to .{type_.name} has no native form")
        bits = as_bits(w, x, 32)
        if type_.bits == 64:
            found = doubled(w, bits if self._source.name == "bf16" else self._payload(operand, bits), x)
        else:
            found = bits if self._source.name == "bf16" else settled(w, bits, 32, [])
            found = flushed(w, found, 32) if self._flush else found
        return saturated(w, found, type_.bits) if self._saturate else found

    def _payload(self, operand: Operand, bits: str) -> str:
        """Bits of the f32 of an f16, whose NaN has the payload at the upper end: also a signalling one, as it is."""
        w = self._w
        wide = w.new(f"zext i16 {w.value(operand, 16)} to i32")
        sign = w.new(f"shl i32 {w.new(f'lshr i32 {wide}, 15')}, 31")
        payload = w.new(f"shl i32 {w.new(f'and i32 {wide}, 1023')}, 13")
        nan = w.new(f"or i32 {w.new(f'or i32 {sign}, {payload}')}, {0x7F800000}")
        x = as_float(w, bits, 32)
        return w.select(w.new(f"fcmp uno float {x}, {x}"), "i32", nan, bits)
