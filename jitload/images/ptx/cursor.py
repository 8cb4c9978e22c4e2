"""A place in the tokens of PTX text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.errors import LoadError
from jitload.images.ptx.tokens import parse_number

if TYPE_CHECKING:
    from jitload.images.ptx.tokens import Source


class Cursor:
    """A place in the tokens of a source, with the small questions that a reader asks."""

    __slots__ = ("index", "source", "tokens")

    def __init__(self, source: Source, index: int = 0) -> None:
        self.source = source
        self.tokens = source.tokens
        self.index = index

    def peek(self) -> str:
        """The next word, or "" at the end."""
        try:
            return self.tokens[self.index]
        except IndexError:
            return ""

    def take(self) -> str:
        """The next word; the end is an error."""
        try:
            word = self.tokens[self.index]
        except IndexError:
            raise self.error("the text ends too early") from None
        self.index += 1
        return word

    def accept(self, word: str) -> bool:
        """Whether the next word is this one; if so it is taken."""
        try:
            found = self.tokens[self.index] == word
        except IndexError:
            return False
        self.index += found
        return found

    def expect(self, word: str) -> None:
        """Take this word or fail."""
        if not self.accept(word):
            raise self.error(f"expected {word!r}, found {self.peek()[:40]!r}")

    def integer(self) -> int:
        """Take an integer literal, perhaps negative."""
        sign = -1 if self.accept("-") else 1
        value = parse_number(self.take())
        if not isinstance(value, int):
            raise self.error(f"expected an integer, found {self.tokens[self.index - 1][:40]!r}")
        return sign * value

    def error(self, what: str) -> LoadError:
        """A LoadError that names the line."""
        return LoadError(f"invalid PTX, line {self.source.line(self.index)}: {what}", kind="ptx")


def find_brace(cursor: Cursor, first: int) -> int:
    """The index of the brace that closes the one opened just before `first`."""
    depth = 1
    tokens = cursor.tokens
    for index in range(first, len(tokens)):
        word = tokens[index]
        if word == "{":
            depth += 1
        elif word == "}":
            depth -= 1
            if not depth:
                return index
    cursor.index = len(tokens)
    raise cursor.error("a '{' is never closed")
