"""Types as they are written: a declaration's words to a type, names looked up by whoever knows the scopes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jitload.compiler.types.cpptype import Node, as_parameter, point, qualify
from jitload.compiler.types.lowered.instantiate import NotKnown
from jitload.compiler.types.words import BUILTIN, PASSED_OVER, WITH_ARGUMENT, WORD, before_value, split_list

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Attributes that make another type.
ANOTHER_TYPE = {"vector_size", "__vector_size__", "ext_vector_type", "mode", "__mode__"}
_MARKS = {"*", "&", "&&"}
#: The size of an array that is not known; it does not matter where the array decays to a pointer.
_ANY_SIZE = "?"


class Part(NamedTuple):
    """One part of a qualified name.

    Attributes:
        name: the word.
        arguments: the words of each template argument, None where it has no brackets.
    """

    name: str
    arguments: tuple[tuple[str, ...], ...] | None


if TYPE_CHECKING:
    #: (parts, whether "::" stands before them, whether a struct, class, union or enum is said to be meant) -> the type
    Lookup = Callable[[Sequence[Part], bool, bool], Node]
    #: Words -> the number they stand for.
    Compute = Callable[[Sequence[str]], str]


def read_parameter(words: Sequence[str], lookup: Lookup, compute: Compute) -> Node:
    """The type of a parameter by its declaration.

    Raises:
        NotKnown: it cannot be told for certain.
    """
    return _checked(as_parameter(_Reader(before_value(words), lookup, compute).declaration()))


def read_type(words: Sequence[str], lookup: Lookup, compute: Compute) -> Node:
    """The type in a typedef or after `using NAME =`.

    Raises:
        NotKnown: it cannot be told for certain.
    """
    return _checked(_Reader(words, lookup, compute).declaration())


def read_variable(words: Sequence[str], lookup: Lookup, compute: Compute) -> Node:
    """The type of a variable; the sizes of arrays that cannot be told are left out.

    Raises:
        NotKnown: it cannot be told for certain.
    """
    return _without_unknown_sizes(_Reader(words, lookup, compute).declaration())


def _without_unknown_sizes(node: Node) -> Node:
    text = "" if node.kind == "array" and node.text == _ANY_SIZE else node.text
    return Node(node.kind, text, tuple([_without_unknown_sizes(part) for part in node.parts]))


def _checked(node: Node) -> Node:
    if node.kind == "array" and node.text == _ANY_SIZE:
        return node  # it may still decay
    _refuse_unknown_sizes(node.parts)
    return node


def _refuse_unknown_sizes(parts: Sequence[Node]) -> None:
    for part in parts:
        if part.kind == "array" and part.text == _ANY_SIZE:
            raise NotKnown("the size of an array")
        _refuse_unknown_sizes(part.parts)


class _Reader:
    """One declaration: specifiers, and one declarator, perhaps without a name."""

    def __init__(self, words: Sequence[str], lookup: Lookup, compute: Compute) -> None:
        self._words = words
        self._lookup = lookup
        self._compute = compute
        self._at = 0

    def declaration(self) -> Node:
        """The type that is declared."""
        node = self._declarator(self._specifiers(), len(self._words))
        if self._at != len(self._words):
            raise NotKnown(" ".join(self._words))
        return node

    def _word(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._words[at] if at < len(self._words) else ""

    def _specifiers(self) -> Node:
        builtin: list[str] = []
        qualifiers: list[str] = []
        named: Node | None = None
        is_class = False
        while word := self._word():
            if word in {"const", "volatile"}:
                qualifiers.append(word)
            elif word in BUILTIN and named is None:
                builtin.append(word)
            elif word in PASSED_OVER:
                is_class = is_class or word in {"struct", "class", "union", "enum"}
            elif word in WITH_ARGUMENT or (word == "[" and self._word(1) == "["):
                self._skip_attribute()
                continue
            elif named is None and not builtin and (word == "::" or WORD.fullmatch(word)):
                named = self._named(is_class=is_class)
                continue
            else:
                break
            self._at += 1
        if builtin:
            named = Node("name", builtin_type(builtin))
        if named is None:
            raise NotKnown("no type")
        for qualifier in qualifiers:
            named = qualify(named, qualifier)
        return named

    def _named(self, *, is_class: bool) -> Node:
        is_rooted = self._word() == "::"
        self._at += is_rooted
        if self._word() in {"decltype", "auto", "__typeof__", "typeof"}:
            raise NotKnown("a deduced type")
        parts = [self._part()]
        while self._word() == "::" and self._word(1) != "*":
            self._at += 1
            self._at += self._word() == "template"
            parts.append(self._part())
        return self._lookup(parts, is_rooted, is_class)

    def _part(self) -> Part:
        name = self._word()
        if not WORD.fullmatch(name):
            raise NotKnown(f"a name with {name!r} in it")
        self._at += 1
        if self._word() != "<":
            return Part(name, None)
        start = self._at
        depth = 0
        while self._at < len(self._words):
            word = self._word()
            depth += {"<": 1, ">": -1}.get(word, 0)
            if word in {"(", "["}:
                self._skip_brackets(0)
                continue
            self._at += 1
            if depth == 0:
                return Part(name, tuple(split_list(self._words[start + 1 : self._at - 1])))
        raise NotKnown("open brackets")

    def _skip_brackets(self, ahead: int) -> int:
        """Pass a bracket that comes next, perhaps after some words, to where it closes; give where it opened."""
        self._at += ahead
        opened, depth = self._at, 0
        while self._at < len(self._words):
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(self._word(), 0)
            self._at += 1
            if depth == 0:
                return opened
        raise NotKnown("open brackets")

    def _skip_attribute(self) -> None:
        opened = self._skip_brackets(0 if self._word() == "[" else 1)
        if not ANOTHER_TYPE.isdisjoint(self._words[opened : self._at]):
            raise NotKnown("an attribute that makes another type")

    def _declarator(self, node: Node, end: int) -> Node:
        while self._at < end:
            word = self._word()
            if word in _MARKS:
                node = point(node, word)
            elif word in {"const", "volatile"}:
                node = qualify(node, word)
            elif word not in PASSED_OVER:
                break
            self._at += 1
        if self._at >= end:
            return node
        inner: tuple[int, int] | None = None
        if self._word() == "(" and self._word(1) in _MARKS:
            opened = self._skip_brackets(0)
            inner = opened + 1, self._at - 1
        elif WORD.fullmatch(self._word()) and self._word() not in WITH_ARGUMENT:
            self._at += 1
            if self._word() == "::":
                raise NotKnown("a pointer to a member")
        node = self._suffixes(node, end)
        if inner is not None:
            after, self._at = self._at, inner[0]
            node = self._declarator(node, inner[1])
            if self._at != inner[1]:
                raise NotKnown("a declarator")
            self._at = after
        return node

    def _suffixes(self, node: Node, end: int) -> Node:
        """What follows the name: sizes of arrays, parameters of a function, attributes."""
        sizes: list[str] = []
        while self._at < end:
            word = self._word()
            if word == "[" and self._word(1) == "[":
                self._skip_attribute()
            elif word == "[":
                opened = self._skip_brackets(0)
                sizes.append(self._size(self._words[opened + 1 : self._at - 1]))
            elif word == "(" and not sizes:
                opened = self._skip_brackets(0)
                node = self._function(node, self._words[opened + 1 : self._at - 1])
            elif word in WITH_ARGUMENT:
                self._skip_attribute()
            else:
                break
        for size in reversed(sizes):
            node = Node("array", size, (node,))
        return node

    def _size(self, words: Sequence[str]) -> str:
        try:
            return self._compute(words) if words else ""
        except NotKnown:
            return _ANY_SIZE

    def _function(self, result: Node, words: Sequence[str]) -> Node:
        parts = split_list(words)
        if parts in ([], [("void",)]):
            parts = []
        suffix = []
        while self._word() in {"const", "volatile", "noexcept"}:
            suffix.append(self._word())
            self._at += 1
        params = [read_parameter(part, self._lookup, self._compute) for part in parts]
        return Node("function", " ".join(suffix), (result, *params))


def builtin_type(words: Sequence[str]) -> str:
    """The one spelling of a builtin type that may be written in several ways.

    Raises:
        NotKnown: it is none.
    """
    left = list(words)
    is_unsigned, is_signed = "unsigned" in left, "signed" in left
    longs, is_short = left.count("long"), "short" in left
    base = [word for word in left if word not in {"unsigned", "signed", "long", "short"}]
    if not base or base == ["int"]:
        width = "short" if is_short else " ".join(["long"] * longs) or "int"
        return f"unsigned {width}" if is_unsigned else width
    if base == ["char"]:
        return "unsigned char" if is_unsigned else "signed char" if is_signed else "char"
    if base == ["__int128"]:
        return "unsigned __int128" if is_unsigned else "__int128"
    if base == ["double"] and longs:
        return "long double"
    if len(base) != 1 or is_unsigned or is_signed or longs or is_short:
        raise NotKnown(" ".join(words))
    return base[0]
