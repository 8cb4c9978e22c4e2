"""Conditions of `#if` (C++17 [cpp.cond]) with three answers: what a name in them stands for may not be known."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    #: None stands for "not known" throughout.
    Value = int | None


def _quotient(a: int, b: int) -> int:
    """Rounded to zero, as C++ rounds, and not down."""
    return a // b if (a < 0) == (b < 0) else -(-a // b)


#: Binary operators by how tightly they bind.
_LEVELS: tuple[dict[bytes, Callable[[int, int], int]], ...] = (
    {b"|": lambda a, b: a | b},
    {b"^": lambda a, b: a ^ b},
    {b"&": lambda a, b: a & b},
    {b"==": lambda a, b: a == b, b"!=": lambda a, b: a != b},
    {b"<": lambda a, b: a < b, b">": lambda a, b: a > b, b"<=": lambda a, b: a <= b, b">=": lambda a, b: a >= b},
    {b"<<": lambda a, b: a << min(b, 64), b">>": lambda a, b: a >> min(b, 64)},
    {b"+": lambda a, b: a + b, b"-": lambda a, b: a - b},
    {b"*": lambda a, b: a * b, b"/": _quotient, b"%": lambda a, b: a - b * _quotient(a, b)},
)
_INTEGER = re.compile(rb"(0[xX][0-9a-fA-F']+|0[bB][01']+|[0-9][0-9']*)([uUlLzZ]*)")
#: Of ASCII, which has one value whatever the sign of `char`.
_CHARACTER = re.compile(rb"'([^\\'\x80-\xff]|\\[0abfnrtv\\'\"?])'")
_ESCAPES = dict(zip(b"0abfnrtv", b"\0\a\b\f\n\r\t\v", strict=True))
_NO_LONGER_SIGNED = 1 << 63
_MOST_TOKENS = 2000
_MOST_DEPTH = 50


class _NotUnderstood(Exception):  # noqa: N818 - never leaves this file
    """No expression of integers, or one that nobody writes."""


def evaluate(words: Sequence[bytes], value_of: Callable[[bytes], Value]) -> bool | None:
    """Whether a condition holds, macros and `defined` in it replaced; None when that is not known."""
    value = compute(words, value_of)
    return None if value is None else bool(value)


def compute(words: Sequence[bytes], value_of: Callable[[bytes], Value]) -> Value:
    """The value of an expression of integers; None when it is not known.

    Args:
        words: its tokens, without blanks.
        value_of: the value of a name (0 in a condition, where it is no macro), or None when it is not known.
    """
    if len(words) > _MOST_TOKENS:
        return None
    reader = _Reader(words, value_of)
    try:
        value = reader.ternary()
    except (_NotUnderstood, ArithmeticError, ValueError, RecursionError):
        return None
    return value if reader.at == len(words) and not reader.wraps else None


class _Reader:
    """One condition.

    Attributes:
        at: the token that comes next.
    """

    def __init__(self, words: Sequence[bytes], value_of: Callable[[bytes], Value]) -> None:
        self._words = words
        self._value_of = value_of
        self._unsigned = False
        self._negative = False
        self.at = 0
        self._depth = 0

    @property
    def wraps(self) -> bool:
        """Whether there are numbers below 0 and others without a sign: what C++ makes of the two depends on widths."""
        return self._unsigned and self._negative

    def _peek(self) -> bytes:
        return self._words[self.at] if self.at < len(self._words) else b""

    def _take(self, word: bytes) -> bool:
        found = self._peek() == word
        self.at += found
        return found

    def ternary(self) -> Value:
        """A whole expression."""
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise _NotUnderstood
        condition = self._either()
        if self._take(b"?"):
            first = self.ternary()
            if not self._take(b":"):
                raise _NotUnderstood
            second = self.ternary()
            condition = None if condition is None else first if condition else second
        self._depth -= 1
        return condition

    def _either(self) -> Value:
        left = self._both()
        while self._take(b"||") or self._take(b"or"):
            right = self._both()
            left = 1 if left or right else None if None in {left, right} else 0
        return left

    def _both(self) -> Value:
        left = self._binary(0)
        while self._take(b"&&") or self._take(b"and"):
            right = self._binary(0)
            left = 0 if 0 in {left, right} else None if None in {left, right} else 1
        return left

    def _binary(self, level: int) -> Value:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while (operation := _LEVELS[level].get(self._operator())) is not None:
            self.at += len(self._operator()) if self._peek() == b">" else 1
            right = self._binary(level + 1)
            left = None if left is None or right is None else self._noted(int(operation(left, right)))
        return left

    def _operator(self) -> bytes:
        """The operator that comes next; each ">" is a token of its own."""
        if self._peek() == b">" and self.at + 1 < len(self._words) and self._words[self.at + 1] in {b">", b"="}:
            return b">" + self._words[self.at + 1]
        return self._peek()

    def _noted(self, value: int) -> int:
        self._negative = self._negative or value < 0
        if not -_NO_LONGER_SIGNED <= value < 2 * _NO_LONGER_SIGNED:
            raise _NotUnderstood
        return value

    def _unary(self) -> Value:
        if self.at >= len(self._words):
            raise _NotUnderstood
        word = self._words[self.at]
        self.at += 1
        if word in {b"!", b"not", b"-", b"+", b"~"}:
            value = self._unary()
            if value is None:
                return None
            return self._noted({b"-": -value, b"+": value, b"~": ~value}.get(word, int(not value)))
        if word == b"(":
            value = self.ternary()
            if not self._take(b")"):
                raise _NotUnderstood
            return value
        if number := _INTEGER.fullmatch(word):
            digits = number[1].replace(b"'", b"")
            octal = digits[:1] == b"0" and digits.isdigit()
            value = int(digits, 8) if octal else int(digits, 0)
            self._unsigned = self._unsigned or b"u" in number[2].lower() or value >= _NO_LONGER_SIGNED
            return value
        if character := _CHARACTER.fullmatch(word):
            code = character[1][-1]
            return _ESCAPES.get(code, code) if len(character[1]) > 1 else code
        if word[:1].isalpha() or word[:1] == b"_":
            return {b"true": 1, b"false": 0}.get(word) if word in {b"true", b"false"} else self._value_of(word)
        if word == UNKNOWN:
            return None
        raise _NotUnderstood


#: In the place of a question that has no answer.
UNKNOWN = b"\0"
