"""Code for floating-point arithmetic of every width (PTX ISA sections 9.7.3 to 9.7.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.instruction import Modifiers, emits, operands
from jitload.cpu.emit.form import FLOATS, ROUNDING, SUMS, Form, rounding
from jitload.cpu.faults import Refused
from jitload.lazy import lazy

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.emit import mixed
    from jitload.cpu.text.ir import Instruction
    from jitload.cpu.types import Type
else:
    mixed = lazy("jitload.cpu.emit.mixed")


@emits("add", "sub")
def _emit_add(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    type_ = modifiers.type()
    if type_.bits == 16 and modifiers.flag("f32"):
        mixed.emit_mixed_sum(writer, instruction, modifiers, type_)
        return
    d, a, b = operands(instruction, 3)
    mode = rounding(modifiers, type_)
    form = Form(writer, type_, modifiers, SUMS)
    left, right = form.source(a), form.source(b)
    sign = "+" if instruction.opcode == "add" else "-"
    if mode == "rn":
        form.computed(d, f"{left} {sign} {right}", left, right)
        return
    other = right if sign == "+" else f"negate({right})"
    if form.element == "f32":
        form.computed(d, f"add_f32({left}, {other}, {mode!r})")
    else:
        form.computed(d, f"arithmetic_f64('add', ({left}, {other}), {mode!r})", left, right)


@emits("mul")
def _emit_mul(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    type_ = modifiers.type()
    d, a, b = operands(instruction, 3)
    mode = rounding(modifiers, type_)
    form = Form(writer, type_, modifiers, SUMS)
    left, right = form.source(a), form.source(b)
    if mode == "rn":
        form.computed(d, f"{left} * {right}", left, right)
    elif form.element == "f32":
        form.computed(d, f"mul_f32({left}, {right}, {mode!r})")
    else:
        form.computed(d, f"arithmetic_f64('mul', ({left}, {right}), {mode!r})", left, right)


@emits("fma")
def _emit_fma(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    type_ = modifiers.type()
    if type_.bits == 16 and modifiers.flag("f32"):
        mixed.emit_mixed_fused(writer, instruction, modifiers, type_)
    else:
        _emit_fused(writer, instruction, modifiers, type_)


@emits("mad", "madc")
def _emit_mad(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """The floating `mad`, which is `fma` since sm_20."""
    operands(instruction, 4)
    _emit_fused(writer, instruction, modifiers, modifiers.type())


def _emit_fused(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers, type_: Type) -> None:
    d, *sources = operands(instruction, 4)
    mode = rounding(modifiers, type_)
    relu, bounded = modifiers.flag("relu"), modifiers.flag("oob")
    form = Form(writer, type_, modifiers, SUMS)
    if relu and form.element not in {"f16", "bf16"}:
        raise Refused(".relu exists for half precision only")
    a, b, c = (form.source(operand) for operand in sources)
    if form.element == "f64":
        expression = f"fma_f64({a}, {b}, {c})" if mode == "rn" else f"arithmetic_f64('fma', ({a}, {b}, {c}), {mode!r})"
    elif form.element == "f32":
        nearest = "fma_pairs" if form.packed else "fma_f32"
        expression = f"{nearest}({a}, {b}, {c})" if mode == "rn" else f"fma_f32_directed({a}, {b}, {c}, {mode!r})"
    elif form.element == "f16":
        expression = f"fma_f16({a}, {b}, {c})"
    else:
        expression = f"odd_f32(fma_odd({a}, {b}, {c}))"
    if bounded:
        expression = f"clear_outside({expression}, {a}, {b}, {c})"
    if relu:
        form.result(d, f"relu({expression})")
    elif form.element == "f32" and mode == "rn":
        form.result(d, expression)  # what looks for tiny results finds NaN as well
    else:
        form.computed(d, expression, a, b, c)


@emits("div")
def _emit_div(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    type_ = modifiers.type()
    d, a, b = operands(instruction, 3)
    kind = modifiers.choice("approx", "full")
    mode = "" if kind else modifiers.choice(*ROUNDING)
    form = Form(writer, type_, modifiers, ("f32",) if kind else ("f32", "f64"))
    if form.saturate:
        raise Refused(".sat does not exist for div")
    left, right = form.source(a), form.source(b)
    if kind == "approx":
        form.result(d, f"divide_approx({left}, {right})")
    elif kind or mode in {"rn", ""}:
        form.computed(d, f"{left} / {right}", left, right)
    elif type_.name == "f32":
        form.computed(d, f"div_f32({left}, {right}, {mode!r})")
    else:
        form.computed(d, f"arithmetic_f64('div', ({left}, {right}), {mode!r})", left, right)


@emits("rcp", "sqrt")
def _emit_rcp_sqrt(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    d, a = operands(instruction, 2)
    type_ = modifiers.type()
    root = instruction.opcode == "sqrt"
    approximate = modifiers.flag("approx")
    mode = "" if approximate else modifiers.choice(*ROUNDING) or "rn"
    if approximate and type_.name == "f64":
        modifiers.need("ftz")
        if root:
            raise Refused("sqrt.approx.f64 does not exist")
        writer.result(d, "f64", f"reciprocal_f64({writer.source(a, 'f64')})")
        return
    form = Form(writer, type_, modifiers, ("f32", "f64"))
    x = form.source(a)
    one = writer.function.constant(type_.rep, 1.0)
    if approximate:
        form.result(d, f"{'square_root' if root else 'reciprocal'}({x})")
    elif mode == "rn":
        form.computed(d, f"np_sqrt({x})" if root else f"{one} / {x}", x)
    elif type_.name == "f32":
        form.computed(d, f"sqrt_f32({x}, {mode!r})" if root else f"div_f32({one}, {x}, {mode!r})")
    else:
        name, sources = ("sqrt", f"{x},") if root else ("div", f"{one}, {x}")
        form.computed(d, f"arithmetic_f64({name!r}, ({sources}), {mode!r})", x)


_APPROXIMATE = {
    "rsqrt": ("reciprocal_root", ("f32",)),
    "sin": ("sine", ("f32",)),
    "cos": ("cosine", ("f32",)),
    "lg2": ("log2", ("f32",)),
    "ex2": ("exp2", ("f32", "f16", "f16x2", "bf16", "bf16x2")),
    "tanh": ("tangent_h", ("f32", "f16", "f16x2", "bf16", "bf16x2")),
}


@emits(*_APPROXIMATE)
def _emit_approximate(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    d, a = operands(instruction, 2)
    type_ = modifiers.type()
    modifiers.need("approx")
    function, allowed = _APPROXIMATE[instruction.opcode]
    if instruction.opcode == "rsqrt" and type_.name == "f64":
        name = "reciprocal_root_f64" if modifiers.flag("ftz") else "reciprocal_root"
        writer.result(d, "f64", f"{name}({writer.source(a, 'f64')})")
        return
    if type_.kind == "bf" or type_.name == "bf16x2":
        flush = modifiers.flag("ftz")  # ex2 of bf16 is written with .ftz, which bf16 values hardly meet
        form = Form(writer, type_, modifiers, allowed)
        x = form.source(a)
        form.result(d, f"flush({function}(flush({x})))" if flush else f"{function}({x})")
        return
    form = Form(writer, type_, modifiers, allowed)
    form.result(d, f"{function}({form.source(a)})")


@emits("min", "max")
def _emit_extreme(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    if modifiers.flag("relu"):
        raise Refused(".relu exists for integers only here")
    type_ = modifiers.type()
    d, *sources = operands(instruction, 3, 4)
    keep_nan = modifiers.flag("NaN")
    by_xor, magnitudes = modifiers.flag("xorsign"), modifiers.flag("abs")
    three = len(sources) == 3
    if three and (by_xor or type_.name != "f32"):
        raise Refused("three sources are .f32, without .xorsign")
    if magnitudes != by_xor and not (three and magnitudes):
        raise Refused(".abs goes with .xorsign or with three sources")
    form = Form(writer, type_, modifiers)
    function = "minimum" if instruction.opcode == "min" else "maximum"
    values = [form.source(operand) for operand in sources]
    values = [writer.temporary(f"np_abs({value})" if three and magnitudes else value) for value in values]
    result = values[0]
    for value in values[1:]:
        found = f"{function}({result}, {value})" if not by_xor else f"{function}(np_abs({result}), np_abs({value}))"
        if keep_nan:
            found = f"propagate_nan({result}, {value}, {found})"
        result = writer.temporary(f"sign_by_xor({result}, {value}, {found})" if by_xor else found)
    form.result(d, result)


@emits("abs", "neg")
def _emit_sign(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    type_ = modifiers.type()
    d, a = operands(instruction, 2)
    flush = modifiers.flag("ftz")
    if type_.name not in FLOATS or (flush and type_.name == "f64"):
        raise Refused(f"type .{type_.name} is not supported here")
    # The sign is a bit: no rounding, no NaN rules, and both halves of a packed value at once.
    sign = {16: 0x8000, 64: 1 << 63}.get(type_.bits, 0x80008000 if type_.kind == "x2" else 1 << 31)
    rep = f"u{type_.bits}"
    mask = writer.function.constant(rep, sign)
    source = writer.source(a, rep)
    if flush and type_.name == "f16x2":
        source = f"join(flush(pairs({source}, f16)))"
    elif flush and type_.kind not in {"bf", "x2"}:
        source = f"flush({writer.source(a, type_.rep)}).view({rep})"
    writer.result(d, rep, f"{source} ^ {mask}" if instruction.opcode == "neg" else f"{source} & ~{mask}")


@emits("copysign")
def _emit_copysign(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    d, a, b = operands(instruction, 3)
    type_ = modifiers.type()
    if type_.name not in {"f32", "f64"}:
        raise Refused(f"type .{type_.name} is not supported here")
    writer.result(d, type_.rep, f"copy_sign({writer.source(a, type_.rep)}, {writer.source(b, type_.rep)})")


@emits("testp")
def _emit_testp(writer: BlockWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    d, a = operands(instruction, 2)
    type_ = modifiers.type()
    which = modifiers.need("finite", "infinite", "number", "notanumber", "normal", "subnormal")
    if type_.name not in {"f32", "f64"}:
        raise Refused(f"type .{type_.name} is not supported here")
    writer.result(d, "p", f"float_class({writer.source(a, type_.rep)}, {which!r})")
