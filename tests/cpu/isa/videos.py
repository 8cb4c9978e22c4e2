"""Runs video instructions, with parts of registers as their operands, and says what their models make of them.

The models of these rows say what is done with two numbers; around that stand the selection of parts, saturation, the
second operation and the place in the result (the pseudocode of PTX ISA sections 9.7.17 and 9.7.18). `vmad` takes the
three numbers, `c` as a signed one where any other is, and `minus` says what is negated.
"""

from __future__ import annotations

import random
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tests.cpu.isa.integers import limited, parts, wrapped
from tests.cpu.isa.lines import names_of
from tests.cpu.isa.models import evaluated
from tests.cpu.isa.values import Kind, words

if TYPE_CHECKING:
    from jitload.cpu.isa.registry import Name
    from jitload.cpu.isa.row import Row

_WORD = Kind(32, "u", 32, 32)
_SCALAR = ("", "", "b0", "b1", "b2", "b3", "h0", "h1")
_MINUS = {"": "", "-a": "product", "-b": "product", "-a-b": "", "-c": "c"}


class Line(NamedTuple):
    """An instruction: its name, the selectors of d, a and b, what is negated, and whether there is a third source."""

    name: Name
    selectors: tuple[str, str, str]
    minus: str
    third: bool
    columns: list[list[int]]

    @property
    def text(self) -> str:
        """As it is written."""
        d, a, b = (f".{one}" if one else "" for one in self.selectors)
        a, b = ("-" if "-a" in self.minus else "") + "%a" + a, ("-" if "-b" in self.minus else "") + "%b" + b
        c = (", " + ("-" if "-c" in self.minus else "") + "%c") if self.third else ""
        return f"{'.'.join([self.name.row.opcode, *self.name.parts])} %d{d}, {a}, {b}{c};"


def lines(row: Row, names: int, lanes: int) -> list[Line]:
    """About so many of a form."""
    chance = random.Random(zlib.crc32(row.spelled.encode()))
    found = []
    for name in names_of(row, names):
        elements = int(row.opcode[-1]) if row.opcode[-1] in "24" else 0
        minus, third = "", True
        if elements:
            selectors = _simd(elements, chance)
        else:
            selectors = (chance.choice(_SCALAR), chance.choice(_SCALAR), chance.choice(_SCALAR))
            if row.opcode == "vmad":
                selectors = ("", *selectors[1:])
                minus = "" if name.has("po") else chance.choice([*_MINUS])
            elif len(row.places) == 4 and not row.places[3].optional:
                selectors = ("", *selectors[1:])
            else:
                third = bool(selectors[0])
        found.append(Line(name, selectors, minus, third, [words(_WORD, lanes, chance) for _ in "abc"]))
    return found


def _simd(elements: int, chance: random.Random) -> tuple[str, str, str]:
    """Selectors of elements of both words, and a mask of those of the result."""
    letter = {2: "h", 4: "b"}[elements]
    picks = ["".join(str(chance.randrange(2 * elements)) for _ in range(elements)) for _ in "ab"]
    mask = sorted(chance.sample(range(elements), chance.randint(1, elements)), reverse=True)
    found = ["".join(map(str, mask)), *picks]
    return tuple(letter + one if chance.random() < 0.7 else "" for one in found)  # type: ignore[return-value]


def wanted(line: Line) -> list[int]:
    """The words that the model gives."""
    function = _simd_word if line.name.row.opcode[-1] in "24" else _mad if line.name.row.opcode == "vmad" else _scalar
    return [function(line, *lane) % (1 << 32) for lane in zip(*line.columns, strict=True)]


def _signs(line: Line) -> list[bool]:
    """Whether d, a and b are signed."""
    found = [one == "s32" for one in line.name.types]
    return found if len(found) == 3 else [False, *found]


def _selected(word: int, selector: str, signed: bool) -> int:
    bits = {"": 32, "b": 8, "h": 16}[selector[:1]]
    return parts(word, bits, signed=signed)[int(selector[1:] or 0)]


def _scalar(line: Line, a: int, b: int, c: int) -> int:
    name, (target, first, last) = line.name, line.selectors
    d_signed, a_signed, b_signed = _signs(line)
    bits = {"": 32, "b": 8, "h": 16}[target[:1]]
    value = int(evaluated(name, {"a": _selected(a, first, a_signed), "b": _selected(b, last, b_signed)}))  # type: ignore[call-overload]
    value = limited(value, bits, signed=d_signed) if name.has("sat") else wrapped(value, 33)
    other = parts(c, 32, signed=d_signed)[0]
    second = name.parts[-1] if line.third and not target else ""
    value = {"add": value + other, "min": min(value, other), "max": max(value, other)}.get(second, value)
    if not target:
        return value
    field = ((1 << bits) - 1) << bits * int(target[1:])
    return (value << bits * int(target[1:]) & field) | (c & ~field)


def _mad(line: Line, a: int, b: int, c: int) -> int:
    name, (_, first, last) = line.name, line.selectors
    _, a_signed, b_signed = _signs(line)
    minus = _MINUS[line.minus]
    signed = a_signed or b_signed or bool(minus)
    letters = {
        "a": _selected(a, first, a_signed),
        "b": _selected(b, last, b_signed),
        "c": c,
        "minus": minus,
        "signed": signed,
    }
    value = int(evaluated(name, dict(letters)))  # type: ignore[call-overload]
    return limited(value, 32, signed=signed) if name.has("sat") else value


def _simd_word(line: Line, a: int, b: int, c: int) -> int:
    name, elements = line.name, int(line.name.row.opcode[-1])
    bits = 32 // elements
    d_signed, *signs = _signs(line)
    mask, *picks = line.selectors
    orders = [
        [int(one) for one in reversed(pick[1:])] or [*range(k * elements, (k + 1) * elements)]
        for k, pick in enumerate(picks)
    ]
    result = c
    for place in [int(one) for one in mask[1:]] or range(elements):
        x, y = (
            parts(a | b << 32, bits, signed=signed, total=64)[order[place]]
            for order, signed in zip(orders, signs, strict=True)
        )
        value = int(evaluated(name, {"a": x, "b": y}))  # type: ignore[call-overload]
        value = limited(value, bits, signed=d_signed) if name.has("sat") else value
        if name.has("add"):
            result += value
        else:
            field = ((1 << bits) - 1) << bits * place
            result = (value << bits * place & field) | (result & ~field)
    return result


def differences(apply, line: Line) -> list[str]:
    """Lanes in which the executor differs from the model, in words."""
    got = apply(line.text, np.uint32, *(np.array(column, np.uint32) for column in line.columns)).tolist()
    return [
        f"{line.text} {', '.join(hex(column[lane]) for column in line.columns)}: {is_:#x}, not {want:#x}"
        for lane, (is_, want) in enumerate(zip(got, wanted(line), strict=True))
        if is_ != want
    ]
