"""The native column of rows that say what they compute in one expression: by that expression, over bits of LLVM."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from jitload.cpu.faults import Refused
from jitload.cpu.isa.decode import type_at
from jitload.cpu.native.fields import extracted, inserted, product24
from jitload.cpu.types import BITS, unsigned_rep

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.isa.registry import Name
    from jitload.cpu.isa.row import Place
    from jitload.cpu.native.writer import KernelWriter
    from jitload.cpu.text.ir import Operand

    #: (writer, representation of the first source, bits of the result, sources) -> the result.
    Column = Callable[[KernelWriter, str, int, list[str]], str]


class _Shape(NamedTuple):
    """The representation of the result and of each source."""

    result: str
    sources: tuple[str, ...]


def emit_expression(w: KernelWriter, name: Name, operands: tuple[Operand, ...]) -> None:
    """Write an instruction whose row has an expression.

    Raises:
        Refused: the expression has no native column.
    """
    column = COLUMNS.get(_spelled(name))
    if column is None:
        raise Refused(f"{name.row.name} has no native form")
    shape = _shape(name)
    values = [w.value(operand, BITS[rep]) for operand, rep in zip(operands[1:], shape.sources, strict=True)]
    found = column(w, shape.sources[0], BITS[shape.result], values)
    w.result(operands[0], BITS[shape.result], found, signed=shape.result[0] == "s")


def _spelled(name: Name) -> str:
    """The expression, with what it asks of the name answered."""
    text = name.row.expression
    for part in ("hi", "l", "wrap", "shiftamt"):
        text = text.replace(f"{{is_{part}}}", repr(name.has(part)))
    return text


@lru_cache(maxsize=1024)
def _shape(name: Name) -> _Shape:
    result, *sources = name.row.places
    return _Shape(_rep(name, result), tuple(_rep(name, place) for place in sources))


def _rep(name: Name, place: Place) -> str:
    type_ = type_at(name, place)
    if type_ is None or type_.bits > 64:
        raise Refused(f"{name.row.name} has no native form")
    return unsigned_rep(type_.bits) if place.holds == "U" else type_.rep


def _plain(operation: str) -> Column:
    return lambda w, rep, _bits, v: w.new(f"{operation} i{BITS[rep]} {v[0]}, {v[1]}")


def _not(w: KernelWriter, rep: str, _bits: int, v: list[str]) -> str:
    return w.new(f"xor i{BITS[rep]} {v[0]}, {'true' if rep == 'p' else -1}")


def _wide(w: KernelWriter, rep: str, bits: int, v: list[str]) -> str:
    """The full product, in `bits`."""
    own, extend = BITS[rep], "sext" if rep[0] == "s" else "zext"
    left, right = (w.new(f"{extend} i{own} {one} to i{bits}") for one in v[:2])
    return w.new(f"mul i{bits} {left}, {right}")


def _high(w: KernelWriter, rep: str, _bits: int, v: list[str]) -> str:
    own = BITS[rep]
    shifted = w.new(f"lshr i{2 * own} {_wide(w, rep, 2 * own, v)}, {own}")
    return w.new(f"trunc i{2 * own} {shifted} to i{own}")


def _then_add(column: Column) -> Column:
    """A product, and its sum with the third source."""

    def emit(w: KernelWriter, rep: str, bits: int, v: list[str]) -> str:
        return w.new(f"add i{bits} {column(w, rep, bits, v[:2])}, {v[2]}")

    return emit


def _saturated(operation: str) -> Column:
    return lambda w, _rep, _bits, v: w.new(f"call i32 @llvm.s{operation}.sat.i32(i32 {v[0]}, i32 {v[1]})")


def _then_add_saturated(column: Column) -> Column:
    return lambda w, rep, bits, v: _saturated("add")(w, rep, bits, [column(w, rep, bits, v[:2]), v[2]])


def _extreme(which: str) -> Column:
    def emit(w: KernelWriter, rep: str, bits: int, v: list[str]) -> str:
        name = f"llvm.{'s' if rep[0] == 's' else 'u'}{which}.i{bits}"
        return w.new(f"call i{bits} @{name}(i{bits} {v[0]}, i{bits} {v[1]})")

    return emit


def _relu(which: str) -> Column:
    def emit(w: KernelWriter, rep: str, bits: int, v: list[str]) -> str:
        found = _extreme(which)(w, rep, bits, v)
        return w.new(f"call i{bits} @llvm.smax.i{bits}(i{bits} {found}, i{bits} 0)")

    return emit


def _distance(w: KernelWriter, rep: str, bits: int, v: list[str]) -> str:
    less = w.new(f"icmp {'s' if rep[0] == 's' else 'u'}lt i{bits} {v[0]}, {v[1]}")
    one, other = w.new(f"sub i{bits} {v[1]}, {v[0]}"), w.new(f"sub i{bits} {v[0]}, {v[1]}")
    return w.new(f"add i{bits} {v[2]}, {w.select(less, f'i{bits}', one, other)}")


def _division(rest: bool) -> Column:
    """Of magnitudes, as lanes do it: no divisor stops the processor."""

    def emit(w: KernelWriter, rep: str, bits: int, v: list[str]) -> str:
        kind, signed = f"i{bits}", rep[0] == "s"
        a, b = ((w.new(f"call {kind} @llvm.abs.{kind}({kind} {one}, i1 false)") if signed else one) for one in v)
        zero = w.new(f"icmp eq {kind} {b}, 0")
        divisor = w.select(zero, kind, "1", b)
        found = w.new(f"{'urem' if rest else 'udiv'} {kind} {a}, {divisor}")
        if not signed:
            return w.select(zero, kind, a if rest else "-1", found)
        minus = w.new(f"sub {kind} 0, {w.select(zero, kind, a, found) if rest else found}")
        a_sign = w.new(f"icmp slt {kind} {v[0]}, 0")
        if rest:
            return w.select(a_sign, kind, minus, w.select(zero, kind, a, found))
        differ = w.new(f"xor i1 {a_sign}, {w.new(f'icmp slt {kind} {v[1]}, 0')}")
        return w.select(zero, kind, "-1", w.select(differ, kind, minus, found))

    return emit


def _negative(w: KernelWriter, rep: str, _bits: int, v: list[str]) -> str:
    return w.new(f"sub i{BITS[rep]} 0, {v[0]}")


def _counted(name: str, flags: str = "") -> Column:
    """A count of bits, which is 32 bits wide."""

    def emit(w: KernelWriter, rep: str, _bits: int, v: list[str]) -> str:
        own = BITS[rep]
        found = w.new(f"call i{own} @llvm.{name}.i{own}(i{own} {v[0]}{flags})")
        return found if own == 32 else w.new(f"trunc i{own} {found} to i32")

    return emit


def _reversed(w: KernelWriter, _rep: str, bits: int, v: list[str]) -> str:
    return w.new(f"call i{bits} @llvm.bitreverse.i{bits}(i{bits} {v[0]})")


def _is_zero(w: KernelWriter, rep: str, bits: int, v: list[str]) -> str:
    return w.new(f"zext i1 {w.new(f'icmp eq i{BITS[rep]} {v[0]}, 0')} to i{bits}")


def _found_bit(shift: bool) -> Column:
    def emit(w: KernelWriter, rep: str, _bits: int, v: list[str]) -> str:
        own, value = BITS[rep], v[0]
        if rep[0] == "s":
            value = w.new(f"xor i{own} {value}, {w.new(f'ashr i{own} {value}, {own - 1}')}")
        zeros = _counted("ctlz", ", i1 false")(w, rep, 32, [value])
        none = w.new(f"icmp eq i{own} {value}, 0")
        found = zeros if shift else w.new(f"sub i32 {own - 1}, {zeros}")
        return w.select(none, "i32", "-1", found)

    return emit


def _funnel(left: bool, wrap: bool) -> Column:
    def emit(w: KernelWriter, _rep: str, _bits: int, v: list[str]) -> str:
        count = w.new(f"and i32 {v[2]}, 31" if wrap else f"call i32 @llvm.umin.i32(i32 {v[2]}, i32 32)")
        low, high, by = (w.new(f"zext i32 {one} to i64") for one in (v[0], v[1], count))
        pair = w.new(f"or i64 {w.new(f'shl i64 {high}, 32')}, {low}")
        found = w.new(f"lshr i64 {w.new(f'shl i64 {pair}, {by}')}, 32") if left else w.new(f"lshr i64 {pair}, {by}")
        return w.new(f"trunc i64 {found} to i32")

    return emit


#: Expression of a row -> what it is here.
COLUMNS: dict[str, Column] = {
    "{a} + {b}": _plain("add"),
    "{a} - {b}": _plain("sub"),
    "{a} * {b}": _plain("mul"),
    "{a} & {b}": _plain("and"),
    "{a} | {b}": _plain("or"),
    "{a} ^ {b}": _plain("xor"),
    "~{a}": _not,
    "{0:U} - {a}": _negative,
    "add_saturated({a}, {b})": _saturated("add"),
    "sub_saturated({a}, {b})": _saturated("sub"),
    "mul_hi({a}, {b})": _high,
    "mul_wide({a}, {b})": _wide,
    "({a} * {b}) + {c}": _then_add(_plain("mul")),
    "(mul_hi({a}, {b})) + {c}": _then_add(_high),
    "(mul_wide({a}, {b})) + {c}": _then_add(_wide),
    "add_saturated(mul_hi({a}, {b}), {c})": _then_add_saturated(_high),
    "{c} + absolute_difference({a}, {b})": _distance,
    "divide({a}, {b})": _division(rest=False),
    "remainder({a}, {b})": _division(rest=True),
    "np_minimum({a}, {b})": _extreme("min"),
    "np_maximum({a}, {b})": _extreme("max"),
    "np_maximum(np_minimum({a}, {b}), {0:T})": _relu("min"),
    "np_maximum(np_maximum({a}, {b}), {0:T})": _relu("max"),
    "({a} == {0:T}).astype({T})": _is_zero,
    "population({a})": _counted("ctpop"),
    "leading_zeros({a})": _counted("ctlz", ", i1 false"),
    "find_bit({a}, False)": _found_bit(shift=False),
    "find_bit({a}, True)": _found_bit(shift=True),
    "reverse_bits({a})": _reversed,
    "extract_field({a}, {b}, {c})": extracted,
    "insert_field({a}, {b}, {c}, {e})": inserted,
    "mul24({a}, {b}, False)": product24(high=False),
    "mul24({a}, {b}, True)": product24(high=True),
    "mul24({a}, {b}, False) + {c}": _then_add(product24(high=False)),
    "mul24({a}, {b}, True) + {c}": _then_add(product24(high=True)),
    "add_saturated(mul24({a}, {b}, True), {c})": _then_add_saturated(product24(high=True)),
    **{
        f"funnel({{a}}, {{b}}, {{c}}, {left}, {wrap})": _funnel(left, wrap)
        for left in (False, True)
        for wrap in (False, True)
    },
}
