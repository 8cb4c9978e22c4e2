"""Models of copies of boxes of tensors: which elements a box holds, and what becomes of those of the tensor."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jitload.cpu.isa.registry import Name

    Place = tuple[int, ...]


class Tensor(NamedTuple):
    """A tensor and a box of it; axes count from the innermost.

    Attributes:
        extents: elements along each axis.
        elements: place -> value.
        start: the place of the first element of the box, which may lie outside; of rows one by one the first column.
        counts: elements of the box along each axis.
        steps: from each of them to the next.
        filler: what stands for elements outside.
        rows: those that are named one by one, in a form of two axes; the box has one row then.
    """

    extents: Place
    elements: dict[Place, object]
    start: Place
    counts: Place
    steps: Place
    filler: object
    rows: Place = ()

    def places(self) -> Iterator[Place]:
        """Of the elements of the box in their order in shared memory."""
        for row in self.rows:
            yield from ((self.start[0] + one, row) for one in range(self.counts[0]))
        if self.rows:
            return
        for index in product(*(range(count) for count in reversed(self.counts))):
            yield tuple(
                first + one * step for first, one, step in zip(self.start, reversed(index), self.steps, strict=True)
            )


def boxed(t: Tensor) -> list[object]:
    """The elements of a box."""
    return [t.elements.get(place, t.filler) for place in t.places()]


def unboxed(t: Tensor, b: list[object], join: Callable | None = None) -> dict[Place, object]:
    """The tensor with the elements of a box in their places, or joined to what is there; those outside are left out."""
    found = dict(t.elements)
    for place, one in zip(t.places(), b, strict=True):
        if place in found:
            found[place] = join(found[place], one) if join else one
    return found


def replaced(name: Name, t: dict[str, list[int]], *given: int) -> dict[str, list[int]]:
    """Fields of a tensor map with one of them, or that of one axis, anew."""
    field = next(part for part in name.picked if part in t)
    index, value = given if len(given) == 2 else (0, given[0])
    return {**t, field: [value if k == index else one for k, one in enumerate(t[field])]}
