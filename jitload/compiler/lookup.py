"""What the names of types mean: looked up in the user's scopes as C++ does, and in the toolkit's headers by name.

Where declarations disagree, as in two branches of an `#if` that cannot be decided, the name is not known.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from jitload.compiler.conditions import compute
from jitload.compiler.cpptype import Node, size_of, spell
from jitload.compiler.lowered.instantiate import ABI_NAMESPACE, VENDOR_ROOTS, NotKnown
from jitload.compiler.scopes import Entry, Scope, split_list
from jitload.compiler.toolkit_names import BUILT_IN, BUILT_IN_CLASS, ToolkitNames, words_of
from jitload.compiler.written import Part, read_parameter, read_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jitload.compiler.scopes import Declared, DeclaredKernel

#: More than any chain of typedefs, and enough to stop one that doubles with each link.
_MOST_STEPS = 5000
_MOST_DEPTH = 60
_MOST_TEXT = 20_000
_EVERYWHERE = 1 << 60
#: A unit without declarations: the names in the toolkit's headers mean what those say.
_NOWHERE = Scope("", None)
_NUMBER = re.compile(r"(?:0[xX][0-9a-fA-F']+|0[bB][01']+|[0-9][0-9']*)[uUlLzZ]*")


class _View(NamedTuple):
    """From where a name is looked up.

    Attributes:
        scope: the scope it stands in.
        before: only what is declared before this word is seen.
        bound: template parameter -> the type or value that was given.
    """

    scope: Scope
    before: int
    bound: Mapping[str, Node | str]


class _Place(NamedTuple):
    """A scope that a qualified name has reached.

    Attributes:
        scope: the user's scope, None in one of the toolkit's.
        path: its name, with template arguments.
        bound: the template arguments of the class.
    """

    scope: Scope | None
    path: str
    bound: Mapping[str, Node | str]


class Meanings:
    """Looks up types.

    Args:
        declared: what the user's texts declare.
        toolkit: what the toolkit's headers declare.
    """

    def __init__(self, declared: Declared, toolkit: ToolkitNames) -> None:
        self._declared = declared
        self._toolkit = toolkit
        self._steps = 0
        self._depth = 0

    def parameters(self, kernel: DeclaredKernel) -> list[Node | None]:
        """The types of a kernel that is no template, None for each that is not known."""
        view = _View(kernel.scope, kernel.at, {})
        return [self._attempt(words, view) for words in kernel.parameters]

    def member(self, name: str) -> Node | None:
        """What "Traits<float>::type" stands for, with all template arguments written out."""
        self._steps = 0
        try:
            return self._read(words_of(name), _View(self._declared.top, _EVERYWHERE, {}))
        except (NotKnown, RecursionError):
            return None

    def _attempt(self, words: Sequence[str], view: _View) -> Node | None:
        self._steps = 0
        try:
            return self._read(words, view, is_parameter=True)
        except (NotKnown, RecursionError):
            return None

    def _read(self, words: Sequence[str], view: _View, *, is_parameter: bool = False) -> Node:
        """The type in a declaration that stands in `view`."""
        self._steps += 1 + len(words)
        self._depth += 1
        try:
            if self._steps > _MOST_STEPS or self._depth > _MOST_DEPTH:
                raise NotKnown("longer than anyone writes")
            read = read_parameter if is_parameter else read_type
            node = read(
                words,
                lambda parts, is_rooted, is_class: self._named(parts, view, is_rooted=is_rooted, is_class=is_class),
                lambda size: self._value(size, view),
            )
            if len(spell(node)) > _MOST_TEXT:
                raise NotKnown("longer than anyone writes")
            return node
        finally:
            self._depth -= 1

    # Names.

    def _named(self, parts: Sequence[Part], view: _View, *, is_rooted: bool, is_class: bool) -> Node:
        if self._declared.hidden:
            raise NotKnown("something is declared out of sight")
        if len(parts) == 1 and not is_rooted:
            return self._unqualified(parts[0], view, is_class=is_class)
        place = _Place(self._declared.top, "", {}) if is_rooted else None
        for part in parts[:-1]:
            place = self._enter(part, view) if place is None else self._enter_in(place, part, view)
        if place is None:
            raise NotKnown("no name")
        return self._in_place(place, parts[-1], view)

    def _unqualified(self, part: Part, view: _View, *, is_class: bool) -> Node:
        name = part.name
        if name in view.bound:
            given = view.bound[name]
            if part.arguments is not None or isinstance(given, str):
                raise NotKnown("a template as an argument")
            return given
        scope: Scope | None = view.scope
        maybe: list[Node] = []
        while scope is not None:
            if scope.is_class and scope.name == name and part.arguments is None and not view.bound:
                return Node("name", scope.path())
            entries = self._entries(scope, name, view.before, set())
            if entries:
                maybe.append(self._agreed(entries, part, view))
                if any(entry.sure for entry, _ in entries):
                    return _one(maybe)
            scope = scope.parent
        try:
            maybe.append(self._foreign(self._opened(view), part, view))
        except NotKnown:
            if is_class and not maybe and part.arguments is None:  # `struct NAME *` declares it
                return Node("name", _qualified(_namespace_of(view.scope).path(), name))
            if not maybe or self._toolkit_has(name):
                raise
        return _one(maybe)

    def _enter(self, part: Part, view: _View) -> _Place:
        """The scope that the first part of a qualified name names."""
        if isinstance(given := view.bound.get(part.name), Node):
            return self._of_class(given)
        scope: Scope | None = view.scope
        while scope is not None:
            entries = self._entries(scope, part.name, view.before, set())
            if entries:
                return self._place_of(entries, part, view)
            scope = scope.parent
        return self._foreign_place("", part)

    def _enter_in(self, place: _Place, part: Part, view: _View) -> _Place:
        if place.scope is not None:
            entries = self._entries(place.scope, part.name, _EVERYWHERE, set())
            if entries:
                return self._place_of(entries, part, view, place)
            if place.scope.is_class:
                raise NotKnown(f"{place.path}::{part.name}")
        return self._foreign_place(place.path, part)

    def _foreign_place(self, path: str, part: Part) -> _Place:
        if part.arguments is not None:  # a member of a class of the toolkit
            raise NotKnown(f"a member of {part.name}")
        if path in VENDOR_ROOTS and ABI_NAMESPACE.fullmatch(part.name):
            return _Place(None, path, {})
        return _Place(None, _qualified(path, part.name), {})

    def _place_of(
        self, entries: list[tuple[Entry, Scope]], part: Part, view: _View, place: _Place | None = None
    ) -> _Place:
        entry, owner = entries[0]
        if entry.kind == "namespace" and entry.scope is not None:
            return _Place(entry.scope, entry.scope.path(), {})
        if entry.kind == "same":
            return self._scope_named((*entry.words, "::", ""), _View(owner, entry.at, {}))
        if entry.kind == "class":
            path = place.path if place is not None else owner.path()
            return self._instance(entries, part, view, path, place.bound if place is not None else {})
        return self._of_class(self._agreed(entries, part, view))

    def _scope_named(self, words: Sequence[str], view: _View) -> _Place:
        """The scope that a qualified name has before its last part."""
        parts = _parts_of(words)
        place = _Place(self._declared.top, "", {}) if words[:1] == ("::",) else None
        for part in parts[:-1]:
            place = self._enter(part, view) if place is None else self._enter_in(place, part, view)
        if place is None:
            raise NotKnown("a name without a scope")
        return place

    def _of_class(self, node: Node) -> _Place:
        """The scope of a class that is known by its type."""
        if node.kind != "name":
            raise NotKnown("a member of what is no class")
        return self._scope_named((*words_of(node.text), "::", ""), _View(self._declared.top, _EVERYWHERE, {}))

    def _in_place(self, place: _Place, part: Part, view: _View) -> Node:
        """The type of that name in a scope."""
        if place.scope is None:
            return self._foreign([place.path], part, view)
        entries = self._entries(place.scope, part.name, _EVERYWHERE if place.scope.is_class else view.before, set())
        if entries:
            return self._agreed(entries, part, view, place)
        if not place.scope.is_class:
            return self._foreign([place.path], part, view)
        for base in place.scope.bases:
            node = self._read(base, _View(place.scope.parent or place.scope, _EVERYWHERE, place.bound))
            try:
                return self._in_place(self._of_class(node), part, view)
            except NotKnown:
                continue
        raise NotKnown(_qualified(place.path, part.name))

    def _entries(self, scope: Scope, name: str, before: int, seen: set[int]) -> list[tuple[Entry, Scope]]:
        """The declarations of a name in a scope, in its inline namespaces and in what `using namespace` opens there."""
        if id(scope) in seen:
            return []
        seen.add(id(scope))
        found: list[tuple[Entry, Scope]] = []
        for inner in _with_inline(scope):
            seen.add(id(inner))
            found += [(entry, inner) for entry in inner.names.get(name, ()) if entry.at < before]
            for at, words in inner.opened:
                place = self._opened_place(inner, at, words) if at < before else None
                if place is not None and place.scope is not None:
                    found += self._entries(place.scope, name, before, seen)
        return found

    def _opened_place(self, scope: Scope, at: int, words: tuple[str, ...]) -> _Place:
        """The namespace that `using namespace` opens."""
        is_rooted = words[:1] == ("::",)
        parts = _parts_of(words)
        found = self._namespace(self._declared.top if is_rooted else scope, parts[0].name, at, outwards=not is_rooted)
        place = _Place(None, parts[0].name, {}) if found is None else found
        for part in parts[1:]:
            found = None if place.scope is None else self._namespace(place.scope, part.name, at, outwards=False)
            place = _Place(None, _qualified(place.path, part.name), {}) if found is None else found
        return place

    def _namespace(self, scope: Scope, name: str, before: int, *, outwards: bool) -> _Place | None:
        """The user's namespace of that name. It is not looked for in what is opened beside it, which could go round."""
        start: Scope | None = scope
        while start is not None:
            for inner in _with_inline(start):
                for entry in inner.names.get(name, ()):
                    if entry.kind == "namespace" and entry.scope is not None:
                        return _Place(entry.scope, entry.scope.path(), {})
                    if entry.kind == "same" and entry.at < before:
                        return self._opened_place(inner, entry.at, entry.words)
            start = start.parent if outwards else None
        return None

    def _opened(self, view: _View) -> list[str]:
        """The toolkit's namespaces that are open in a view, the global one first."""
        paths = [""]
        scope: Scope | None = view.scope
        while scope is not None:
            for at, words in scope.opened:
                place = self._opened_place(scope, at, words)
                if at < view.before and place.scope is None:
                    paths.append(place.path)
            scope = scope.parent
        return paths

    # Declarations.

    def _agreed(self, entries: list[tuple[Entry, Scope]], part: Part, view: _View, place: _Place | None = None) -> Node:
        """The one type that all these declarations of a name say."""
        classes = [(entry, owner) for entry, owner in entries if entry.kind in {"class", "enum"}]
        nodes: list[Node] = []
        if classes:
            bound = place.bound if place is not None else {}
            path = place.path if place is not None else classes[0][1].path()
            if len({id(owner) for _, owner in classes}) > 1:
                raise NotKnown("a class in two places")
            nodes.append(Node("name", self._instance(classes, part, view, path, bound).path))
        for entry, owner in entries:
            if entry.kind == "alias":
                nodes.append(self._alias(entry, owner, part, view, place))
            elif entry.kind == "using":
                nodes.append(self._in_place(self._scope_named(entry.words, _View(owner, entry.at, {})), part, view))
            elif entry.kind not in {"class", "enum"}:
                raise NotKnown("a namespace where a type is expected")
        return _one(nodes)

    def _alias(self, entry: Entry, owner: Scope, part: Part, view: _View, place: _Place | None) -> Node:
        bound: dict[str, Node | str] = dict(place.bound) if place is not None else {}
        if place is None and owner.is_class:
            bound.update(view.bound)
        if entry.parameters is not None:
            if part.arguments is None:
                raise NotKnown("a template without arguments")
            bound.update(self._bind(entry, part.arguments, view, _View(owner, entry.at, bound))[0])
        elif part.arguments is not None:
            raise NotKnown("arguments of what is no template")
        return self._read(entry.words, _View(owner, entry.at, bound))

    def _instance(
        self, entries: list[tuple[Entry, Scope]], part: Part, view: _View, path: str, bound: Mapping[str, Node | str]
    ) -> _Place:
        """A class, or an instance of a class template, by its declarations."""
        primary = [entry for entry, _ in entries if entry.arguments is None]
        owner = entries[0][1]
        name = _qualified(path, part.name)
        if not primary:
            raise NotKnown(name)
        defined = next((entry for entry in primary if entry.scope is not None), primary[0])
        if len([entry for entry in primary if entry.scope is not None]) > 1:  # in branches that are not decided
            defined = defined._replace(scope=None)
        if defined.parameters is None:
            if part.arguments is not None:
                raise NotKnown(name)
            return _Place(defined.scope or Scope(part.name, owner, is_class=True), name, bound)
        if part.arguments is None:
            raise NotKnown(name)
        template = next((one for one in primary if any(p.default for p in one.parameters or ())), defined)
        given, texts = self._bind(template, part.arguments, view, _View(owner, _EVERYWHERE, bound))
        name = f"{name}<{', '.join(texts)}>"
        scope = defined.scope
        for entry, _ in entries:
            if entry.arguments is None:
                continue
            if entry.parameters:  # a partial specialization: it may fit
                scope = None
            elif self._arguments(entry.arguments, defined, _View(owner, entry.at, {})) == texts:
                return _Place(entry.scope or Scope(part.name, owner, is_class=True), name, {})
        renamed = {p.name: value for p, value in zip(defined.parameters, given.values(), strict=False)}
        return _Place(scope or Scope(part.name, owner, is_class=True), name, {**bound, **renamed})

    def _arguments(self, words: tuple[str, ...], template: Entry, view: _View) -> list[str]:
        """The arguments of a specialization, spelled."""
        return self._bind(template, tuple(split_list(words)), view, view)[1]

    def _bind(
        self, template: Entry, arguments: Sequence[tuple[str, ...]], view: _View, own: _View
    ) -> tuple[dict[str, Node | str], list[str]]:
        """Template parameter -> argument, and the arguments spelled; defaults are read where the template stands."""
        bound: dict[str, Node | str] = {}
        texts: list[str] = []
        parameters = template.parameters or ()
        if parameters and parameters[-1].pack:
            parameters = (*parameters[:-1], *([parameters[-1]] * (len(arguments) - len(parameters) + 1)))
        if len(arguments) > len(parameters):
            raise NotKnown("too many template arguments")
        for at, parameter in enumerate(parameters):
            words, seen_from = (arguments[at], view) if at < len(arguments) else (parameter.default, own)
            if not words:
                raise NotKnown("a template argument that is deduced")
            if seen_from is own:
                seen_from = _View(own.scope, own.before, {**own.bound, **bound})
            if parameter.kind == "type":
                node = self._read(words, seen_from)
                bound[parameter.name], text = node, spell(node)
            elif parameter.kind in {"integer", "bool"}:
                text = self._value(words, seen_from)
                if parameter.kind == "bool":
                    text = "false" if text in {"0", "false"} else "true"
                bound[parameter.name] = text
            else:
                raise NotKnown("a template argument of another kind")
            texts.append(text)
        return bound, texts

    def _value(self, words: Sequence[str], view: _View) -> str:
        """The integer that an expression gives."""
        ready: list[bytes] = []
        at = 0
        while at < len(words):
            word = words[at]
            at += 1
            if word == "sizeof" and tuple(words[at : at + 1]) == ("(",):
                close = list(words).index(")", at)
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

    # The toolkit.

    def _toolkit_has(self, name: str) -> bool:
        found = self._toolkit.find(name)
        return bool(found.aliases or found.classes or found.usings or found.is_macro)

    def _foreign(self, paths: Sequence[str], part: Part, view: _View) -> Node:
        """A type of the toolkit's headers, by its name and the namespaces that it may be in."""
        found = self._toolkit.find(part.name)
        name = part.name
        if found.is_macro:
            raise NotKnown(name)
        if not found.aliases and not found.classes:
            if name in BUILT_IN:
                return Node("name", BUILT_IN[name])
            if BUILT_IN_CLASS.fullmatch(name) and set(paths) & {""}:
                return Node("name", name)
            raise NotKnown(name)
        nodes = []
        if found.classes:
            nodes.append(self._foreign_class(paths, part, view))
        if found.aliases:
            if part.arguments is not None:
                raise NotKnown(name)
            nowhere = _View(_NOWHERE, _EVERYWHERE, {})
            for words in dict.fromkeys(found.aliases):
                if words in {(name,), ("struct", name)} and found.classes:
                    continue
                nodes.append(Node("name", name) if words == ("struct", name) else self._read(words, nowhere))
        return _one(nodes)

    def _foreign_class(self, paths: Sequence[str], part: Part, view: _View) -> Node:
        found = self._toolkit.find(part.name)
        if len(paths) == 1:
            path = paths[0]
        elif found.is_global:
            path = ""
        else:  # which of the namespaces that are open has it, cannot be told unless there is one
            named = dict.fromkeys(path for path in paths if path)
            if len(named) != 1:
                raise NotKnown(part.name)
            path = next(iter(named))
        if path == "" and not found.is_global:
            raise NotKnown(part.name)
        name = _qualified(path, part.name)
        if found.usings and name not in found.usings:
            raise NotKnown(name)
        if part.arguments is None:
            if any(found.classes):
                raise NotKnown("a template without arguments")
            return Node("name", name)
        texts = [self._foreign_argument(words, view) for words in part.arguments]
        for head in found.classes:
            if "=" in head and len(split_list(words_of(head))) > len(texts):
                raise NotKnown("arguments by default")
        return Node("name", f"{name}<{', '.join(texts)}>")

    def _foreign_argument(self, words: Sequence[str], view: _View) -> str:
        if words and (
            _NUMBER.fullmatch(words[0]) or words[0] in {"-", "(", "sizeof"} or isinstance(view.bound.get(words[0]), str)
        ):
            return self._value(words, view)
        if tuple(words) in {("true",), ("false",)}:
            return words[0]
        return spell(self._read(words, view))


def _one(nodes: Sequence[Node]) -> Node:
    """The type that all of these are."""
    if not nodes or any(node != nodes[0] for node in nodes):
        raise NotKnown("declarations that disagree")
    return nodes[0]


def _qualified(path: str, name: str) -> str:
    return f"{path}::{name}" if path else name


def _namespace_of(scope: Scope) -> Scope:
    while scope.is_class and scope.parent is not None:
        scope = scope.parent
    return scope


def _with_inline(scope: Scope) -> Iterator[Scope]:
    """A namespace and those in it that are inline."""
    yield scope
    for entries in scope.names.values():
        inner = entries[0].scope
        if entries[0].kind == "namespace" and inner is not None and inner.is_inline:
            yield from _with_inline(inner)


def _parts_of(words: Sequence[str]) -> list[Part]:
    """The parts of a qualified name."""
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
