"""`Module`: what every loader returns, whatever the kind of its bytes."""

from __future__ import annotations

from jitload import forks
from jitload.errors import LoadError, SymbolNotFoundError, UsageTypeError
from jitload.given import given_name
from jitload.launch.shapes import PeerModuleAttributes
from jitload.lazy import lazy
from jitload.trace import is_mistake, short_errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any, NoReturn

    from jitload import notebook
    from jitload.launch.device_global import DeviceGlobal
    from jitload.values import KernelInfo

    # A kernel, or a function of whatever the module is of: what it takes and gives is its own affair.
    Function = Callable[..., Any]
    Loader = Callable[[bytes], "Module"]
    EncodeDescribed = Callable[..., bytes]  # (kind, image, kernels, types of variables, names, source)
else:
    notebook = lazy("jitload.notebook")

__tracebackhide__ = is_mistake

#: What a module can do, the bits of `get_property_mask` (apache/tvm-ffi, include/tvm/ffi/extra/module.h).
BINARY_SERIALIZABLE, RUNNABLE, COMPILATION_EXPORTABLE = 0b001, 0b010, 0b100

# Checking for a cycle and adding the import must be one step, or two threads close a cycle together.
_import_lock = forks.ProcessLock()


class Module(PeerModuleAttributes):
    """Named functions with an origin: bytes of some kind, or plain Python callables.

    A subclass overrides `_load_function` (and what else its kind can do); the base class does names, imports and
    lifetime. Functions found once are kept, and each keeps its module, so the image lives as long as any of them.

    Args:
        kind: the kind of the bytes, e.g. "ptx".
        functions: callables by name, for modules that are made in Python.
        data: the bytes that the module came from, or None when it cannot be saved.
        source: what `inspect_source` shows.
    """

    #: Whether a whole module takes it for the host library around it, instead of saving it.
    exportable = False
    #: Whether anything of it names lines of the source, so that `attach_lines` is of use.
    names_lines = False
    #: Makes bytes of the image and of what was attached to it, where the loader of this kind takes such bytes.
    encode_described: EncodeDescribed | None = None
    #: Makes a module of tvm-ffi of one of ours, while `jitload.interop.tvm_ffi` is installed.
    to_tvm_ffi: Callable[[Module], object] | None = None

    def __init__(
        self,
        kind: str,
        functions: Mapping[str, Function] | None = None,
        *,
        data: bytes | None = None,
        source: str = "",
    ) -> None:
        self._kind = str(kind)
        self._functions: dict[str, Function] = dict(functions or {})
        self._kernels: dict[str, KernelInfo] = {}
        self._aliases: dict[str, str] = {}
        self._variables: dict[str, str] = {}
        self._imports: list[Module] = []
        self._data = data
        self._source = source
        self._attached_source: str | None = None
        self._closed = False

    @property
    def kind(self) -> str:
        """The kind of the bytes that the module was loaded from."""
        return self._kind

    @property
    def imports(self) -> tuple[Module, ...]:
        """The modules imported by this one, in order."""
        return tuple(self._imports)

    @property
    def functions(self) -> tuple[str, ...]:
        """The names that `get_function` answers to, without the imports'."""
        return tuple(dict.fromkeys((*self._kernels, *self._aliases, *self._symbols(), *self._functions)))

    def import_module(self, module: Module) -> None:
        """Make the functions of `module` reachable through this one.

        Args:
            module: the other one.

        Raises:
            UsageTypeError: `module` is not a Module.
            LoadError: the import would close a cycle.
        """
        if not isinstance(module, Module):
            raise UsageTypeError(f"import_module expects a jitload.Module, got {type(module).__name__}")
        with _import_lock.here:
            if any(reached is self for reached in module.walk()):
                both = f"module of kind {module.kind!r} into one of kind {self.kind!r}"
                why = "cyclic dependency, it already imports this one"
                raise LoadError(f"cannot import {both}: {why}", kind=module.kind)
            self._imports.append(module)

    def adopt(self, modules: Iterable[Module]) -> None:
        """Import `modules` that nobody else knows yet and that import nothing, so that no cycle can close."""
        with _import_lock.here:
            self._imports.extend(modules)

    @short_errors
    def get_function(self, name: str, query_imports: bool = False) -> Function:
        """The function or kernel of that name; with `query_imports`, also from the imports, depth first.

        Args:
            name: as it was written ("reduce<float, 256>"), or its symbol.
            query_imports: whether the imports are asked as well.

        Raises:
            SymbolNotFoundError: there is none.
            LoadError: the module is closed, or its kind cannot give functions on this machine.
        """
        found = self._find(given_name("name", name), query_imports)
        if found is None:
            listed = ", ".join(self.functions[:20]) or "no functions"
            text = f"no function {name!r} in this module of kind {self.kind!r}: it has {listed}"
            raise SymbolNotFoundError(text, name=name, available=self.functions)
        return found

    @short_errors
    def get_global(self, name: str) -> DeviceGlobal:
        """A `__device__` or `__constant__` variable of the image.

        Args:
            name: its C++ name ("n::coeff", "table<float>"; unnamed namespaces are left out), or its lowered name.

        Raises:
            SymbolNotFoundError: there is none.
            LoadError: the module is closed, or its kind cannot give variables on this machine.
        """
        if self._closed:
            raise LoadError(f"module of kind {self.kind!r} is closed", kind=self.kind)
        found, known = self._load_global(given_name("name", name))
        if found is None:
            listed = f": it has {', '.join(known[:20])}" if known else ""
            text = f"no variable {name!r} in this module of kind {self.kind!r}{listed}"
            raise SymbolNotFoundError(text, name=name, available=tuple(known))
        found.type = self._variables.get(found.name, "")
        return found

    @short_errors
    def __getitem__(self, name: str) -> Any:
        return self.get_function(name)

    def implements_function(self, name: str, query_imports: bool = False) -> bool:
        """Whether `get_function` would find the name. A closed module has no functions.

        Args:
            name: as for `get_function`.
            query_imports: as for `get_function`.
        """
        return any(module._knows(name) for module in (self.walk() if query_imports else (self,)))

    def save_to_bytes(self) -> bytes:
        """The bytes that the loader of this kind makes this module from.

        For an image that is the image itself, or a saved entry around it when names, layouts or a source are attached.

        Raises:
            LoadError: this module was not made from bytes.
        """
        if self._data is None:
            raise LoadError(f"module of kind {self.kind!r} cannot be saved: it was not made from bytes", kind=self.kind)
        attached = self._kernels or self._variables or self._aliases or self._attached_source is not None
        encode = self.encode_described
        if encode is None or not attached:
            return self._data
        known = self._kernels.values(), self._variables, self._aliases, self._attached_source
        return encode(self._kind, self._data, *known)

    def get_property_mask(self) -> int:
        """What the module can do: the sum of `BINARY_SERIALIZABLE`, `RUNNABLE` and `COMPILATION_EXPORTABLE`."""
        serializable = BINARY_SERIALIZABLE if self._data is not None else 0
        return serializable | RUNNABLE | (COMPILATION_EXPORTABLE if self.exportable else 0)

    def is_binary_serializable(self) -> bool:
        """Whether `save_to_bytes` gives bytes, from which the loader of this kind makes the module again."""
        return bool(self.get_property_mask() & BINARY_SERIALIZABLE)

    def is_runnable(self) -> bool:
        """Whether the kind has functions to call; `get_function` says whether this machine can run them."""
        return bool(self.get_property_mask() & RUNNABLE)

    def is_compilation_exportable(self) -> bool:
        """Whether its functions belong to the host library: a whole module keeps only a place for it."""
        return bool(self.get_property_mask() & COMPILATION_EXPORTABLE)

    def inspect_source(self) -> str:
        """Readable text of the module (PTX, or the source it was created with), or ""."""
        return self._source

    def close(self) -> None:
        """Release what the module holds. Functions fetched from it must not be called any more. May be repeated."""
        if not self._closed:
            self._closed = True
            self._functions.clear()
            self._unload()

    def attach_kernels(self, kernels: Iterable[KernelInfo]) -> None:
        """Let the module answer to the names in these `kernels` too, with their parameter layouts."""
        for kernel in kernels:
            self._kernels[kernel.name] = kernel

    def attach_variables(self, types: Mapping[str, str]) -> None:
        """Remember the C++ `types` of variables by their symbols, against which arrays are then checked."""
        self._variables.update(types)

    def attach_names(self, symbols: Mapping[str, str]) -> None:
        """Let the module answer to the names in `symbols` too, each standing for a symbol of the image."""
        self._aliases.update(symbols)

    def attach_source(self, source: str) -> None:
        """Remember the `source` that `inspect_source` shall show."""
        self._source = self._attached_source = source

    def attach_lines(
        self, program: str, users_file: str | None, line_in_file: Callable[[int], int], text: str = ""
    ) -> None:
        """Say what the source was, for diagnostics that name lines of it.

        Args:
            program: the name of the program.
            users_file: the file around it, e.g. the Python file with the docstring that it is; None for none.
            line_in_file: the line of that file for a line of the source.
            text: the source, whose lines are then shown.
        """

    def __tvm_ffi_object__(self) -> object:
        """This module as tvm-ffi's, which asks the class for it; so the method is here whether installed or not.

        Raises:
            UsageTypeError: tvm-ffi is not connected.
        """
        if Module.to_tvm_ffi is None:
            raise UsageTypeError("to pass a jitload.Module to tvm-ffi, call jitload.interop.tvm_ffi.install() first")
        return Module.to_tvm_ffi(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of kind {self.kind!r} with {', '.join(self.functions[:8]) or 'no functions'}>"

    def _repr_html_(self) -> str:
        rows = []
        for name in self.functions:
            info = None if self._closed else self._kernel(name)
            known = info is not None and info.parameters and all(info.parameters)
            rows.append((name, f"({', '.join(info.parameters)})" if info is not None and known else None))
        state = ", closed" if self._closed else ""
        imports = f"imports {', '.join(module.kind for module in self.imports)}" if self.imports else ""
        return notebook.html_table(f"module of kind {self.kind}{state}", ("function", "parameters"), rows, imports)

    def __reduce__(self) -> NoReturn:
        raise UsageTypeError(
            f"{self!r} is loaded in this process and cannot be pickled: send save_to_bytes(), and load that with "
            f"load_module_from_bytes({self.kind!r}, ...) on the other side"
        )

    def _find(self, name: str, query_imports: bool) -> Function | None:
        for module in self.walk() if query_imports else (self,):
            function = module._find_own(name)
            if function is not None:
                return function
        return None

    def _find_own(self, name: str) -> Function | None:
        if self._closed:
            raise LoadError(f"module of kind {self.kind!r} is closed", kind=self.kind)
        function = self._functions.get(name)
        if function is None:
            kernel = self._kernel(name)
            symbol = self._aliases.get(name, name) if kernel is None else kernel.symbol
            function = self._load_function(symbol, kernel)
            if function is not None:
                function = self._functions.setdefault(name, function)
        return function

    def _kernel(self, name: str) -> KernelInfo | None:
        """The layout of the kernel that the user or the image calls so, if it is known."""
        found = self._kernels.get(name)
        if found is None:
            symbol = self._aliases.get(name, name)
            found = next((kernel for kernel in self._kernels.values() if kernel.symbol == symbol), None)
        return found

    def _knows(self, name: str) -> bool:
        return not self._closed and (name in self.functions or self._kernel(name) is not None)

    def walk(self) -> Iterator[Module]:
        """This module and all it imports, depth first, each once: shared imports cost nothing, depth no stack."""
        seen: set[int] = set()
        ahead: list[Module] = [self]
        while ahead:
            module = ahead.pop()
            if id(module) not in seen:
                seen.add(id(module))
                yield module
                ahead.extend(reversed(module._imports))

    # What a kind overrides.

    def _symbols(self) -> Iterable[str]:
        """The names in the image itself."""
        return ()

    def _load_function(self, symbol: str, kernel: KernelInfo | None) -> Function | None:  # noqa: ARG002
        """The function of that symbol, or None when the image has none; `kernel` is its layout when known."""
        return None

    def _load_global(self, name: str) -> tuple[DeviceGlobal | None, tuple[str, ...]]:  # noqa: ARG002
        """The variable of that name in C++, or that symbol, or None; and the symbols of those that there are."""
        return None, ()

    def _unload(self) -> None:
        """Release the image."""
