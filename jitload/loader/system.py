"""The system library: symbols that the running program itself provides, as a module.

The idea is tvm-ffi's: code linked into the program registers its symbols at start-up, and `system_lib(prefix)` shows
them as a module. A prefix keeps several libraries of one program apart.

A program may carry a whole module in itself: bytes registered as prefix + `__tvm_ffi__library_bin` are loaded when the
library of that prefix is first asked for, with the library in the place of "_lib".

The locks are re-entrant: a loader that registers symbols or asks for the system library while a module is being loaded
does not stop for ever, as it does with upstream's plain mutex (measured on tvm-ffi 0.1.15).
"""

from __future__ import annotations

from _thread import RLock, get_ident

# `threading.RLock` is this class, without the 5 ms of start-up that the module around it costs.
from typing import TYPE_CHECKING

from jitload import forks
from jitload.errors import SymbolNotFoundError, UsageTypeError, UsageValueError
from jitload.given import given_name
from jitload.lazy import lazy
from jitload.loader.module import Module
from jitload.trace import is_mistake, short_errors

if TYPE_CHECKING:
    from jitload.loader import whole
    from jitload.loader.module import Function
else:
    whole = lazy("jitload.loader.whole")

__tracebackhide__ = is_mistake

BLOB_SYMBOL = "__tvm_ffi__library_bin"

_lock = forks.ProcessLock(RLock)  # guards the tables, nothing foreign runs under it
_loading = forks.ProcessLock(RLock)  # one thread at a time loads a blob
_roots: dict[str, Module] = {}  # prefix -> the root of the blob that was loaded for it
_table: dict[str, Function | bytes] = {}
_libraries: dict[str, SystemLibrary] = {}


class SystemLibrary(Module):
    """The registered symbols, seen with one prefix. Symbols that are registered later show up too."""

    exportable = True

    def __init__(self, prefix: str) -> None:
        super().__init__("system_lib")
        self.loader = 0  # the thread that loads the blob of this prefix
        self._prefix = prefix

    def get_bytes(self, name: str) -> bytes:
        """The bytes registered as prefix + name, else as name, e.g. an image built into the program.

        Raises:
            SymbolNotFoundError: no bytes are registered under either.
        """
        value = self._look_up(name)
        if not isinstance(value, bytes):
            raise SymbolNotFoundError(
                f"the system library with prefix {self._prefix!r} has no bytes {name!r}", name=name
            )
        return value

    def close(self) -> None:
        """Nothing: the symbols belong to the program, and others share this module."""

    def _symbols(self) -> list[str]:
        with _lock.here:
            names = [name for name, value in _table.items() if not isinstance(value, bytes)]
        return sorted({name.removeprefix(self._prefix) or name for name in names})

    def _find_own(self, name: str) -> Function | None:
        value = self._look_up(name)  # every time: what was registered may have been replaced
        return None if isinstance(value, bytes) else value

    def _knows(self, name: str) -> bool:
        return self._find_own(name) is not None

    def _look_up(self, name: str) -> Function | bytes | None:
        with _lock.here:
            value = _table.get(self._prefix + name)
            return _table.get(name) if value is None else value


@short_errors
def register_system_symbol(name: str, value: Function | bytes, *, override: bool = False) -> None:
    """Provide a symbol of the running program: a callable, or bytes.

    Args:
        name: what it is called.
        value: the callable, or the bytes.
        override: replace another value of that name.

    Raises:
        UsageTypeError: the name is not a string, or the value is neither.
        UsageValueError: the name has another value already and `override` is false.
    """
    if not isinstance(name, str):
        raise UsageTypeError(f"the name of a system symbol must be a str, got {type(name).__name__}")
    if not (isinstance(value, bytes) or callable(value)):
        raise UsageTypeError(f"system symbol {name!r} must be a callable or bytes, got {type(value).__name__}")
    with _lock.here:
        if not override and _table.get(name, value) is not value:
            raise UsageValueError(f"system symbol {name!r} is registered already. Pass override=True to replace it")
        _table[name] = value


@short_errors
def system_lib(prefix: str = "") -> Module:
    """The module of the program's own symbols; `get_function(name)` looks for prefix + name, then for name.

    The same module for the same prefix, for the life of the process. If the program carries a whole module under this
    prefix, its root, which is the library itself with its imports unless the blob says otherwise. A loader that is
    called for one of them and asks for this prefix gets the library without imports.

    Args:
        prefix: what stands before the names of the program's symbols.

    Returns:
        The module.

    Raises:
        LoadError: the program's whole module is malformed.
        Exception: whatever the loader of a module in it raises comes through as it is; the next call tries again.
    """
    library = _library(given_name("prefix", prefix))
    if prefix in _roots:
        return _roots[prefix]
    with _lock.here:
        blob = _table.get(prefix + BLOB_SYMBOL)
    if not isinstance(blob, bytes):
        return library
    with _loading.here:
        if prefix not in _roots and not library.loader:
            library.loader = get_ident()
            try:
                _roots[prefix] = whole.load_whole_module(blob, library)
            finally:
                library.loader = 0
        return _roots.get(prefix, library)


def _settle() -> None:
    """After a fork: another thread may have been loading a blob; the child loads it for itself."""
    for library in _libraries.values():
        if library.loader != get_ident():
            library.loader = 0


forks.after_fork(_settle)


def _library(prefix: str) -> SystemLibrary:
    with _lock.here:
        return _libraries.setdefault(prefix, SystemLibrary(prefix))
