"""Code of what a row says in one expression."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from jitload.cpu.isa.decode import type_at
from jitload.cpu.types import unsigned_rep

if TYPE_CHECKING:
    from jitload.cpu.code.writer import BlockWriter
    from jitload.cpu.isa.registry import Name
    from jitload.cpu.isa.row import Place
    from jitload.cpu.text.ir import Operand

_FIELD = re.compile(r"\{(?:(\w)|(is|one)_(\w+)|([TU])|(-?\d+):([TU]))\}")


class Plan:
    """How an instruction of a name is written.

    Attributes:
        rep: of the result.
        sources: per source, its representation and whether it may be an `Affine`.
        text: the expression, with a number in braces for each source.
        constants: (representation, value) of what stands in it as `{c0}`, ...
        affine: whether the result may be an `Affine`.
    """

    __slots__ = ("affine", "constants", "rep", "sources", "text")

    def __init__(
        self,
        rep: str,
        sources: tuple[tuple[str, bool], ...],
        text: str,
        constants: tuple[tuple[str, int], ...],
        affine: bool,
    ) -> None:
        self.rep = rep
        self.sources = sources
        self.text = text
        self.constants = constants
        self.affine = affine


def emit_row(writer: BlockWriter, name: Name, operands: tuple[Operand, ...]) -> None:
    """Write the code of one instruction whose row has an expression."""
    plan = _plan(name)
    values = [
        (writer.affine_source if affine else writer.source)(operand, rep)
        for operand, (rep, affine) in zip(operands[1:], plan.sources, strict=True)
    ]
    values += [writer.function.constant(rep, value) for rep, value in plan.constants]
    writer.result(operands[0], plan.rep, plan.text.format(*values), affine=plan.affine)


@lru_cache(maxsize=1024)
def _plan(name: Name) -> Plan:
    result, *sources = name.row.places
    letters = [place.name for place in sources]
    reps = {"T": name.type.rep, "U": unsigned_rep(name.type.bits)}
    constants: list[tuple[str, int]] = []

    def field(match: re.Match[str]) -> str:
        letter, asks, word, rep, value, of = match.groups()
        if letter in letters:
            return f"{{{letters.index(letter)}}}"
        if asks == "is":
            return repr(name.has(word))
        if asks == "one":
            slots = zip(name.row.slots, name.picked, strict=True)
            return repr(next(part for slot, part in slots if slot.group == word))
        if value is None:
            return reps[rep or letter]
        constants.append((reps[of], int(value)))
        return f"{{{len(letters) + len(constants) - 1}}}"

    text = _FIELD.sub(field, name.row.expression)
    taken = tuple((_rep(name, place), place.mark == "~") for place in sources)
    return Plan(_rep(name, result), taken, text, tuple(constants), any(place.mark == "~" for place in sources))


def _rep(name: Name, place: Place) -> str:
    type_ = type_at(name, place)
    assert type_ is not None
    return unsigned_rep(type_.bits) if place.holds == "U" else type_.rep
