"""Instructions that only compute: of their rows, and as lines."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from jitload.cpu.isa.registry import families
from tests.cpu.isa.lines import line_of, names_of

if TYPE_CHECKING:
    from jitload.cpu.isa.row import Row

#: Those with forms that only compute.
FAMILIES = (
    "Conversions",
    "Floating point",
    "Integer arithmetic",
    "Logic, shifts and bit fields",
    "Comparison, selection and moves",
)
_NAMES = 24  # of one row
#: They fault at what is no address, and of several threads at fault either engine may name another one.
_FAULTING = ("mapa", "getctarank")


def computes(row: Row) -> bool:
    """Whether it has results, and does nothing but give them."""
    effects = row.effects - {"linear", "hands_on", "assembles", "carries_in", "accumulates"}
    return bool(not row.refused and not effects and row.gives)


@functools.cache
def lines_that_compute() -> list[list[str]]:
    """Examples of instructions, a list for each opcode."""
    found: dict[str, list[str]] = {}
    for family in FAMILIES:
        for row in families()[family]:
            if not computes(row) or row.opcode in _FAULTING:
                continue
            lines = [line_of(name) for name in names_of(row, _NAMES)]
            plain = [one for one in lines if "[" not in one and "k_p" not in one and "%q" not in one]
            found.setdefault(row.opcode, []).extend(plain)
    return [lines for _, lines in sorted(found.items()) if lines]
