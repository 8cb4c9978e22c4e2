"""Bits that a model gives as they are, numbers near which a result may be, and what stands in a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jitload.cpu.isa.registry import Name
    from tests.cpu.isa.reals import Real


class Word(int):
    """Bits that are the result as they are."""

    __slots__ = ()


class Near:
    """A number of which the last bit may be another: what is approximate."""

    __slots__ = ("value",)

    def __init__(self, value: Real) -> None:
        self.value = value


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
