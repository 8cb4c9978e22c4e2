"""Types in lowered names (Itanium C++ ABI, section 5.1.5), and template arguments."""

from __future__ import annotations

import re
from abc import abstractmethod

from jitload.compiler.types.cpptype import Node
from jitload.compiler.types.lowered.cursor import NUMBER, UNKNOWN
from jitload.compiler.types.lowered.expressions import Expressions

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
_FLOAT = re.compile(r"DF(\d+)([_bx])")


class Types(Expressions):
    """Reads types; names, which they are made of, a subclass reads."""

    @abstractmethod
    def name(self) -> Node:
        """A name."""

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

    def types_until(self, end: str) -> tuple[Node, ...]:
        """Types up to a text, or without one to the end of a list of parameters."""
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
        return self.remember(readers.get(letter, self.name)())

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
            return self.remember(self.decltype())
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

    def decltype(self) -> Node:
        """The type of an expression, which is not computed."""
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
            self.types_until("E")
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
