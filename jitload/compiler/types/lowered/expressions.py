"""Expressions in lowered names (Itanium C++ ABI, section 5.1.6): values of template arguments, sizes of arrays."""

from __future__ import annotations

import re
from abc import abstractmethod

from jitload.compiler.types.cpptype import Node
from jitload.compiler.types.lowered.cursor import UNKNOWN, Cursor

#: Operators in expressions and names, and how many operands they have (section 5.1.3).
OPERATORS = {
    **dict.fromkeys(("ps", "ng", "ad", "de", "co", "nt", "pp", "mm", "sz", "az", "nx", "te", "tw", "sp", "sZ"), 1),
    **dict.fromkeys(
        (
            "pl", "mi", "ml", "dv", "rm", "an", "or", "eo", "ls", "rs", "eq", "ne", "lt", "gt", "le", "ge", "ss",
            "aa", "oo", "cm", "ix", "aS", "pL", "mI", "mL", "dV", "rM", "aN", "oR", "eO", "lS", "rS", "pm", "dt",
            "pt", "ds",
        ),
        2,
    ),
    "qu": 3,
}  # fmt: skip
_FUNCTION_PARAMETER = re.compile(r"fL?\d*p[rVK]*\d*_")
_VALUE = re.compile(r"(n?)([0-9a-f]*)E")


class Expressions(Cursor):
    """Reads expressions; what they are made of besides, names and types, a subclass reads."""

    @abstractmethod
    def encoding(self) -> tuple[Node, tuple[Node, ...] | None]:
        """A name, and the parameters where it is a function's."""

    @abstractmethod
    def type(self) -> Node:
        """A type."""

    @abstractmethod
    def argument(self) -> Node:
        """A template argument."""

    @abstractmethod
    def arguments(self) -> tuple[Node, ...]:
        """Template arguments, with the I before them."""

    def expression(self) -> Node:
        """An expression."""
        return self.nested(self._read_expression)

    def _read_expression(self) -> Node:
        letter, two = self.peek(), self.peek(2)
        if letter == "L":
            return self.literal()
        if letter == "T":
            return self.parameter()
        if self.match(_FUNCTION_PARAMETER):
            return UNKNOWN
        if two in OPERATORS:
            self.at += 2
            if two in {"pp", "mm"}:
                self.take("_")
            return Node("expression", two, tuple([self.expression() for _ in range(OPERATORS[two])]))
        readers = {
            **dict.fromkeys(("st", "at", "ti"), self._of_type),
            **dict.fromkeys(("cv", "sc", "dc", "rc", "cc"), self._cast),
            **dict.fromkeys(("il", "tl", "cl", "cp", "sP"), self._list),
            **dict.fromkeys(("fl", "fr", "fL", "fR"), self._fold),
        }
        return readers.get(two, self._unresolved_name)()

    def _of_type(self) -> Node:
        operator = self.peek(2)
        self.at += 2
        return Node("expression", operator, (self.type(),))

    def _cast(self) -> Node:
        operator = self.peek(2)
        self.at += 2
        target = self.type()
        if operator == "cv" and self.take("_"):
            self.until_end(self.expression)
            return UNKNOWN
        return Node("expression", operator, (target, self.expression()))

    def _list(self) -> Node:
        operator = self.peek(2)
        self.at += 2
        if operator == "tl":
            self.type()
        self.until_end(self.argument if operator == "sP" else self.expression)
        return UNKNOWN

    def _fold(self) -> Node:
        operands = 1 if self.peek(2) in {"fl", "fr"} else 2
        self.at += 4
        for _ in range(operands):
            self.expression()
        return UNKNOWN

    def _unresolved_name(self) -> Node:
        self.take("gs")
        if self.take("sr"):
            if self.take("N"):
                self.type()
                self._qualifiers()
            elif not (self.peek().isdigit() and self.attempt(self._qualifiers)):
                self.type()
        self._base_name()
        return UNKNOWN

    def _qualifiers(self) -> None:
        while not self.take("E"):
            self._base_name()

    def _base_name(self) -> None:
        if self.take("on"):
            self.at += 2
        elif self.take("dn"):
            self.type()
        else:
            self.source_name()
        if self.peek() == "I":
            self.arguments()

    def literal(self) -> Node:
        """A value with its type, or the address of something."""
        self.expect("L")
        if self.take("_Z"):
            given = self.given
            name, _ = self.encoding()
            self.given = given
            self.expect("E")
            return Node("address", "", (name,))
        kind = self.type()
        value = self.match(_VALUE) or self.fail()
        return Node("literal", f"{'-' if value[1] else ''}{value[2]}", (kind,))
