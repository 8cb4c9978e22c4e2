"""Whole modules: a module and everything it imports, as one run of bytes.

The layout is the one that tvm-ffi keeps behind the symbol `__tvm_ffi__library_bin` (apache/tvm-ffi,
docs/guides/export_func_cls.rst; written by apache/tvm, src/target/codegen.cc, ModuleSerializer). Integers are
little-endian and 64 bits wide:

    blob     := bytes:u64 indptr children node*         bytes counts what follows it
    indptr   := n:u64 (u64)^n                           n - 1 nodes; node i imports children[indptr[i]:indptr[i+1]]
    children := n:u64 (u64)^n                           numbers of nodes
    node     := text payload | "_lib"                   "_lib" is the library that holds the blob, and has no payload
    text     := n:u64 UTF-8^n
    payload  := n:u64 byte^n                            what `save_to_bytes` of that kind gives

Node 0 is the root. A node that several others import stands once. Upstream's reader pads a truncated payload with
zeros, follows an empty `indptr` into nothing and loads a cycle that it later falls into (measured on 0.1.15); this one
compares every number with the bytes at hand before it believes it, and refuses the rest before any loader runs.
"""

from __future__ import annotations

from itertools import pairwise
from struct import Struct
from typing import TYPE_CHECKING

from jitload.errors import LoadError, UsageTypeError
from jitload.loader.inputs import as_bytes
from jitload.loader.module import Module
from jitload.loader.registry import load_module_from_bytes, require_loader
from jitload.loader.specs import RESERVED
from jitload.trace import is_mistake, short_errors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from typing_extensions import Buffer

    from jitload.loader.module import Function

__tracebackhide__ = is_mistake

#: The kind of a whole module.
WHOLE = "library_bin"
#: The kind of a module of host functions, as tvm-ffi calls it.
LIBRARY = "library"
#: Stands in a blob for the library around it.
PLACEHOLDER = "_lib"
# A whole module inside another would be a way to nest without end; `pack_module` has no need to write one.
_NOT_IN_A_NODE = RESERVED | {WHOLE}

_U64 = Struct("<Q")

if TYPE_CHECKING:
    Tree = tuple[list[tuple[str, bytes]], list[list[int]]]


class LibraryModule(Module):
    """Functions of the host. In a blob it is a placeholder: whoever loads the blob provides it.

    Args:
        functions: the host's functions by name.
    """

    exportable = True

    def __init__(self, functions: Mapping[str, Function] | None = None) -> None:
        super().__init__(LIBRARY, functions)


@short_errors
def pack_module(root: Module) -> bytes:
    """Write a module and all that it imports into one blob, in the layout above.

    Modules are written in depth-first order, each once however often it is imported. A module of host functions (one
    that `is_compilation_exportable`) becomes the placeholder.

    Args:
        root: the module.

    Returns:
        The blob, for `load_whole_module` and for libraries of tvm-ffi.

    Raises:
        UsageTypeError: `root` is not a Module.
        LoadError: a module cannot be saved, or two different ones would be the placeholder.
    """
    if not isinstance(root, Module):
        raise UsageTypeError(f"pack_module expects a jitload.Module, got {type(root).__name__}")
    modules = list(root.walk())
    numbers = {id(module): number for number, module in enumerate(modules)}
    libraries = [module for module in modules if module.is_compilation_exportable()]
    if len(libraries) > 1:
        raise LoadError(
            f"cannot pack {len(libraries)} modules of host functions into one blob: it stands in one library. "
            f"They are {', '.join(map(repr, libraries))}; put their functions into one module",
            kind=WHOLE,
        )
    indptr, children, nodes = [0], [], []
    for module in modules:
        children += [numbers[id(imported)] for imported in module.imports]
        indptr.append(len(children))
        nodes.append(_encoded_node(module))
    body = b"".join((_encoded_numbers(indptr), _encoded_numbers(children), *nodes))
    return _U64.pack(len(body)) + body


@short_errors
def load_whole_module(data: Buffer, library: Module | None = None) -> Module:
    """Load a blob: children first, each by the loader of its kind, then the imports are wired.

    Args:
        data: the blob.
        library: what stands for "_lib"; without one, an empty module of host functions does.

    Returns:
        The root.

    Raises:
        LoadError: the blob is malformed; no loader has run.
        LoaderNotFoundError: a node's kind has no loader; none has run either.
        Exception: whatever the loader of a node raises comes through as it is.
    """
    nodes, imports = decode_tree(as_bytes(data))
    for kind in dict.fromkeys(kind for kind, _ in nodes if kind != PLACEHOLDER):
        require_loader(kind)
    order = _children_first(imports)
    modules: dict[int, Module] = {}
    for number in order:
        kind, payload = nodes[number]
        if kind == PLACEHOLDER:
            modules[number] = LibraryModule() if library is None else library
        else:
            modules[number] = load_module_from_bytes(kind, payload)
    distinct = {id(module) for module in modules.values()}
    fresh = len(distinct) == len(modules) and not any(module.imports for module in modules.values())
    for number in order:
        # The numbers hold no cycle; with modules that nobody else knows, neither do the imports. Asking again at every
        # import would make a chain of n modules cost n * n steps.
        if fresh:
            modules[number].adopt(modules[child] for child in imports[number])
        else:
            for child in imports[number]:
                modules[number].import_module(modules[child])
    return modules[0]


def decode_tree(data: bytes) -> Tree:
    """The nodes of a blob as (kind, payload), and for each the numbers of those that it imports.

    Raises:
        LoadError: the blob is malformed.
    """
    reader = _Reader(data)
    if reader.number("its size") != len(data) - 8:
        _refuse(f"it says {_U64.unpack_from(data)[0]} bytes follow its size, {len(data) - 8} do")
    indptr = reader.numbers("indptr")
    children = reader.numbers("child indices")
    imports = _checked_imports(indptr, children)
    nodes: list[tuple[str, bytes]] = []
    for number in range(len(imports)):
        kind = reader.text(f"the kind of module {number}")
        if kind != PLACEHOLDER and kind in _NOT_IN_A_NODE:
            _refuse(f"module {number} is of the reserved kind {kind!r}")
        payload = b"" if kind == PLACEHOLDER else reader.sized(f"the payload of module {number}, of kind {kind!r},")
        nodes.append((kind, payload))
    if reader.at != len(data):
        _refuse(f"{len(data) - reader.at} bytes follow its last module")
    if sum(kind == PLACEHOLDER for kind, _ in nodes) > 1:
        _refuse(f"more than one module is {PLACEHOLDER!r}, the library that holds the blob")
    if len(_children_first(imports)) < len(nodes):
        _refuse("a module imports itself, by way of others or directly, or is imported by none")
    return nodes, imports


def _checked_imports(indptr: list[int], children: list[int]) -> list[list[int]]:
    if len(indptr) < 2:
        _refuse(f"indptr has {len(indptr)} entries, expected at least 2")
    if indptr[0] != 0 or indptr[-1] != len(children):
        _refuse(f"indptr runs from {indptr[0]} to {indptr[-1]}, expected 0 to {len(children)}, the child indices")
    modules = len(indptr) - 1
    for number in range(modules):
        if indptr[number] > indptr[number + 1]:
            _refuse(f"indptr falls from {indptr[number]} to {indptr[number + 1]} at module {number}")
    for child in children:
        if child >= modules:
            _refuse(f"child index {child}, there are {modules} modules")
    return [children[start:end] for start, end in pairwise(indptr)]


def _children_first(imports: list[list[int]]) -> list[int]:
    """The nodes that the root reaches, each after all it imports; those above a cycle, and the cycle, are left out."""
    waiting = [0] * len(imports)
    parents: list[list[int]] = [[] for _ in imports]
    reached = bytearray(len(imports))
    ahead = [0]
    reached[0] = 1
    while ahead:
        number = ahead.pop()
        waiting[number] = len(imports[number])
        for child in imports[number]:
            parents[child].append(number)
            if not reached[child]:
                reached[child] = 1
                ahead.append(child)
    order = [number for number in range(len(imports)) if reached[number] and not waiting[number]]
    for number in order:  # it grows behind the loop
        for parent in parents[number]:
            waiting[parent] -= 1
            if not waiting[parent]:
                order.append(parent)
    return order


def _encoded_node(module: Module) -> bytes:
    if module.is_compilation_exportable():
        return _encoded_bytes(PLACEHOLDER.encode())
    if module.kind in _NOT_IN_A_NODE:
        raise LoadError(f"cannot pack a module of kind {module.kind!r}: the name is reserved", kind=module.kind)
    return _encoded_bytes(module.kind.encode()) + _encoded_bytes(module.save_to_bytes())


def _encoded_numbers(numbers: list[int]) -> bytes:
    return b"".join(map(_U64.pack, (len(numbers), *numbers)))


def _encoded_bytes(data: bytes) -> bytes:
    return _U64.pack(len(data)) + data


class _Reader:
    """Reads from the front of a blob; whatever is asked for must be there."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def number(self, what: str) -> int:
        if len(self._data) - self.at < 8:
            _refuse(f"it ends at byte {len(self._data)}, inside {what}")
        value: int = _U64.unpack_from(self._data, self.at)[0]
        self.at += 8
        return value

    def numbers(self, what: str) -> list[int]:
        count = self.number(f"the number of {what}")
        if count > (len(self._data) - self.at) // 8:
            _refuse(f"{count} {what} do not fit into the {len(self._data) - self.at} bytes that are left")
        start, self.at = self.at, self.at + 8 * count
        return [value for (value,) in _U64.iter_unpack(self._data[start : self.at])]

    def sized(self, what: str) -> bytes:
        size = self.number(f"the size of {what}")
        if size > len(self._data) - self.at:
            _refuse(f"{what} takes {size} bytes, {len(self._data) - self.at} are left")
        start, self.at = self.at, self.at + size
        return self._data[start : self.at]

    def text(self, what: str) -> str:
        raw = self.sized(what)
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            _refuse(f"{what} is {raw[:40]!r}, which is not UTF-8")
        if not text or "\0" in text:
            _refuse(f"{what} is {text[:40]!r}, which is no name")
        return text


def _refuse(why: str) -> NoReturn:
    raise LoadError(f"not a usable whole module: {why}", kind=WHOLE)
