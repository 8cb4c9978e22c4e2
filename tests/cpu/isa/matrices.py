"""Runs products of matrices, with fragments dealt to lanes as the PTX ISA says, and says what their models make of them.

In the models of these rows the letters are whole matrices, lists of rows of whole numbers.
"""

from __future__ import annotations

import random
import re
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tests.cpu.isa.models import evaluated
from tests.cpu.isa.reals import FORMATS, encode, from_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.isa.registry import Name

    Matrix = list[list[int]]
    Place = tuple[int, int]

_SHAPE = re.compile(r"m(\d+)n(\d+)k(\d+)")
BITS = {
    "b1": 1,
    "s4": 4,
    "u4": 4,
    "s8": 8,
    "u8": 8,
    "e4m3": 8,
    "e5m2": 8,
    "f16": 16,
    "bf16": 16,
    "tf32": 32,
    "f32": 32,
    "s32": 32,
    "f64": 64,
}
_LOWEST = {"u8": 0, "u4": 0, "b1": 0}


def shape_of(name: Name) -> tuple[int, int, int]:
    """m, n and k."""
    match = next(filter(None, map(_SHAPE.fullmatch, name.picked)))
    return int(match[1]), int(match[2]), int(match[3])


def types_of(name: Name) -> tuple[str, str, str, str]:
    """Of d, a, b and c."""
    found = [part for part in name.picked if part in BITS]
    return (found[0], "f16", "f16", found[1]) if len(found) == 2 else (found[0], found[1], found[2], found[3])


def numbers(rows: int, columns: int, type_: str, chance: random.Random, most: int = 4) -> Matrix:
    """Whole numbers whose sums every type holds."""
    high = 1 if type_ == "b1" else most
    return [[chance.randint(_LOWEST.get(type_, -most), high) for _ in range(columns)] for _ in range(rows)]


def word(value: int, type_: str) -> int:
    """The bits of a number."""
    if type_ in FORMATS:
        return encode(from_whole(value), type_)
    return value & (1 << BITS[type_]) - 1


class Product(NamedTuple):
    """One `mma` with its matrices; of `m8n8k4` of f16 there are four, one for each pair of quads."""

    name: Name
    a: list[Matrix]
    b: list[Matrix]
    c: list[Matrix]


def product(name: Name) -> Product:
    """A product of a form."""
    chance = random.Random(zlib.crc32(".".join(name.parts).encode()))
    (m, n, k), (_, a, b, c) = shape_of(name), types_of(name)
    times = 4 if is_quads(name) else 1
    most = 2**31 - 9 if name.has("satfinite") else 20
    sums = [numbers(m, n, c, chance, 20) for _ in range(times)]
    if name.has("satfinite"):  # near the ends of 32 bits
        sums = [[[(most - abs(one)) * (1 if one > 0 else -1) for one in row] for row in matrix] for matrix in sums]
    return Product(
        name, [numbers(m, k, a, chance) for _ in range(times)], [numbers(k, n, b, chance) for _ in range(times)], sums
    )


def is_quads(name: Name) -> bool:
    """Whether it is the product of pairs of quads."""
    return shape_of(name) == (8, 8, 4) and types_of(name)[1] == "f16"


def place_of(name: Name, which: str, lane: int, register: int, element: int) -> Place:
    """(row, column) of an element of a register of a lane (PTX ISA section 9.7.14.5)."""
    m, _, _ = shape_of(name)
    type_ = types_of(name)["dabc".index(which)]
    if is_quads(name):
        return _place_in_quads(name, which, lane, register, element)
    group, place = lane // 4, lane % 4
    each = max(32 // BITS[type_], 1)
    if which in "cd":
        index = register * each + element
        return (group + (8 if index >= 2 else 0), place * 2 + index % 2)
    tall = m == 16 and which == "a"
    block, low = (register // 2, register % 2) if tall else (register, 0)
    along = place * each + element + block * 4 * each
    return (group + 8 * low, along) if which == "a" else (along, group)


def _place_in_quads(name: Name, which: str, lane: int, register: int, element: int) -> Place:
    index = register * 2 + element
    low, upper = lane % 4, 4 * (lane >= 16)
    orders = [part for part in name.picked if part in {"row", "col"}]
    if which == "a":
        return (low + upper, index) if orders[0] == "row" else (index + upper, low)
    if which == "b":
        return (low, index + upper) if orders[1] == "row" else (index, low + upper)
    if types_of(name)["dabc".index(which)] == "f16":
        return (low + upper, index)
    return ((lane & 1) + (register & 2) + upper, (register & 4) + (lane & 2) + (register & 1))


def registers_of(name: Name, which: str) -> int:
    """How many registers a lane holds."""
    m, n, k = shape_of(name)
    if is_quads(name):
        return 8 if which in "cd" and types_of(name)["dabc".index(which)] == "f32" else {"a": 2, "b": 2}.get(which, 4)
    size = {"a": m * k, "b": k * n}.get(which, m * n)
    return max(size // 32 // max(32 // BITS[types_of(name)["dabc".index(which)]], 1), 1)


def dealt(name: Name, which: str, matrices: list[Matrix]) -> list[int]:
    """The words of all registers, lane by lane."""
    type_ = types_of(name)["dabc".index(which)]
    each = max(32 // BITS[type_], 1)
    found = []
    for lane in range(32):
        matrix = matrices[lane // 4 % 4 if is_quads(name) else 0]
        for register in range(registers_of(name, which)):
            total = 0
            for element in range(each):
                row, column = place_of(name, which, lane, register, element)
                total |= word(matrix[row][column], type_) << element * BITS[type_]
            found.append(total)
    return found


def multiplied(one: Product) -> list[Matrix]:
    """What the model gives."""
    return [evaluated(one.name, {"a": a, "b": b, "c": c}) for a, b, c in zip(one.a, one.b, one.c, strict=True)]  # type: ignore[misc]


def text_of(name: Name) -> str:
    """A kernel `(d, a, b, c)` with pointers to the fragments."""
    wide = "f64" in name.picked
    bits, size = ("b64", 8) if wide else ("b32", 4)
    lines = [
        f".visible .entry k({', '.join(f'.param .u64 p{one}' for one in 'dabc')}) {{ .reg .b32 %t; .reg .b64 %w, %x;"
    ]
    lines += ["mov.u32 %t, %tid.x;"]
    for which in "abcd":
        count = registers_of(name, which)
        lines.append(
            f".reg .{bits} %{which}<{count}>; ld.param.u64 %w, [p{which}]; mul.wide.u32 %x, %t, {count * size}; add.u64 %w, %w, %x;"
        )
        if which == "d":
            groups = ["{" + ", ".join(f"%{one}{k}" for k in range(registers_of(name, one))) + "}" for one in "dabc"]
            lines.append(f"{'.'.join(['mma', *name.parts])} {', '.join(groups)};")
        move = "st.global.{0} [%w+{1}], {2};" if which == "d" else "ld.global.{0} {2}, [%w+{1}];"
        lines += [move.format(bits, size * k, f"%{which}{k}") for k in range(count)]
    return "\n".join([*lines, "ret; }"])


def difference(ptx: Callable, one: Product) -> str:
    """How the executor differs from the model, or ""."""
    name = one.name
    dtype = np.uint64 if "f64" in name.picked else np.uint32
    given = [np.array(dealt(name, which, getattr(one, which)), dtype) for which in "abc"]
    got = np.zeros(32 * registers_of(name, "d"), dtype)
    ptx(text_of(name)).run("k", 1, 32, got, *given)
    want = dealt(name, "d", multiplied(one))
    wrong = [k for k, (is_, wish) in enumerate(zip(got.tolist(), want, strict=True)) if is_ != wish]
    return f"{'.'.join(['mma', *name.parts])}: {len(wrong)} words, the first is {wrong[0]}" if wrong else ""
