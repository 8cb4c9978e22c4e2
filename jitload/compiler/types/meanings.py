"""What the names of types mean: looked up in the user's scopes as C++ does, and in the toolkit's headers by name.

Where declarations disagree, as in two branches of an `#if` that cannot be decided, the name is not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.compiler.types.cpptype import Node, spell
from jitload.compiler.types.foreign import foreign_type
from jitload.compiler.types.lowered.cursor import ANONYMOUS
from jitload.compiler.types.lowered.instantiate import ABI_NAMESPACE, VENDOR_ROOTS, NotKnown
from jitload.compiler.types.places import (
    Place,
    View,
    entries_of,
    opened_elsewhere,
    outwards,
    parts_of,
    qualified,
    with_inline,
)
from jitload.compiler.types.scopes import Scope
from jitload.compiler.types.templates import Templates
from jitload.compiler.types.toolkit_names import words_of
from jitload.compiler.types.written import read_parameter, read_type, read_variable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jitload.compiler.types.places import Located
    from jitload.compiler.types.scanner import Declared
    from jitload.compiler.types.scopes import DeclaredKernel, DeclaredVariable, Entry
    from jitload.compiler.types.toolkit_names import ToolkitNames
    from jitload.compiler.types.written import Compute, Lookup, Part

    #: How the words of a declaration are read.
    Reading = Callable[[Sequence[str], Lookup, Compute], Node]

#: More than any chain of typedefs, and enough to stop one that doubles with each link.
_MOST_STEPS = 5000
_MOST_DEPTH = 60
_MOST_TEXT = 20_000
EVERYWHERE = 1 << 60
#: A unit without declarations: the names in the toolkit's headers mean what those say.
_NOWHERE = View(Scope("", None), EVERYWHERE, {})


class Meanings:
    """Looks up types.

    Args:
        declared: what the user's texts declare.
        toolkit: what the toolkit's headers declare.
    """

    def __init__(self, declared: Declared, toolkit: ToolkitNames) -> None:
        self._declared = declared
        self._toolkit = toolkit
        self._templates = Templates(self.read)
        self._steps = 0
        self._depth = 0

    def parameters(self, kernel: DeclaredKernel) -> list[Node | None]:
        """The types of a kernel that is no template, None for each that is not known."""
        view = View(kernel.scope, kernel.at, {})
        return [self._attempt(words, view, read_parameter) for words in kernel.parameters]

    def member(self, name: str) -> Node | None:
        """What "Traits<float>::type" stands for, with all template arguments written out."""
        return self._attempt(words_of(name), self._outside(), read_type)

    def variable(self, name: str) -> Node | None:
        """The type of a variable, with all template arguments in its name written out; None where it is not known."""
        self._steps = 0
        try:
            parts = parts_of(words_of(name))
            top = Place(self._declared.top, "", {})
            place = self._reach(parts[:-1], self._outside(), is_rooted=False) if parts[1:] else top
            scopes = [] if place.scope is None else [id(scope) for scope in with_inline(place.scope)]
            found = [one for one in self._declared.variables.get(parts[-1].name, ()) if id(one.scope) in scopes]
            nodes = [self._type_of(one, parts[-1], place) for one in found]
            sized = [node for node in nodes if node.kind != "array" or node.text]
            return _one(sized or nodes)
        except (NotKnown, RecursionError):
            return None

    def _type_of(self, variable: DeclaredVariable, part: Part, place: Place) -> Node:
        if (variable.template is None) != (part.arguments is None) or not variable.words:
            raise NotKnown(part.name)
        inside = View(variable.scope, variable.at, place.bound, place)
        if variable.template is not None and part.arguments is not None:
            given = self._templates.bind(variable.template, part.arguments, self._outside(), inside)
            packs = {parameter.name for parameter in variable.template if parameter.pack}
            own = {name: value for name, value in given.bound.items() if name not in packs}
            inside = inside._replace(bound={**place.bound, **own})
        return self.read(variable.words, inside, read_variable)

    def _outside(self) -> View:
        return View(self._declared.top, EVERYWHERE, {})

    def _attempt(self, words: Sequence[str], view: View, reading: Reading) -> Node | None:
        self._steps = 0
        try:
            return self.read(words, view, reading)
        except (NotKnown, RecursionError):
            return None

    def read(self, words: Sequence[str], view: View, reading: Reading = read_type) -> Node:
        """The type in a declaration that stands in `view`.

        Raises:
            NotKnown: it cannot be told for certain.
        """
        self._steps += 1 + len(words)
        self._depth += 1
        try:
            if self._steps > _MOST_STEPS or self._depth > _MOST_DEPTH:
                raise NotKnown("longer than anyone writes")
            node = reading(
                words,
                lambda parts, is_rooted, is_class: self._named(parts, view, is_rooted=is_rooted, is_class=is_class),
                lambda size: self._templates.value(size, view),
            )
            if len(spell(node)) > _MOST_TEXT:
                raise NotKnown("longer than anyone writes")
            return node
        finally:
            self._depth -= 1

    # Names.

    def _named(self, parts: Sequence[Part], view: View, *, is_rooted: bool, is_class: bool) -> Node:
        if self._declared.hidden:
            raise NotKnown("something is declared out of sight")
        if len(parts) == 1 and not is_rooted:
            return self._unqualified(parts[0], view, is_class=is_class)
        return self._in_place(self._reach(parts[:-1], view, is_rooted=is_rooted), parts[-1], view)

    def _unqualified(self, part: Part, view: View, *, is_class: bool) -> Node:
        name = part.name
        if name in view.bound:
            given = view.bound[name]
            if part.arguments is not None or isinstance(given, str):
                raise NotKnown("a template as an argument")
            return given
        maybe: list[Node] = []
        for scope in outwards(view.scope):
            if scope.is_class and scope.name == name and part.arguments is None:
                return Node("name", view.place_of(scope).path)
            entries = entries_of(scope, name, view.before)
            if entries:
                maybe.append(self._agreed(entries, part, view))
                if any(entry.sure for entry, _ in entries):
                    return _one(maybe)
        try:
            maybe.append(self._foreign(opened_elsewhere(view), part, view))
        except NotKnown:
            if is_class and not maybe and part.arguments is None:  # `struct NAME *` declares it
                around = next(scope for scope in outwards(view.scope) if not scope.is_class)
                return Node("name", qualified(around.path(), name))
            if not maybe or self._toolkit.has(name):
                raise
        return _one(maybe)

    def _reach(self, parts: Sequence[Part], view: View, *, is_rooted: bool) -> Place:
        """The scope that a name has before its last part."""
        place = Place(self._declared.top, "", {}) if is_rooted else None
        for part in parts:
            place = self._enter(part, view) if place is None else self._enter_in(place, part, view)
        if place is None:
            raise NotKnown("a name without a scope")
        return place

    def _enter(self, part: Part, view: View) -> Place:
        given = view.bound.get(part.name)
        if isinstance(given, Node):
            return self._of_class(given)
        for scope in outwards(view.scope):
            entries = entries_of(scope, part.name, view.before)
            if entries:
                return self._place_of(entries, part, view, None)
        return self._foreign_place("", part)

    def _enter_in(self, place: Place, part: Part, view: View) -> Place:
        if place.scope is not None:
            entries = entries_of(place.scope, part.name, EVERYWHERE)
            if entries:
                return self._place_of(entries, part, view, place)
            if place.scope.is_class:
                raise NotKnown(qualified(place.path, part.name))
        return self._foreign_place(place.path, part)

    def _foreign_place(self, path: str, part: Part) -> Place:
        if part.arguments is not None:
            raise NotKnown(f"a member of {part.name}")
        if path in VENDOR_ROOTS and ABI_NAMESPACE.fullmatch(part.name):
            return Place(None, path, {})
        return Place(None, qualified(path, part.name), {})

    def _place_of(self, entries: list[Located], part: Part, view: View, place: Place | None) -> Place:
        """The scope that these declarations of a name are about."""
        entry, owner = entries[0]
        if entry.kind == "namespace" and entry.scope is not None:
            return Place(entry.scope, entry.scope.path(), {})
        if entry.kind == "same":
            return self._reach(parts_of(entry.words), View(owner, entry.at, {}), is_rooted=entry.words[0] == "::")
        if entry.kind == "class":
            return self._templates.instance(entries, part, view, view.place_of(owner) if place is None else place)
        return self._of_class(self._agreed(entries, part, view, place))

    def _of_class(self, node: Node) -> Place:
        """The scope of a class that is known by its type."""
        if node.kind != "name":
            raise NotKnown("a member of what is no class")
        parts = parts_of(words_of(node.text.replace(f"{ANONYMOUS}::", "")))  # which is seen through
        return self._reach(parts, View(self._declared.top, EVERYWHERE, {}), is_rooted=False)

    def _in_place(self, place: Place, part: Part, view: View) -> Node:
        """The type of that name in a scope."""
        if place.scope is None:
            return self._foreign([place.path], part, view)
        entries = entries_of(place.scope, part.name, EVERYWHERE if place.scope.is_class else view.before)
        if entries:
            return self._agreed(entries, part, view, place)
        if not place.scope.is_class:
            return self._foreign([place.path], part, view)
        around = View(place.scope.parent or place.scope, EVERYWHERE, place.bound, place.outer)
        for base in place.scope.bases:
            try:
                return self._in_place(self._of_class(self.read(base, around)), part, view)
            except NotKnown:
                if len(place.scope.bases) == 1:
                    raise
        raise NotKnown(qualified(place.path, part.name))

    # Declarations.

    def _agreed(self, entries: list[Located], part: Part, view: View, place: Place | None = None) -> Node:
        """The one type that all these declarations of a name say."""
        classes = [(entry, owner) for entry, owner in entries if entry.kind in {"class", "enum"}]
        nodes: list[Node] = []
        if classes:
            if len({id(owner) for _, owner in classes}) > 1:
                raise NotKnown("a class in two places")
            around = self._around(classes[0][1], view, place)
            nodes.append(Node("name", self._templates.instance(classes, part, view, around).path))
        for entry, owner in entries:
            if entry.kind == "alias":
                nodes.append(self._alias(entry, part, view, self._around(owner, view, place)))
            elif entry.kind == "using":
                is_rooted = entry.words[:1] == ("::",)
                target = self._reach(parts_of(entry.words)[:-1], View(owner, entry.at, {}), is_rooted=is_rooted)
                nodes.append(self._in_place(target, part, view))
            elif entry.kind not in {"class", "enum"}:
                raise NotKnown("a namespace where a type is expected")
        return _one(nodes)

    def _around(self, owner: Scope, view: View, place: Place | None) -> Place:
        """The scope of a declaration: what a qualified name has reached, or one of those around the view."""
        if place is not None and (place.scope is owner or place.scope is None):
            return place
        return view.place_of(owner)

    def _alias(self, entry: Entry, part: Part, view: View, place: Place) -> Node:
        if place.scope is None:
            raise NotKnown("an alias out of sight")
        inside = View(place.scope, entry.at, place.bound, place)
        if entry.parameters is not None:
            if part.arguments is None:
                raise NotKnown("a template without arguments")
            given = self._templates.bind(entry.parameters, part.arguments, view, inside)
            inside = inside._replace(bound={**place.bound, **given.bound})
        elif part.arguments is not None:
            raise NotKnown("arguments of what is no template")
        return self.read(entry.words, inside)

    def _foreign(self, paths: Sequence[str], part: Part, view: View) -> Node:
        return foreign_type(
            self._toolkit,
            paths,
            part,
            lambda words: self.read(words, view),
            lambda words: self._templates.value(words, view),
            lambda words: self.read(words, _NOWHERE),
        )


def _one(nodes: Sequence[Node]) -> Node:
    """The type that all of these are."""
    if not nodes or any(node != nodes[0] for node in nodes):
        raise NotKnown("declarations that disagree")
    return nodes[0]
