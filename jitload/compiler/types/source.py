"""What a source says about its kernels and variables: names of parameters, and types that only the source tells.

A lowered name has the types of its kernel, so they are looked up for `extern "C"` kernels alone, and for the members of
traits. The texts are read once, without those of libraries, which are searched for names instead: the toolkit, and
every directory with too much in it to be read in time (CUB from a checkout, say).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from jitload.compiler.types.cpptype import Node, points_to_const
from jitload.compiler.types.lowered.instantiate import NotKnown
from jitload.compiler.types.meanings import Meanings
from jitload.compiler.types.outline import declaring_macros
from jitload.compiler.types.scanner import Declared
from jitload.compiler.types.toolkit_names import ToolkitNames
from jitload.compiler.types.unit import Unit
from jitload.compiler.types.words import BUILTIN, PASSED_OVER, before_value, declared_name, without_attributes
from jitload.compiler.types.written import read_parameter
from jitload.headers.macros import TooMany, definitions_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jitload.compiler.types.scopes import DeclaredKernel
    from jitload.headers.closure import Closure
    from jitload.source.request import CompileRequest

#: To read the 4 MB that CUB has takes ten times as long as to compile them.
_LIBRARY_BYTES = 1 << 18
_UNKNOWN = Node("unknown")
_NO_PART_OF_TYPES = PASSED_OVER - {"struct", "class", "union", "enum", "typename", "template"} | {"volatile"}
#: A single word behind these is a type and no name.
_BEFORE_TYPES = {"const", "struct", "class", "union", "enum", "typename", "volatile"}


class Written(NamedTuple):
    """One parameter of a kernel as its declaration has it, all macros expanded.

    Attributes:
        name: the C++ name, or "".
        type: the C++ type as written, with one blank between words, or "" where declarations disagree.
        pointer: True for a pointer or reference, False for a builtin value, None where a name may stand for either.
        const: True when what it points to is const for certain.
    """

    name: str
    type: str
    pointer: bool | None
    const: bool


class SourceKernels:
    """The kernels, and the variables of the device, in the source of a compile and its headers.

    Args:
        request: the compile.
        closure: its headers, all of them found.
        source: the text, as NVRTC was given it.
        headers: include name -> text, as NVRTC was given them.
        variables: whether there are variables of which the types are wanted.
    """

    def __init__(
        self,
        request: CompileRequest,
        closure: Closure,
        source: bytes,
        headers: dict[str, bytes],
        *,
        variables: bool = False,
    ) -> None:
        self._has_variables = variables
        self._request = request
        self._closure = closure
        self._source = source
        self._headers = headers
        self._declared: Declared | None = None
        self._meanings: Meanings | None = None

    def parameters(self, name: str, count: int) -> list[Written] | None:
        """The parameters of the kernel of that name with `count` of them, or None where none is declared in sight."""
        declared, _ = self._read()
        readings = [[_written(words) for words in one.parameters] for one in self._fitting(name, count)]
        if not readings:
            return None
        return [_agreed(ones, trusted=not declared.hidden) for ones in zip(*readings, strict=True)]

    def types(self, name: str, count: int) -> list[Node | None] | None:
        """The types of the `extern "C"` kernel of that name, None for each that is not certain, or for all."""
        declared, meanings = self._read()
        readings = [meanings.parameters(one) for one in self._fitting(name, count) if one.template is None]
        if not readings or declared.hidden:
            return None
        return [types[0] if types.count(types[0]) == len(types) else None for types in zip(*readings, strict=True)]

    def member(self, name: str) -> Node | None:
        """What a name like "Traits<float>::type" stands for."""
        return self._read()[1].member(name)

    def variable(self, name: str) -> Node | None:
        """The type of the variable of that name, "n::table<float>", or None where it is not certain."""
        declared, meanings = self._read()
        return None if declared.hidden else meanings.variable(name)

    def _fitting(self, name: str, count: int) -> list[DeclaredKernel]:
        return [one for one in self._read()[0].kernels.get(name, ()) if len(one.parameters) == count]

    def _read(self) -> tuple[Declared, Meanings]:
        if self._declared is None or self._meanings is None:
            libraries = self._libraries()
            toolkit = ToolkitNames(h.text for name, h in self._closure.headers.items() if name in libraries)
            unit = self._unit(self._source, self._headers, libraries, toolkit)
            self._declared = Declared(unit.words, unit.sure)
            self._meanings = Meanings(self._declared, toolkit)
        return self._declared, self._meanings

    def _libraries(self) -> set[str]:
        """The names of the headers that are not read."""
        found = self._closure.headers
        sizes = Counter[str]()
        for header in found.values():
            sizes[header.root] += len(header.text)
        return {
            name
            for name, header in found.items()
            if not header.is_users or (header.root != "source" and sizes[header.root] > _LIBRARY_BYTES)
        }

    def _unit(self, main: bytes, headers: dict[str, bytes], libraries: set[str], toolkit: ToolkitNames) -> Unit:
        request = self._request
        users = {name: text for name, text in headers.items() if name not in libraries}
        definitions = [(name.encode(), (value or "").encode()) for name, value in request.defines]
        for text in (main, *users.values()):
            definitions += [(name, replacement) for name, _, replacement in definitions_of(text)]
        macros = declaring_macros(definitions, variables=self._has_variables)
        unit = Unit(headers, users.__contains__, toolkit.defines, macros, variables=self._has_variables)
        standards = [option.partition("=")[2] for option in request.options if option.startswith("--std=")]
        unit.macros.predefine(request.archs, *standards[-1:])
        for name, value in request.defines:
            unit.macros.define(name, value)
        for name in request.undefines:
            unit.macros.undefine(name)
        try:
            for option in request.options:
                name, _, value = option.partition("=")
                if name == "--pre-include":
                    unit.include(self._closure.resolve(value) or value, sure=True)
            unit.read(self._closure.main.name, main)
        except (TooMany, RecursionError):
            unit.give_up()
        return unit


def _written(words: Sequence[str]) -> Written:
    """A parameter by its own words, whatever the names in them stand for."""
    name, text = written_type(words)
    try:
        node = read_parameter(words, lambda *_: _UNKNOWN, _refuse)
    except NotKnown:
        return Written(name, text, None, const=False)
    pointer = True if node.kind in {"*", "&", "&&"} else None if node == _UNKNOWN else False
    return Written(name, text, pointer, points_to_const(node))


def _agreed(ones: Sequence[Written], *, trusted: bool) -> Written:
    """What all declarations say of one parameter."""
    names = {one.name for one in ones if one.name}
    name = names.pop() if len(names) == 1 else ones[-1].name
    types, pointers = {one.type for one in ones}, {one.pointer for one in ones}
    return Written(
        name,
        types.pop() if len(types) == 1 else "",
        pointers.pop() if len(pointers) == 1 else None,
        const=trusted and all(one.const for one in ones),
    )


def _refuse(words: Sequence[object], *_: object) -> NoReturn:
    raise NotKnown(str(words))


def written_type(words: Sequence[str]) -> tuple[str, str]:
    """("x", "const float *") of `const float *__restrict__ x = nullptr`: the name, and the type as it is written."""
    words = [word for word in without_attributes(before_value(words)) if word not in _NO_PART_OF_TYPES]
    name = declared_name(words)
    at = len(words) - 1 - words[::-1].index(name) if name else len(words)
    named = at and name not in BUILTIN and not set(words[:at]) <= _BEFORE_TYPES and words[at - 1] != "::"
    if not named:
        name, at = "", len(words)
    is_array = "[" in words[at:] and "(" not in words
    kept = [word for position, word in enumerate(words[:at] if is_array else words) if position != at]
    return name, joined([*kept, "*"] if is_array else kept)


def joined(words: Sequence[str]) -> str:
    """The words of a type with one blank between them, and none where there is none in this project's spelling."""
    text = ""
    for at, word in enumerate(words):
        following = words[at + 1] if at + 1 < len(words) else ""
        together = (
            not text
            or word in {"::", ",", ")", ">", "]", "["}
            or text.endswith(("::", "<", "(", "["))
            or (word in {"*", "&", "&&"} and text[-1] in "*&")
            or (word == "<" and text[-1].isalnum())
            or (word == "(" and following not in {"*", "&"} and (text[-1].isalnum() or text[-1] == "_"))
        )
        text += word if together else f" {word}"
    return text
