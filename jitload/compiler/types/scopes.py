"""Scopes and what is declared in them: the record that `scanner.py` makes of a text."""

from __future__ import annotations

from typing import NamedTuple


class TemplateParameter(NamedTuple):
    """One parameter of a template.

    Attributes:
        kind: "type", "template", "integer", "unsigned", "char", "bool", or "value" of another type.
        name: its name, or "".
        default: the words of its default argument.
        pack: whether it takes any number of arguments.
    """

    kind: str
    name: str
    default: tuple[str, ...]
    pack: bool


class Entry(NamedTuple):
    """One declaration of a name.

    Attributes:
        kind: "alias", "class", "enum", "using", "namespace" or "same" (another name for a namespace).
        at: where it stands, as the number of its word.
        sure: whether it is compiled for certain.
        words: of an alias or typedef its declaration, of a using-declaration or namespace alias what it names.
        scope: what a class or namespace holds.
        parameters: those of a template, else None.
        arguments: the words of a specialization's arguments, else None.
    """

    kind: str
    at: int
    sure: bool
    words: tuple[str, ...] = ()
    scope: Scope | None = None
    parameters: tuple[TemplateParameter, ...] | None = None
    arguments: tuple[str, ...] | None = None


class Scope:
    """A namespace or class.

    Attributes:
        name: its own name, "" for the global one.
        parent: the scope around it.
        names: name -> its declarations.
        opened: what `using namespace` opens: (where, words of its name).
        bases: the words of each base class.
    """

    def __init__(
        self,
        name: str,
        parent: Scope | None,
        *,
        is_class: bool = False,
        is_inline: bool = False,
        is_template: bool = False,
    ) -> None:
        self.name = name
        self.parent = parent
        self.is_class = is_class
        self.is_inline = is_inline
        self.is_template = is_template
        self.names: dict[str, list[Entry]] = {}
        self.opened: list[tuple[int, tuple[str, ...]]] = []
        self.bases: list[tuple[str, ...]] = []

    def path(self) -> str:
        """Its name from the global scope on."""
        parent = self.parent.path() if self.parent is not None else ""
        return f"{parent}::{self.name}" if parent else self.name

    def add(self, name: str, entry: Entry) -> None:
        """Note a declaration."""
        self.names.setdefault(name, []).append(entry)

    def namespace(self, name: str, at: int, *, sure: bool, is_inline: bool) -> Scope:
        """The namespace of that name in it, new or opened again."""
        for entry in self.names.get(name, ()):
            if entry.kind == "namespace" and entry.scope is not None:
                return entry.scope
        scope = Scope(name, self, is_inline=is_inline)
        self.add(name, Entry("namespace", at, sure, scope=scope))
        return scope


class DeclaredVariable(NamedTuple):
    """A declaration of a variable of the device.

    Attributes:
        scope: where it stands.
        at: the number of its first word.
        words: its declaration, without initializer; empty where that does not tell its type.
        template: its template parameters, None where it is no template.
    """

    scope: Scope
    at: int
    words: tuple[str, ...]
    template: tuple[TemplateParameter, ...] | None


class DeclaredKernel(NamedTuple):
    """A declaration of a kernel.

    Attributes:
        scope: where it stands.
        at: the number of its first word.
        sure: whether it is compiled for certain.
        parameters: the words of each parameter.
        template: its template parameters, None where it is no template.
    """

    scope: Scope
    at: int
    sure: bool
    parameters: tuple[tuple[str, ...], ...]
    template: tuple[TemplateParameter, ...] | None
