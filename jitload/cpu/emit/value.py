"""Code for comparisons, selections, moves and address arithmetic (PTX ISA sections 9.7.6 and 9.7.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import Modifiers, emits, operands
from jitload.cpu.emit.form import Form
from jitload.cpu.faults import Refused
from jitload.cpu.memory.arena import LOCAL_WINDOW, PARAM_WINDOW, SHARED_WINDOW
from jitload.cpu.text.ir import Pair, Register, Special, Vector
from jitload.cpu.types import unsigned_rep

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.text.ir import Instruction, Operand
    from jitload.cpu.types import Type

_INTEGER_TESTS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_UNSIGNED_TESTS = {"lo": "<", "ls": "<=", "hi": ">", "hs": ">="}
_FLOAT_TESTS = {
    "eq": "({a} == {b})", "lt": "({a} < {b})", "le": "({a} <= {b})", "gt": "({a} > {b})", "ge": "({a} >= {b})",
    "ne": "(({a} < {b}) | ({a} > {b}))", "equ": "~(({a} < {b}) | ({a} > {b}))", "neu": "({a} != {b})",
    "ltu": "~({a} >= {b})", "leu": "~({a} > {b})", "gtu": "~({a} <= {b})", "geu": "~({a} < {b})",
    "num": "(({a} == {a}) & ({b} == {b}))", "nan": "(({a} != {a}) | ({b} != {b}))",
}  # fmt: skip
_ALL_TESTS = (*_INTEGER_TESTS, *_UNSIGNED_TESTS, *_FLOAT_TESTS)
_JOINS = {"and": "&", "or": "|", "xor": "^"}
_WINDOWS = {"shared": SHARED_WINDOW, "local": LOCAL_WINDOW, "param": PARAM_WINDOW}


def _comparison(writer: BlockWriter, modifiers: Modifiers, type_: Type, test: str, a: Operand, b: Operand) -> str:
    """A name that holds the outcome; of two columns for packed halves."""
    if type_.is_integer or type_.kind == "p":
        sign = _INTEGER_TESTS.get(test) or (_UNSIGNED_TESTS.get(test) if type_.kind == "u" else None)
        if sign is None or (type_.kind == "b" and test not in {"eq", "ne"}) or type_.bits < 16:
            raise Refused(f"comparison .{test} does not exist for .{type_.name}")
        rep = type_.rep
        return writer.temporary(f"{writer.affine_source(a, rep)} {sign} {writer.affine_source(b, rep)}")
    if test not in _FLOAT_TESTS:
        raise Refused(f"comparison .{test} does not exist for .{type_.name}")
    form = Form(writer, type_, modifiers)
    left, right = writer.temporary(form.source(a)), writer.temporary(form.source(b))
    return writer.temporary(_FLOAT_TESTS[test].format(a=left, b=right))


@emits("setp")
def _emit_setp(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    found = operands(instruction, 3, 4)
    d, a, b = found[:3]
    type_ = modifiers.type()
    test = modifiers.need(*_ALL_TESTS)
    fold = modifiers.choice(*_JOINS)
    if bool(fold) != (len(found) == 4):
        raise Refused("setp with a third source needs .and, .or or .xor")
    outcome = _comparison(writer, modifiers, type_, test, a, b)
    known = writer.source(found[3], "p") if fold else ""
    if type_.kind == "x2":
        if not isinstance(d, Pair):
            raise Refused("setp of packed halves needs two results")
        values = (f"{outcome}[..., 0]", f"{outcome}[..., 1]")
        targets: tuple[Operand, ...] = (d.first, d.second)
    else:
        targets = (d.first, d.second) if isinstance(d, Pair) else (d,)
        values = (outcome, f"~{outcome}")
    for target, value in zip(targets, values, strict=False):
        writer.result(target, "p", f"{value} {_JOINS[fold]} {known}" if fold else value, shared=True)


@emits("set")
def _emit_set(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    found = operands(instruction, 3, 4)
    d, a, b = found[:3]
    source_type, type_ = modifiers.type(), modifiers.type()
    test = modifiers.need(*_ALL_TESTS)
    fold = modifiers.choice(*_JOINS)
    if bool(fold) != (len(found) == 4):
        raise Refused("set with a third source needs .and, .or or .xor")
    outcome = _comparison(writer, modifiers, source_type, test, a, b)
    if fold:
        known = writer.source(found[3], "p")
        known = f"column({known})" if source_type.kind == "x2" else known
        outcome = writer.temporary(f"{outcome} {_JOINS[fold]} {known}")
    if source_type.kind == "x2":
        one = {"f16x2": 0x3C00, "bf16x2": 0x3F80}.get(type_.name, 0xFFFF)
        rep, joined = "u16", True
        if type_.bits != 32:
            raise Refused(f"set cannot give .{type_.name} here")
    else:
        one = {"f16": 0x3C00, "bf16": 0x3F80, "f32": 0x3F800000}.get(type_.name, (1 << type_.bits) - 1)
        rep, joined = unsigned_rep(type_.bits), False
        if type_.bits not in {16, 32}:
            raise Refused(f"set cannot give .{type_.name}")
    value = f"where({outcome}, {writer.function.constant(rep, one)}, {writer.function.constant(rep, 0)})"
    writer.result(d, "u32" if joined else rep, f"join({value})" if joined else value)


@emits("selp")
def _emit_selp(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    d, a, b, p = operands(instruction, 4)
    type_ = modifiers.type()
    if type_.kind not in "busf" or type_.bits < 16:
        raise Refused(f"type .{type_.name} is not supported here")
    rep = type_.rep
    writer.result(d, rep, f"where({writer.source(p, 'p')}, {writer.source(a, rep)}, {writer.source(b, rep)})")


@emits("slct")
def _emit_slct(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    d, a, b, c = operands(instruction, 4)
    sign_type, type_ = modifiers.type(), modifiers.type()
    if sign_type.name not in {"s32", "f32"}:
        raise Refused(f"slct selects by .s32 or .f32, not .{sign_type.name}")
    sign = writer.source(c, sign_type.rep)
    if modifiers.flag("ftz"):
        sign = f"flush({sign})"
    zero = writer.function.constant(sign_type.rep, 0)
    writer.result(
        d, type_.rep, f"where({sign} >= {zero}, {writer.source(a, type_.rep)}, {writer.source(b, type_.rep)})"
    )


@emits("mov")
def _emit_mov(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    d, a = operands(instruction, 2)
    width = modifiers.choice("v2", "v4")
    type_ = modifiers.type()
    if width:
        # All are read before the first is written: `mov.v2 {a, b}, {b, a}` swaps.
        sources = [writer.temporary(writer.source(one, type_.rep)) for one in _elements(a, int(width[1]))]
        for target, source in zip(_elements(d, int(width[1])), sources, strict=True):
            writer.result(target, type_.rep, source, shared=True)
    elif isinstance(d, Vector):
        count = len(d.items)
        part = unsigned_rep(_part_bits(type_.bits, count))
        taken = writer.temporaries(count, f"unpack({writer.source(a, unsigned_rep(type_.bits))}, {part}, {count})")
        for item, one in zip(d.items, taken, strict=True):
            writer.result(item, part, one)
    elif isinstance(a, Vector):
        part = unsigned_rep(_part_bits(type_.bits, len(a.items)))
        parts = ", ".join(writer.source(item, part) for item in a.items)
        rep = unsigned_rep(type_.bits)
        writer.result(d, rep, f"pack([{parts}], {rep})")
    elif isinstance(a, Register):
        writer.alias(d, a, type_.rep)
    else:
        writer.result(d, type_.rep, writer.affine_source(a, type_.rep), shared=True, affine=True)


def _elements(operand: Operand, count: int) -> tuple[Operand, ...]:
    """What `mov.v4` moves: `{a, b, c, d}`, a vector register, or a special register of four parts such as `%tid`."""
    if isinstance(operand, Special) and "." not in operand.name:
        return tuple(Special(f"{operand.name}.{element}") for element in "xyzw"[:count])
    if not isinstance(operand, Vector) or len(operand.items) != count:
        raise Refused(f"mov.v{count} needs operands of {count} elements")
    return operand.items


def _part_bits(bits: int, count: int) -> int:
    if count not in {2, 4} or bits % count or bits // count not in {8, 16, 32, 64}:
        raise Refused(f"a vector of {count} parts of {bits} bits")
    return bits // count


@emits("cvta")
def _emit_cvta(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    d, a = operands(instruction, 2)
    type_ = modifiers.type()
    to_space = modifiers.flag("to")
    space = modifiers.need(
        "global", "const", "shared", "shared::cta", "shared::cluster", "local", "param", "param::entry"
    ).partition("::")[0]
    if type_.name != "u64":
        raise Refused("addresses have 64 bits here: .u64 is expected")
    source = writer.affine_source(a, "u64")
    window = _WINDOWS.get(space)
    if window is not None:
        moved = f"{source} {'-' if to_space else '+'} {writer.function.constant('u64', window)}"
        writer.result(d, "u64", moved, affine=True)
    elif isinstance(a, Register):
        writer.alias(d, a, "u64")
    else:
        writer.result(d, "u64", source, shared=True)


@emits("mapa", "getctarank")
def _emit_cluster_address(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    maps = instruction.opcode == "mapa"
    d, a, *rank = operands(instruction, 3 if maps else 2)
    shared, type_ = modifiers.flag("shared::cluster"), modifiers.type()
    generic = not shared and type_.bits == 64
    if type_.name not in {"u32", "u64"}:
        raise Refused(f"type .{type_.name} is not supported here")
    address = writer.source(a, type_.rep)
    if maps:
        number = writer.source(rank[0], "u32")
        writer.result(d, type_.rep, f"cluster_address(batch, {address}, {number}, {generic}, {writer.site})")
    else:
        writer.result(d, "u32", f"rank_of_address(batch, {address}, {generic}, {writer.site})")


@emits("isspacep")
def _emit_isspacep(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    d, a = operands(instruction, 2)
    space = modifiers.need(
        "global", "const", "shared", "shared::cta", "shared::cluster", "local", "param", "param::entry"
    )
    found = "cluster" if space == "shared::cluster" else space.partition("::")[0]
    writer.result(d, "p", f"space_of({writer.source(a, 'u64')}, {found!r}, batch)")
