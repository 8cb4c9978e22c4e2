"""How the column `model` of the rows is read: plain Python over the sources, which only tests evaluate.

In a model the letters of the places are the values of the sources: whole numbers of integer types (of bits, unsigned
ones), exact numbers (`reals.Real`) of floats, truth of predicates. Of packed types the model is asked element by element.
It gives a number that is cut or rounded to the type of the result, as the modifiers `.rn`, `.ftz`, `.sat` and `.relu`
ask; truth, which becomes all ones or 1.0; several of these where there are several results; `None` where nothing is
known. `n` is the name, `bits` and `signed` are its first type, `has('hi')` asks for a part, and `carry` is the flag.
Words of models are the functions of this file and of `FILES`, a file for each family.

What the letters are of forms that do more than give a value, the file says that runs them: see `ways.py`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from jitload.cpu.types import TYPES
from tests.cpu.isa import approximations, boxes, conversions, integers, products, reals, tensor_cells, texels, warps
from tests.cpu.isa.reals import FORMATS, NAN, Real, order
from tests.cpu.isa.words import Word, picked

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.isa.registry import Name

#: Where words of models are, beside this file; each word is in one of them.
FILES = (reals, integers, products, boxes, texels, approximations, conversions, warps, tensor_cells)


def moved(a: Real | int) -> Word:
    """The bits of a source."""
    return Word(a.word if isinstance(a, Real) else a)


_SIGNS = {"eq": (0,), "ne": (-1, 1), "lt": (-1,), "le": (-1, 0), "gt": (1,), "ge": (0, 1), "num": (-1, 0, 1), "nan": ()}
_SIGNS |= {"lo": (-1,), "ls": (-1, 0), "hi": (1,), "hs": (0, 1)}


def holds(test: str, a: Real | int, b: Real | int) -> bool:
    """What a comparison says; those that end in "u" hold where one is NaN."""
    if not isinstance(a, Real) or not isinstance(b, Real):
        assert not isinstance(a, Real)
        assert not isinstance(b, Real)
        return (a > b) - (a < b) in _SIGNS[test]
    found = order(a, b)
    if found is None:
        return test == "nan" or (len(test) == 3 and test.endswith("u"))
    return found in _SIGNS[test[:2] if len(test) == 3 and test.endswith("u") else test]


_TESTS = frozenset([*_SIGNS, "equ", "neu", "ltu", "leu", "gtu", "geu"])
_JOINS = {"and": lambda a, b: a and b, "or": lambda a, b: a or b, "xor": lambda a, b: a != b}


def compared(name: Name, a: Real | int, b: Real | int, c: bool | None = None) -> bool:
    """`set`: a comparison, and a predicate joined to it where there is one."""
    found = holds(next(part for part in name.picked if part in _TESTS), a, b)
    return found if c is None else _JOINS[picked(name, "BOOL")](found, c)


def compared_both(name: Name, a: Real | int, b: Real | int, c: bool | None = None) -> bool | tuple[bool, bool]:
    """`setp`: the same, and the same of the opposite; packed halves have a result each instead."""
    found = holds(next(part for part in name.picked if part in _TESTS), a, b)
    both = (found, not found)
    if c is not None:
        join = _JOINS[picked(name, "BOOL")]
        both = (join(found, c), join(not found, c))
    return both[0] if TYPES[name.types[0]].kind == "x2" else both


def extreme(name: Name, *sources: Real) -> Real:
    """`min` and `max`: a number wins over NaN but with `.NaN`; -0 is less than 0."""
    sign = -1 if "min" in {name.row.opcode, *name.picked} else 1
    if name.has("NaN") and any(one.is_nan for one in sources):
        return NAN
    found = NAN
    for one in [abs(one) if name.has("abs") else one for one in sources]:
        if not one.is_nan and (found.is_nan or _key(one, found) == sign):
            found = one
    if name.has("xorsign") and not found.is_nan and sum(_is_negative(one) for one in sources) == 1:
        return -found
    return found


def inside(name: Name, value: Real, *sources: Real) -> Real:
    """`.oob`: zero where a source is the NaN that copies of tensors put outside of them."""
    outside = FORMATS[name.types[0].removesuffix("x2")].nan
    return reals.ZERO if any(one.word == outside for one in sources) else value


def joined(name: Name, old: Real, b: Real) -> Real:
    """What an atomic of floats leaves in memory."""
    if name.has("add"):
        return old + b
    if old.is_nan or b.is_nan:
        return b if old.is_nan else old
    return old if _key(old, b) == (-1 if name.has("min") else 1) else b


def reduced(name: Name, old: Real | int, b: Real | int) -> Real | int:
    """What a reduction leaves in memory."""
    if isinstance(old, Real) and isinstance(b, Real):
        return joined(name, old, b)
    assert isinstance(old, int)
    assert isinstance(b, int)
    return integers.REDUCTIONS[picked(name, "|".join(integers.REDUCTIONS))](old, b)


def _is_negative(a: Real) -> bool:
    return bool(a.payload >> 63 if a.is_nan else a.negative)


def _key(a: Real, b: Real) -> int:
    found = order(a, b)
    return found or (bool(b.negative) - bool(a.negative))


def negated(name: Name, a: Real) -> Word:
    """The sign bit turned."""
    return Word(a.word ^ 1 << FORMATS[name.types[0].removesuffix("x2")].bits - 1)


def absolute(name: Name, a: Real) -> Word:
    """The sign bit taken away."""
    return Word(a.word & ~(1 << FORMATS[name.types[0].removesuffix("x2")].bits - 1))


def copied_sign(a: Real, b: Real, bits: int) -> Word:
    """`copysign`: the second number with the sign of the first."""
    top = 1 << bits - 1
    return Word((b.word & ~top) | (a.word & top))


def is_like(name: Name, a: Real) -> bool:
    """`testp`."""
    least = {"f32": -126, "f64": -1022}[name.types[0]]
    small = a.kind == "number" and (not a.whole or a.whole.bit_length() - 1 + a.power < least)
    return {
        "finite": a.kind == "number",
        "infinite": a.kind == "infinity",
        "number": a.kind != "nan",
        "notanumber": a.kind == "nan",
        "normal": a.kind == "number" and not small,
        "subnormal": small and bool(a.whole),
    }[name.picked[0]]


def logic_and_test(a: int, b: int, c: int, table: int, p: bool, *, both: bool) -> tuple[int, bool]:
    """`lop3.and`, `lop3.or`: the bits, and whether there is one, joined to a predicate."""
    word = integers.logic(a, b, c, table)
    return word, (word != 0 and p) if both else (word != 0 or p)


def signed_word(a: int) -> int:
    """32 bits as a signed number."""
    return a - (1 << 32) if a >> 31 else a


def half(value: int, bits: int, *, high: bool) -> int:
    """The upper or the lower half of a product, as an unsigned number."""
    return (value >> bits if high else value) & (1 << bits) - 1


def counted(name: Name, b: int) -> int:
    """How far `vshl` and `vshr` shift."""
    return b & 31 if name.has("wrap") else min(b, 32)


def scaled(name: Name, product: int, c: int, minus: str, signed: bool) -> int:
    """`vmad`: what is negated is inverted and has one added in the end, which `.po` adds as well."""
    if minus == "product":
        product = -product
    other = ~c & 0xFFFFFFFF if minus == "c" else c
    total = product + (signed_word(other) if signed else other) + (minus == "c" or name.has("po"))
    return total >> int((picked(name, "shr7|shr15") or "shr0")[3:])


@cache
def function_of(name: Name, letters: tuple[str, ...] = ()) -> Callable[..., object]:
    """The model of a form, as a function of these letters.

    Those of its sources in their order are taken if none are given, and then the carry flag where it is read.
    """
    if not letters:
        letters = tuple(place.name for place in name.row.places if not place.is_result)
        letters += ("carry",) if "carries_in" in name.row.effects else ()
    known: dict[str, object] = {word: one for file in FILES for word, one in vars(file).items()}
    known |= {**globals(), "n": name, "has": name.has}
    if name.types and name.types[0] in TYPES:
        known |= {"bits": name.type.bits, "signed": name.type.kind == "s"}
    function: Callable[..., object] = eval(f"lambda {', '.join(letters)}: ({name.row.model})", known)
    return function


def evaluated(name: Name, letters: dict[str, object]) -> object:
    """What the model of a form makes of its letters."""
    return function_of(name, tuple(letters))(*letters.values())
