"""The native column of comparisons, selections, moves and shifts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.faults import Refused
from jitload.cpu.memory.arena import LOCAL_WINDOW, PARAM_WINDOW, SHARED_WINDOW
from jitload.cpu.native.floats import (
    FLOAT,
    FLOAT_TESTS,
    as_float,
    flushed,
)
from jitload.cpu.native.halves import TRUE
from jitload.cpu.text.ir import Immediate, Pair, Special, Vector

if TYPE_CHECKING:
    from jitload.cpu.code.instruction import Modifiers
    from jitload.cpu.native.writer import KernelWriter
    from jitload.cpu.text.ir import Instruction, Operand
    from jitload.cpu.types import Type

_UNSIGNED = {"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}
_INTEGER_TESTS = ("eq", "ne", "lt", "le", "gt", "ge", *_UNSIGNED)
_WINDOWS = {"shared": SHARED_WINDOW, "local": LOCAL_WINDOW, "param": PARAM_WINDOW}


def _comparison(w: KernelWriter, modifiers: Modifiers, type_: Type, a: Operand, b: Operand) -> str:
    test = modifiers.need(*_INTEGER_TESTS, *FLOAT_TESTS)
    if type_.is_integer:
        if type_.bits > 64 or test not in _INTEGER_TESTS:
            raise Refused(f"comparison of .{type_.name} has no native form")
        sign = "" if test in {"eq", "ne"} else "s" if type_.kind == "s" else "u"
        left, right = w.value(a, type_.bits), w.value(b, type_.bits)
        return w.new(f"icmp {sign}{_UNSIGNED.get(test, test)} i{type_.bits} {left}, {right}")
    if type_.name not in {"f32", "f64"}:
        raise Refused(f"comparison of .{type_.name} has no native form")
    flush = modifiers.flag("ftz")
    bits = type_.bits
    left, right = (w.number(one, bits) for one in (a, b))
    if flush:
        left, right = flushed(w, left, bits), flushed(w, right, bits)
    x, y = as_float(w, left, bits), as_float(w, right, bits)
    return w.new(f"fcmp {FLOAT_TESTS[test]} {FLOAT[bits]} {x}, {y}")


def emit_setp(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`setp`."""
    target, a, b, *rest = instruction.operands
    type_ = modifiers.type()
    fold = modifiers.choice("and", "or", "xor")
    found = _comparison(w, modifiers, type_, a, b)
    known = w.value(rest[0], 1) if fold else ""
    targets = (target.first, target.second) if isinstance(target, Pair) else (target,)
    values = [found] if len(targets) == 1 else [found, w.new(f"xor i1 {found}, true")]
    for one, value in zip(targets, values, strict=True):
        w.result(one, 1, w.new(f"{fold} i1 {value}, {known}") if fold else value)


def emit_set(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`set`."""
    target, a, b, *rest = instruction.operands
    source, type_ = modifiers.type(), modifiers.type()
    fold = modifiers.choice("and", "or", "xor")
    found = _comparison(w, modifiers, source, a, b)
    if fold:
        found = w.new(f"{fold} i1 {found}, {w.value(rest[0], 1)}")
    w.result(target, type_.bits, w.select(found, f"i{type_.bits}", str(TRUE.get(type_.name, -1)), "0"))


def emit_selp(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`selp`."""
    target, a, b, p = instruction.operands
    type_ = modifiers.type()
    read = w.number if type_.kind == "f" else w.value
    chosen = w.value(p, 1)
    w.result(target, type_.bits, w.select(chosen, f"i{type_.bits}", read(a, type_.bits), read(b, type_.bits)))


def emit_slct(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`slct` by the sign of a number."""
    target, a, b, c = instruction.operands
    by, type_ = modifiers.type(), modifiers.type()
    read = w.number if type_.kind == "f" else w.value
    if by.name == "s32":
        chosen = w.new(f"icmp sge i32 {w.value(c, 32)}, 0")
    else:
        value = w.number(c, 32)
        value = flushed(w, value, 32) if modifiers.flag("ftz") else value
        chosen = w.new(f"fcmp oge float {as_float(w, value, 32)}, 0.0")
    w.result(target, type_.bits, w.select(chosen, f"i{type_.bits}", read(a, type_.bits), read(b, type_.bits)))


def emit_mov(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`mov`, also between a register and the parts of one."""
    target, source = instruction.operands
    count = modifiers.choice("v2", "v4")
    type_ = modifiers.type()
    bits = type_.bits
    if count:
        read = w.number if type_.kind == "f" else w.value
        values = [read(one, bits) for one in _elements(source, int(count[1]))]
        for one, value in zip(_elements(target, int(count[1])), values, strict=True):
            w.result(one, bits, value)
        return
    if bits > 64:
        raise Refused("moves of 128 bits have no native form")
    if isinstance(target, Vector):
        _unpack(w, target, w.value(source, bits), bits)
    elif isinstance(source, Vector):
        w.result(target, bits, _pack(w, source, bits))
    else:
        w.result(target, bits, (w.number if type_.kind == "f" else w.value)(source, bits))


def _elements(operand: Operand, count: int) -> tuple[Operand, ...]:
    if isinstance(operand, Special) and "." not in operand.name:
        return tuple(Special(f"{operand.name}.{axis}") for axis in "xyzw"[:count])
    if not isinstance(operand, Vector) or len(operand.items) != count:
        raise Refused(f"a vector of {count} elements is expected")
    return operand.items


def _unpack(w: KernelWriter, target: Vector, value: str, bits: int) -> None:
    part = bits // len(target.items)
    for number, item in enumerate(target.items):
        shifted = w.new(f"lshr i{bits} {value}, {number * part}")
        w.result(item, part, w.new(f"trunc i{bits} {shifted} to i{part}"))


def _pack(w: KernelWriter, source: Vector, bits: int) -> str:
    part, total = bits // len(source.items), "0"
    for number, item in enumerate(source.items):
        wide = w.new(f"zext i{part} {w.value(item, part)} to i{bits}")
        total = w.new(f"or i{bits} {total}, {w.new(f'shl i{bits} {wide}, {number * part}')}")
    return total


def emit_cvta(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`cvta`: the distance of a window."""
    target, source = instruction.operands
    modifiers.type()
    back = modifiers.flag("to")
    space = modifiers.need("global", "const", "shared", "shared::cta", "local", "param", "param::entry")
    value = w.value(source, 64)
    window = _WINDOWS.get(space.partition("::")[0])
    w.result(target, 64, value if window is None else w.new(f"{'sub' if back else 'add'} i64 {value}, {window}"))


def emit_shift(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`shl` and `shr`: amounts past the width give 0, or copies of the sign."""
    target, a, b = instruction.operands
    type_ = modifiers.type()
    bits, left = type_.bits, instruction.opcode == "shl"
    signed = type_.kind == "s" and not left
    value, name = w.value(a, bits), "shl" if left else "ashr" if signed else "lshr"
    if isinstance(b, Immediate) and isinstance(b.value, int) and 0 <= b.value < bits:
        w.result(target, bits, w.new(f"{name} i{bits} {value}, {b.value}"), signed=signed)
        return
    amount = w.value(b, 32)
    least = w.new(f"call i32 @llvm.umin.i32(i32 {amount}, i32 {bits - 1})")
    if bits != 32:
        least = w.new(f"{'zext' if bits > 32 else 'trunc'} i32 {least} to i{bits}")
    found = w.new(f"{name} i{bits} {value}, {least}")
    if not signed:
        found = w.select(w.new(f"icmp ult i32 {amount}, {bits}"), f"i{bits}", found, "0")
    w.result(target, bits, found, signed=signed)


def emit_lop3(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`lop3` by its truth table, and what of it is not 0."""
    modifiers.type()
    fold = modifiers.choice("and", "or")
    target, *sources, table = instruction.operands[:5]
    assert isinstance(table, Immediate)
    a, b, c = (w.value(one, 32) for one in sources)
    off = [w.new(f"xor i32 {one}, -1") for one in (a, b, c)]
    total = "0"
    for row in range(8):
        if int(table.value) >> row & 1:
            picked = [one if row & mask else other for one, other, mask in zip((a, b, c), off, (4, 2, 1), strict=True)]
            both = w.new(f"and i32 {picked[0]}, {picked[1]}")
            total = w.new(f"or i32 {total}, {w.new(f'and i32 {both}, {picked[2]}')}")
    if not fold:
        w.result(target, 32, total)
        return
    assert isinstance(target, Pair)
    known = w.value(instruction.operands[5], 1)
    w.result(target.first, 32, total)
    w.result(target.second, 1, w.new(f"{fold} i1 {w.new(f'icmp ne i32 {total}, 0')}, {known}"))


def emit_absolute(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`abs` of integers; the smallest stays."""
    bits = modifiers.type().bits
    value = w.value(instruction.operands[1], bits)
    found = w.new(f"call i{bits} @llvm.abs.i{bits}(i{bits} {value}, i1 false)")
    w.result(instruction.operands[0], bits, found, signed=True)
