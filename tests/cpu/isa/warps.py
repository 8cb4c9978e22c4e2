"""Models of what the lanes of a warp do together: lists with a value for each lane that takes part."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from tests.cpu.isa.words import picked

if TYPE_CHECKING:
    from jitload.cpu.isa.registry import Name


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
