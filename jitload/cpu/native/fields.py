"""The native column of bit fields, bytes in words, carries and dot products."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.lanes.packed import PRMT_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.code.instruction import Modifiers
    from jitload.cpu.native.writer import KernelWriter
    from jitload.cpu.text.ir import Instruction, Operand

_BYTE = 255


def shifted(w: KernelWriter, name: str, bits: int, value: str, amount: str) -> str:
    """`shl`, `lshr` or `ashr` by an amount of 32 bits; past the width it gives 0, or copies of the sign."""
    least = resized(w, w.new(f"call i32 @llvm.umin.i32(i32 {amount}, i32 {bits - 1})"), bits)
    found = w.new(f"{name} i{bits} {value}, {least}")
    if name == "ashr":
        return found
    return w.select(w.new(f"icmp ult i32 {amount}, {bits}"), f"i{bits}", found, "0")


def resized(w: KernelWriter, value: str, bits: int) -> str:
    """An unsigned word as one of another width."""
    return value if bits == 32 else w.new(f"{'zext' if bits > 32 else 'trunc'} i32 {value} to i{bits}")


def _low_byte(w: KernelWriter, value: str) -> str:
    return w.new(f"and i32 {value}, {_BYTE}")


def _ones(w: KernelWriter, bits: int, length: str) -> str:
    """So many ones at the lower end."""
    return w.new(f"xor i{bits} {shifted(w, 'shl', bits, '-1', length)}, -1")


def extracted(w: KernelWriter, rep: str, bits: int, v: list[str]) -> str:
    """`bfe`: the sign bit of a field past the width is the top bit."""
    start, length = _low_byte(w, v[1]), _low_byte(w, v[2])
    return _field(w, rep, bits, (v[0], start, length))


def _field(w: KernelWriter, rep: str, bits: int, v: tuple[str, str, str]) -> str:
    value, start, length = v
    kind, signed = f"i{bits}", rep[0] == "s"
    mask = _ones(w, bits, length)
    found = w.new(f"and {kind} {shifted(w, 'ashr' if signed else 'lshr', bits, value, start)}, {mask}")
    if not signed:
        return found
    last = w.new(f"sub i32 {w.new(f'add i32 {start}, {length}')}, 1")
    top = resized(w, w.new(f"call i32 @llvm.umin.i32(i32 {last}, i32 {bits - 1})"), bits)
    sign = w.new(f"trunc {kind} {w.new(f'lshr {kind} {value}, {top}')} to i1")
    extended = w.new(f"or {kind} {found}, {w.new(f'xor {kind} {mask}, -1')}")
    nothing = w.new(f"icmp eq i32 {length}, 0")
    return w.select(nothing, kind, "0", w.select(sign, kind, extended, found))


def inserted(w: KernelWriter, _rep: str, bits: int, v: list[str]) -> str:
    """`bfi`."""
    start, length = _low_byte(w, v[2]), _low_byte(w, v[3])
    mask = shifted(w, "shl", bits, _ones(w, bits, length), start)
    kept = w.new(f"and i{bits} {v[1]}, {w.new(f'xor i{bits} {mask}, -1')}")
    new = w.new(f"and i{bits} {shifted(w, 'shl', bits, v[0], start)}, {mask}")
    return w.new(f"or i{bits} {kept}, {new}")


def product24(high: bool) -> Callable[[KernelWriter, str, int, list[str]], str]:
    """`mul24`: the product of the low 24 bits, its low 32 bits or bits 47 to 16."""

    def emit(w: KernelWriter, rep: str, _bits: int, v: list[str]) -> str:
        shift, extend = ("ashr", "sext") if rep[0] == "s" else ("lshr", "zext")
        low = (w.new(f"{shift} i32 {w.new(f'shl i32 {one}, 8')}, 8") for one in v[:2])
        left, right = (w.new(f"{extend} i32 {one} to i64") for one in low)
        wide = w.new(f"mul i64 {left}, {right}")
        return w.new(f"trunc i64 {w.new(f'lshr i64 {wide}, {16 if high else 0}')} to i32")

    return emit


def emit_mask(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`bmsk`."""
    target, a, b = instruction.operands
    wrap = modifiers.need("clamp", "wrap") == "wrap"
    modifiers.type()
    start, length = (_limited(w, w.value(one, 32), wrap) for one in (a, b))
    w.result(target, 32, shifted(w, "shl", 32, _ones(w, 32, length), start))


def _limited(w: KernelWriter, value: str, wrap: bool) -> str:
    return w.new(f"and i32 {value}, 31" if wrap else f"call i32 @llvm.umin.i32(i32 {value}, i32 32)")


def emit_extension(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`szext`."""
    target, a, b = instruction.operands
    wrap = modifiers.need("clamp", "wrap") == "wrap"
    rep = modifiers.type().rep
    w.result(target, 32, _field(w, rep, 32, (w.value(a, 32), "0", _limited(w, w.value(b, 32), wrap))))


def emit_permutation(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`prmt`: four bytes of eight."""
    target, *sources = instruction.operands
    mode = modifiers.choice(*PRMT_TABLES)
    modifiers.type()
    a, b, selector = (w.value(one, 32) for one in sources)
    low, high = (w.new(f"zext i32 {one} to i64") for one in (a, b))
    pair = w.new(f"or i64 {w.new(f'shl i64 {high}, 32')}, {low}")
    total = "0"
    for place in range(4):
        byte = _picked(w, pair, selector, mode, place) if mode else _chosen(w, pair, selector, place)
        total = w.new(f"or i32 {total}, {w.new(f'shl i32 {byte}, {8 * place}')}")
    w.result(target, 32, total)


def _chosen(w: KernelWriter, pair: str, selector: str, place: int) -> str:
    """The byte that four bits of the selector say: three its number, one whether its sign alone is wanted."""
    nibble = w.new(f"lshr i32 {selector}, {4 * place}")
    byte = _byte(w, pair, w.new(f"and i32 {nibble}, 7"))
    top = w.new(f"shl i32 {byte}, 24")
    signs = w.new(f"and i32 {w.new(f'ashr i32 {top}, 31')}, {_BYTE}")
    wants_sign = w.new(f"icmp ne i32 {w.new(f'and i32 {nibble}, 8')}, 0")
    return w.select(wants_sign, "i32", signs, byte)


def _picked(w: KernelWriter, pair: str, selector: str, mode: str, place: int) -> str:
    """The byte that a mode says for the lower two bits of the selector."""
    row = w.new(f"and i32 {selector}, 3")
    number = str(PRMT_TABLES[mode][0][place])
    for other in range(1, 4):
        number = w.select(w.new(f"icmp eq i32 {row}, {other}"), "i32", str(PRMT_TABLES[mode][other][place]), number)
    return _byte(w, pair, number)


def _byte(w: KernelWriter, pair: str, number: str) -> str:
    by = w.new(f"zext i32 {w.new(f'mul i32 {number}, 8')} to i64")
    down = w.new(f"lshr i64 {pair}, {by}")
    return w.new(f"trunc i64 {w.new(f'and i64 {down}, {_BYTE}')} to i32")


def emit_dot(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`dp4a` and `dp2a`."""
    target, *sources = instruction.operands
    b_signed, a_signed = modifiers.type().kind == "s", modifiers.type().kind == "s"
    half = instruction.opcode == "dp2a"
    first = 2 if half and modifiers.need("lo", "hi") == "hi" else 0
    a, b, total = (w.value(one, 32) for one in sources)
    for place in range(2 if half else 4):
        left = _element(w, a, 16 if half else 8, place, a_signed)
        product = w.new(f"mul i32 {left}, {_element(w, b, 8, place + first, b_signed)}")
        total = w.new(f"add i32 {total}, {product}")
    w.result(target, 32, total)


def _element(w: KernelWriter, word: str, bits: int, place: int, signed: bool) -> str:
    up = w.new(f"shl i32 {word}, {32 - bits * (place + 1)}")
    return w.new(f"{'ashr' if signed else 'lshr'} i32 {up}, {32 - bits}")


def emit_carried_sum(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`add`, `addc`, `sub`, `subc` with a carry in or out."""
    target, a, b = instruction.operands
    bits = modifiers.type().bits
    adds, takes = instruction.opcode.startswith("add"), instruction.opcode.endswith("c")
    left, right = w.value(a, bits), w.value(b, bits)
    if not adds:
        right = w.new(f"xor i{bits} {right}, -1")
    carry = w.value(w.carry, 1) if takes else "false" if adds else "true"
    _carry(w, target, (left, right, carry), bits, out=modifiers.flag("cc"))


def emit_carried_product(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`mad` and `madc` of integers with a carry in or out."""
    target, a, b, c = instruction.operands
    type_ = modifiers.type()
    bits = type_.bits
    low = modifiers.need("lo", "hi") == "lo"
    extend = "sext" if type_.kind == "s" else "zext"
    left, right = (w.new(f"{extend} i{bits} {w.value(one, bits)} to i{2 * bits}") for one in (a, b))
    product = w.new(f"mul i{2 * bits} {left}, {right}")
    half = w.new(f"trunc i{2 * bits} {product if low else w.new(f'lshr i{2 * bits} {product}, {bits}')} to i{bits}")
    carry = w.value(w.carry, 1) if instruction.opcode == "madc" else "false"
    _carry(w, target, (half, w.value(c, bits), carry), bits, out=modifiers.flag("cc"))


def _carry(w: KernelWriter, target: Operand, v: tuple[str, str, str], bits: int, *, out: bool) -> None:
    left, right, carry = v
    partial = w.new(f"add i{bits} {left}, {right}")
    total = w.new(f"add i{bits} {partial}, {w.new(f'zext i1 {carry} to i{bits}')}")
    w.result(target, bits, total)
    if out:
        over = w.new(f"icmp ult i{bits} {partial}, {left}")
        again = w.new(f"icmp ult i{bits} {total}, {partial}")
        w.result(w.carry, 1, w.new(f"or i1 {over}, {again}"))


def emit_integer_pair(w: KernelWriter, instruction: Instruction, modifiers: Modifiers) -> None:
    """`add`, `sub`, `min`, `max` of u16x2 and s16x2."""
    target, a, b = instruction.operands
    signed = modifiers.type().name == "s16x2"
    relu = modifiers.flag("relu")
    left, right = (w.new(f"bitcast i32 {w.value(one, 32)} to <2 x i16>") for one in (a, b))
    if instruction.opcode in {"add", "sub"}:
        found = w.new(f"{instruction.opcode} <2 x i16> {left}, {right}")
    else:
        found = _extreme(w, f"{'s' if signed else 'u'}{instruction.opcode}", left, right)
    if relu:
        found = _extreme(w, "smax", found, "zeroinitializer")
    w.result(target, 32, w.new(f"bitcast <2 x i16> {found} to i32"))


def _extreme(w: KernelWriter, name: str, left: str, right: str) -> str:
    return w.new(f"call <2 x i16> @llvm.{name}.v2i16(<2 x i16> {left}, <2 x i16> {right})")
