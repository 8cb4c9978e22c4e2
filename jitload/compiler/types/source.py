"""Types that only the source tells: those of `extern "C"` kernels, and what a member of a trait stands for.

The source is read for this when a kernel asks, and most do not: a lowered name has its types, and those of a plain
declaration (`const float *x, int n`) are read as they are written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from jitload.compiler.headers import VIRTUAL_ROOT
from jitload.compiler.macros import TooMany, definitions_of
from jitload.compiler.types.lowered.instantiate import NotKnown
from jitload.compiler.types.meanings import Meanings
from jitload.compiler.types.outline import declaring_macros
from jitload.compiler.types.scanner import Declared
from jitload.compiler.types.toolkit_names import ToolkitNames, words_of
from jitload.compiler.types.unit import Unit
from jitload.compiler.types.written import read_parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.compiler.declarations import Declarations
    from jitload.compiler.headers import Closure
    from jitload.compiler.request import CompileRequest
    from jitload.compiler.types.cpptype import Node

_TOOLKIT = f"{VIRTUAL_ROOT}toolkit/"


class SourceTypes:
    """The types in the source of a compile and its headers.

    Args:
        request: the compile.
        closure: its headers, all of them found.
        declarations: the kernels that the source declares, as far as they are plain.
    """

    def __init__(self, request: CompileRequest, closure: Closure, declarations: Declarations) -> None:
        self._request = request
        self._closure = closure
        self._declarations = declarations
        self._declared: Declared | None = None
        self._meanings: Meanings | None = None

    def parameters(self, name: str, count: int) -> list[Node | None] | None:
        """The types of the `extern "C"` kernel of that name, None for each that is not certain, or for all."""
        plain = self._plain(name, count)
        if plain is not None:
            return plain
        declared, meanings = self._read()
        fitting = [one for one in declared.kernels.get(name, ()) if len(one.parameters) == count and not one.template]
        readings = [meanings.parameters(one) for one in fitting]
        if not readings or declared.hidden:
            return None
        return [types[0] if types.count(types[0]) == len(types) else None for types in zip(*readings, strict=True)]

    def member(self, name: str) -> Node | None:
        """What a name like "Traits<float>::type" stands for."""
        return self._read()[1].member(name)

    def _plain(self, name: str, count: int) -> list[Node | None] | None:
        """The types of a declaration that is made of builtin types alone."""
        readings: list[list[Node | None]] = []
        for texts in self._declarations.plain_texts(name, count) or ():
            try:
                readings.append([read_parameter(words_of(text), _refuse, _refuse) for text in texts])
            except (NotKnown, RecursionError):
                return None
        return readings[0] if readings and all(types == readings[0] for types in readings) else None

    def _read(self) -> tuple[Declared, Meanings]:
        if self._declared is None or self._meanings is None:
            main, headers = self._closure.program()
            toolkit = ToolkitNames(h.text for name, h in self._closure.headers.items() if name.startswith(_TOOLKIT))
            unit = self._unit(main, headers, toolkit)
            self._declared = Declared(unit.words, unit.sure)
            self._meanings = Meanings(self._declared, toolkit)
        return self._declared, self._meanings

    def _unit(self, main: bytes, headers: dict[str, bytes], toolkit: ToolkitNames) -> Unit:
        request = self._request
        users = {name: text for name, text in headers.items() if not name.startswith(_TOOLKIT)}
        definitions = [(name.encode(), (value or "").encode()) for name, value in request.defines]
        for text in (main, *users.values()):
            definitions += [(name, replacement) for name, _, replacement in definitions_of(text)]
        macros = declaring_macros(definitions)
        unit = Unit(headers, users.__contains__, toolkit.defines, macros)
        standard = next(
            (option.partition("=")[2] for option in request.options if option.startswith("--std=")), "c++17"
        )
        unit.predefine(request.archs, standard)
        for name, value in request.defines:
            unit.define(name, value)
        for name in request.undefines:
            unit.undefine(name)
        try:
            for option in request.options:
                name, _, value = option.partition("=")
                if name == "--pre-include":
                    unit.include(self._closure.resolve(value) or value, sure=True)
            unit.read(self._closure.main.name, main)
        except TooMany:
            unit.give_up()
        return unit


def _refuse(words: Sequence[object], *_: object) -> NoReturn:
    raise NotKnown(str(words))
