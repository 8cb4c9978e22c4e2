"""A place in a lowered name, and what has been seen before it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

from jitload.compiler.types.cpptype import Node

if TYPE_CHECKING:
    from collections.abc import Callable

#: Deeper than any symbol of CUB; every level costs a few Python frames.
MAX_DEPTH = 100
NUMBER = re.compile(r"\d+")
_SUBSTITUTION = re.compile(r"S([0-9A-Z]*)_")
_PARAMETER = re.compile(r"T(\d*)_")
_STANDARD = {
    "St": "std", "Sa": "std::allocator", "Sb": "std::basic_string", "Ss": "std::string", "Si": "std::istream",
    "So": "std::ostream", "Sd": "std::iostream",
}  # fmt: skip
UNKNOWN = Node("unknown")
#: Stands for a namespace without a name.
ANONYMOUS = "(anonymous namespace)"


class Unreadable(Exception):  # noqa: N818 - never leaves the compiler's room
    """A symbol that is no lowered name of a function, or one of a form that is not known here."""


class Cursor:
    """One symbol.

    Attributes:
        at: where it is read next.
        given: what T_, T0_, ... stand for: the template arguments of the function.
    """

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self.at = 0
        self.given: tuple[Node, ...] = ()
        self._seen: list[Node] = []  # what S_, S0_, ... stand for
        self._depth = 0

    def peek(self, length: int = 1) -> str:
        """What comes next, less at the end."""
        return self._symbol[self.at : self.at + length]

    def take(self, text: str) -> bool:
        """Read a text, if it is what comes next."""
        found = self._symbol.startswith(text, self.at)
        self.at += len(text) if found else 0
        return found

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Read what matches."""
        match = pattern.match(self._symbol, self.at)
        if match is not None:
            self.at = match.end()
        return match

    def expect(self, text: str) -> None:
        """Read a text that must come next."""
        if not self.take(text):
            self.fail()

    def fail(self) -> NoReturn:
        """Say that this is no lowered name."""
        raise Unreadable(f"{self._symbol[:80]} at {self.at}")

    def until_end(self, read: Callable[[], Node]) -> tuple[Node, ...]:
        """Read up to the E that closes a list."""
        found = []
        while not self.take("E"):
            found.append(read())
        return tuple(found)

    def nested(self, read: Callable[[], Node]) -> Node:
        """Read what may hold others of its kind."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self.fail()
        node = read()
        self._depth -= 1
        return node

    def remember(self, node: Node) -> Node:
        """Give a piece the next number for S_."""
        self._seen.append(node)
        return node

    def attempt(self, read: Callable[[], object]) -> bool:
        """Read something if it is there, else nothing."""
        at, seen, depth = self.at, len(self._seen), self._depth
        try:
            read()
        except Unreadable:
            self.at, self._depth = at, depth
            del self._seen[seen:]
            return False
        return True

    def source_name(self) -> Node:
        """An identifier, with its length before it."""
        match = self.match(NUMBER) or self.fail()
        end = self.at + int(match[0])
        if not self.at < end <= len(self._symbol):
            self.fail()
        text = self._symbol[self.at : end]
        self.at = end
        return Node("name", ANONYMOUS if text.startswith("_GLOBAL__N_") else text)

    def substitution(self) -> Node:
        """What was seen before, or a short form of a name in std."""
        match = self.match(_SUBSTITUTION)
        if match is not None:
            number = int(match[1], 36) + 1 if match[1] else 0
            if number >= len(self._seen):
                self.fail()
            return self._seen[number]
        text = _STANDARD.get(self.peek(2)) or self.fail()
        self.at += 2
        return Node("name", text)

    def parameter(self) -> Node:
        """A template parameter."""
        match = self.match(_PARAMETER) or self.fail()
        number = int(match[1]) + 1 if match[1] else 0
        return Node("given", "", (self.given[number],)) if number < len(self.given) else UNKNOWN
