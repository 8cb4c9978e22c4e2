"""The native column of approximations: through f64, by LLVM where it rounds correctly, else by NumPy's own loops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.faults import Refused
from jitload.cpu.native.floats import NAN, Form, as_bits, as_float, flushed, is_nan, settled
from jitload.cpu.native.loops import FUNCTIONS
from jitload.cpu.native.text import float_text

if TYPE_CHECKING:
    from jitload.cpu.code.instruction import Modifiers
    from jitload.cpu.native.writer import KernelWriter
    from jitload.cpu.text.ir import Instruction

_ONE = float_text(0x3FF << 52, 64)
_HUGE = float_text(0x7E800000, 32)  # 2^126
_INFINITE = float_text(0x7F800000, 32)


def emit_function(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`ex2`, `lg2`, `sin`, `cos`, `tanh` of f32."""
    modifiers.need("approx")
    form = Form(w, modifiers)
    if form.bits != 32:
        raise Refused("an approximation of f64 has no native form")
    wide = _widened(w, form.source(instruction.operands[1]))
    _finish(form, instruction, emit_call(w, instruction.opcode, wide))


def emit_call(w: KernelWriter, opcode: str, x: str) -> str:
    """What NumPy's function for an opcode gives, of a double."""
    return w.new(f"call double @numpy(ptr %c, i64 {[*FUNCTIONS].index(opcode)}, double {x})")


def _widened(w: KernelWriter, value: str) -> str:
    return w.new(f"fpext float {as_float(w, value, 32)} to double")


def _finish(form: Form, instruction: Instruction, x: str) -> None:
    w = form.w
    found = as_bits(w, w.new(f"fptrunc double {x} to float"), 32)
    form.finish(instruction.operands[0], settled(w, found, 32, []))


def emit_approximation(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`rcp`, `sqrt`, `rsqrt` and `div` with `.approx`."""
    modifiers.need("approx")
    form = Form(w, modifiers)
    opcode, operands = instruction.opcode, instruction.operands
    if form.bits == 64:
        _of_doubles(form, instruction)
    elif opcode == "div":
        form.finish(operands[0], _quotient(w, *(form.source(one) for one in operands[1:])))
    else:
        x = _widened(w, form.source(operands[1]))
        if opcode in {"sqrt", "rsqrt"}:
            x = w.new(f"call double @llvm.sqrt.f64(double {x})")
        if opcode in {"rcp", "rsqrt"}:
            x = w.new(f"fdiv double {_ONE}, {x}")
        _finish(form, instruction, x)


def _quotient(w: KernelWriter, a: str, b: str) -> str:
    """0 for divisors beyond 2^126, NaN if the dividend is infinite then."""
    x, y = as_float(w, a, 32), as_float(w, b, 32)
    quotient = as_bits(w, w.new(f"fdiv float {x}, {y}"), 32)
    size = w.new(f"and i32 {b}, {(1 << 31) - 1}")
    size = as_float(w, size, 32)
    huge = w.new(f"and i1 {w.new(f'fcmp ogt float {size}, {_HUGE}')}, {w.new(f'fcmp olt float {size}, {_INFINITE}')}")
    huge = w.new(f"and i1 {huge}, {w.new(f'fcmp ord float {x}, {x}')}")
    dividend = as_float(w, w.new(f"and i32 {a}, {(1 << 31) - 1}"), 32)
    endless = w.new(f"fcmp oeq float {dividend}, {_INFINITE}")
    capped = w.select(endless, "i32", str(NAN[32]), w.new(f"and i32 {quotient}, {1 << 31}"))
    return settled(w, w.select(huge, "i32", capped, quotient), 32, [])


def _of_doubles(form: Form, instruction: Instruction) -> None:
    """`rsqrt.approx.f64`, and those with `.ftz`, which have 20 bits behind the point."""
    w, target, opcode = form.w, instruction.operands[0], instruction.opcode
    flushes, form.flush = form.flush, False
    source = form.source(instruction.operands[1])
    value = flushed(w, source, 64) if flushes else source
    x = as_float(w, value, 64)
    if opcode == "rsqrt":
        x = w.new(f"call double @llvm.sqrt.f64(double {x})")
    found = as_bits(w, w.new(f"fdiv double {_ONE}, {x}"), 64)
    if not flushes:
        form.finish(target, settled(w, found, 64, [source]))
        return
    found = flushed(w, found, 64) if opcode == "rcp" else found
    odd = w.new(f"and i64 {w.new(f'lshr i64 {found}, 32')}, 1")
    more = w.new(f"add i64 {w.new(f'add i64 {found}, {0x7FFFFFFF}')}, {odd}")
    upper = w.new(f"and i64 {more}, {-(1 << 32)}")
    finite = w.new(f"icmp ne i64 {w.new(f'and i64 {found}, {0x7FF << 52}')}, {0x7FF << 52}")
    upper = w.select(finite, "i64", upper, found)
    form.finish(target, w.select(is_nan(w, found, 64), "i64", str(NAN[64]), upper))
