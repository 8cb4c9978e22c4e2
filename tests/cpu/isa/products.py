"""Models of products of matrices: lists of rows of whole or exact numbers, and None where nothing is stored."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from tests.cpu.isa import integers
from tests.cpu.isa.reals import ZERO, Real

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.isa.registry import Name

    Number = Real | int
    Matrix = list[list[Number]]
    Sparse = list[list[Number | None]]

#: Of which two elements are kept or left out together.
_PAIRS = frozenset(["s4", "u4"])


def multiplied(name: Name, a: Sparse, b: Matrix, c: Matrix) -> Matrix:
    """A product and a sum; of bits the ones that differ, or that both have. What is not stored multiplies nothing."""
    found = summed(a, b, c, operator.xor if name.has("xor") else operator.mul)
    return [[_finite(one) for one in row] for row in found] if name.has("satfinite") else found


def summed(a: Sparse, b: Matrix, c: Matrix, one: Callable) -> Matrix:
    """The same with that function in the place of products."""
    columns = list(zip(*b, strict=True))
    return [
        [_total(row, column, old, one) for column, old in zip(columns, sums, strict=True)]
        for row, sums in zip(a, c, strict=True)
    ]


def _total(row: list[Number | None], column: tuple[Number, ...], old: Number, one: Callable) -> Number:
    for x, y in zip(row, column, strict=True):
        if x is not None:
            old = old + one(x, y)
    return ZERO if isinstance(old, Real) and old.kind == "number" and not old.whole else old


def _finite(one: Number) -> Number:
    """32 bits of an integer; of floats infinity becomes a number that any type cuts to its largest, and NaN zero."""
    if not isinstance(one, Real):
        return integers.clamp(one, 32)
    return ZERO if one.is_nan else one


def turned(name: Name, a: Matrix) -> Matrix:
    """A matrix, with rows as columns where the name says so."""
    return [list(column) for column in zip(*a, strict=True)] if name.has("trans") else a


def unpacked(name: Name, a: list[list[int]]) -> list[list[int]]:
    """Rows of 16 bytes, in the first of which 16 elements of 4 or 6 bits lie one behind the other, as these elements."""
    bits = 4 if name.has("b4x16_p64") else 6
    wholes = [sum(byte << 8 * place for place, byte in enumerate(row)) for row in a]
    return [[whole >> bits * k & (1 << bits) - 1 for k in range(16)] for whole in wholes]


def opposite(a: Matrix) -> Matrix:
    """Its numbers with the other sign."""
    return [[-one for one in row] for row in a]


def cleared(d: Matrix) -> Matrix:
    """As many zeros."""
    return [[ZERO if isinstance(one, Real) else 0 for one in row] for row in d]


def elements_of(name: Name) -> tuple[int, int]:
    """(elements that are kept or left out together, elements of a chunk of a sparse row)."""
    a = name.types[1]
    if a == "tf32":
        return 1, 2
    return (2, 8) if a in _PAIRS or (a == "e2m1" and not is_in_bytes(name)) else (1, 4)


def is_in_bytes(name: Name) -> bool:
    """Whether floats of 4 bits stand in a byte each."""
    return name.has("kind::f8f6f4") or name.has("kind::mxf8f6f4")


def spread(name: Name, a: Matrix, e: list[list[int]]) -> Sparse:
    """Rows of which half is stored, with None for the rest; of each chunk, 4 bits of metadata say where two parts stand."""
    together, chunk = elements_of(name)
    found: Sparse = []
    for stored, metadata in zip(a, e, strict=True):
        numbers = iter(stored)
        row: list[Number | None] = [None] * (len(metadata) * chunk)
        for start, two in enumerate(metadata):
            # tf32 is a pair of halves, of which the first names the element.
            parts = [(two & 3) // 2] if chunk == 2 else [two & 3, two >> 2]
            for part in parts:
                for k in range(together):
                    row[start * chunk + part * together + k] = next(numbers)
        found.append(row)
    return found


def across(a: list[list[Real | None]], s: list[list[Real]]) -> list[list[Real | None]]:
    """Rows times their scales, of which each is for a part of them."""
    return [
        [None if one is None else one * scales[k * len(scales) // len(row)] for k, one in enumerate(row)]
        for row, scales in zip(a, s, strict=True)
    ]


def down(b: list[list[Real]], t: list[list[Real]]) -> list[list[Real | None]]:
    """Columns times theirs."""
    columns: list[list[Real | None]] = [list(column) for column in zip(*b, strict=True)]
    return [list(row) for row in zip(*across(columns, t), strict=True)]
