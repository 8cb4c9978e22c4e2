"""Words, and where the brackets among them close."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Brackets that always pair up; "<" may be an operator.
CLOSING = {"(": ")", "[": "]", "{": "}"}


class Brackets:
    """Words to walk over by their positions.

    Attributes:
        words: the words.
        paired: whether all brackets pair up.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        close = _matching(words)
        self.paired = close is not None
        self._close = close or {}

    def word(self, at: int) -> str:
        """The word at a position, "" beyond the ends."""
        return self.words[at] if 0 <= at < len(self.words) else ""

    def closing(self, at: int) -> int:
        """Where the bracket at a position closes; the position itself where there is none."""
        return self._close.get(at, at)

    def find(self, word: str, at: int, end: int) -> int:
        """The next such word outside of brackets."""
        while at < end and self.word(at) != word:
            at = self.closing(at) + 1
        return at

    def closing_angle(self, at: int, end: int) -> int:
        """Where the template arguments that open at `at` end: behind their bracket."""
        depth = 0
        while at < end:
            word = self.word(at)
            depth += {"<": 1, ">": -1}.get(word, 0)
            if depth == 0:
                return at + 1
            at = self.closing(at) + 1
        return end


def _matching(words: Sequence[str]) -> dict[int, int] | None:
    """Where each bracket closes; None where they do not pair up."""
    found: dict[int, int] = {}
    pending: list[int] = []
    for at, word in enumerate(words):
        if word in CLOSING:
            pending.append(at)
        elif word in {")", "]", "}"}:
            if not pending or CLOSING[words[pending[-1]]] != word:
                return None
            found[pending.pop()] = at
    return None if pending else found
