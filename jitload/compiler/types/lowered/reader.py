"""Reads lowered names (Itanium C++ ABI, section 5.1) into trees, of which `instantiate.py` makes types.

Besides the kinds of `cpptype.py` a tree has these, since a name is written as the template was:

    scoped    the part after "::" in the part before it
    instance  a template and its arguments
    given     a template parameter: the argument that was given for it
    pack      the arguments of a parameter pack
    expand    a pattern, once for each argument of the packs in it
    expression  an operator (`text`) and its operands
    unknown   what has no name, or is not understood

Whatever the symbol is, reading it ends soon: symbols come from images too.
"""

from __future__ import annotations

import re

from jitload.compiler.types.cpptype import Node
from jitload.compiler.types.lowered.cursor import NUMBER, UNKNOWN, Unreadable
from jitload.compiler.types.lowered.expressions import OPERATORS
from jitload.compiler.types.lowered.types import Types

#: The longest symbols that CUB and thrust make have some 10 000 characters.
MAX_SYMBOL = 1 << 16

_MEMBER_QUALIFIERS = {"r", "V", "K", "R", "O"}
_DISCRIMINATOR = re.compile(r"__\d+_|_\d")


def read_lowered(symbol: str) -> tuple[Node, tuple[Node, ...]]:
    """The name and the parameters in the lowered name of a function.

    Raises:
        Unreadable: it is not one.
    """
    if not symbol.startswith("_Z") or len(symbol) > MAX_SYMBOL:
        raise Unreadable(symbol[:80])
    reader = _Reader(symbol)
    reader.at = 2
    try:
        name, parameters = reader.encoding()
    except (IndexError, RecursionError, ValueError):
        raise Unreadable(symbol[:80]) from None
    if reader.at != len(symbol) or parameters is None:
        raise Unreadable(symbol[:80])
    return name, parameters


def read_variable(symbol: str) -> Node:
    """The name in the lowered name of a variable.

    Raises:
        Unreadable: it is not one.
    """
    if not symbol.startswith("_Z") or len(symbol) > MAX_SYMBOL:
        raise Unreadable(symbol[:80])
    reader = _Reader(symbol)
    reader.at = 2
    try:
        name = reader.name()
    except (IndexError, RecursionError, ValueError):
        raise Unreadable(symbol[:80]) from None
    if reader.at != len(symbol):
        raise Unreadable(symbol[:80])
    return name


class _Reader(Types):
    """One symbol; `at` is where it is read next."""

    def encoding(self) -> tuple[Node, tuple[Node, ...] | None]:
        """A name, and the parameters where it is a function's."""
        name = self.name()
        if self.peek() in {"", "E", "."}:
            return name, None
        if name.kind == "instance":
            self.given = name.parts[1:]
            if not _is_constructor(name.parts[0]):
                self.type()  # the result
        parameters = self.types_until("")
        if self.take("Q"):  # what the template requires
            self.expression()
        return name, () if parameters == (Node("name", "void"),) else parameters

    def name(self) -> Node:
        """A name."""
        if self.take("N"):
            return self._nested()
        if self.take("Z"):
            return self._local()
        if self.peek() == "S" and self.peek(2) != "St":
            name = self.substitution()
            if self.peek() != "I":
                self.fail()
            return Node("instance", "", (name, *self.arguments()))
        name = self._unqualified()
        if self.peek() == "I":
            self.remember(name)
            return Node("instance", "", (name, *self.arguments()))
        return name

    def _nested(self) -> Node:
        while self.peek() in _MEMBER_QUALIFIERS:
            self.at += 1
        name: Node | None = None
        while not self.take("E"):
            if name is not None and self.peek() == "I":
                name = Node("instance", "", (name, *self.arguments()))
            elif name is None and self.peek() == "S" and self.peek(2) != "St":
                name = self.substitution()
                continue
            elif name is None and (self.peek() == "T" or self.peek(2) in {"Dt", "DT"}):
                name = self.remember(self.parameter() if self.peek() == "T" else self.decltype())
                continue
            elif self.take("M"):  # the initializer of a member: says where a lambda stands
                continue
            else:
                part = self._unqualified()
                name = part if name is None else Node("scoped", "", (name, part))
            if self.peek() != "E":  # the whole is remembered by whoever reads it as a type
                self.remember(name)
        return name if name is not None else self.fail()

    def _local(self) -> Node:
        given = self.given
        name, parameters = self.encoding()
        self.given = given
        self.expect("E")
        function = Node("local", "", (name, *(parameters or ())))
        if self.take("s"):
            self.match(_DISCRIMINATOR)
            return Node("scoped", "", (function, UNKNOWN))
        if self.take("d"):
            self.match(NUMBER)
            self.expect("_")
        entity = self.name()
        self.match(_DISCRIMINATOR)
        return Node("scoped", "", (function, entity))

    def _unqualified(self) -> Node:
        if self.take("St"):
            return Node("scoped", "", (Node("name", "std"), self._unqualified()))
        self.take("L")
        if self.peek().isdigit():
            name = self.source_name()
        elif self.peek() == "U":
            name = self._unnamed()
        elif self.peek() in {"C", "D"} and self.peek(2)[1:].isdigit():
            self.at += 2
            name = Node("unknown", "constructor")
        else:
            name = self._operator()
        while self.take("B"):  # an ABI tag
            self.source_name()
        return name

    def _operator(self) -> Node:
        if self.take("cv"):
            self.type()
            return Node("unknown", "constructor")  # like one in that no result is said
        if self.take("li"):
            self.source_name()
        elif self.peek(2) in OPERATORS or self.peek(2) in {"nw", "na", "dl", "da", "cl"}:
            self.at += 2
        else:
            self.fail()
        return UNKNOWN

    def _unnamed(self) -> Node:
        if not self.take("Ut"):
            self.expect("Ul")  # a lambda, with its parameters
            self.types_until("E")
        self.match(NUMBER)
        self.expect("_")
        return UNKNOWN


def _is_constructor(name: Node) -> bool:
    while name.kind == "scoped":
        name = name.parts[1]
    return name == Node("unknown", "constructor")
