"""Declarations of PTX from its tokens: variables and heads of functions (PTX ISA sections 5.4 and 11.1)."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from jitload.images.ptx.constant import read_size
from jitload.images.ptx.initializer import read_initializer
from jitload.images.ptx.limits import PARAMETER_BYTES, PARAMETERS
from jitload.images.ptx.tokens import parse_number
from jitload.images.ptx.values import TYPES, Function, InitialValue, Variable

if TYPE_CHECKING:
    from jitload.images.ptx.tokens import Cursor
    from jitload.images.ptx.values import Type

#: Directive -> state space.
SPACES = {
    ".global": "global",
    ".const": "const",
    ".shared": "shared",
    ".local": "local",
    ".param": "param",
    ".reg": "reg",
}
SPACES |= {".shared::cta": "shared", ".shared::cluster": "shared", ".tex": "tex"}
_MAX_ELEMENTS = 1 << 32


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
        elif word in {".texref", ".surfref", ".samplerref"}:
            raise cursor.unsupported(f"references ({word}), in place of texture and surface objects by value,")
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
            raise cursor.error(f"an array of {max(size, count)} elements: more than {_MAX_ELEMENTS} are refused")
    return dimensions


def read_head(cursor: Cursor, *, entry: bool) -> tuple[Function, bool]:
    """The head of a function, up to its opening brace or the semicolon of a declaration.

    Args:
        cursor: after ".entry" or ".func".
        entry: which of the two it was.

    Returns:
        The function, without its body; and whether a brace was opened, after which the cursor is.

    Raises:
        LoadError: it cannot be read.
    """
    _skip_attribute(cursor)
    results = _read_formals(cursor)[0] if not entry and cursor.peek() == "(" else []
    name = cursor.take()
    parameters, pointers = _read_formals(cursor) if cursor.peek() == "(" else ([], frozenset())
    if entry and (nbytes := sum(one.size for one in parameters)) > PARAMETER_BYTES:
        raise cursor.error(f"{nbytes} bytes of parameters of {name[:80]}: more than {PARAMETER_BYTES} are refused")
    function = Function(name, entry, parameters, results, pointers)
    while not cursor.accept(";"):
        if cursor.accept("{"):
            return function, True
        _read_head_directive(cursor, function)
    return function, False


def _skip_attribute(cursor: Cursor) -> None:
    """Skip `.attribute(...)` before a name."""
    while cursor.accept(".attribute"):
        while cursor.take() != ")":
            pass


def _read_formals(cursor: Cursor) -> tuple[list[Variable], frozenset[int]]:
    formals: list[Variable] = []
    pointers = set()
    cursor.expect("(")
    while not cursor.accept(")"):
        space = SPACES.get(cursor.take(), "")
        if space not in {"param", "reg"}:
            raise cursor.error("expected .param or .reg in a parameter list")
        start = cursor.index
        form = _read_form(cursor)
        name = "" if cursor.peek() in {",", ")"} else cursor.take()
        formals.append(_read_declared(cursor, name, space, *form))
        if len(formals) > PARAMETERS:
            raise cursor.error(f"more than {PARAMETERS} parameters are refused")
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
        function.cluster = (x, y, z)
    elif word == ".maxclusterrank":
        function.max_cluster_blocks = x
    elif word in {".explicitcluster", ".blocksareclusters"}:
        function.explicit_cluster = True
        function.blocks_are_clusters |= word == ".blocksareclusters"
    elif word in {".maxntid", ".reqntid"}:
        if word == ".maxntid":
            function.max_threads = x * y * z
        else:
            function.required_block = (x, y, z)
