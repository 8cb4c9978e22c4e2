"""A module of machine code or PTX on the driver's library API (cuLibraryLoadData: one image for every device)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from jitload import forks
from jitload.compiler.arch import EXECUTOR_ARCH
from jitload.cuda import driver
from jitload.cuda.function import CudaFunction
from jitload.errors import DriverError, LoadError, SymbolNotFoundError
from jitload.launch.kernel import Kernel
from jitload.loader.module import Module
from jitload.loader.types import kernel_of_sizes, with_symbol_types

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jitload.artifact import KernelInfo

LOG_BYTES = 16 * 1024
#: cuKernelGetParamInfo came with this driver.
PARAMETER_INFO_VERSION = (12, 4)

_ADVICE = {
    209: "the image has no code for {arch}; compile for it, or ship PTX",  # CUDA_ERROR_NO_BINARY_FOR_GPU
    218: "the PTX has errors, see the log",  # CUDA_ERROR_INVALID_PTX
    222: "the PTX is newer than the driver ({version}); update it, or compile with an older NVRTC",
    200: "the driver cannot read the image",  # CUDA_ERROR_INVALID_IMAGE
}


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
        self._library: Any = None
        self._lock = threading.Lock()
        forks.after_fork(self._renew_lock)
        self._cuda_functions: list[CudaFunction] = []

    def get_global(self, name: str) -> tuple[int, int]:
        """Address and size in bytes of a `__device__` or `__constant__` variable (cuLibraryGetGlobal).

        Args:
            name: its lowered name; variables that are `extern "C"` keep theirs.

        Raises:
            SymbolNotFoundError: there is none of that name.
            LoadError: there is no driver or device, or the image cannot be loaded.
        """
        library = self._loaded()
        status, address, nbytes = driver.ensure_context().cuLibraryGetGlobal(library, name.encode())
        if int(status) == driver.NOT_FOUND:
            raise SymbolNotFoundError(f"no global {name!r} in this module of kind {self.kind!r}", name=name)
        driver.check("cuLibraryGetGlobal", (status,))
        return int(address), int(nbytes)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    def _symbols(self) -> Iterable[str]:
        return self._image_symbols

    def _load_function(self, symbol: str, kernel: KernelInfo | None) -> Kernel | None:
        library = self._loaded()
        status, handle = driver.ensure_context().cuLibraryGetKernel(library, symbol.encode())
        if int(status) == driver.NOT_FOUND:
            return None
        if status:
            raise self._load_error(driver.driver_error("cuLibraryGetKernel", status, f"for {symbol!r}"), "")
        layout = _layout(handle)
        kernel = self._described(symbol, layout) if kernel is None else with_symbol_types(kernel)
        if layout is not None and layout != [(p.offset, p.size) for p in kernel.params]:
            raise LoadError(
                f"kernel {symbol!r}: the image has parameters at (offset, size) {layout}, its KernelInfo says "
                f"{[(p.offset, p.size) for p in kernel.params]}; they come from different compiles",
                kind=self.kind,
            )
        function = CudaFunction(kernel, handle, self)
        self._cuda_functions.append(function)
        return Kernel(kernel, function)

    def _described(self, symbol: str, layout: list[tuple[int, int]] | None) -> KernelInfo:
        """What the image itself tells of a kernel: PTX its parameters' types, the symbol their types in C++."""
        if self.kind == "ptx":
            from jitload.compiler.layout import read_kernel

            found = read_kernel(self._image.decode(errors="replace"), symbol)
            if found is not None:
                return with_symbol_types(found)
        if layout is None:
            raise LoadError(
                f"kernel {symbol!r} has no parameter layout: load it from its Artifact, or update the driver to "
                f"CUDA {'.'.join(map(str, PARAMETER_INFO_VERSION))} or later, which can tell",
                kind=self.kind,
            )
        return kernel_of_sizes(symbol, layout)

    def _loaded(self) -> Any:
        with self._lock:
            if self._closed:
                raise LoadError(f"module of kind {self.kind!r} is closed", kind=self.kind)
            if self._library is None:
                bindings = self._bindings()
                if self._link is not None:
                    self._image = self._link(self._image)
                    self._link = None
                self._library = self._load(bindings)
            return self._library

    def _bindings(self) -> Any:
        """The driver, with a context; where there is no GPU, the error says what runs there."""
        try:
            return driver.ensure_context()
        except LoadError as error:
            why = None if self.kind == "ptx" else driver.missing_gpu()
            if why is None:
                raise
            raise LoadError(
                f"{why}, and {_WHAT[self.kind]} runs on a GPU alone. What runs here, on the CPU executor, is PTX: leave"
                f" kind= and arch= out, or write kind='ptx', arch={EXECUTOR_ARCH!r}; or load this where a GPU is",
                kind=self.kind,
            ) from error

    def _load(self, bindings: Any) -> Any:
        errors, infos = bytearray(LOG_BYTES), bytearray(LOG_BYTES)
        option = bindings.CUjit_option
        options: list[tuple[Any, Any]] = []
        if self.kind in {"ptx", "fatbin"}:  # only these are compiled by the driver, and can leave a log
            options = [
                (option.CU_JIT_ERROR_LOG_BUFFER, errors),
                (option.CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, LOG_BYTES),
                (option.CU_JIT_INFO_LOG_BUFFER, infos),
                (option.CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, LOG_BYTES),
            ]
        # The NUL is where the driver stops reading PTX; behind machine code it does no harm.
        status, library = bindings.cuLibraryLoadData(
            self._image + b"\0", [o for o, _ in options], [v for _, v in options], len(options), [], [], 0
        )
        if status:
            log = "\n".join(text for text in (_text(errors), _text(infos)) if text)
            raise self._load_error(driver.driver_error("cuLibraryLoadData", status), log)
        return library

    def _load_error(self, error: DriverError, log: str) -> LoadError:
        template = _ADVICE.get(error.code, "")
        advice = ""
        if template:
            version = ".".join(map(str, driver.driver_version()))
            advice = "; " + template.format(arch=driver.device_arch(), version=f"CUDA {version}")
        shown = f"\n{log}" if log else ""
        failure = LoadError(
            f"cannot load module of kind {self.kind!r}: {error}{advice}{shown}", kind=self.kind, log=log
        )
        failure.__cause__ = error
        return failure

    def _unload(self) -> None:
        with self._lock:
            library, self._library = self._library, None
            for function in self._cuda_functions:
                function.retire()
            self._cuda_functions.clear()
        if library is not None:
            driver.check("cuLibraryUnload", driver.ensure_context().cuLibraryUnload(library))


def _layout(handle: Any) -> list[tuple[int, int]] | None:
    """Offset and size of every parameter, or None when the driver is too old to tell.

    Behind the last parameter cuKernelGetParamInfo gives CUDA_ERROR_INVALID_VALUE; no parameter has 0 bytes.
    """
    if driver.driver_version() < PARAMETER_INFO_VERSION:
        return None
    bindings = driver.bindings()
    found: list[tuple[int, int]] = []
    while True:
        status, offset, size = bindings.cuKernelGetParamInfo(handle, len(found))
        if status:
            return found
        if not size:
            return None
        found.append((int(offset), int(size)))


def _text(buffer: bytearray) -> str:
    return buffer.partition(b"\0")[0].decode(errors="replace").strip()
