"""The native column of floating-point arithmetic: f32 and f64, rounded to nearest, with the NaN of lanes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.faults import Refused
from jitload.cpu.native.directed import rounded
from jitload.cpu.native.text import float_text

if TYPE_CHECKING:
    from jitload.cpu.code.instruction import Modifiers
    from jitload.cpu.native.writer import KernelWriter
    from jitload.cpu.text.ir import Instruction, Operand

FLOAT = {32: "float", 64: "double"}
NAN = {32: 0x7FFFFFFF, 64: 0xFFF8000000000000}
_SIGN = {32: 1 << 31, 64: 1 << 63}
_EXPONENT = {32: 0x7F800000, 64: 0x7FF0000000000000}
_ONE = {32: 0x3F800000, 64: 0x3FF0000000000000}
_QUIET = 1 << 51


def as_float(w: KernelWriter, value: str, bits: int) -> str:
    """Bits as a float."""
    if value.lstrip("-").isdigit():
        return float_text(int(value) & ((1 << bits) - 1), bits)
    return w.new(f"bitcast i{bits} {value} to {FLOAT[bits]}")


def as_bits(w: KernelWriter, value: str, bits: int) -> str:
    """A float as bits."""
    return w.new(f"bitcast {FLOAT[bits]} {value} to i{bits}")


def is_nan(w: KernelWriter, value: str, bits: int) -> str:
    """Whether bits are those of a NaN."""
    x = as_float(w, value, bits)
    return w.new(f"fcmp uno {FLOAT[bits]} {x}, {x}")


def flushed(w: KernelWriter, value: str, bits: int) -> str:
    """`.ftz` on bits."""
    exponent = w.new(f"and i{bits} {value}, {_EXPONENT[bits]}")
    small = w.new(f"icmp eq i{bits} {exponent}, 0")
    return w.select(small, f"i{bits}", w.new(f"and i{bits} {value}, {_SIGN[bits]}"), value)


def settled(w: KernelWriter, value: str, bits: int, sources: list[str]) -> str:
    """Bits of what arithmetic gave, with the NaN that the ISA asks for: one of f32, an operand's of f64."""
    nan = str(NAN[bits])
    if bits == 64:
        for one in reversed(sources):
            quiet = w.new(f"or i64 {one}, {_QUIET}")
            nan = w.select(is_nan(w, one, 64), "i64", quiet, nan)
    return w.select(is_nan(w, value, bits), f"i{bits}", nan, value)


def saturated(w: KernelWriter, value: str, bits: int) -> str:
    """`.sat` on bits: to [0, 1]; NaN and -0 become +0."""
    x, kind = as_float(w, value, bits), FLOAT[bits]
    positive = w.new(f"fcmp ogt {kind} {x}, {float_text(0, bits)}")
    above = w.new(f"fcmp ogt {kind} {x}, {float_text(_ONE[bits], bits)}")
    return w.select(positive, f"i{bits}", w.select(above, f"i{bits}", str(_ONE[bits]), value), "0")


class Form:
    """How one instruction takes its sources and gives its result."""

    def __init__(self, w: KernelWriter, modifiers: Modifiers) -> None:
        type_ = modifiers.type()
        if type_.name not in {"f32", "f64"}:
            raise Refused(f"arithmetic of .{type_.name} has no native form")
        self.w = w
        self.bits = type_.bits
        self.flush = modifiers.flag("ftz")
        self.saturate = modifiers.flag("sat")

    def source(self, operand: Operand) -> str:
        """Bits of a source."""
        value = self.w.number(operand, self.bits)
        return flushed(self.w, value, self.bits) if self.flush else value

    def compute(self, text: str, target: Operand, sources: list[str]) -> None:
        """Write what LLVM's instruction gives; `{0}` are the sources as floats, `{kind}` is their type."""
        w, bits = self.w, self.bits
        x = w.new(text.format(*(as_float(w, one, bits) for one in sources), kind=FLOAT[bits], bits=bits))
        self.finish(target, settled(w, as_bits(w, x, bits), bits, sources))

    def finish(self, target: Operand, value: str) -> None:
        """Saturate and flush as asked, and write."""
        if self.saturate:
            value = saturated(self.w, value, self.bits)
        if self.flush:
            value = flushed(self.w, value, self.bits)
        self.w.result(target, self.bits, value)


def _directed(w: KernelWriter, instruction: Instruction, form: Form, mode: str, *, one: str = "") -> None:
    """What is rounded in another mode than to nearest; `one` stands before the sources of `rcp`."""
    if form.bits != 32:
        raise Refused("directed rounding of f64 has no native form")
    target, *rest = instruction.operands
    sources = [as_float(w, form.source(operand), 32) for operand in rest]
    opcode = "div" if one else instruction.opcode
    found = rounded(w, opcode, [one, *sources] if one else sources, mode)
    form.finish(target, settled(w, found, 32, []))


_SUMS = {"add": "fadd {kind} {0}, {1}", "sub": "fsub {kind} {0}, {1}", "mul": "fmul {kind} {0}, {1}"}
_FUSED = "call {kind} @llvm.fma.f{bits}({kind} {0}, {kind} {1}, {kind} {2})"


def emit_arithmetic(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`add`, `sub`, `mul`, `fma` and the `mad` that is one."""
    mode = modifiers.choice("rn", "rz", "rm", "rp")
    form = Form(w, modifiers)
    if mode not in {"rn", ""}:
        _directed(w, instruction, form, mode)
        return
    target, *rest = instruction.operands
    form.compute(_SUMS.get(instruction.opcode, _FUSED), target, [form.source(one) for one in rest])


def emit_quotient(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`div`, `rcp` and `sqrt` that are rounded correctly, `.full` among them."""
    modifiers.flag("full")
    mode = modifiers.choice("rn", "rz", "rm", "rp")
    form = Form(w, modifiers)
    if mode not in {"rn", ""}:
        _directed(w, instruction, form, mode, one=float_text(_ONE[32], 32) if instruction.opcode == "rcp" else "")
        return
    target, *rest = instruction.operands
    sources = [form.source(one) for one in rest]
    if instruction.opcode == "sqrt":
        form.compute("call {kind} @llvm.sqrt.f{bits}({kind} {0})", target, sources)
    elif instruction.opcode == "div":
        form.compute("fdiv {kind} {0}, {1}", target, sources)
    else:
        one = float_text(_ONE[form.bits], form.bits)
        form.compute(f"fdiv {{kind}} {one}, {{0}}", target, sources)


def emit_extreme(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`min` and `max` of two."""
    form = Form(w, modifiers)
    keep_nan = modifiers.flag("NaN")
    if len(instruction.operands) != 3:
        raise Refused("the least of three has no native form")
    a, b = (form.source(one) for one in instruction.operands[1:])
    bits, kind = form.bits, f"i{form.bits}"
    x, y = as_float(w, a, bits), as_float(w, b, bits)
    least = instruction.opcode == "min"
    equal = w.new(f"fcmp oeq {FLOAT[bits]} {x}, {y}")
    first = w.new(f"fcmp {'olt' if least else 'ogt'} {FLOAT[bits]} {x}, {y}")
    alike = w.new(f"{'or' if least else 'and'} {kind} {a}, {b}")
    a_nan, b_nan = is_nan(w, a, bits), is_nan(w, b, bits)
    found = w.select(first, kind, a, b)
    found = w.select(equal, kind, alike, w.select(b_nan, kind, a, found))
    lost = w.new(f"{'or' if keep_nan else 'and'} i1 {a_nan}, {b_nan}")
    form.finish(instruction.operands[0], w.select(lost, kind, str(NAN[bits]), found))


def emit_sign(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`abs` and `neg`: the sign is a bit."""
    form = Form(w, modifiers)
    bits, source = form.bits, form.source(instruction.operands[1])
    negates = instruction.opcode == "neg"
    mask = _SIGN[bits] if negates else _SIGN[bits] - 1
    w.result(instruction.operands[0], bits, w.new(f"{'xor' if negates else 'and'} i{bits} {source}, {mask}"))


def emit_copysign(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`copysign`."""
    bits = modifiers.type().bits
    sign, size = (w.number(one, bits) for one in instruction.operands[1:])
    marked = w.new(f"and i{bits} {sign}, {_SIGN[bits]}")
    found = w.new(f"or i{bits} {marked}, {w.new(f'and i{bits} {size}, {_SIGN[bits] - 1}')}")
    w.result(instruction.operands[0], bits, found)


_ROUNDERS = {"rni": "rint", "rzi": "trunc", "rmi": "floor", "rpi": "ceil"}


def round_integral(w: KernelWriter, value: str, bits: int, mode: str) -> str:
    """Bits of the integral number next to a float; NaN is not settled."""
    x = as_float(w, value, bits)
    return as_bits(w, w.new(f"call {FLOAT[bits]} @llvm.{_ROUNDERS[mode]}.f{bits}({FLOAT[bits]} {x})"), bits)
