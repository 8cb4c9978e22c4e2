"""Handles of the model: numbers that mean one object of one kind, and nothing once it is destroyed."""

from __future__ import annotations

from typing import Any, TypeVar

from . import status
from .status import Refused

T = TypeVar("T")

#: No handle looks like another kind's, and none is used again.
_FIRST = 0x7E00_0000_0000
_STEP = 0x100


class Handles:
    """Number -> object."""

    def __init__(self) -> None:
        self._objects: dict[int, tuple[Any, str]] = {}
        self._next = _FIRST

    def add(self, thing: Any, kind: str) -> int:
        self._next += _STEP
        self._objects[self._next] = thing, kind
        return self._next

    def get(self, handle: int, kind: type[T]) -> T:
        """The object, which must be of that kind and alive."""
        found = self._objects.get(handle)
        if found is None or not isinstance(found[0], kind):
            known = _FIRST < handle <= self._next and handle % _STEP == 0
            what = f"a {found[1]}" if found is not None else "destroyed" if known else "no handle"
            raise Refused(status.INVALID_HANDLE, f"{handle:#x} is {what}, expected a {kind.__name__}")
        return found[0]

    def remove(self, handle: int, kind: type[T]) -> T:
        """The object, which has no handle from now on."""
        thing = self.get(handle, kind)
        del self._objects[handle]
        return thing

    def living(self, kind: str) -> int:
        """How many of a kind there are: for tests of leaks."""
        return sum(own == kind for _, own in self._objects.values())
