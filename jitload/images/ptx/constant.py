"""Constant expressions (PTX ISA section 4.5): literals and C operators over 64-bit integers, or over doubles."""

from __future__ import annotations

import struct
from math import isfinite
from typing import TYPE_CHECKING

from jitload.images.ptx.limits import DIGITS
from jitload.images.ptx.tokens import float_bits, parse_number
from jitload.images.ptx.values import Immediate

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.images.ptx.tokens import Cursor

_LEVELS = (
    ("||",), ("&&",), ("|",), ("^",), ("&",), ("==", "!="), ("<", "<=", ">", ">="), ("<<", ">>"), ("+", "-"),
    ("*", "/", "%"),
)  # fmt: skip
_LEVEL_OF = {operator: level for level, operators in enumerate(_LEVELS) for operator in operators}
#: The level of products: the terms of `base + 4*3 - 8`.
PRODUCT = _LEVEL_OF["*"]
_MASK = (1 << 64) - 1
#: What may stand after a literal that is no part of a larger expression.
_ENDS = frozenset({",", ";", "]", "}", ")"})
_STARTS = frozenset("+-~!(")
_PREFIXES = frozenset("+-~!")


class _Number:
    """A value on the way: a double, or 64 bits that are signed or not; `width` is that of an exact float literal."""

    __slots__ = ("unsigned", "value", "width")
    value: int | float

    def __init__(self, value: int | float, *, unsigned: bool = False, width: int = 0) -> None:  # noqa: PYI041 - int and float differ
        if isinstance(value, int) and not width:
            value &= _MASK
            value -= 0 if unsigned or value < 1 << 63 else 1 << 64
        self.value = value
        self.unsigned = unsigned
        self.width = width

    def plain(self) -> int | float:
        """The number itself, also of a literal that was given by its bits."""
        if self.width > 1:
            code = "<f" if self.width == 32 else "<d"
            return float(struct.unpack(code, int(self.value).to_bytes(self.width // 8, "little"))[0])
        return self.value


def starts_constant(word: str) -> bool:
    """Whether a constant expression may start with this word."""
    return word[:1].isdigit() or word in _STARTS or word == "WARP_SZ"


def read_constant(cursor: Cursor, level: int = -1) -> Immediate:
    """Take a constant expression of operators from `level` on; below all of them stands `?:`.

    Raises:
        LoadError: it is none, or it divides by zero.
    """
    word = cursor.peek()
    if (
        word[:1].isdigit()
        and cursor.tokens[cursor.index + 1 : cursor.index + 2]
        and (cursor.tokens[cursor.index + 1] in _ENDS)
    ):
        number = _read_literal(cursor)
    else:
        number = _read_choice(cursor) if level < 0 else _read_binary(cursor, level)
    return Immediate(number.value, number.width or (1 if isinstance(number.value, float) else 0))


def read_size(cursor: Cursor) -> int:
    """Take a constant expression that is a whole number.

    Raises:
        LoadError: it is none.
    """
    value, width = read_constant(cursor)
    if width or not isinstance(value, int):
        raise cursor.error("expected a whole number")
    return value


def _read_binary(cursor: Cursor, level: int) -> _Number:
    """Operators from `level` on, which bind from the left."""
    left = _read_unary(cursor)
    while (own := _LEVEL_OF.get(cursor.peek(), -1)) >= level:
        operator = cursor.take()
        left = _apply(cursor, operator, left, _read_binary(cursor, own + 1))
    return left


def _read_choice(cursor: Cursor) -> _Number:
    condition = _read_binary(cursor, 0)
    if not cursor.accept("?"):
        return condition
    cursor.deeper()
    first = _read_choice(cursor)
    cursor.expect(":")
    second = _read_choice(cursor)
    cursor.depth -= 1
    return first if condition.plain() else second


def _read_unary(cursor: Cursor) -> _Number:
    prefixes = _read_prefixes(cursor)
    if cursor.accept("("):
        cursor.deeper()
        number = _read_choice(cursor)
        cursor.expect(")")
        cursor.depth -= 1
    else:
        number = _read_literal(cursor)
    for prefix in reversed(prefixes):
        number = _prefixed(cursor, prefix, number)
    return number


def _read_prefixes(cursor: Cursor) -> list[str]:
    """The signs, negations and casts before a number."""
    found: list[str] = []
    while True:
        word = cursor.peek()
        if word in _PREFIXES:
            cursor.index += 1
        elif word == "(" and cursor.tokens[cursor.index + 1 : cursor.index + 2] in ([".s64"], [".u64"]):
            cursor.index += 1
            word = cursor.take()
            cursor.expect(")")
        else:
            return found
        found.append(word)


def _prefixed(cursor: Cursor, prefix: str, inner: _Number) -> _Number:
    if prefix in {".s64", ".u64"}:
        number = inner.plain()
        if isinstance(number, float) and not isfinite(number):
            raise cursor.error(f"{number} has no value as an integer")
        return _Number(int(number), unsigned=prefix == ".u64")
    if prefix == "!":
        return _Number(int(not inner.plain()))
    if prefix == "-" and inner.width > 1:
        return _Number(int(inner.value) ^ (1 << (inner.width - 1)), width=inner.width)
    if prefix == "~":
        if inner.width or isinstance(inner.value, float):
            raise cursor.error("'~' takes an integer")
        return _Number(~int(inner.value), unsigned=inner.unsigned)
    return _Number(-inner.value, unsigned=inner.unsigned) if prefix == "-" else inner


def _read_literal(cursor: Cursor) -> _Number:
    word = cursor.take()
    exact = float_bits(word)
    if exact is not None:
        return _Number(exact[1], width=exact[0])
    if word == "WARP_SZ":
        return _Number(32)
    number = parse_number(word)
    if number is None:
        cursor.index -= 1
        if len(word) > DIGITS and word[0].isdigit():
            raise cursor.error(f"a number of {len(word)} digits: more than {DIGITS} are refused")
        raise cursor.error(f"expected a number, found {word[:40]!r}")
    return _Number(number, unsigned=isinstance(number, int) and (word[-1] == "U" or number >> 63 != 0))


def _apply(cursor: Cursor, operator: str, left: _Number, right: _Number) -> _Number:
    a, b = left.plain(), right.plain()
    if isinstance(a, float) or isinstance(b, float):
        return _apply_to_floats(cursor, operator, float(a), float(b))
    if operator in {"<<", ">>"}:
        amount = min(b & _MASK, 64)
        return _Number(a << amount if operator == "<<" else a >> amount, unsigned=left.unsigned)
    unsigned = left.unsigned or right.unsigned
    if unsigned:
        a, b = a & _MASK, b & _MASK
    if operator in {"/", "%"}:
        if not b:
            raise cursor.error("a constant expression divides by zero")
        quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        return _Number(quotient if operator == "/" else a - quotient * b, unsigned=unsigned)
    if operator in _COMPARE:
        return _Number(int(_COMPARE[operator](a, b)))
    return _Number(_COMBINE[operator](a, b), unsigned=unsigned)


def _apply_to_floats(cursor: Cursor, operator: str, a: float, b: float) -> _Number:
    if operator in _COMPARE:
        return _Number(int(_COMPARE[operator](a, b)))
    if operator == "/" and b:
        return _Number(a / b)
    if operator in {"+", "-", "*"}:
        return _Number(_COMBINE[operator](a, b))
    raise cursor.error(f"{operator!r} of these floats is no constant expression")


_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "&&": lambda a, b: bool(a and b),
    "||": lambda a, b: bool(a or b),
}
_COMBINE: dict[str, Callable[..., int | float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
}
