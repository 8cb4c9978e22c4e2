"""The outer level of a PTX module: variables, functions and their heads (PTX ISA sections 5.4 and 11.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.text.lines import Users
from jitload.images.ptx import is_debug_ptx
from jitload.images.ptx.declaration import SPACES, read_head, read_variables
from jitload.images.ptx.tokens import Cursor, Source, find_brace, read_source

if TYPE_CHECKING:
    from jitload.images.ptx.values import Function, Variable

_OPAQUE = {".texref", ".samplerref", ".surfref"}
_LINKAGE = {".visible", ".extern", ".weak", ".common"}


class Program:
    """A PTX module: its variables and functions; bodies stay tokens until somebody needs them.

    Attributes:
        source: the tokens.
        variables: module-level variables by name.
        functions: functions by name; a definition replaces its declarations.
        files: `.file` names by number.
        users: what users call the lines of the files.
        aliases: (name, function that it stands for) of every `.alias`.
        debug: whether it was compiled without optimization (`-G`).
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.variables: dict[str, Variable] = {}
        self.functions: dict[str, Function] = {}
        self.files: dict[int, str] = {}
        self.users = Users()
        self.aliases: list[tuple[str, str]] = []
        self.debug = False

    @property
    def entries(self) -> tuple[str, ...]:
        """The names of the kernels, in the order of the text."""
        return tuple(name for name, function in self.functions.items() if function.entry and function.span)


def read_program(data: bytes) -> Program:
    """Bytes of PTX to a program.

    Raises:
        LoadError: the text is not valid PTX at its head or its outer level.
    """
    program = Program(read_source(data))
    program.debug = is_debug_ptx(data)
    cursor = Cursor(program.source)
    while cursor.peek():
        _read_statement(cursor, program)
    for name, meant in program.aliases:
        function = program.functions.get(meant)
        if function is not None and not function.entry:
            program.functions[name] = function.renamed(name)
    return program


def _read_statement(cursor: Cursor, program: Program) -> None:
    word = cursor.take()
    linkage = ""
    while word in _LINKAGE:
        linkage = word
        word = cursor.take()
    if word in {".entry", ".func"}:
        _read_function(cursor, program, word == ".entry")
    elif word in SPACES:
        for variable in read_variables(cursor, SPACES[word]):
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
    """`.file` or `.alias`; whether it was one of them."""
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
    else:
        return False
    return True


def _skip_directive(cursor: Cursor, word: str) -> bool:
    if word in {".version", ".target", ".address_size"}:  # read by images.ptx
        cursor.take()
        while cursor.accept(","):
            cursor.take()
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


def _read_function(cursor: Cursor, program: Program, entry: bool) -> None:
    function, opened = read_head(cursor, entry=entry)
    if opened:
        end = find_brace(cursor, cursor.index)
        function.span = (cursor.index, end)
        cursor.index = end + 1
    known = program.functions.get(function.name)
    if known is None or known.span is None:
        program.functions[function.name] = function
