"""Template arguments that were left open, from the arrays of a call."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Generic, TypeVar

from jitload.compiler.deduce import find_template, split_arguments
from jitload.launch.advice import described
from jitload.launch.arrays import read_array
from jitload.launch.misfit import Misfit
from jitload.source.template import element_text, missing_argument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


T = TypeVar("T")


class Deduction(Generic[T]):
    """Which argument decides each open template argument of a kernel, and what it decided before.

    Args:
        kernel: its name, for messages.
        sources: where its template is declared.
        pattern: its name expression, with template arguments in braces: "reduce<{T}, {BLOCK}>".
        names: the template arguments that are open.
        count: how many arguments a call has.

    Raises:
        ArgumentError: one of them cannot be deduced; the text says why.
    """

    def __init__(self, kernel: str, sources: Iterable[str], pattern: str, names: tuple[str, ...], count: int) -> None:
        self._kernel = kernel
        self._names = names
        written = split_arguments(pattern)
        template = find_template(sources, pattern.partition("<")[0].rpartition("::")[2].strip())
        self._positions: list[int] = []
        for name in names:
            if template is None or len(template.parameters) != count:
                raise missing_argument(kernel, name)
            places = [at for at, text in enumerate(written) if f"{{{name}}}" in text]
            if len(places) != 1 or written[places[0]] != f"{{{name}}}" or places[0] >= len(template.names):
                raise missing_argument(kernel, name)
            deciding = template.deciding(template.names[places[0]])
            if len(deciding) != 1:
                why = (
                    f"it stands in {len(deciding)} pointer parameters" if deciding else "no pointer parameter is to it"
                )
                raise missing_argument(kernel, name, f"no array decides it: {why}")
            self._positions.append(deciding[0])
        self._known: dict[object, T] = {}

    def specialized(self, specialize: Callable[..., T], arguments: tuple[object, ...]) -> T:
        """What `specialize` gives for the template arguments that these arguments decide; remembered by their dtypes.

        Raises:
            ArgumentError: no array, or one of an element that is no plain C++ type.
        """
        key: list[object] = []
        for position in self._positions:
            value = arguments[position]
            key += (type(value), getattr(value, "dtype", None))
        try:
            return self._known[tuple(key)]
        except (KeyError, TypeError):  # or a dtype without a hash
            pass
        found = specialize(**self._texts(arguments))
        # Only what has a dtype is told by its type and that.
        if all(hasattr(arguments[position], "dtype") for position in self._positions):
            with contextlib.suppress(TypeError):
                self._known[tuple(key)] = found
        return found

    def _texts(self, arguments: tuple[object, ...]) -> dict[str, str]:
        return {
            name: self._text(name, arguments[position])
            for name, position in zip(self._names, self._positions, strict=True)
        }

    def _text(self, name: str, value: object) -> str:
        try:
            view = read_array(value, 0, "cuda")
        except Misfit as misfit:
            raise missing_argument(self._kernel, name, f"the array decides it, and {misfit}") from misfit.__cause__
        if view is None:
            raise missing_argument(self._kernel, name, f"an array decides it, got {described(value)}")
        text = element_text(view.element.name)
        if text is None:
            raise missing_argument(self._kernel, name, f"an array of {view.element.name} does not say which C++ type")
        return text
