"""The native column of floating-point arithmetic: f32 and f64, rounded to nearest, with the NaN of lanes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.faults import Refused
from jitload.cpu.native.directed import rounded
from jitload.cpu.native.rounding import emit_rounded
from jitload.cpu.native.text import float_text

if TYPE_CHECKING:
    from jitload.cpu.code.instruction import Modifiers
    from jitload.cpu.native.writer import KernelWriter
    from jitload.cpu.text.ir import Instruction, Operand

FLOAT = {32: "float", 64: "double"}
NAN = {32: 0x7FFFFFFF, 64: 0xFFF8000000000000}
_SIGN = {16: 1 << 15, 32: 1 << 31, 64: 1 << 63}
_EXPONENT = {16: 0x7C00, 32: 0x7F800000, 64: 0x7FF0000000000000}
_ONE = {32: 0x3F800000, 64: 0x3FF0000000000000}
_QUIET = 1 << 51
#: Comparison -> that of LLVM.
FLOAT_TESTS = {
    "eq": "oeq", "ne": "one", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "equ": "ueq", "neu": "une",
    "ltu": "ult", "leu": "ule", "gtu": "ugt", "geu": "uge", "num": "ord", "nan": "uno",
}  # fmt: skip


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


_SUMS = {"add": "fadd {kind} {0}, {1}", "sub": "fsub {kind} {0}, {1}", "mul": "fmul {kind} {0}, {1}"}
_FUSED = "call {kind} @llvm.fma.f{bits}({kind} {0}, {kind} {1}, {kind} {2})"


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
        self._raw: dict[str, str] = {}  # bits of sources -> the float whose NaN is not settled yet

    def source(self, operand: Operand) -> str:
        """Bits of a source."""
        value = self.w.number(operand, self.bits)
        if self.flush:
            return flushed(self.w, value, self.bits)
        raw = self.w.raw(operand)
        if raw is not None and self.bits == 32:
            self._raw[value] = raw
        return value

    def compute(self, text: str, target: Operand, sources: list[str]) -> None:
        """Write what LLVM's instruction gives; `{0}` are the sources as floats, `{kind}` is their type."""
        w, bits = self.w, self.bits
        # A NaN of f32 gives the one that the ISA asks for whichever it was: of a chain the last one settles it.
        floats = [self._raw.get(one) or as_float(w, one, bits) for one in sources]
        x = w.new(text.format(*floats, kind=FLOAT[bits], bits=bits))
        self.finish(target, settled(w, as_bits(w, x, bits), bits, sources))
        if bits == 32 and not (self.flush or self.saturate):
            w.keep_raw(target, x)

    def arithmetic(self, opcode: str, target: Operand, sources: list[str], mode: str) -> None:
        """Write a sum, product or fused one of bits, rounded as asked."""
        if mode in {"rn", ""}:
            self.compute(_SUMS.get(opcode, _FUSED), target, sources)
        else:
            self.directed(opcode, target, sources, mode)

    def directed(self, opcode: str, target: Operand, sources: list[str], mode: str) -> None:
        """Write what is rounded in another mode than to nearest."""
        w, bits = self.w, self.bits
        floats = [as_float(w, one, bits) for one in sources]
        if bits == 64:
            found = as_bits(w, emit_rounded(w, opcode, floats, mode), 64)
        else:
            found = rounded(w, opcode, floats, mode)
        self.finish(target, settled(w, found, bits, sources))

    def finish(self, target: Operand, value: str) -> None:
        """Saturate and flush as asked, and write."""
        if self.saturate:
            value = saturated(self.w, value, self.bits)
        if self.flush:
            value = flushed(self.w, value, self.bits)
        self.w.result(target, self.bits, value)


def emit_arithmetic(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`add`, `sub`, `mul`, `fma` and the `mad` that is one."""
    mode = modifiers.choice("rn", "rz", "rm", "rp")
    form = Form(w, modifiers)
    target, *rest = instruction.operands
    form.arithmetic(instruction.opcode, target, [form.source(one) for one in rest], mode)


def emit_quotient(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`div`, `rcp` and `sqrt` that are rounded correctly, `.full` among them."""
    modifiers.flag("full")
    mode = modifiers.choice("rn", "rz", "rm", "rp")
    form = Form(w, modifiers)
    target, *rest = instruction.operands
    sources = [form.source(one) for one in rest]
    if mode not in {"rn", ""}:
        before = [str(_ONE[form.bits])] if instruction.opcode == "rcp" else []
        form.directed("div" if before else instruction.opcode, target, [*before, *sources], mode)
    elif instruction.opcode == "sqrt":
        form.compute("call {kind} @llvm.sqrt.f{bits}({kind} {0})", target, sources)
    elif instruction.opcode == "div":
        form.compute("fdiv {kind} {0}, {1}", target, sources)
    else:
        one = float_text(_ONE[form.bits], form.bits)
        form.compute(f"fdiv {{kind}} {one}, {{0}}", target, sources)


def emit_extreme(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`min` and `max` of two or three."""
    form = Form(w, modifiers)
    keep_nan, by_xor, magnitudes = (modifiers.flag(one) for one in ("NaN", "xorsign", "abs"))
    target, *operands = instruction.operands
    values = [form.source(one) for one in operands]
    if magnitudes and not by_xor:
        values = [w.new(f"and i{form.bits} {one}, {_SIGN[form.bits] - 1}") for one in values]
    found = values[0]
    for one in values[1:]:
        found = extreme(w, instruction.opcode, (found, one), form.bits, keep_nan=keep_nan, by_xor=by_xor)
    form.finish(target, found)


def extreme(
    w: KernelWriter, opcode: str, values: tuple[str, str], bits: int, *, keep_nan: bool, by_xor: bool = False
) -> str:
    """Bits of the least or the greatest of two: a number wins over NaN, unless those are kept, and -0 is below +0.

    With `by_xor` it is that of their sizes, and its sign the exclusive or of theirs.
    """
    a, b = values
    kind, least, sign = f"i{bits}", opcode == "min", ""
    if by_xor:
        sign = w.new(f"and {kind} {w.new(f'xor {kind} {a}, {b}')}, {_SIGN[bits]}")
        a, b = (w.new(f"and {kind} {one}, {_SIGN[bits] - 1}") for one in values)
    x, y = as_float(w, a, bits), as_float(w, b, bits)
    equal = w.new(f"fcmp oeq {FLOAT[bits]} {x}, {y}")
    first = w.new(f"fcmp {'olt' if least else 'ogt'} {FLOAT[bits]} {x}, {y}")
    alike = w.new(f"{'or' if least else 'and'} {kind} {a}, {b}")
    a_nan, b_nan = is_nan(w, a, bits), is_nan(w, b, bits)
    found = w.select(first, kind, a, b)
    found = w.select(equal, kind, alike, w.select(b_nan, kind, a, found))
    found = w.new(f"or {kind} {found}, {sign}") if by_xor else found
    lost = w.new(f"{'or' if keep_nan else 'and'} i1 {a_nan}, {b_nan}")
    return w.select(lost, kind, str(NAN[bits]), found)


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


def emit_test(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`testp`: by the bits without the sign."""
    bits = modifiers.type().bits
    which = modifiers.need("finite", "infinite", "number", "notanumber", "normal", "subnormal")
    kind, infinity = f"i{bits}", _EXPONENT[bits]
    size = w.new(f"and {kind} {w.number(instruction.operands[1], bits)}, {_SIGN[bits] - 1}")
    if which in _SIZES:
        w.result(instruction.operands[0], 1, w.new(f"icmp {_SIZES[which]} {kind} {size}, {infinity}"))
        return
    least = infinity & -infinity
    below = w.new(f"icmp ult {kind} {w.new(f'sub {kind} {size}, 1')}, {least - 1}")
    if which == "normal":  # zeros are: section 9.7.3.1
        finite = w.new(f"icmp ult {kind} {size}, {infinity}")
        below = w.new(f"and i1 {finite}, {w.new(f'xor i1 {below}, true')}")
    w.result(instruction.operands[0], 1, below)


_SIZES = {"finite": "ult", "infinite": "eq", "number": "ule", "notanumber": "ugt"}
