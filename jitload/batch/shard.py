"""A part of a batch for one of several machines that know nothing of each other: "3/8" is the third of eight."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jitload.errors import UsageTypeError, UsageValueError
from jitload.frozen import Value

if TYPE_CHECKING:
    from jitload.source.request import CompileRequest

_TEXT = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


class Shard(Value):
    """One part of all requests, by their digests: whatever else is in a batch, and in which order, changes nothing.

    Attributes:
        number: which part, from 1.
        count: how many there are.
    """

    __slots__ = ("count", "number")
    number: int
    count: int

    def __init__(self, number: int, count: int) -> None:
        self._set(number=number, count=count)

    @staticmethod
    def parse(text: str) -> Shard:
        """The part that a text like "3/8" names.

        Raises:
            UsageTypeError: it is no text.
            UsageValueError: it names none.
        """
        if not isinstance(text, str):
            raise UsageTypeError(f"shard= takes a text like '3/8', got {type(text).__name__}")
        found = _TEXT.fullmatch(text)
        number, count = map(int, found.groups()) if found is not None else (0, 0)
        if not 1 <= number <= count:
            raise UsageValueError(f"{text!r:.80} is no part of a whole: write 1/8 for the first of eight, to 8/8")
        return Shard(number, count)

    def has(self, request: CompileRequest) -> bool:
        """Whether a request is of this part."""
        return int(request.digest[:16], 16) % self.count == self.number - 1
