"""Directed rounding of f32: computed in f64, exactly or rounded to odd, and brought to the right side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.native.text import float_text

if TYPE_CHECKING:
    from jitload.cpu.native.writer import KernelWriter

_KINDS = {16: "half", 32: "float", 64: "double"}
_EXPONENT = 0x7FF0000000000000
_ZERO, _MINUS_ZERO, _MINUS_ONE = (float_text(one, 64) for one in (0, 1 << 63, 0xBFF << 52))


def rounded(w: KernelWriter, opcode: str, sources: list[str], mode: str) -> str:
    """Bits of what an instruction gives in a mode, "rz", "rm" or "rp"; NaN is not settled.

    Args:
        w: the writer.
        opcode: "add", "sub", "mul", "div", "sqrt"; else the fused one.
        sources: floats of LLVM.
        mode: the rounding.
    """
    wide = [w.new(f"fpext float {one} to double") for one in sources]
    if opcode == "mul":
        return narrowed(w, _times(w, wide[0], wide[1]), mode)
    if opcode == "div":
        return narrowed(w, _quotient(w, wide[0], wide[1]), mode)
    if opcode == "sqrt":
        return narrowed(w, _root(w, wide[0]), mode)
    if opcode in {"add", "sub"}:
        left, right = wide
        right = _negated(w, right) if opcode == "sub" else right
    else:
        left, right = _times(w, wide[0], wide[1]), wide[2]
    total = odd_sum(w, left, right)
    if mode == "rm":  # a sum that cancels is -0
        differ = w.new(f"icmp slt i64 {w.new(f'xor i64 {_bits(w, left)}, {_bits(w, right)}')}, 0")
        zero = w.new(f"fcmp oeq double {total}, {_ZERO}")
        total = w.select(w.new(f"and i1 {differ}, {zero}"), "double", _MINUS_ZERO, total)
    return narrowed(w, total, mode)


def _negated(w: KernelWriter, x: str) -> str:
    return w.new(f"fmul double {x}, {_MINUS_ONE}")


def _bits(w: KernelWriter, x: str) -> str:
    return w.new(f"bitcast double {x} to i64")


def _times(w: KernelWriter, a: str, b: str) -> str:
    return w.new(f"fmul double {a}, {b}")


def odd_sum(w: KernelWriter, a: str, b: str) -> str:
    """The sum of two doubles, rounded to odd."""
    return _odd(w, *two_sum(w, a, b))


def _quotient(w: KernelWriter, a: str, b: str) -> str:
    quotient = w.new(f"fdiv double {a}, {b}")
    rest = _rest(w, quotient, b, a)
    negative = w.new(f"fcmp olt double {b}, {_ZERO}")
    return _odd(w, quotient, w.select(negative, "double", _negated(w, rest), rest))


def _root(w: KernelWriter, a: str) -> str:
    root = w.new(f"call double @llvm.sqrt.f64(double {a})")
    return _odd(w, root, _rest(w, root, root, a))


def _rest(w: KernelWriter, x: str, y: str, whole: str) -> str:
    """What a product leaves of a whole, exactly."""
    return w.new(f"call double @llvm.fma.f64(double {_negated(w, x)}, double {y}, double {whole})")


def _odd(w: KernelWriter, total: str, lost: str) -> str:
    """A rounded value and what rounding lost, rounded to odd instead."""
    bits = _bits(w, total)
    finite = [_is_finite(w, bits), _is_finite(w, _bits(w, lost))]
    inexact = w.new(f"fcmp une double {lost}, {_ZERO}")
    for one in finite:
        inexact = w.new(f"and i1 {inexact}, {one}")
    signs = [w.new(f"fcmp ogt double {one}, {_ZERO}") for one in (lost, total)]
    toward = w.new(f"xor i1 {signs[0]}, {signs[1]}")
    cut = w.select(toward, "i64", w.new(f"sub i64 {bits}, 1"), bits)
    even = w.new(f"icmp eq i64 {w.new(f'and i64 {bits}, 1')}, 0")
    found = w.select(w.new(f"and i1 {inexact}, {even}"), "i64", w.new(f"or i64 {cut}, 1"), bits)
    return w.new(f"bitcast i64 {found} to double")


def _is_finite(w: KernelWriter, bits: str) -> str:
    return w.new(f"icmp ne i64 {w.new(f'and i64 {bits}, {_EXPONENT}')}, {_EXPONENT}")


def narrowed(w: KernelWriter, x: str, mode: str, wide: int = 64, bits: int = 32) -> str:
    """Bits of the narrower float on the right side of one that is exact or rounded to odd."""
    from_, to, kind = _KINDS[wide], _KINDS[bits], f"i{bits}"
    nearest = w.new(f"fptrunc {from_} {x} to {to}")
    back = w.new(f"fpext {to} {nearest} to {from_}")
    below, above = (w.new(f"fcmp {test} {from_} {x}, {back}") for test in ("olt", "ogt"))
    return toward(w, w.new(f"bitcast {to} {nearest} to {kind}"), (below, above), mode, bits)


def toward(w: KernelWriter, value: str, sides: tuple[str, str], mode: str, bits: int = 64) -> str:
    """Bits of a float that was rounded to nearest, brought to the side that a mode asks for.

    Args:
        w: the writer.
        value: its bits; an infinity may be a finite value that was too large.
        sides: whether the exact value is below it, and whether it is above.
        mode: "rz", "rm" or "rp".
        bits: of the float.
    """
    kind, sign = f"i{bits}", 1 << (bits - 1)
    negative = w.new(f"icmp slt {kind} {value}, 0")
    zero = w.new(f"icmp eq {kind} {w.new(f'and {kind} {value}, {sign - 1}')}, 0")
    larger, smaller = w.new(f"add {kind} {value}, 1"), w.new(f"sub {kind} {value}, 1")
    down = w.select(zero, kind, str(sign | 1), w.select(negative, kind, larger, smaller))
    up = w.select(zero, kind, "1", w.select(negative, kind, smaller, larger))
    lower, upper = w.select(sides[0], kind, down, value), w.select(sides[1], kind, up, value)
    if mode == "rz":
        return w.select(negative, kind, upper, lower)
    return lower if mode == "rm" else upper


def two_sum(w: KernelWriter, a: str, b: str) -> tuple[str, str]:
    """The sum of two doubles, and what rounding lost, exactly."""
    total = w.new(f"fadd double {a}, {b}")
    part = w.new(f"fsub double {total}, {a}")
    first = w.new(f"fsub double {a}, {w.new(f'fsub double {total}, {part}')}")
    return total, w.new(f"fadd double {first}, {w.new(f'fsub double {b}, {part}')}")


def odd_float(w: KernelWriter, x: str) -> str:
    """A double that is exact or rounded to odd, as a float rounded to odd."""
    cut = narrowed(w, x, "rz")
    back = w.new(f"fpext float {w.new(f'bitcast i32 {cut} to float')} to double")
    inexact = w.new(f"fcmp one double {back}, {x}")
    last = w.new(f"zext i1 {inexact} to i32")
    return w.new(f"bitcast i32 {w.new(f'or i32 {cut}, {last}')} to float")
