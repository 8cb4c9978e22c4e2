"""Where names lead: the scopes that C++ looks in, with the template arguments that are in force there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jitload.compiler.types.lowered.instantiate import NotKnown
from jitload.compiler.types.words import split_list
from jitload.compiler.types.written import Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jitload.compiler.types.cpptype import Node
    from jitload.compiler.types.scopes import Entry, Scope

    #: A declaration and the scope that it stands in.
    Located = tuple[Entry, Scope]


class Place(NamedTuple):
    """A scope that a qualified name has reached.

    Attributes:
        scope: the user's scope, None in a namespace of the toolkit.
        path: its name, with template arguments.
        bound: template parameter -> the type or value that was given, for the class and those around it.
        outer: the place around it, where that is a class too.
    """

    scope: Scope | None
    path: str
    bound: Mapping[str, Node | str]
    outer: Place | None = None


class View(NamedTuple):
    """From where a name is looked up.

    Attributes:
        scope: the scope it stands in.
        before: only what is declared before this word is seen.
        bound: template parameter -> the type or value that was given.
        place: the scope, where it is a class.
    """

    scope: Scope
    before: int
    bound: Mapping[str, Node | str]
    place: Place | None = None

    def place_of(self, scope: Scope) -> Place:
        """A scope around this view, as a place.

        Raises:
            NotKnown: it is in a template whose arguments are not known here.
        """
        place = self.place
        while place is not None:
            if place.scope is scope:
                return place
            place = place.outer
        inner: Scope | None = scope
        while inner is not None:
            if inner.is_template:
                raise NotKnown("a member of a template without arguments")
            inner = inner.parent
        return Place(scope, scope.path(), {})


def outwards(scope: Scope | None) -> Iterator[Scope]:
    """A scope and those around it."""
    while scope is not None:
        yield scope
        scope = scope.parent


def entries_of(scope: Scope, name: str, before: int) -> list[Located]:
    """The declarations of a name in a scope, in its inline namespaces, and in what `using namespace` opens there."""
    found: list[Located] = []
    pending, seen = [scope], {id(scope)}
    while pending:
        for inner in with_inline(pending.pop()):
            found += [(entry, inner) for entry in inner.names.get(name, ()) if entry.at < before]
            for at, words in inner.opened:
                opened = opened_place(inner, at, words).scope if at < before else None
                if opened is not None and id(opened) not in seen:
                    seen.add(id(opened))
                    pending.append(opened)
    return found


def with_inline(scope: Scope) -> Iterator[Scope]:
    """A namespace and those in it that are inline."""
    yield scope
    for entries in scope.names.values():
        inner = entries[0].scope
        if entries[0].kind == "namespace" and inner is not None and inner.is_inline:
            yield from with_inline(inner)


def opened_place(scope: Scope, at: int, words: tuple[str, ...]) -> Place:
    """The namespace of that name as seen from a scope; it is not looked for in what is opened beside it."""
    is_rooted = words[:1] == ("::",)
    parts = parts_of(words)
    start = list(outwards(scope))[-1] if is_rooted else scope
    found = _namespace(start, parts[0].name, at, anywhere=not is_rooted)
    place = Place(None, parts[0].name, {}) if found is None else found
    for part in parts[1:]:
        found = None if place.scope is None else _namespace(place.scope, part.name, at, anywhere=False)
        place = Place(None, qualified(place.path, part.name), {}) if found is None else found
    return place


def _namespace(scope: Scope, name: str, before: int, *, anywhere: bool) -> Place | None:
    for start in outwards(scope) if anywhere else (scope,):
        for inner in with_inline(start):
            for entry in inner.names.get(name, ()):
                if entry.kind == "namespace" and entry.scope is not None:
                    return Place(entry.scope, entry.scope.path(), {})
                if entry.kind == "same" and entry.at < before:
                    return opened_place(inner, entry.at, entry.words)
    return None


def opened_elsewhere(view: View) -> list[str]:
    """The toolkit's namespaces that are open in a view, the global one first."""
    paths = [""]
    for scope in outwards(view.scope):
        for at, words in scope.opened:
            place = opened_place(scope, at, words)
            if at < view.before and place.scope is None:
                paths.append(place.path)
    return paths


def qualified(path: str, name: str) -> str:
    """A name with the name of its scope before it."""
    return f"{path}::{name}" if path else name


def parts_of(words: Sequence[str]) -> list[Part]:
    """The parts of a qualified name.

    Raises:
        NotKnown: it has none.
    """
    parts: list[Part] = []
    depth, start = 0, 0
    for at, word in enumerate(words):
        if word == "<":
            start = at + 1 if depth == 0 else start
            depth += 1
        elif word == ">":
            depth -= 1
            if depth == 0 and parts:
                parts[-1] = parts[-1]._replace(arguments=tuple(split_list(words[start:at])))
        elif depth == 0 and word not in {"::", "template", "typename"}:
            parts.append(Part(word, None))
    if not parts:
        raise NotKnown("no name")
    return parts
