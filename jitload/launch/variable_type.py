"""Arrays against the C++ type of a variable, where that is known: its elements, and how they stand in rows."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from jitload.launch.advice import dense_copy, described, element_advice
from jitload.launch.cpp_type import element_type, value_type
from jitload.launch.elements import MEMORY, Element, lanes_needed
from jitload.launch.misfit import Misfit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.launch.arrays import ArrayView
    from jitload.launch.cpp_type import CppType
    from jitload.launch.foreign import Given

_EXTENTS = re.compile(r"(.*?) ?((?:\[\d*\])+)")
#: What `struct` calls the scalars of a buffer that are no bytes; the integers have their sizes in the buffer.
_FLOATS = {"e": "float16", "f": "float32", "d": "float64", "?": "bool", "P": "address"}
_INTEGERS = "hHiIlLqQnN"


class VariableType(NamedTuple):
    """The type of a variable, of arithmetic type, vectors of them or pointers, or arrays of such.

    Attributes:
        text: the type.
        element: what it is made of.
        extents: of the array that it is, () for a single value; (n,) where only the number of elements is known.
    """

    text: str
    element: CppType
    extents: tuple[int, ...]

    @staticmethod
    def of(text: str, nbytes: int) -> VariableType | None:
        """The type of that text, or None where nothing can be said, or where it does not have that many bytes."""
        base, brackets = text, ""
        if found := _EXTENTS.fullmatch(text):
            base, brackets = found[1], found[2]
        if "(" in base:  # pointers to arrays and functions, and names in functions
            return None
        element = value_type(base, canonical=True)
        if element is None and base.endswith("*"):
            element = element_type(f"{base}*", canonical=True)
        if element is None or nbytes % element.nbytes:
            return None
        count = nbytes // element.nbytes
        sizes = [int(size or 0) for size in re.findall(r"\[(\d*)\]", brackets)]
        if 0 in sizes:
            rest = math.prod(sizes[1:])
            sizes = [count // rest, *sizes[1:]] if rest and count % rest == 0 else [count]
        return VariableType(text, element, tuple(sizes)) if math.prod(sizes) == count else None

    def check(self, view: ArrayView | memoryview, value: Given) -> None:
        """Nothing for an array of its elements that has its rows, or has none.

        Raises:
            Misfit: an array of other elements, or of other rows.
        """
        element = _element_of(view) if isinstance(view, memoryview) else view.element
        if element.scalar in {"memory", "void"}:
            return
        needed = lanes_needed(element, self.element)
        if not needed:
            advice = element_advice(value, element, self.element)
            raise Misfit(f"it is {self.text!r}, and {described(value)} is made of {element.name}; {advice}")
        own = [extent for extent in (*self.extents, needed) if extent != 1]
        shape, in_order = (view.shape or (), True) if isinstance(view, memoryview) else view.rows()
        given = [extent for extent in shape if extent != 1]
        if len(own) < 2 or len(given) < 2:
            return
        ours, theirs = _row_lengths(own), _row_lengths(given)
        if not (ours <= theirs or theirs <= ours):
            raise Misfit(
                f"it is {self.text!r}, and {described(value)} has other rows; reshape or transpose it to {tuple(own)}"
            )
        if not in_order:
            raise Misfit(
                f"it is {self.text!r}, and the rows of {described(value)} are not in the order of C; "
                f"pass {dense_copy(value)}"
            )


def _row_lengths(extents: Sequence[int]) -> set[int]:
    """How many elements a row has, a row of rows, and so on: who splits or joins axes keeps those of fewer axes."""
    return {math.prod(extents[axis:]) for axis in range(len(extents))}


def _element_of(view: memoryview) -> Element:
    """The element of a buffer by its format: bytes, and what has several kinds of fields, are memory."""
    code = view.format.lstrip("@=<")
    if code in _FLOATS:
        return Element(_FLOATS[code], view.itemsize, _FLOATS[code])
    if len(code) == 1 and code in _INTEGERS:
        name = f"{'u' * code.isupper()}int{8 * view.itemsize}"
        return Element(name, view.itemsize, name)
    return MEMORY
