"""Runs products of matrices, with fragments dealt to lanes as the PTX ISA says, and says what their models make of them.

In the models of these rows the letters are whole matrices, lists of rows of whole numbers.
"""

from __future__ import annotations

import random
import re
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tests.cpu.isa.metadata import Extras, add_metadata, add_scales
from tests.cpu.isa.models import evaluated
from tests.cpu.isa.products import is_in_bytes
from tests.cpu.isa.reals import FORMATS, NAN, ZERO, Real, decode, encode, from_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.isa.registry import Name

    Matrix = list[list[Real | int]]
    Place = tuple[int, int]

_SHAPE = re.compile(r"m(\d+)n(\d+)k(\d+)")
BITS = {"b1": 1, "s4": 4, "u4": 4, "s8": 8, "u8": 8, "s32": 32, "e2m1": 4, "e2m1 in bytes": 8, "e2m3": 8, "e3m2": 8}
BITS |= {name: form.bits + form.unused for name, form in FORMATS.items() if name not in BITS}
BITS["tf32"] = 32
#: How far the exponents of floats are from that of 1, at most: f64 holds sums of so different products exactly.
_SPREAD = 4


def shape_of(name: Name) -> tuple[int, int, int]:
    """m, n and k."""
    match = next(filter(None, map(_SHAPE.fullmatch, name.picked)))
    return int(match[1]), int(match[2]), int(match[3])


def stored(name: Name) -> int:
    """Elements of a row of A that registers hold."""
    k = shape_of(name)[2]
    return k // 2 if is_sparse(name) else k


def is_sparse(name: Name) -> bool:
    """Whether half of A is left out."""
    return name.has("sp") or name.has("sp::ordered_metadata")


def types_of(name: Name) -> tuple[str, str, str, str]:
    """Of d, a, b and c; "e2m1 in bytes" where its 4 bits stand in the middle of 8."""
    found = [part for part in name.picked if part in BITS]
    if len(found) == 2:
        return (found[0], "f16", "f16", found[1])
    wide = [f"{one} in bytes" if one == "e2m1" and is_in_bytes(name) else one for one in found]
    return (wide[0], wide[1], wide[2], wide[3])


def numbers(rows: int, columns: int, type_: str, chance: random.Random) -> Matrix:
    """Whole numbers of every size; floats of which f64 holds sums of products exactly."""
    if type_ in BITS and type_.removesuffix(" in bytes") not in FORMATS:
        low, high = (-(1 << BITS[type_] - 1), 0) if type_[0] == "s" else (0, 1 << BITS[type_])
        return [[chance.randrange(low, high or -low) for _ in range(columns)] for _ in range(rows)]
    return [[_float(type_.removesuffix(" in bytes"), chance) for _ in range(columns)] for _ in range(rows)]


def _float(type_: str, chance: random.Random) -> Real:
    form = FORMATS[type_]
    if chance.random() < 0.1:
        return ZERO
    bias, near = form.bias, 1 if type_ == "f64" else _SPREAD
    exponent = chance.randint(max(bias - near, 0), min(bias + near, (form.largest >> form.mantissa) - form.infinite))
    mantissa = chance.getrandbits(form.mantissa) >> (36 if type_ == "f64" else 0) << (36 if type_ == "f64" else 0)
    if exponent << form.mantissa | mantissa > form.largest:
        mantissa = 0
    sign = chance.getrandbits(1) << form.bits - form.unused - 1
    return decode((sign | exponent << form.mantissa | mantissa) << form.unused, type_)


def specials(matrix: Matrix, type_: str, chance: random.Random, rows: bool) -> None:
    """Put infinities and NaN into one row, or one column."""
    form = FORMATS.get(type_.removesuffix(" in bytes"))
    if form is None or type_ == "f64":
        return
    for value in [NAN] * (form.nan >= 0) + [Real(sign, 1, kind="infinity") for sign in (False, True) if form.infinite]:
        fixed, free = 3, chance.randrange(len(matrix[0] if rows else matrix))
        row, column = (fixed, free) if rows else (free, fixed)
        matrix[row][column] = value


def word(value: Real | int, type_: str, *, finite: bool = False) -> int:
    """The bits of a number."""
    if type_ == "e2m1 in bytes":
        return word(value, "e2m1") << 2
    if type_ in FORMATS:
        return encode(from_whole(value) if isinstance(value, int) else value, type_, finite=finite)
    assert isinstance(value, int)
    return value & (1 << BITS[type_]) - 1


class Product(NamedTuple):
    """One `mma` with its matrices; of `m8n8k4` of f16 there are four, one for each pair of quads.

    `more` are the letters of its model that are neither A, B nor C; `words` the registers that hold them, lane by lane,
    and `operands` the text that names these.
    """

    name: Name
    a: list[Matrix]
    b: list[Matrix]
    c: list[Matrix]
    more: dict[str, list[list[int]] | list[list[Real]]]
    words: dict[str, list[int]]
    operands: str


def product(name: Name, number: int) -> Product:
    """A product of a form; those of odd numbers have infinities and NaN."""
    chance = random.Random(zlib.crc32(".".join(name.parts).encode()))
    (m, n, k), (_, a, b, c) = shape_of(name), types_of(name)
    times = 4 if is_quads(name) else 1
    sums = [numbers(m, n, c, chance) for _ in range(times)]
    if c == "s32" and name.has("satfinite"):  # near the ends of 32 bits
        ends = [2**31 - 9 - one for one in range(20)]
        sums = [[[chance.choice(ends) * chance.choice([-1, 1]) for _ in range(n)] for _ in range(m)]]
    left = [numbers(m, stored(name), a, chance) for _ in range(times)]
    right = [numbers(k, n, b, chance) for _ in range(times)]
    if number % 2:
        for matrices, type_, rows in ((left, a, True), (right, b, False), (sums, c, True)):
            specials(matrices[0], type_, chance, rows)
    more = Extras({}, {}, [])
    if is_sparse(name):
        add_metadata(name, more, chance)
    if name.has("block_scale"):
        add_scales(name, more, chance)
    return Product(name, left, right, sums, more.letters, more.words, "".join(f", {one}" for one in more.operands))


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
    size = {"a": m * stored(name), "b": k * n}.get(which, m * n)
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
                total |= word(matrix[row][column], type_, finite=name.has("satfinite")) << element * BITS[type_]
            found.append(total)
    return found


def multiplied(one: Product) -> list[Matrix]:
    """What the model gives."""
    several = zip(one.a, one.b, one.c, strict=True)
    return [evaluated(one.name, {"a": a, "b": b, "c": c, **one.more}) for a, b, c in several]  # type: ignore[misc]


def text_of(one: Product) -> str:
    """A kernel `(d, a, b, c)` with pointers to the fragments, and to a word of each lane for whatever else there is."""
    name = one.name
    wide = "f64" in name.picked
    bits, size = ("b64", 8) if wide else ("b32", 4)
    lines = [
        f".visible .entry k({', '.join(f'.param .u64 p{which}' for which in ('d', *'abc', *one.words))}) {{ .reg .b32 %t; .reg .b64 %w, %x;"
    ]
    lines += ["mov.u32 %t, %tid.x;"]
    lines += [
        f".reg .b32 %{which}0; ld.param.u64 %w, [p{which}]; mad.wide.u32 %w, %t, 4, %w; ld.global.b32 %{which}0, [%w];"
        for which in one.words
    ]
    for which in "abcd":
        count = registers_of(name, which)
        lines.append(
            f".reg .{bits} %{which}<{count}>; ld.param.u64 %w, [p{which}]; mul.wide.u32 %x, %t, {count * size}; add.u64 %w, %w, %x;"
        )
        if which == "d":
            groups = ["{" + ", ".join(f"%{part}{k}" for k in range(registers_of(name, part))) + "}" for part in "dabc"]
            lines.append(f"{'.'.join(['mma', *name.parts])} {', '.join(groups)}{one.operands};")
        move = "st.global.{0} [%w+{1}], {2};" if which == "d" else "ld.global.{0} {2}, [%w+{1}];"
        lines += [move.format(bits, size * k, f"%{which}{k}") for k in range(count)]
    return "\n".join([*lines, "ret; }"])


def difference(ptx: Callable, one: Product) -> str:
    """How the executor differs from the model, or ""."""
    name = one.name
    dtype = np.uint64 if "f64" in name.picked else np.uint32
    given = [np.array(dealt(name, which, getattr(one, which)), dtype) for which in "abc"]
    got = np.zeros(32 * registers_of(name, "d"), dtype)
    more = [np.array(words, np.uint32) for words in one.words.values()]
    ptx(text_of(one)).run("k", 1, 32, got, *given, *more)
    want = dealt(name, "d", multiplied(one))
    wrong = [k for k, (is_, wish) in enumerate(zip(got.tolist(), want, strict=True)) if is_ != wish]
    return f"{'.'.join(['mma', *name.parts])}: {len(wrong)} words, the first is {wrong[0]}" if wrong else ""
