"""The outer level of a PTX module: variables, functions and their heads (PTX ISA sections 5.4 and 11.1)."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from jitload.cpu.text.constant import read_size
from jitload.cpu.text.cursor import Cursor, find_brace
from jitload.cpu.text.initializer import read_initializer
from jitload.cpu.text.ir import Function, InitialValue, Variable
from jitload.cpu.text.lexer import Source, parse_number, read_source
from jitload.cpu.text.lines import spell_line
from jitload.cpu.types import TYPES

if TYPE_CHECKING:
    from jitload.cpu.text.lines import Spell
    from jitload.cpu.types import Type

_SPACES = {
    ".global": "global",
    ".const": "const",
    ".shared": "shared",
    ".local": "local",
    ".param": "param",
    ".reg": "reg",
}
_SPACES |= {".shared::cta": "shared", ".shared::cluster": "shared", ".tex": "tex"}
_OPAQUE = {".texref", ".samplerref", ".surfref"}
_LINKAGE = {".visible", ".extern", ".weak", ".common"}
_MAX_ELEMENTS = 1 << 32


class Program:
    """A PTX module: its variables and functions; bodies stay tokens until somebody needs them.

    Attributes:
        source: the tokens.
        variables: module-level variables by name.
        functions: functions by name; a definition replaces its declarations.
        files: `.file` names by number.
        spell_line: what a line of one of them is for people.
        target: the first word of `.target`, e.g. "sm_75".
        aliases: (name, function that it stands for) of every `.alias`.
        debug: whether it was compiled without optimization (`-G`).
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.variables: dict[str, Variable] = {}
        self.functions: dict[str, Function] = {}
        self.files: dict[int, str] = {}
        self.spell_line: Spell = spell_line
        self.target = ""
        self.aliases: list[tuple[str, str]] = []
        self.debug = False

    @property
    def entries(self) -> tuple[str, ...]:
        """The names of the kernels, in the order of the text."""
        return tuple(name for name, function in self.functions.items() if function.entry and function.span)


def read_program(data: bytes) -> Program:
    """Bytes of PTX to a program.

    Raises:
        LoadError: the text is not valid PTX at its outer level.
    """
    program = Program(read_source(data))
    cursor = Cursor(program.source)
    while cursor.peek():
        _read_statement(cursor, program)
    for name, meant in program.aliases:
        function = program.functions.get(meant)
        if function is not None and not function.entry:
            program.functions[name] = replace(function, name=name)
    return program


def _read_statement(cursor: Cursor, program: Program) -> None:
    word = cursor.take()
    linkage = ""
    while word in _LINKAGE:
        linkage = word
        word = cursor.take()
    if word in {".entry", ".func"}:
        _read_function(cursor, program, word == ".entry")
    elif word in _SPACES:
        for variable in read_variables(cursor, _SPACES[word]):
            variable.external = linkage == ".extern"
            known = program.variables.get(variable.name)
            if known is None or known.external:
                program.variables[variable.name] = variable
    elif word in _OPAQUE:
        while cursor.take() != ";":
            pass
    elif not _read_note(cursor, program, word) and not _skip_directive(cursor, word):
        cursor.index -= 1
        raise cursor.error(f"unexpected {word[:40]!r}")


def _read_note(cursor: Cursor, program: Program, word: str) -> bool:
    """`.file`, `.alias` or `.target`; whether it was one of them."""
    if word == ".file":
        number = cursor.integer()
        program.files[number] = cursor.take().strip('"')
        while cursor.accept(","):
            cursor.integer()
    elif word == ".alias":
        name = cursor.take()
        cursor.expect(",")
        program.aliases.append((name, cursor.take()))
        cursor.expect(";")
    elif word == ".target":
        program.target = cursor.take()
        while cursor.accept(","):
            program.debug |= cursor.take() == "debug"
    else:
        return False
    return True


def _skip_directive(cursor: Cursor, word: str) -> bool:
    if word in {".version", ".address_size"}:
        if not isinstance(parse_number(cursor.take()), int | float):
            raise cursor.error(f"expected a number after {word}")
    elif word == ".pragma":
        while cursor.take() != ";":
            pass
    elif word == ".section":
        cursor.take()
        cursor.expect("{")
        cursor.index = find_brace(cursor, cursor.index) + 1
    elif word == ".loc":
        cursor.index = cursor.source.line_end(cursor.index - 1)
    else:
        return word == ";"
    return True


def read_variables(cursor: Cursor, space: str) -> list[Variable]:
    """A declaration up to its semicolon: one type, and one name or several."""
    element, vector, alignment = _read_form(cursor)
    found = [_read_declared(cursor, cursor.take(), space, element, vector, alignment)]
    while cursor.accept(","):
        found.append(_read_declared(cursor, cursor.take(), space, element, vector, alignment))
    cursor.expect(";")
    return found


def _read_form(cursor: Cursor) -> tuple[Type, int, int]:
    """`[.align n] [.v4] .type [.ptr [.space] [.align n]]`: the type, how many of it, and the alignment (0: natural).

    After `.ptr` stands the alignment of what the pointer points to, not the variable's own (PTX ISA section 11.1.3).
    """
    alignment, element, vector, pointer = 0, None, 1, False
    while cursor.peek().startswith("."):
        word = cursor.take()
        if word == ".align":
            number = cursor.integer()
            if not pointer:
                alignment = number
        elif word == ".ptr":
            pointer = True
        elif word in {".v2", ".v4", ".v8"}:
            vector = int(word[2])
        elif word == ".attribute":
            cursor.expect("(")
            while cursor.take() != ")":
                pass
        elif word[1:] in TYPES:
            element = TYPES[word[1:]]
        elif word not in {".global", ".const", ".shared", ".local", ".param"}:
            raise cursor.error(f"unknown {word[:40]!r} in a declaration")
    if element is None or alignment < 0 or alignment & (alignment - 1) or alignment > 1 << 16:
        raise cursor.error("a declaration without a type, or with an alignment that is no power of two")
    return element, vector, alignment


def _read_declared(cursor: Cursor, name: str, space: str, element: Type, vector: int, alignment: int) -> Variable:
    """`[dimensions] [= initialiser]` after a name."""
    dimensions = _read_dimensions(cursor)
    if vector > 1:
        dimensions.append(vector)
    initial: list[InitialValue] = []
    if cursor.accept("="):
        initial = read_initializer(cursor, [size or 0 for size in dimensions[1:]])
        if dimensions[:1] == [None]:  # the values give the length
            row = prod(size or 0 for size in dimensions[1:])
            dimensions[0] = -(-len(initial) // row) if row else 0
    count = None if None in dimensions else prod(size or 0 for size in dimensions)
    return Variable(name, space, element, count, alignment or element.size * vector, tuple(initial))


def _read_dimensions(cursor: Cursor) -> list[int | None]:
    dimensions: list[int | None] = []
    count = 1
    while cursor.accept("["):
        if cursor.accept("]"):
            dimensions.append(None)
            continue
        size = read_size(cursor)
        cursor.expect("]")
        dimensions.append(size)
        count *= size
        if size < 0 or count > _MAX_ELEMENTS:
            raise cursor.error(f"an array of {size} elements")
    return dimensions


def _read_function(cursor: Cursor, program: Program, entry: bool) -> None:
    _cursor_attribute(cursor)
    results = _read_formals(cursor)[0] if not entry and cursor.peek() == "(" else []
    name = cursor.take()
    parameters, pointers = _read_formals(cursor) if cursor.peek() == "(" else ([], frozenset())
    function = Function(name, entry, parameters, results, pointers=pointers)
    while not cursor.accept(";"):
        if cursor.accept("{"):
            end = find_brace(cursor, cursor.index)
            function.span = (cursor.index, end)
            cursor.index = end + 1
            break
        _read_head_directive(cursor, function)
    known = program.functions.get(name)
    if known is None or known.span is None:
        program.functions[name] = function


def _cursor_attribute(cursor: Cursor) -> None:
    """Skip `.attribute(...)` before a name."""
    while cursor.accept(".attribute"):
        while cursor.take() != ")":
            pass


def _read_formals(cursor: Cursor) -> tuple[list[Variable], frozenset[int]]:
    formals: list[Variable] = []
    pointers = set()
    cursor.expect("(")
    while not cursor.accept(")"):
        space = _SPACES.get(cursor.take(), "")
        if space not in {"param", "reg"}:
            raise cursor.error("expected .param or .reg in a parameter list")
        start = cursor.index
        form = _read_form(cursor)
        name = "" if cursor.peek() in {",", ")"} else cursor.take()
        formals.append(_read_declared(cursor, name, space, *form))
        if ".ptr" in cursor.tokens[start : cursor.index]:
            pointers.add(len(formals) - 1)
        if not cursor.accept(","):
            cursor.expect(")")
            break
    return formals, frozenset(pointers)


def _read_head_directive(cursor: Cursor, function: Function) -> None:
    word = cursor.take()
    numbers: list[int] = []
    if word == ".pragma":
        while cursor.take() != ";":
            pass
        return
    if not word.startswith("."):
        cursor.index -= 1
        raise cursor.error(f"unexpected {word[:40]!r} in the head of {function.name}")
    while parse_number(cursor.peek() or " ") is not None:
        numbers.append(cursor.integer())
        if not cursor.accept(","):
            break
    x, y, z = [*numbers, 1, 1, 1][:3]
    if word == ".reqnctapercluster":
        function.cluster_blocks = x * y * z
    elif word in {".maxntid", ".reqntid"}:
        if word == ".maxntid":
            function.max_threads = x * y * z
        else:
            function.required_block = (x, y, z)
