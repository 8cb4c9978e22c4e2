"""Modules of jitload as modules of tvm-ffi, and the other way round.

Each conversion of one of ours makes a shared object in memory (`jitload.interop.elf`), some 0.2 ms, and a tvm-ffi
module of it, with the imports converted likewise. It lives as tvm-ffi's modules do, until it and its last function are
gone. The functions hold our module, so its image lives as long.
"""

from __future__ import annotations

import ctypes
import os
import threading
from functools import partial
from typing import TYPE_CHECKING

import tvm_ffi
from tvm_ffi import libinfo

from jitload import forks
from jitload.errors import LoadError, UsageTypeError
from jitload.interop.elf import write_shared_object
from jitload.interop.tvm_ffi_kernels import as_tvm_ffi_callable
from jitload.loader.module import BINARY_SERIALIZABLE, Module

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.loader.module import Function
    from jitload.values import KernelInfo

SYMBOL_PREFIX = "__tvm_ffi_"  # tvm/ffi/extra/module.h, symbol::tvm_ffi_symbol_prefix


class ForeignModule(Module):
    """A module of tvm-ffi as one of ours. Its functions are tvm-ffi's own.

    Args:
        module: the `tvm_ffi.Module`.
        kind: the kind that its loader is registered for.
        data: the bytes that its loader made it from, if it was loaded by us.
    """

    def __init__(self, module: tvm_ffi.Module, kind: str, data: bytes | None = None) -> None:
        super().__init__(kind, data=data)
        self.tvm_ffi_module = module

    def inspect_source(self) -> str:
        """What tvm-ffi's module shows."""
        return str(self.tvm_ffi_module.inspect_source())

    def get_property_mask(self) -> int:
        """The mask of tvm-ffi's module, but that it can be saved only if its bytes are known here."""
        mask = int(self.tvm_ffi_module.get_property_mask()) & ~BINARY_SERIALIZABLE
        return mask | (super().get_property_mask() & BINARY_SERIALIZABLE)

    def import_module(self, module: Module) -> None:
        """Import for both sides: its own code looks among the imports that tvm-ffi knows."""
        super().import_module(module)
        self.tvm_ffi_module.import_module(to_tvm_ffi(module))

    def adopt(self, modules: Iterable[Module]) -> None:
        """Import for both sides; see `Module.adopt`."""
        for module in modules:
            self.import_module(module)

    def _knows(self, name: str) -> bool:
        return not self._closed and bool(self.tvm_ffi_module.implements_function(name))

    def _load_function(self, symbol: str, kernel: KernelInfo | None) -> Function | None:  # noqa: ARG002
        try:
            function: Function = self.tvm_ffi_module.get_function(symbol)
        except AttributeError:  # tvm-ffi's way to say that there is none
            return None
        return function


def from_tvm_ffi(module: tvm_ffi.Module, kind: str | None = None, data: bytes | None = None) -> ForeignModule:
    """A tvm-ffi module as one of ours, with its imports; a shared import stays shared.

    Args:
        module: the `tvm_ffi.Module`.
        kind: the kind that it was loaded as; by default what it says of itself.
        data: the bytes that it was loaded from.

    Returns:
        The module.

    Raises:
        UsageTypeError: it is no `tvm_ffi.Module`.
    """
    if not isinstance(module, tvm_ffi.Module):
        raise UsageTypeError(f"expected a tvm_ffi.Module, got {type(module).__name__}")
    root = ForeignModule(module, kind or str(module.kind), data)
    known = {_address(module): root}
    ahead = [root]
    while ahead:
        above = ahead.pop()
        for imported in above.tvm_ffi_module.imports:
            below = known.get(_address(imported))
            if below is None:
                below = known[_address(imported)] = ForeignModule(imported, str(imported.kind))
                ahead.append(below)
            Module.import_module(above, below)  # tvm-ffi's module has it already
    return root


def to_tvm_ffi(module: Module) -> tvm_ffi.Module:
    """A `tvm_ffi.Module` with the functions of one of ours, and of all it imports; a shared import stays shared.

    The functions are those that the module lists now. Kernels take the arguments of `jitload.interop.tvm_ffi_kernels`.

    Args:
        module: one of ours.

    Returns:
        The module of tvm-ffi; of one that `from_tvm_ffi` made, the one that it was made of.

    Raises:
        UsageTypeError: it is no module of ours.
        LoadError: shared objects cannot be made or loaded on this system.
    """
    if not isinstance(module, Module):
        raise UsageTypeError(f"expected a jitload.Module, got {type(module).__name__}")
    made: dict[int, tvm_ffi.Module] = {}
    for ours in reversed(list(module.walk())):
        made[id(ours)] = ours.tvm_ffi_module if isinstance(ours, ForeignModule) else _converted(ours)
    for ours in module.walk():
        if not isinstance(ours, ForeignModule):
            for imported in ours.imports:
                made[id(ours)].import_module(made[id(imported)])
    return made[id(module)]


def _address(module: tvm_ffi.Module) -> int:
    return int(module.__chandle__())


def _converted(module: Module) -> tvm_ffi.Module:
    functions = {}
    for name in module.functions:
        if "\0" not in name:
            functions[name] = tvm_ffi.convert(as_tvm_ffi_callable(partial(module.get_function, name)))
    return _libraries.load(functions)


class _Libraries:
    """The shared objects that are loaded, and what their stubs point to.

    A stub holds the bare address of its function, so the function must outlive the library. glibc calls the library's
    DT_FINI when it unloads it, under a lock of its own, where Python code could wait for ever for the interpreter's:
    so the stub there only writes a byte, and the next conversion lets go of the functions.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        forks.after_fork(self._renew_lock)
        self._pinned: dict[int, dict[str, tvm_ffi.Function]] = {}  # address of the byte -> the functions
        self._loaded = 0
        self._libc = ctypes.CDLL(None)
        self._libc.malloc.restype, self._libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        self._libc.free.restype, self._libc.free.argtypes = None, [ctypes.c_void_p]
        self._call = ctypes.cast(ctypes.CDLL(libinfo.find_libtvm_ffi()).TVMFFIFunctionCall, ctypes.c_void_p).value or 0

    def load(self, functions: dict[str, tvm_ffi.Function]) -> tvm_ffi.Module:
        """A tvm-ffi module with these functions."""
        # Not Python's memory: what is still loaded at exit is unloaded after the interpreter has freed its own.
        mark = self._libc.malloc(1)
        ctypes.memset(mark, 0, 1)
        targets = {f"{SYMBOL_PREFIX}{name}": function.__chandle__() for name, function in functions.items()}
        image = write_shared_object(targets, self._call, mark)
        with self._lock:
            released = self._release_unloaded()
            self._pinned[mark] = functions
            self._loaded += 1
            number = self._loaded
        released.clear()  # outside the lock: what a function held may convert modules while it goes
        try:
            return _load_image(image, number)
        except BaseException:
            ctypes.memset(mark, 1, 1)  # it was never loaded, so nothing will say that it is unloaded
            raise

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def pinned(self) -> int:
        """How many libraries are loaded, after letting go of what the others held."""
        with self._lock:
            released = self._release_unloaded()
            count = len(self._pinned)
        released.clear()
        return count

    def _release_unloaded(self) -> list[dict[str, tvm_ffi.Function]]:
        gone = [mark for mark in self._pinned if ctypes.c_ubyte.from_address(mark).value]
        released = [self._pinned.pop(mark) for mark in gone]
        for mark in gone:
            self._libc.free(mark)
        return released


def _load_image(image: bytes, number: int) -> tvm_ffi.Module:
    """Load a shared object from memory with tvm-ffi's own loader of ".so"."""
    if not hasattr(os, "memfd_create"):
        raise LoadError("modules go to tvm-ffi through memfd_create, which this system does not have")
    load = tvm_ffi.get_global_func("ffi.Module.load_from_file.so")
    handle = os.memfd_create("jitload", os.MFD_CLOEXEC)
    try:
        with open(handle, "wb", closefd=False) as file:
            file.write(image)
        # glibc takes a path that it has seen for the library that it has loaded, and descriptors come again: so each
        # path is spelled in its own way, the bits of a number as "//" and "/.".
        spelling = "".join("/." if bit == "1" else "//" for bit in f"{number:b}")
        return load(f"/proc/self/fd{spelling}/{handle}", "so")
    finally:
        os.close(handle)


_libraries = _Libraries()


def loaded_libraries() -> int:
    """How many shared objects are loaded for modules of ours; what the unloaded ones held is let go."""
    return _libraries.pinned()
