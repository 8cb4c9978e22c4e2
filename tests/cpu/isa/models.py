"""How the column `model` of the rows is read: plain Python over the sources, which only tests evaluate.

In a model the letters of the places are the values of the sources: whole numbers of integer types (of bits, unsigned
ones), exact numbers (`reals.Real`) of floats, truth of predicates. Of packed types the model is asked element by element.
It gives a number that is cut or rounded to the type of the result, as the modifiers `.rn`, `.ftz`, `.sat` and `.relu`
ask; truth, which becomes all ones or 1.0; several of these where there are several results; `None` where nothing is
known. `n` is the name, `bits` and `signed` are its first type, `has('hi')` asks for a part, and `carry` is the flag.
Words of models are the functions of this file, of `boxes.py`, `integers.py`, `products.py`, `reals.py` and `texels.py`.

Models of forms that do more than give a value name what other files of models know: see `OTHERS`.
"""

from __future__ import annotations

import math
from functools import cache, reduce
from typing import TYPE_CHECKING

from jitload.cpu.types import TYPES
from tests.cpu.isa import boxes, integers, products, reals, texels
from tests.cpu.isa.reals import FORMATS, NAN, Real, encode, from_float, order
from tests.cpu.isa.stochastic import code_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.isa.registry import Name


class Word(int):
    """Bits that are the result as they are."""

    __slots__ = ()


class Near:
    """A number of which the last bit may be another: what is approximate."""

    __slots__ = ("value",)

    def __init__(self, value: Real) -> None:
        self.value = value


def moved(a: Real | int) -> Word:
    """The bits of a source."""
    return Word(a.word if isinstance(a, Real) else a)


def picked(name: Name, group: str) -> str:
    """What stands in the name for a word in capitals, or for one of several words."""
    choices = {*group.split("|")}
    return next(
        (
            part
            for slot, part in zip(name.row.slots, name.picked, strict=True)
            if slot.group == group or part in choices
        ),
        "",
    )


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


def near(function: Callable[[float], float], a: Real, **special: Real | None) -> Near | Real:
    """What a function of Python's gives for a float."""
    if a.is_nan:
        return NAN
    try:
        return Near(from_float(function(float(a))))
    except (ValueError, OverflowError, ZeroDivisionError):
        return special.get("otherwise") or NAN


def sine(a: Real) -> Near | Real:
    return near(math.sin, a)


def cosine(a: Real) -> Near | Real:
    return near(math.cos, a)


def tangent_h(a: Real) -> Near | Real:
    return near(math.tanh, a)


def exp2(a: Real) -> Near | Real:
    infinity = Real(False, 1, kind="infinity")
    return near(lambda x: 2.0**x, a, otherwise=infinity)


def log2(a: Real) -> Near | Real:
    if not a.whole and not a.is_nan:
        return Real(True, 1, kind="infinity")
    return near(math.log2, a)


def upper(a: Real) -> Word:
    """`rcp.approx.ftz.f64`: the upper half of a word of f64, rounded; there is one NaN."""
    word = encode(Real(a.negative, a.whole, a.power, a.kind), "f64")
    return Word(_upper(word) if a.kind == "number" else word)


def _upper(word: int) -> int:
    if not word >> 52 & 2047:
        return word & 1 << 63
    return (word + 0x7FFFFFFF + (word >> 32 & 1)) >> 32 << 32


def quotient_approx(a: Real, b: Real) -> Near | Real:
    """`div.approx`: 0 beyond 2**126, where the reciprocal is subnormal."""
    if b.kind == "number" and order(abs(b), Real(False, 1, 126)) == 1 and not a.is_nan:
        return NAN if a.kind == "infinity" else Real(a.negative != b.negative, 0)
    return Near(a / b)


def integral(name: Name, a: Real) -> Real:
    """A number without what stands behind the point, in a rounding mode for integers; a zero keeps the sign."""
    if a.kind != "number" or a.power >= 0 or not picked(name, "IRND"):
        return a
    whole, below = a.whole >> -a.power, a.whole & (1 << -a.power) - 1
    half = 1 << -a.power - 1
    up = {
        "rni": below > half or (below == half and whole & 1),
        "rzi": False,
        "rmi": below and a.negative,
        "rpi": below and not a.negative,
    }[picked(name, "IRND")]
    return Real(a.negative, whole + bool(up))


def to_whole(name: Name, a: Real) -> int:
    """A float as an integer of the first type, the nearest where there is none; NaN is 0, or the top bit of 64."""
    type_, other = TYPES[name.types[0]], TYPES[name.types[1]]
    if a.is_nan:
        return 1 << type_.bits - 1 if 64 in {type_.bits, other.bits} else 0
    if a.kind == "infinity":
        value = -(1 << 80) if a.negative else 1 << 80
    else:
        rounded = integral(name, a)
        value = (rounded.whole << rounded.power) * (-1 if rounded.negative else 1) if rounded.whole else 0
    return integers.limited(value, type_.bits, signed=type_.kind == "s")


def scale(name: Name, a: Real) -> Word:
    """`ue8m0`: the exponent alone, of a power of two that is not below (`.rp`) or not above (`.rz`) the magnitude."""
    if a.is_nan:
        return Word(255)
    if a.kind == "infinity":
        return Word(254 if name.has("satfinite") else 255)
    if not a.whole:
        return Word(0)
    top = a.whole.bit_length() - 1
    power = top + a.power + (name.has("rp") and a.whole != 1 << top)
    code = max(power + 127, 0)
    return Word(min(code, 254) if name.has("satfinite") else min(code, 255))


def stochastic(name: Name, a: Real, random: int) -> Word:
    """`cvt.rs` of one number, with its own random bits lowest."""
    target = name.types[0][:-2]
    return Word(code_of(float(a), random, target, saturated=name.has("satfinite"), relu=name.has("relu")))


def widened_brain(name: Name, a: Real) -> Word | Real:
    """bf16 as f32 is a shift, so that a NaN stays what it is; with `.relu` and the like it is a number like any."""
    return Word(a.word << 16) if a.is_nan else a


def packed(name: Name, a: int, b: int, c: int) -> int:
    """`cvt.pack`: two numbers, limited to so many bits, and above them the lower part of a word."""
    word = name.types[0]
    return integers.packed(a, b, c, int(word[1:]), signed=word[0] == "s")


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


def unscaled(code: int) -> Real:
    """The number that a `ue8m0` is."""
    return NAN if code == 255 else Real(False, 1, code - 127)


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


def ballot(lanes: list[int], chosen: list[bool] | None = None) -> int:
    """A word with the lanes as bits that are chosen, or with all of them."""
    return sum(1 << lane for lane, one in zip(lanes, chosen or lanes, strict=True) if one or chosen is None)


def voted(name: Name, a: list[bool]) -> bool:
    """`vote`."""
    return {"all": all(a), "any": any(a), "uni": len({*a}) == 1}[picked(name, "all|any|uni")]


def folded(name: Name, a: list[int]) -> int:
    """`redux` of bits."""
    function = {"and": int.__and__, "or": int.__or__, "xor": int.__xor__}[picked(name, "and|or|xor")]
    return reduce(function, a)


def shuffled(name: Name, lanes: list[int], a: list[int], b: list[int], c: list[int]) -> list[tuple[int | None, bool]]:
    """`shfl`: from a lane of the own segment, or the own value where that would be outside of it."""
    by_lane = dict(zip(lanes, a, strict=True))
    found = []
    for lane, distance, ends in zip(lanes, b, c, strict=True):
        step, segment = distance & 31, ends >> 8 & 31
        last = (lane & segment) | (ends & 31 & ~segment)
        first = lane & segment
        source = {"up": lane - step, "down": lane + step, "bfly": lane ^ step, "idx": first | (step & ~segment)}[
            picked(name, "up|down|bfly|idx")
        ]
        inside = source >= last if name.has("up") else source <= last
        found.append((by_lane.get(source if inside else lane), inside))
    return found


@cache
def function_of(name: Name, letters: tuple[str, ...] = ()) -> Callable[..., object]:
    """The model of a form, as a function of these letters.

    Those of its sources in their order are taken if none are given, and then the carry flag where it is read.
    """
    if not letters:
        letters = tuple(place.name for place in name.row.places if not place.is_result)
        letters += ("carry",) if "carries_in" in name.row.effects else ()
    known: dict[str, object] = {
        **vars(reals),
        **vars(integers),
        **vars(products),
        **vars(boxes),
        **vars(texels),
        **globals(),
        "n": name,
        "has": name.has,
    }
    if name.types and name.types[0] in TYPES:
        known |= {"bits": name.type.bits, "signed": name.type.kind == "s"}
    function: Callable[..., object] = eval(f"lambda {', '.join(letters)}: ({name.row.model})", known)
    return function


def evaluated(name: Name, letters: dict[str, object]) -> object:
    """What the model of a form makes of its letters."""
    return function_of(name, tuple(letters))(*letters.values())
