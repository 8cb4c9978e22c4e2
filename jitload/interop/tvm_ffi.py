"""jitload in a process that uses Apache TVM FFI (the extra `tvm-ffi`).

    from jitload.interop import tvm_ffi as jitload_tvm_ffi
    jitload_tvm_ffi.install()

From then on, until `uninstall`:

- every loader of jitload is also the global `ffi.Module.load_from_bytes.<kind>`, so that tvm-ffi's own loader of whole
  modules calls it for submodules;
- the globals `ffi.ModuleLoadFromBytes(kind, bytes)` (where tvm-ffi has none of its own) and
  `ffi.Module.create.cubin` and `.ptx (code, functions, source)` exist, for C++ and Rust too;
- `jitload.load_module_from_bytes` also finds the loaders that others have registered with tvm-ffi;
- a `jitload.Module` can be passed wherever tvm-ffi wants a Module, and our errors keep their types on the way.

What another has registered is never replaced, and the kind "cuda" is left alone: its payload is TVM's own.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import tvm_ffi

from jitload import errors, forks
from jitload.interop.tvm_ffi_modules import ForeignModule, from_tvm_ffi, to_tvm_ffi
from jitload.loader import registry
from jitload.loader.create import create_module
from jitload.loader.module import Module
from jitload.loader.registry import KEY_PREFIX, load_module_from_bytes, loader_key

if TYPE_CHECKING:
    from jitload.launch.foreign import Given
    from jitload.loader.module import Function, Loader

__all__ = ["ForeignModule", "from_tvm_ffi", "include_directory", "install", "to_tvm_ffi", "uninstall"]

LOAD_FROM_BYTES = "ffi.ModuleLoadFromBytes"
CREATE_PREFIX = "ffi.Module.create."
#: TVM's: a serialized format of its own (apache/tvm, src/backend/cuda/runtime/cuda_module.cc).
NOT_OURS = frozenset({"cuda"})

_lock = forks.ProcessLock(threading.RLock)


def install() -> None:
    """Connect the two registries; a second call changes nothing. Raises nothing."""
    with _lock.here:
        if _installation() is None:
            _Installation().begin()


def uninstall() -> None:
    """Take back all that `install` did, and nothing else; without an `install` it does nothing. Raises nothing."""
    with _lock.here:
        installed = _installation()
        if installed is not None:
            installed.end()


def _installation() -> _Installation | None:
    """What is installed now."""
    peer = registry.peer()
    return peer if isinstance(peer, _Installation) else None


def include_directory() -> str:
    """Where `jitload_ffi.h` is, for the `-I` of a C++ compiler.

    Returns:
        The directory. Raises nothing.
    """
    return os.path.join(os.path.dirname(os.path.dirname(__file__)), "include")  # noqa: PTH118, PTH120 - a str is wanted


class _Installation:
    """What is installed, as `jitload.loader.registry.Peer`."""

    def __init__(self) -> None:
        self._published: dict[str, tvm_ffi.Function] = {}  # global name -> the function that we registered
        self._errors: list[tuple[str, type]] = []

    def begin(self) -> None:
        for name in errors.__dict__:
            error = getattr(errors, name)
            # To C++ and Rust a missing loader is a RuntimeError, as in tvm-ffi's own loader of whole modules.
            ours = isinstance(error, type) and error is not errors.LoaderNotFoundError
            if ours and name not in tvm_ffi.core.ERROR_NAME_TO_TYPE:
                tvm_ffi.register_error(name, error)
                self._errors.append((name, error))
        Module.to_tvm_ffi = staticmethod(to_tvm_ffi)
        self._publish(LOAD_FROM_BYTES, _load_from_bytes)
        for kind in ("cubin", "ptx"):
            self._publish(CREATE_PREFIX + kind, _constructor(kind))
        registry.join_peer(self)
        for kind in registry.own_kinds():
            self.changed(kind)

    def end(self) -> None:
        registry.leave_peer(self)
        for name in list(self._published):
            self._withdraw(name)
        Module.to_tvm_ffi = None
        for name, error in self._errors:
            tvm_ffi.core.ERROR_NAME_TO_TYPE.pop(name, None)
            tvm_ffi.core.ERROR_TYPE_TO_NAME.pop(error, None)

    # What the registry asks of a peer.

    def changed(self, kind: str) -> None:
        """A loader of ours has come or gone."""
        with _lock.here:
            if _installation() is not self or kind in NOT_OURS:
                return
            if kind in registry.own_kinds():
                self._publish(loader_key(kind), _loader(kind))
            else:
                self._withdraw(loader_key(kind))

    def find(self, kind: str) -> Loader | None:
        """The loader that another has registered with tvm-ffi."""
        function = self._foreign(loader_key(kind))
        return None if function is None else lambda data: _module_of(function(data), kind, data)

    def kinds(self) -> tuple[str, ...]:
        """The kinds that others have registered with tvm-ffi."""
        names = tvm_ffi.registry.list_global_func_names()
        return tuple(
            name.removeprefix(KEY_PREFIX) for name in names if name.startswith(KEY_PREFIX) and self._foreign(name)
        )

    def _foreign(self, name: str) -> tvm_ffi.Function | None:
        """The global of that name, unless it is ours: asking ourselves would never end."""
        function = tvm_ffi.get_global_func(name, allow_missing=True)
        ours = self._published.get(name)
        return None if function is None or (ours is not None and function.same_as(ours)) else function

    def _publish(self, name: str, function: Function) -> None:
        if tvm_ffi.get_global_func(name, allow_missing=True) is not None:
            return
        self._published[name] = tvm_ffi.convert(function)
        try:
            tvm_ffi.register_global_func(name, self._published[name])
        except (RuntimeError, ValueError):  # a consumer was faster by a moment: theirs stays
            del self._published[name]
            if tvm_ffi.get_global_func(name, allow_missing=True) is None:
                raise

    def _withdraw(self, name: str) -> None:
        function = self._published.pop(name, None)
        present = tvm_ffi.get_global_func(name, allow_missing=True)
        if function is not None and present is not None and present.same_as(function):
            tvm_ffi.registry.remove_global_func(name)


def _loader(kind: str) -> Function:
    return lambda data: load_module_from_bytes(kind, bytes(data))


def _load_from_bytes(kind: object, data: object) -> Module | tvm_ffi.Module:
    """`ffi.ModuleLoadFromBytes`: calls the loader that tvm-ffi has, which may be ours, or says how to get one."""
    if not isinstance(kind, str) or not isinstance(data, bytes):
        raise TypeError(f"{LOAD_FROM_BYTES} takes a str and bytes, got {type(kind).__name__} and {type(data).__name__}")
    with _lock.here:
        installed = _installation()
        foreign = None if installed is None else installed._foreign(loader_key(kind))
    if foreign is None:
        return load_module_from_bytes(str(kind), bytes(data))
    return _module_of(foreign(data), kind, bytes(data)).tvm_ffi_module


def _module_of(found: object, kind: str, data: bytes) -> ForeignModule:
    if not isinstance(found, tvm_ffi.Module):
        raise TypeError(f"the loader {loader_key(kind)} must return an ffi.Module, got {type(found).__name__}")
    return from_tvm_ffi(found, kind, data)


def _constructor(kind: str) -> Function:
    def create(code: Given, functions: Given = None, source: object = None) -> Module:
        image = str(code).encode() if isinstance(code, str) else bytes(code)
        names = {str(name): str(symbol) for name, symbol in dict(functions or {}).items()}
        return create_module(kind, image, functions=names, source=None if source is None else str(source))

    return create
