"""The native column of half precision: f16, bf16 and pairs of them, computed in f32 and rounded once.

A sum or a product in f32 has bits enough that rounding it once more is rounding it once; a fused one is computed in
f64 and rounded to odd first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.faults import Refused
from jitload.cpu.native.approximate import emit_call
from jitload.cpu.native.directed import narrowed, odd_float, odd_sum
from jitload.cpu.native.floats import FLOAT_TESTS, Form, as_bits, as_float, extreme, flushed, saturated
from jitload.cpu.native.machine import has_half_conversions
from jitload.cpu.native.text import float_text
from jitload.cpu.text.ir import Pair

if TYPE_CHECKING:
    from jitload.cpu.code.instruction import Modifiers
    from jitload.cpu.native.writer import KernelWriter
    from jitload.cpu.text.ir import Instruction, Operand

TYPES = frozenset(["f16", "bf16", "f16x2", "bf16x2"])
_NAN = 0x7FFF
_SUMS = {"add": "fadd", "sub": "fsub", "mul": "fmul"}
_ZERO = float_text(0, 32)
_SIGN = 0x8000


class Halves:
    """How one instruction takes halves and gives them, one or a pair.

    Attributes:
        element: "f16" or "bf16".
        count: 1, or 2 of a pair.
        bits: of all.
        flush: whether subnormal ones become zero.
    """

    def __init__(self, w: KernelWriter, name: str, *, flush: bool = False) -> None:
        self._w = w
        self.element = name.removesuffix("x2")
        self.count = 2 if name.endswith("x2") else 1
        self.bits = 16 * self.count
        self.flush = flush
        if self.element == "f16" and not has_half_conversions():
            raise Refused("this processor converts no halves")

    def parts(self, operand: Operand) -> list[str]:
        """The halves of an operand, as bits, the lower one first."""
        word = self._w.value(operand, self.bits)
        found = [word] if self.count == 1 else parted(self._w, word)
        return [flushed(self._w, one, 16) for one in found] if self.flush else found

    def floats(self, operand: Operand) -> list[str]:
        """The same, as floats of LLVM."""
        return [widened(self._w, self.element, one) for one in self.parts(operand)]

    def floats_of(self, word: str) -> list[str]:
        """Those of a word."""
        return [widened(self._w, self.element, one) for one in ([word] if self.count == 1 else parted(self._w, word))]

    def finish(self, target: Operand, values: list[str]) -> None:
        """Round floats, which may be rounded to odd, flush as asked, and write."""
        w = self._w
        found = [rounded(w, self.element, one) for one in values]
        w.result(target, self.bits, joined(w, [flushed(w, one, 16) for one in found] if self.flush else found))


def parted(w: KernelWriter, word: str) -> list[str]:
    """The halves of a word, the lower one first."""
    return [w.new(f"trunc i32 {one} to i16") for one in (word, w.new(f"lshr i32 {word}, 16"))]


def joined(w: KernelWriter, halves: list[str]) -> str:
    """The word of two halves, or the one that there is."""
    if len(halves) == 1:
        return halves[0]
    low, high = (w.new(f"zext i16 {one} to i32") for one in halves)
    return w.new(f"or i32 {w.new(f'shl i32 {high}, 16')}, {low}")


def widened(w: KernelWriter, element: str, half: str) -> str:
    """A half as a float of LLVM."""
    if element == "f16":
        return w.new(f"fpext half {w.new(f'bitcast i16 {half} to half')} to float")
    wide = w.new(f"zext i16 {half} to i32")
    return w.new(f"bitcast i32 {w.new(f'shl i32 {wide}, 16')} to float")


def rounded(w: KernelWriter, element: str, x: str, mode: str = "rn") -> str:
    """The half of a float that is exact or rounded to odd; NaN is the canonical one."""
    if element == "bf16":
        found = _cut(w, x, mode)
    elif mode == "rn":
        found = w.new(f"bitcast half {w.new(f'fptrunc float {x} to half')} to i16")
    else:
        found = narrowed(w, x, mode, 32, 16)
    return w.select(w.new(f"fcmp uno float {x}, {x}"), "i16", str(_NAN), found)


def _cut(w: KernelWriter, x: str, mode: str) -> str:
    """The upper half of a float, or the next one."""
    bits = as_bits(w, x, 32)
    if mode == "rn":
        odd = w.new(f"and i32 {w.new(f'lshr i32 {bits}, 16')}, 1")
        bits = w.new(f"add i32 {w.new(f'add i32 {bits}, 32767')}, {odd}")
    elif mode != "rz":
        away = w.new(f"icmp {'slt' if mode == 'rm' else 'sge'} i32 {bits}, 0")
        bits = w.select(away, "i32", w.new(f"add i32 {bits}, 65535"), bits)
    return w.new(f"trunc i32 {w.new(f'lshr i32 {bits}, 16')} to i16")


def positive(w: KernelWriter, x: str) -> str:
    """`.relu` of a float: what is negative becomes +0, NaN stays."""
    return w.select(w.new(f"fcmp ugt float {x}, {_ZERO}"), "float", x, _ZERO)


def emit_arithmetic(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`add`, `sub`, `mul` and `fma`, of each half of a pair."""
    name = modifiers.type().name
    modifiers.flag("rn")
    form = Halves(w, name, flush=modifiers.flag("ftz"))
    saturate, relu = modifiers.flag("sat"), modifiers.flag("relu")
    target, *operands = instruction.operands
    found = []
    for sources in zip(*(form.floats(one) for one in operands), strict=True):
        x = _computed(w, instruction.opcode, [*sources])
        x = as_float(w, saturated(w, as_bits(w, x, 32), 32), 32) if saturate else x
        found.append(positive(w, x) if relu else x)
    form.finish(target, found)


def _computed(w: KernelWriter, opcode: str, sources: list[str]) -> str:
    if opcode in _SUMS:
        return w.new(f"{_SUMS[opcode]} float {sources[0]}, {sources[1]}")
    a, b, c = (w.new(f"fpext float {one} to double") for one in sources)
    return odd_float(w, odd_sum(w, w.new(f"fmul double {a}, {b}"), c))


def emit_mixed(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`add`, `sub` and `fma` of halves and an f32: they are widened, which is exact, and the result is rounded once."""
    half = Halves(w, modifiers.type().name)
    mode = modifiers.choice("rn", "rz", "rm", "rp")
    form = Form(w, modifiers)
    target, *operands, last = instruction.operands
    sources = [as_bits(w, half.floats(one)[0], 32) for one in operands]
    form.arithmetic(instruction.opcode, target, [*sources, form.source(last)], mode)


def emit_extreme(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`min` and `max`, of each half of a pair."""
    form = Halves(w, modifiers.type().name, flush=modifiers.flag("ftz"))
    keep_nan, by_xor = modifiers.flag("NaN"), modifiers.flag("xorsign", "abs")
    target, *operands = instruction.operands
    found = []
    for pair in zip(*(form.floats(one) for one in operands), strict=True):
        a, b = (as_bits(w, one, 32) for one in pair)
        bits = extreme(w, instruction.opcode, (a, b), 32, keep_nan=keep_nan, by_xor=by_xor)
        found.append(as_float(w, bits, 32))
    form.finish(target, found)


def combined(w: KernelWriter, opcode: str, name: str, words: tuple[str, str]) -> str:
    """What an atomic `add`, `min` or `max` makes of what was there and what comes."""
    form = Halves(w, name)
    found = []
    for x, y in zip(*(form.floats_of(one) for one in words), strict=True):
        if opcode == "add":
            found.append(w.new(f"fadd float {x}, {y}"))
        else:
            pair = as_bits(w, x, 32), as_bits(w, y, 32)
            found.append(as_float(w, extreme(w, opcode, pair, 32, keep_nan=False), 32))
    return joined(w, [rounded(w, form.element, one) for one in found])


def emit_sign(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`abs` and `neg`: the sign is a bit."""
    form = Halves(w, modifiers.type().name, flush=modifiers.flag("ftz"))
    text = f"xor i16 {{}}, {_SIGN}" if instruction.opcode == "neg" else f"and i16 {{}}, {_SIGN - 1}"
    found = [w.new(text.format(one)) for one in form.parts(instruction.operands[1])]
    w.result(instruction.operands[0], form.bits, joined(w, found))


def emit_function(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`ex2` and `tanh`: f16 is rounded from f64, bf16 from f32, which `.ftz` is about there."""
    modifiers.need("approx")
    form = Halves(w, modifiers.type().name)
    flush = modifiers.flag("ftz")
    found = []
    for x in form.floats(instruction.operands[1]):
        source = as_float(w, flushed(w, as_bits(w, x, 32), 32), 32) if flush else x
        wide = emit_call(w, instruction.opcode, w.new(f"fpext float {source} to double"))
        if form.element == "f16":
            found.append(odd_float(w, wide))
            continue
        bits = as_bits(w, w.new(f"fptrunc double {wide} to float"), 32)
        found.append(as_float(w, flushed(w, bits, 32) if flush else bits, 32))
    form.finish(instruction.operands[0], found)


def compared(w: KernelWriter, modifiers: Modifiers, name: str, operands: tuple[Operand, Operand]) -> list[str]:
    """The outcome of a comparison, of each half."""
    test = modifiers.need(*FLOAT_TESTS)
    form = Halves(w, name, flush=modifiers.flag("ftz"))
    pairs = zip(*(form.floats(one) for one in operands), strict=True)
    return [w.new(f"fcmp {FLOAT_TESTS[test]} float {x}, {y}") for x, y in pairs]


def emit_setp(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`setp`: a pair has an outcome for each half."""
    target, a, b, *rest = instruction.operands
    name = modifiers.type().name
    fold = modifiers.choice("and", "or", "xor")
    found = compared(w, modifiers, name, (a, b))
    known = w.value(rest[0], 1) if fold else ""
    targets = (target.first, target.second) if isinstance(target, Pair) else (target,)
    if len(targets) > len(found):
        found.append(w.new(f"xor i1 {found[0]}, true"))
    for one, value in zip(targets, found, strict=True):
        w.result(one, 1, w.new(f"{fold} i1 {value}, {known}") if fold else value)


#: Type of what `set` gives -> what stands for true, where it is not -1; of a pair, for each half.
TRUE = {"f16": 0x3C00, "bf16": 0x3F80, "f16x2": 0x3C00, "bf16x2": 0x3F80, "f32": 0x3F800000}


def emit_set(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`set` of halves, to any type."""
    target, a, b, *rest = instruction.operands
    source, type_ = modifiers.type(), modifiers.type()
    fold = modifiers.choice("and", "or", "xor")
    found = compared(w, modifiers, source.name, (a, b))
    if fold:
        known = w.value(rest[0], 1)
        found = [w.new(f"{fold} i1 {one}, {known}") for one in found]
    bits = 16 if len(found) > 1 else type_.bits
    one = str(TRUE.get(type_.name, -1))
    w.result(target, bits * len(found), joined(w, [w.select(each, f"i{bits}", one, "0") for each in found]))
