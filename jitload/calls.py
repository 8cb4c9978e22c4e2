"""Calls that do not fit the parameters of a public function: what was meant, where Python says that it does not fit.

They are looked at when Python has refused one already (`trace.short_errors`), so that a call that fits costs nothing.
Where there is no time for that wrapper, a function takes what does not fit, and asks here what to say
(`trace.shown_without_misfits`).
"""

from __future__ import annotations

from difflib import get_close_matches
from inspect import Parameter, signature
from typing import TYPE_CHECKING, TypedDict

from jitload.errors import UsageTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

#: What others call an argument, or one might: its names here, the first that a function has.
_OTHER_WORDS = {
    "code": ("source",),
    "src": ("source",),
    "text": ("source",),
    "filename": ("file", "path"),
    "filepath": ("file", "path"),
    "flags": ("options",),
    "opts": ("options",),
    "includes": ("include_dirs",),
    "include": ("include_dirs",),
    "macros": ("defines",),
    "gpu": ("arch", "archs", "device"),
    "target": ("arch", "archs"),
    "targets": ("archs", "arch"),
    "sm": ("arch", "archs"),
    "capability": ("arch", "archs"),
    "format": ("kind", "kinds"),
    "type": ("kind",),
    "workers": ("jobs",),
    "processes": ("jobs",),
    "threads": ("jobs", "block"),
    "blocks": ("grid",),
    "callback": ("progress",),
    "key": ("trust",),
    "keys": ("trust",),
    "name_expressions": ("names",),
    "kernel": ("entry", "names"),
    "function": ("entry",),
}
#: How a value given by position begins, and the argument that it is for.
_VALUES = (
    *(("sm_", "arch"), ("compute_", "arch"), ("cpu", "device"), ("cuda", "device"), ("-", "options")),
    *(("cubin", "kind"), ("ptx", "kind"), ("fatbin", "kind"), ("ltoir", "kind")),
)
_BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


class Nothing(TypedDict):
    """No keywords at all: what `**unknown` takes, to type checkers."""


def refused_call(
    function: Callable[..., object], arguments: Sequence[object], keywords: Mapping[str, object], why: object = ""
) -> UsageTypeError:
    """What to raise for a call that a function cannot be called with.

    Args:
        function: what was called.
        arguments: by position; of a method, with its object.
        keywords: by name.
        why: what Python says, for what is not known better.
    """
    parameters = list(signature(function).parameters.values())
    called = function.__qualname__.removesuffix(".__init__")
    if parameters and parameters[0].name == "self":
        called = ".".join([type(arguments[0]).__name__, *called.split(".")[1:]])  # it may be that of a base
        parameters, arguments = parameters[1:], arguments[1:]
    named = [one for one in parameters if one.kind not in {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}]
    unknown = [name for name in keywords if name not in {one.name for one in named if one.kind != _BY_POSITION[0]}]
    positional = [one.name for one in named if one.kind in _BY_POSITION]
    if unknown and Parameter.VAR_KEYWORD not in {one.kind for one in parameters}:
        return unknown_name(called, unknown[0], [one.name for one in named if one.kind != _BY_POSITION[0]])
    if len(arguments) > len(positional):
        by_name = [one.name for one in named if one.kind == Parameter.KEYWORD_ONLY]
        return too_many(called, positional, arguments, by_name)
    given = {*positional[: len(arguments)], *keywords}
    missing = [one.name for one in named if one.default is Parameter.empty and one.name not in given]
    if missing:
        kinds = {one.name: one.kind for one in named}
        lacking = [f"{name}=..." if kinds[name] == Parameter.KEYWORD_ONLY else name for name in missing]
        written = ", ".join([*positional[: len(arguments)], *lacking])
        return UsageTypeError(f"{called}() lacks {' and '.join(missing)}: write {called}({written})")
    return UsageTypeError(str(why))


def unknown_name(called: str, name: str, known: Sequence[str]) -> UsageTypeError:
    """What to raise for a keyword that a function does not have."""
    meant = nearest_name(name, known)
    hint = f"did you mean {meant}=?" if meant else f"it takes {', '.join(known) or 'none'}"
    return UsageTypeError(f"{called}() has no argument {name!r}: {hint}")


def too_many(
    called: str, positional: Sequence[str], arguments: Sequence[object], names: Sequence[str]
) -> UsageTypeError:
    """What to raise for arguments by position beyond those that a function takes so.

    Args:
        called: the function.
        positional: what it takes by position.
        arguments: all that were given so.
        names: what it takes by name.
    """
    takes = f"takes {' and '.join(positional) or 'nothing'} by position"
    if names and not positional:
        takes = "takes its arguments by name"
    written = list(_named(arguments[len(positional) :], names))
    if written and "" not in written:
        return UsageTypeError(f"{called}() {takes}: write {', '.join(written)}")
    others = f"{', the others by name' if positional else ''}: {', '.join(names)}" if names else ""
    return UsageTypeError(f"{called}() {takes}{others}")


def nearest_name(word: str, known: Sequence[str]) -> str | None:
    """The name that may be meant by a word that is none of them."""
    plain = word.lower().replace("-", "_")
    other = next((name for name in _OTHER_WORDS.get(plain, ()) if name in known), None)
    if other is not None:
        return other
    near = get_close_matches(plain, known, 1, cutoff=0.7)
    begins = [name for name in known if name.startswith(plain)] if len(plain) > 2 else []
    return next(iter([*near, *begins]), None)


def _named(values: Sequence[object], names: Sequence[str]) -> Iterator[str]:
    """Values as they are written by name, as far as the names are known by what the values look like; else ""."""
    sizes = iter([name for name in ("grid", "block") if name in names])
    for value in values:
        begin = value.lower() if isinstance(value, str) else ""
        meant = next((name for first, name in _VALUES if begin.startswith(first)), None)
        if isinstance(value, int | tuple):
            meant = next(sizes, None)
        name = next((name for name in (meant, f"{meant}s") if name in names), None)
        yield f"{name}={value!r:.60}" if name else ""
