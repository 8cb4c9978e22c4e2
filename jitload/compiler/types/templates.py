"""Template arguments: bound to their parameters, spelled, and compared with those of specializations."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jitload.compiler.types.conditions import compute
from jitload.compiler.types.cpptype import Node, size_of, spell
from jitload.compiler.types.lowered.instantiate import NotKnown
from jitload.compiler.types.places import Place, View, qualified
from jitload.compiler.types.scopes import Scope
from jitload.compiler.types.words import split_list

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jitload.compiler.types.places import Located
    from jitload.compiler.types.scopes import Entry, TemplateParameter
    from jitload.compiler.types.written import Part

    #: The words of a type, as they are seen from somewhere -> the type.
    Read = Callable[[Sequence[str], View], Node]

_EVERYWHERE = 1 << 60
#: Begins the name of a template parameter that a partial specialization leaves open.
_OPEN = "\0"


class Given(NamedTuple):
    """Template arguments.

    Attributes:
        bound: parameter -> type or value.
        values: the types and values in order.
        texts: how they are spelled.
    """

    bound: dict[str, Node | str]
    values: list[Node | str]
    texts: list[str]


class Templates:
    """Makes instances of templates.

    Args:
        read: reads a type.
    """

    def __init__(self, read: Read) -> None:
        self._read = read

    def instance(self, entries: list[Located], part: Part, view: View, around: Place) -> Place:
        """A class or enum, or an instance of a class template, by all its declarations in one scope."""
        name, owner = qualified(around.path, part.name), entries[0][1]
        primary = [entry for entry, _ in entries if entry.arguments is None]
        if not primary:
            raise NotKnown(name)
        bodies = [entry.scope for entry in primary if entry.scope is not None]
        body = bodies[0] if len(bodies) == 1 else None  # more than one: in branches that are not decided
        # Arguments by default may stand in one declaration only.
        parameters = max((entry.parameters for entry in primary), key=_defaults)
        if (parameters is None) != (part.arguments is None):
            raise NotKnown(name)
        if parameters is None or part.arguments is None:
            return _place(body, part.name, owner, name, around, {})
        given = self.bind(parameters, part.arguments, view, View(owner, _EVERYWHERE, around.bound, around))
        name = f"{name}<{', '.join(given.texts)}>"
        special = [entry for entry, _ in entries if entry.arguments is not None]
        for entry in special:
            if not entry.parameters and self._fits(entry, parameters, given, View(owner, entry.at, {}, None)):
                return _place(entry.scope, part.name, owner, name, around, {})
        fitting = [
            (entry, found)
            for entry in special
            if entry.parameters and (found := self._match(entry, given, View(owner, entry.at, {}, None))) is not None
        ]
        if len(fitting) > 1:
            raise NotKnown("several specializations that fit")
        if fitting:
            return _place(fitting[0][0].scope, part.name, owner, name, around, fitting[0][1])
        own = next((entry.parameters for entry in primary if entry.scope is body), None) or parameters
        bound = {p.name: value for p, value in zip(own, given.values, strict=False) if not p.pack}
        return _place(body, part.name, owner, name, around, bound)

    def bind(
        self, parameters: Sequence[TemplateParameter], arguments: Sequence[Sequence[str]], view: View, own: View
    ) -> Given:
        """Arguments, as they are seen from `view`; those by default are read where the template stands."""
        given = Given({}, [], [])
        parameters = list(parameters)
        if parameters and parameters[-1].pack:
            parameters[-1:] = [parameters[-1]] * (len(arguments) - len(parameters) + 1)
        if len(arguments) > len(parameters):
            raise NotKnown("too many template arguments")
        for at, parameter in enumerate(parameters):
            is_given = at < len(arguments)
            words = arguments[at] if is_given else parameter.default
            seen_from = view if is_given else own._replace(bound={**own.bound, **given.bound})
            if not words:
                raise NotKnown("a template argument that is deduced")
            if parameter.kind == "type":
                value: Node | str = self._read(words, seen_from)
            elif parameter.kind in {"integer", "unsigned", "char", "bool"}:
                value = self.value(words, seen_from)
                if parameter.kind == "unsigned" and value.startswith("-"):
                    raise NotKnown("a negative number for an unsigned one")
                if parameter.kind == "bool":
                    value = "false" if value == "0" else "true"
            else:
                raise NotKnown("a template argument of another kind")
            given.bound[parameter.name] = value
            given.values.append(value)
            text = value if isinstance(value, str) else spell(value)
            given.texts.append(f"(char){text}" if parameter.kind == "char" else text)
        return given

    def value(self, words: Sequence[str], view: View) -> str:
        """The integer that an expression gives."""
        ready: list[bytes] = []
        at = 0
        while at < len(words):
            word = words[at]
            at += 1
            if word == "sizeof" and tuple(words[at : at + 1]) == ("(",):
                close = list(words).index(")", at) if ")" in words[at:] else len(words)
                size = size_of(self._read(words[at + 1 : close], view))
                if size is None:
                    raise NotKnown("the size of a class")
                ready.append(str(size).encode())
                at = close + 1
            else:
                given = view.bound.get(word)
                ready.append((given if isinstance(given, str) else word).encode())
        value = compute(ready, lambda _: None)
        if value is None:
            raise NotKnown("the value of an expression")
        return str(int(value))

    def _fits(self, entry: Entry, parameters: Sequence[TemplateParameter], given: Given, view: View) -> bool:
        """Whether a specialization is for just these arguments."""
        return self.bind(parameters, split_list(entry.arguments or ()), view, view).texts == given.texts

    def _match(self, entry: Entry, given: Given, view: View) -> Mapping[str, Node | str] | None:
        """What the parameters of a partial specialization are with these arguments, None where it does not fit."""
        patterns = split_list(entry.arguments or ())
        kinds = {p.name: p.kind for p in entry.parameters or ()}
        if len(patterns) != len(given.values) or any(p.pack for p in entry.parameters or ()):
            raise NotKnown("a specialization with a pack")
        found: dict[str, Node | str] = {}
        open_ = {name: Node("name", f"{_OPEN}{name}") for name, kind in kinds.items() if kind == "type"}
        for words, value in zip(patterns, given.values, strict=True):
            if isinstance(value, Node):
                if not _unify(self._read(words, view._replace(bound=open_)), value, found):
                    return None
            elif len(words) == 1 and words[0] in kinds:
                if found.setdefault(words[0], value) != value:
                    return None
            else:
                own = self.value(words, view)
                if value not in {own, str(bool(int(own))).lower()}:
                    return None
        return found


def _defaults(parameters: Sequence[TemplateParameter] | None) -> int:
    return -1 if parameters is None else sum(bool(parameter.default) for parameter in parameters)


def _unify(pattern: Node, node: Node, found: dict[str, Node | str]) -> bool:
    """Whether a type is of a pattern; what it leaves open is put into `found`."""
    if pattern.kind == "name" and pattern.text.startswith(_OPEN):
        return found.setdefault(pattern.text[1:], node) == node
    if _OPEN in pattern.text:  # open within the arguments of a class
        raise NotKnown("a specialization for instances of a template")
    if (pattern.kind, pattern.text, len(pattern.parts)) != (node.kind, node.text, len(node.parts)):
        return False
    return all(_unify(one, other, found) for one, other in zip(pattern.parts, node.parts, strict=True))


def _place(
    scope: Scope | None, own: str, owner: Scope, name: str, around: Place, bound: Mapping[str, Node | str]
) -> Place:
    """A class as a place; one without a body that is known has no members."""
    body = scope or Scope(own, owner, is_class=True)
    outer = around if around.scope is not None and around.scope.is_class else None
    return Place(body, name, {**around.bound, **bound}, outer)
