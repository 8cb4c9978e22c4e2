"""The signature of a kernel's declaration in Python: arguments by position, template arguments by keyword."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from jitload.errors import ArgumentError, UsageValueError
from jitload.launch.shapes import spread_hint
from jitload.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jitload import calls
else:
    calls = lazy("jitload.calls")

#: What else a call of a kernel takes by name.
_OF_A_LAUNCH = ("grid", "block", "stream", "shared_bytes", "cluster", "cooperative")


class Parameters:
    """The positional parameters of a declaration: `names` in their order, `defaults` of those that have one."""

    def __init__(self, parameters: list[inspect.Parameter]) -> None:
        self.names = [parameter.name for parameter in parameters]
        self.defaults = {p.name: p.default for p in parameters if _has_default(p)}

    def __len__(self) -> int:
        return len(self.names)

    def order(self, kernel: str, arguments: tuple[object, ...], keywords: Mapping[str, object]) -> tuple[object, ...]:
        """The arguments of a call in the order of the declaration.

        Raises:
            ArgumentError: one is missing, unknown or given twice.
        """
        names = self.names
        if not keywords and len(arguments) >= len(names):
            return arguments  # too many is for the kernel to say, it knows its parameters
        given = dict(zip(names, arguments, strict=False))
        for name, value in keywords.items():
            if name not in names:
                near = calls.nearest_name(name, [*names, *_OF_A_LAUNCH])
                known = f": did you mean {near}=?" if near else f"; it has {', '.join(names)}"
                raise ArgumentError(f"{kernel}() has no argument {name!r}{known}", kernel=kernel, parameter=name)
            if name in given:
                raise ArgumentError(f"{kernel}() got argument {name!r} twice", kernel=kernel, parameter=name)
            given[name] = value
        merged = {**self.defaults, **given}
        missing = [name for name in names if name not in merged]
        if missing:
            several = "s" if missing[1:] else ""
            raise ArgumentError(
                f"{kernel}() lacks argument{several} {', '.join(map(repr, missing))}; it takes {', '.join(names)}"
                f"{spread_hint(arguments)}",
                kernel=kernel,
                parameter=missing[0],
            )
        return (*(merged[name] for name in names), *arguments[len(names) :])


def _has_default(parameter: inspect.Parameter) -> bool:
    """Whether it has one. `...` is none: type checkers are told by it that a call may leave the argument out."""
    return parameter.default is not inspect.Parameter.empty and parameter.default is not ...


def split_signature(declaration: Callable[..., object]) -> tuple[Parameters, tuple[str, ...], dict[str, object]]:
    """The positional parameters, the names of the template arguments, and the defaults of those.

    Raises:
        UsageValueError: a parameter that takes any number of arguments.
    """
    positional, template = [], []
    for parameter in inspect.signature(declaration).parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            template.append(parameter)
        elif parameter.kind in {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}:
            positional.append(parameter)
        else:
            raise UsageValueError(
                f"{declaration.__name__}: a kernel cannot take {parameter}: name its parameters, as the C++ kernel does"
            )
    defaults = {p.name: p.default for p in template if _has_default(p)}
    return Parameters(positional), tuple(p.name for p in template), defaults
