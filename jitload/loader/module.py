"""`Module`: what every loader returns, whatever the kind of its bytes."""

from __future__ import annotations

from jitload.errors import LoadError, SymbolNotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from jitload.artifact import KernelInfo


class Module:
    """Named functions with an origin: bytes of some kind, or plain Python callables.

    A subclass overrides `_load_function` (and what else its kind can do); the base class does names, imports and
    lifetime. Functions found once are kept, and each keeps its module, so the image lives as long as any of them.

    Args:
        kind: the kind of the bytes, e.g. "ptx".
        functions: callables by name, for modules that are made in Python.
        data: the bytes that the module came from, or None when it cannot be saved.
        source: what `inspect_source` shows.
    """

    def __init__(
        self,
        kind: str,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        *,
        data: bytes | None = None,
        source: str = "",
    ) -> None:
        self._kind = str(kind)
        self._functions: dict[str, Callable[..., Any]] = dict(functions or {})
        self._kernels: dict[str, KernelInfo] = {}
        self._imports: list[Module] = []
        self._data = data
        self._source = source
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
        return tuple(dict.fromkeys((*self._kernels, *self._symbols(), *self._functions)))

    def import_module(self, module: Module) -> None:
        """Make the functions of `module` reachable through this one.

        Raises:
            TypeError: `module` is not a Module.
            LoadError: the import would close a cycle.
        """
        if not isinstance(module, Module):
            raise TypeError(f"import_module expects a jitload.Module, got {type(module).__name__}")
        if module._reaches(self):
            raise LoadError(
                f"cannot import module of kind {module.kind!r}: cyclic dependency, it already imports this one",
                kind=module.kind,
            )
        self._imports.append(module)

    def get_function(self, name: str, query_imports: bool = False) -> Callable[..., Any]:
        """The function or kernel of that name; with `query_imports`, also from the imports, depth first.

        Raises:
            SymbolNotFoundError: there is none.
        """
        found = self._find(name, query_imports)
        if found is None:
            names = self.functions
            listed = ", ".join(names[:20]) or "no functions"
            raise SymbolNotFoundError(
                f"no function {name!r} in this module of kind {self.kind!r}: it has {listed}",
                name=name,
                available=names,
            )
        return found

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return self.get_function(name)

    def implements_function(self, name: str, query_imports: bool = False) -> bool:
        """Whether `get_function` would find the name."""
        if name in self.functions:
            return True
        return query_imports and any(module.implements_function(name, True) for module in self._imports)

    def save_to_bytes(self) -> bytes:
        """The bytes that the loader of this kind makes this module from.

        Raises:
            LoadError: this module was not made from bytes.
        """
        if self._data is None:
            raise LoadError(f"module of kind {self.kind!r} cannot be saved: it was not made from bytes", kind=self.kind)
        return self._data

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
        """Let the module answer to the names in these kernels too, with their parameter layouts."""
        for kernel in kernels:
            self._kernels[kernel.name] = kernel

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of kind {self.kind!r} with {', '.join(self.functions[:8]) or 'no functions'}>"

    def _find(self, name: str, query_imports: bool) -> Callable[..., Any] | None:
        if self._closed:
            raise LoadError(f"module of kind {self.kind!r} is closed", kind=self.kind)
        function = self._functions.get(name)
        if function is None:
            kernel = self._kernels.get(name) or next((k for k in self._kernels.values() if k.symbol == name), None)
            function = self._load_function(name if kernel is None else kernel.symbol, kernel)
            if function is not None:
                function = self._functions.setdefault(name, function)
        if function is None and query_imports:
            return next((f for m in self._imports if (f := m._find(name, True)) is not None), None)
        return function

    def _reaches(self, target: Module) -> bool:
        return self is target or any(module._reaches(target) for module in self._imports)

    # What a kind overrides.

    def _symbols(self) -> Iterable[str]:
        """The names in the image itself."""
        return ()

    def _load_function(self, symbol: str, kernel: KernelInfo | None) -> Callable[..., Any] | None:  # noqa: ARG002
        """The function of that symbol, or None when the image has none; `kernel` is its layout when known."""
        return None

    def _unload(self) -> None:
        """Release the image."""
