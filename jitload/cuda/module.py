"""A module of machine code or PTX on the driver's library API (cuLibraryLoadData: one image for every device)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from jitload import forks
from jitload.compiler.symbol_types import kernel_of_sizes, with_symbol_types
from jitload.cuda import driver
from jitload.cuda.function import CudaFunction
from jitload.cuda.library import PARAMETER_INFO_VERSION, Library
from jitload.cuda.limits import Limits
from jitload.cuda.variable import VariableMemory
from jitload.errors import LoadError
from jitload.launch.kernel import Kernel
from jitload.lazy import lazy
from jitload.loader.module import Module
from jitload.source.arch import EXECUTOR_ARCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jitload.compiler import layout as layouts
    from jitload.launch import device_global
    from jitload.launch.device_global import DeviceGlobal
    from jitload.loader import variables
    from jitload.values import KernelInfo
else:
    layouts = lazy("jitload.compiler.layout")
    device_global = lazy("jitload.launch.device_global")
    variables = lazy("jitload.loader.variables")

_WHAT = {"cubin": "a cubin", "fatbin": "a fatbin", "ltoir": "LTO-IR"}


class CudaModule(Module):
    """Kernels and globals of a cubin, PTX, fatbin or LTO-IR on an NVIDIA GPU.

    The driver is touched when the first kernel or global is fetched, so without one the module can still be inspected
    and saved, and the fetch says why nothing can be launched.

    Args:
        kind: "cubin", "ptx", "fatbin" or "ltoir".
        data: the image, checked by `verify_image`.
        symbols: the kernels in it, as far as the image shows them.
        source: what `inspect_source` shows.
        link: makes what the driver loads from `data`, at first use; by default that is `data` itself.
    """

    def __init__(
        self,
        kind: str,
        data: bytes,
        *,
        symbols: Iterable[str] = (),
        source: str = "",
        link: Callable[[bytes], bytes] | None = None,
    ) -> None:
        super().__init__(kind, data=data, source=source)
        self._image = data
        self._image_symbols = tuple(symbols)
        self._link = link
        self._library: Library | None = None
        self._limits: dict[str, Limits] = {}
        self._lock = threading.Lock()
        forks.after_fork(self._renew_lock)
        self._cuda_functions: list[CudaFunction] = []

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def _symbols(self) -> Iterable[str]:
        return self._image_symbols

    def _load_function(self, symbol: str, kernel: KernelInfo | None) -> Kernel | None:
        with self._lock:
            library = self._loaded()
            handle = library.kernel(symbol)
            if handle is None:
                return None
            layout = library.layout(handle)
            limits = self._limits.setdefault(symbol, Limits(handle))
        kernel = self._described(symbol, layout) if kernel is None else with_symbol_types(kernel)
        if layout is not None and layout != [(p.offset, p.size) for p in kernel.params]:
            raise LoadError(
                f"kernel {symbol!r}: the image has parameters at (offset, size) {layout}, its KernelInfo says "
                f"{[(p.offset, p.size) for p in kernel.params]}; they come from different compiles",
                kind=self.kind,
            )
        function = CudaFunction(kernel, handle, limits, library, self)
        self._cuda_functions.append(function)
        return Kernel(kernel, function)

    def _load_global(self, name: str) -> tuple[DeviceGlobal | None, tuple[str, ...]]:
        kind = "cubin" if self.kind == "ltoir" else self.kind
        with self._lock:
            library = self._loaded()  # which links LTO-IR
            known = variables.image_variables(kind, self._image)
            symbol = variables.lowered_variable(name, known)
            found = None if symbol is None else library.variable(symbol)
        if symbol is None or found is None:
            return None, known
        memory = VariableMemory(driver.current_device())
        return device_global.DeviceGlobal(symbol, *found, memory, lambda: self._closed), known

    def _described(self, symbol: str, layout: list[tuple[int, int]] | None) -> KernelInfo:
        """What the image itself tells of a kernel: PTX its parameters' types, the symbol their types in C++."""
        if self.kind == "ptx":
            found = layouts.read_kernel(self._image.decode(errors="replace"), symbol)
            if found is not None:
                return with_symbol_types(found)
        if layout is None:
            raise LoadError(
                f"kernel {symbol!r} has no parameter layout: load it from its Artifact, or update the driver to "
                f"CUDA {'.'.join(map(str, PARAMETER_INFO_VERSION))} or later, which can tell",
                kind=self.kind,
            )
        return kernel_of_sizes(symbol, layout)

    def _loaded(self) -> Library:
        """The image in the driver; whoever calls this holds the lock."""
        if self._closed:
            raise LoadError(f"module of kind {self.kind!r} is closed", kind=self.kind)
        if self._library is None:
            self._require_gpu()
            if self._link is not None:
                self._image = self._link(self._image)
                self._link = None
            self._library = Library(self.kind, self._image)
        return self._library

    def _require_gpu(self) -> None:
        """Have a context; where there is no GPU, the error says what runs there."""
        try:
            driver.ensure_context()
        except LoadError:
            why = None if self.kind == "ptx" else driver.missing_gpu()
            if why is None:
                raise
            raise LoadError(
                f"{why}, and {_WHAT[self.kind]} runs on a GPU alone. What runs here, on the CPU executor, is PTX: leave"
                f" kind= and arch= out, or write kind='ptx', arch={EXECUTOR_ARCH!r}; or load this where a GPU is",
                kind=self.kind,
            ) from None  # it says all that the other did, and more

    def _unload(self) -> None:
        with self._lock:
            library, self._library = self._library, None
            for function in self._cuda_functions:
                function.retire()
            self._cuda_functions.clear()
        if library is not None:
            library.unload()
