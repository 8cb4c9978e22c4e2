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
from jitload.compiler.types.lowered.expressions import OPERATORS, Expressions

#: The longest symbols that CUB and thrust make have some 10 000 characters.
MAX_SYMBOL = 1 << 16

_BUILTIN = {
    "v": "void", "w": "wchar_t", "b": "bool", "c": "char", "a": "signed char", "h": "unsigned char", "s": "short",
    "t": "unsigned short", "i": "int", "j": "unsigned int", "l": "long", "m": "unsigned long", "x": "long long",
    "y": "unsigned long long", "n": "__int128", "o": "unsigned __int128", "f": "float", "d": "double",
    "e": "long double", "g": "__float128", "z": "...",
    "Dd": "_Decimal64", "De": "_Decimal128", "Df": "_Decimal32", "Dh": "_Float16", "Di": "char32_t",
    "Ds": "char16_t", "Du": "char8_t", "Dn": "std::nullptr_t",
}  # fmt: skip
_MARKS = {"P": "*", "R": "&", "O": "&&"}
_QUALIFIERS = {"K": "const", "V": "volatile", "r": "restrict"}
_MEMBER_QUALIFIERS = {"r", "V", "K", "R", "O"}
_FLOAT = re.compile(r"DF(\d+)([_bx])")
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


class _Reader(Expressions):
    """One symbol; `at` is where it is read next."""

    def encoding(self) -> tuple[Node, tuple[Node, ...] | None]:
        """A name, and the parameters where it is a function's."""
        name = self._name()
        if self.peek() in {"", "E", "."}:
            return name, None
        if name.kind == "instance":
            self.given = name.parts[1:]
            if not _is_constructor(name.parts[0]):
                self.type()  # the result
        parameters = self._types_until("")
        if self.take("Q"):  # what the template requires
            self.expression()
        return name, () if parameters == (Node("name", "void"),) else parameters

    def _name(self) -> Node:
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
                name = self.remember(self.parameter() if self.peek() == "T" else self._decltype())
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
        entity = self._name()
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
            self._types_until("E")
        self.match(NUMBER)
        self.expect("_")
        return UNKNOWN

    def arguments(self) -> tuple[Node, ...]:
        """Template arguments, with the I before them."""
        self.expect("I")
        return self.until_end(self.argument)

    def argument(self) -> Node:
        """A template argument."""
        if self.take("J"):
            return Node("pack", "", self.until_end(self.argument))
        if self.take("X"):
            expression = self.expression()
            self.expect("E")
            return expression
        if self.peek() == "L":
            return self.literal()
        return self.type()

    def _types_until(self, end: str) -> tuple[Node, ...]:
        found = []
        while (not self.take(end)) if end else self.peek() not in {"", "E", ".", "Q"}:
            found.append(self.type())
        return tuple(found)

    def type(self) -> Node:
        """A type."""
        return self.nested(self._read_type)

    def _read_type(self) -> Node:
        letter, two = self.peek(), self.peek(2)
        for code in (letter, two):
            if code in _BUILTIN:
                self.at += len(code)
                return Node("name", _BUILTIN[code])
        if letter in _QUALIFIERS:
            return self.remember(self._qualified())
        if letter in _MARKS:
            self.at += 1
            return self.remember(Node(_MARKS[letter], "", (self.type(),)))
        if letter == "S" and two != "St":
            return self._substituted_type()
        if two in {"Ts", "Tu", "Te"}:  # struct, union, enum
            self.at += 2
        elif letter == "T":
            return self._parameter_type()
        if letter == "D":
            return self._d_type(two)
        readers = {
            "F": self._function,
            "A": self._array,
            "M": self._member,
            "u": self._vendor,
            "U": self._vendor,
            "C": self._complex,
            "G": self._complex,
        }
        return self.remember(readers.get(letter, self._name)())

    def _qualified(self) -> Node:
        """All qualifiers of a type; they count as one for S_."""
        letter = self.peek()
        self.at += 1
        inner = self._qualified() if self.peek() in _QUALIFIERS else self.type()
        return Node(_QUALIFIERS[letter], "", (inner,))

    def _substituted_type(self) -> Node:
        name = self.substitution()
        if self.peek() != "I":
            return name
        return self.remember(Node("instance", "", (name, *self.arguments())))

    def _parameter_type(self) -> Node:
        name = self.remember(self.parameter())
        if self.peek() != "I":
            return name
        return self.remember(Node("instance", "", (name, *self.arguments())))

    def _d_type(self, two: str) -> Node:
        if two in {"Dt", "DT"}:
            return self.remember(self._decltype())
        if two == "Dp":
            self.at += 2
            return self.remember(Node("expand", "", (self.type(),)))
        if two in {"Da", "Dc"}:
            self.at += 2
            return UNKNOWN
        if two in {"Do", "DO", "Dw", "Dx"}:
            return self.remember(self._function())
        if two == "Dv":
            return self.remember(self._vector())
        floating = self.match(_FLOAT) or self.fail()
        return Node("name", "std::bfloat16_t" if floating[2] == "b" else f"_Float{floating[1]}{floating[2].strip('_')}")

    def _decltype(self) -> Node:
        if not (self.take("Dt") or self.take("DT")):
            self.fail()
        self.expression()
        self.expect("E")
        return UNKNOWN

    def _function(self) -> Node:
        suffix = "noexcept" if self.take("Do") else ""
        if self.take("DO"):
            self.expression()
            self.expect("E")
        elif self.take("Dw"):
            self._types_until("E")
        self.take("Dx")
        self.expect("F")
        self.take("Y")
        types: list[Node] = []
        while self.peek(2) not in {"RE", "OE"} and self.peek() != "E":
            types.append(self.type())
        if self.peek() != "E":
            suffix = f"{_MARKS[self.peek()]} {suffix}".strip()
            self.at += 1
        self.expect("E")
        result, *parameters = types
        return Node("function", suffix, (result, *([] if parameters == [Node("name", "void")] else parameters)))

    def _array(self) -> Node:
        self.expect("A")
        number = self.match(NUMBER)
        size = Node("value", number[0] if number else "") if number or self.peek() == "_" else self.expression()
        self.expect("_")
        return Node("array", "", (self.type(), size))

    def _member(self) -> Node:
        self.expect("M")
        return Node("member", "", (self.type(), self.type()))

    def _vendor(self) -> Node:
        is_type = self.take("u")
        self.at += not is_type
        name = self.source_name()
        if self.peek() == "I":
            self.arguments()
            name = UNKNOWN
        if not is_type:  # a qualifier
            self.type()
        return name if is_type else UNKNOWN

    def _complex(self) -> Node:
        self.at += 1
        self.type()
        return UNKNOWN

    def _vector(self) -> Node:
        self.expect("Dv")
        number = self.match(NUMBER)
        if number is None:
            self.expect("_")
            self.expression()
        self.expect("_")
        if not self.take("p"):
            self.type()
        return UNKNOWN


def _is_constructor(name: Node) -> bool:
    while name.kind == "scoped":
        name = name.parts[1]
    return name == Node("unknown", "constructor")
