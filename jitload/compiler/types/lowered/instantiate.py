"""From the tree of a lowered name to types: template arguments put in, packs expanded, sizes computed.

`Traits<T>::type` in a template's parameter may be a class or stand for another type, and a lowered name does not say
which. So a member of something that depends on a template argument is asked for by name, of someone who has the source,
and is not known where nobody has.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jitload.compiler.types.cpptype import Node, as_parameter, point, qualify, size_of, spell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    #: (name with its template arguments, e.g. "Traits<float>::type") -> what it stands for, None when not known.
    Resolve = Callable[[str], Node | None]

#: Nodes and characters that a type may unfold to: substitutions in a symbol refer to each other, doubling the length.
MAX_OUTPUT = 1 << 18
#: Inline namespaces in which NVIDIA's libraries put a version or a list of archs: no part of the name.
ABI_NAMESPACE = re.compile(r"__\d+|(?:THRUST|CUB)_\d+_\w+|_V_\d+\w*")
VENDOR_ROOTS = {"cuda", "cuda::std", "thrust", "cub"}
#: Those whose values can be written without naming the type.
_NUMBERS = {f"{sign}{width}" for sign in ("", "unsigned ") for width in ("short", "int", "long", "long long")}
_BINARY: dict[str, Callable[[int, int], int | bool]] = {
    "pl": lambda a, b: a + b, "mi": lambda a, b: a - b, "ml": lambda a, b: a * b, "dv": lambda a, b: a // b,
    "rm": lambda a, b: a % b, "an": lambda a, b: a & b, "or": lambda a, b: a | b, "eo": lambda a, b: a ^ b,
    "ls": lambda a, b: a << b, "rs": lambda a, b: a >> b, "eq": lambda a, b: a == b, "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b, "gt": lambda a, b: a > b, "le": lambda a, b: a <= b, "ge": lambda a, b: a >= b,
    "aa": lambda a, b: bool(a and b), "oo": lambda a, b: bool(a or b),
}  # fmt: skip
_LARGEST = 1 << 31


class NotKnown(Exception):  # noqa: N818 - never leaves the compiler's room
    """The type cannot be told for certain from what is at hand."""


class Instantiation:
    """Makes types of the trees of one lowered name.

    Args:
        resolve: says what a member of a dependent type is.
    """

    def __init__(self, resolve: Resolve | None = None) -> None:
        self._resolve = resolve
        self._budget = MAX_OUTPUT

    def parameters(self, trees: Iterable[Node]) -> list[Node | None]:
        """The types of a function's parameters, None for each that is not known.

        Raises:
            NotKnown: not even how many there are.
        """
        found: list[Node | None] = []
        for tree, position in self._expanded(trees, None):
            try:
                found.append(as_parameter(self._type(tree, position)))
            except NotKnown:
                found.append(None)
        return found

    def name(self, tree: Node) -> str:
        """A name, spelled with its template arguments.

        Raises:
            NotKnown: it has none.
        """
        return self._name(tree, None)

    def _spend(self, text: str) -> None:
        self._budget -= 1 + len(text)
        if self._budget < 0:
            raise NotKnown("larger than anyone writes")

    def _type(self, tree: Node, position: int | None) -> Node:
        self._spend(tree.text)
        kind, _, parts = tree
        if kind == "given":
            return self._type(self._argument(tree, position), None)
        if kind in {"*", "&", "&&"}:
            return point(self._type(parts[0], position), kind)
        if kind in {"const", "volatile"}:
            if parts[0].kind == "function":  # of a member function
                function = self._type(parts[0], position)
                return function._replace(text=f"{kind} {function.text}".strip())
            return qualify(self._type(parts[0], position), kind)
        if kind == "restrict":
            return self._type(parts[0], position)
        if kind == "member":
            return Node("member", "", (self._type(parts[0], position), self._type(parts[1], position)))
        if kind == "array":
            return Node("array", self._value(parts[1], position), (self._type(parts[0], position),))
        if kind == "function":
            result = self._type(parts[0], position)
            params = [as_parameter(self._type(part, at)) for part, at in self._expanded(parts[1:], position)]
            return Node("function", tree.text, (result, *params))
        return self._named(tree, position)

    def _named(self, tree: Node, position: int | None) -> Node:
        """A builtin, class or enum, or a member of something dependent that stands for any type."""
        name = self._name(tree, position)
        if not self._is_dependent_member(tree):
            return Node("name", name)
        found = None if self._resolve is None else self._resolve(name)
        if found is None:
            raise NotKnown(name)
        return found

    def _is_dependent_member(self, tree: Node) -> bool:
        """Whether a name may be that of a typedef: it is looked up in what depends on a template argument."""
        while tree.kind in {"scoped", "instance"}:
            if tree.kind == "scoped":
                return self._depends(tree.parts[0])
            if tree.parts[0].kind == "given":  # a template given as an argument may be an alias
                return True
            tree = tree.parts[0]
        return False

    def _depends(self, tree: Node) -> bool:
        self._spend("")
        return tree.kind in {"given", "unknown"} or any(self._depends(part) for part in tree.parts)

    def _argument(self, tree: Node, position: int | None) -> Node:
        """What was given for a template parameter; of a pack, the argument at `position`."""
        argument = tree.parts[0]
        if argument.kind != "pack":
            return argument
        if position is None or position >= len(argument.parts):
            raise NotKnown("a pack that is not expanded")
        return argument.parts[position]

    def _expanded(self, trees: Iterable[Node], position: int | None) -> Iterator[tuple[Node, int | None]]:
        """The trees of a list with its packs expanded: (tree, position in the packs)."""
        for tree in trees:
            self._spend("")
            if tree.kind == "pack":
                yield from self._expanded(tree.parts, None)
            elif tree.kind == "expand":
                for at in range(self._pack_length(tree.parts[0])):
                    yield tree.parts[0], at
            elif tree.kind == "given" and tree.parts[0].kind == "pack" and position is None:
                yield from self._expanded(tree.parts[0].parts, None)  # as NVRTC writes the packs of values
            else:
                yield tree, position

    def _pack_length(self, tree: Node) -> int:
        pending = [tree]
        while pending:
            part = pending.pop()
            self._spend("")
            if part.kind == "given" and part.parts[0].kind == "pack":
                return sum(1 for _ in self._expanded(part.parts[0].parts, None))
            if part.kind != "given":
                pending += part.parts
        raise NotKnown("an expansion without a pack")

    def _name(self, tree: Node, position: int | None) -> str:
        self._spend(tree.text)
        kind, text, parts = tree
        if kind == "name":
            return text
        if kind == "given":
            argument = self._argument(tree, position)
            if argument.kind not in {"name", "scoped", "instance"}:
                raise NotKnown("a name that depends on what has none")
            return self._name(argument, None)
        if kind == "instance":
            arguments = [self._template_argument(part, at) for part, at in self._expanded(parts[1:], position)]
            name = f"{self._name(parts[0], position)}<{', '.join(arguments)}>"
        elif kind == "scoped":
            scope, inner = self._name(parts[0], position), self._name(parts[1], position)
            if scope in VENDOR_ROOTS and ABI_NAMESPACE.fullmatch(inner):
                return scope
            name = f"{scope}::{inner}"
        elif kind == "local":
            name = f"{self._name(parts[0], position)}()"
        else:
            raise NotKnown("something without a name")
        self._spend(name)
        return name

    def _template_argument(self, tree: Node, position: int | None) -> str:
        if tree.kind == "given":
            argument = self._argument(tree, position)
            return self._template_argument(argument, None)
        if tree.kind in {"literal", "expression", "address"}:
            return self._value(tree, position)
        text = spell(self._type(tree, position))
        self._spend(text)
        return text

    def _value(self, tree: Node, position: int | None) -> str:
        """A template argument or size that is a number, as C++ text."""
        if tree.kind == "value":
            return tree.text
        if tree.kind == "given":
            return self._value(self._argument(tree, position), None)
        if tree.kind == "literal":
            return self._literal(tree)
        if tree.kind == "address":
            return self._name(tree.parts[0], None)
        if tree.text == "ad" and tree.parts[0].kind == "address":
            return f"&{self._value(tree.parts[0], None)}"
        result = self._computed(tree, position)
        if not -_LARGEST < result < _LARGEST:  # where it could overflow, its type matters
            raise NotKnown("a large number")
        return str(result).lower()

    def _literal(self, tree: Node) -> str:
        kind = spell(self._type(tree.parts[0], None))
        if kind == "bool":
            return "true" if tree.text == "1" else "false"
        if kind == "std::nullptr_t":
            return "nullptr"
        if kind in {"float", "double", "long double", "__half"}:
            raise NotKnown("the value of a floating-point number")
        return tree.text if kind in _NUMBERS else f"({kind}){tree.text}"

    def _computed(self, tree: Node, position: int | None) -> int | bool:
        """The value of an expression of integers."""
        self._spend("")
        kind, text, parts = tree
        if kind == "given":
            return self._computed(self._argument(tree, position), None)
        if kind == "literal":
            value = spell(self._type(parts[0], None))
            if value == "bool":
                return tree.text == "1"
            if value in _NUMBERS and tree.text.removeprefix("-").isdigit() and len(tree.text) < 12:
                return int(tree.text)
        if kind == "expression":
            if text == "st":
                size = size_of(self._type(parts[0], position))
                if size is not None:
                    return size
            elif text == "sZ":
                return self._pack_length(parts[0])
            elif text == "qu":
                return self._computed(parts[1 if self._computed(parts[0], position) else 2], position)
            elif text in {"ng", "nt"}:
                operand = self._computed(parts[0], position)
                return -operand if text == "ng" else not operand
            elif text in _BINARY:
                left, right = self._computed(parts[0], position), self._computed(parts[1], position)
                if self._is_plain(text, left, right):
                    return _BINARY[text](left, right)
        raise NotKnown("the value of an expression")

    def _is_plain(self, operator: str, left: int, right: int) -> bool:
        """Whether Python computes the same as C++, whatever the integers' types."""
        if operator in {"dv", "rm"}:
            return left >= 0 < right
        if operator in {"ls", "rs"}:
            return left >= 0 <= right < 31
        return abs(left) < _LARGEST and abs(right) < _LARGEST
