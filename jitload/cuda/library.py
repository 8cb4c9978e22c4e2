"""An image in the driver: loaded, compiled where it must be, and unloaded when nobody needs it any more."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

from jitload.cuda import driver
from jitload.errors import DriverError, LoadError
from jitload.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from jitload.cuda import linker
    from jitload.cuda.driver import Foreign
else:
    linker = lazy("jitload.cuda.linker")

LOG_BYTES = 16 * 1024
#: cuKernelGetParamInfo came with this driver.
PARAMETER_INFO_VERSION = (12, 4)

#: Statuses that come of loading an image, whenever that happens, and what to do about them (cuda.h).
ADVICE = {
    200: "the driver cannot read the image",  # CUDA_ERROR_INVALID_IMAGE
    209: "the image has no code for {arch}; compile for it, or ship PTX",  # CUDA_ERROR_NO_BINARY_FOR_GPU
    218: "the PTX has errors, see the log",  # CUDA_ERROR_INVALID_PTX
    221: "the driver's compiler for PTX is missing",  # CUDA_ERROR_JIT_COMPILER_NOT_FOUND
    222: "the PTX is newer than the driver ({version})",  # CUDA_ERROR_UNSUPPORTED_PTX_VERSION
}
#: Statuses of PTX that the driver cannot compile, though another compiler may.
_NOT_COMPILED_HERE = {221, 222}
_WAYS_OUT = "update the driver, compile with an older NVRTC or to a cubin, or install nvJitLink, which can compile it"


class Library:
    """A CUlibrary: one image for every device, until this object is dropped or `unload` is called.

    cuLibraryLoadData may put off compiling until a kernel is needed (lazy loading, the default since CUDA 12.2), and
    the compiler then still writes to the log buffers that it was given: they live as long as the library.

    Args:
        kind: what the image is for the driver: "cubin", "ptx" or "fatbin".
        image: the bytes.

    Raises:
        LoadError: the driver refuses the image.
    """

    def __init__(self, kind: str, image: bytes) -> None:
        self._kind = kind
        self._image = image
        self._handle: Foreign = None
        self._logs: tuple[bytearray, bytearray] = bytearray(), bytearray()
        self._finalizer: Foreign = None
        # Only these are compiled by the driver.
        self._may_link = kind in {"ptx", "fatbin"}
        status = self._load(image)
        if status and not self._linked_instead(status):
            raise self._error("cuLibraryLoadData", status)

    def kernel(self, symbol: str) -> Foreign:
        """The CUkernel of a symbol, or None; it is loaded on the current device, so that no launch has to do that.

        Raises:
            LoadError: the image cannot be compiled or loaded; `.log` holds what the compiler said.
        """
        found = self._ask("cuLibraryGetKernel", symbol)
        if found is None:
            return None
        status = self.load_kernel(found[0])
        if status and self._linked_instead(status):
            return self.kernel(symbol)
        if status:
            raise self._error("cuKernelGetFunction", status, symbol)
        return found[0]

    def load_kernel(self, kernel: Foreign) -> int:
        """Load a kernel on the current device; gives the status.

        A launch would do it otherwise: for seconds where PTX is to be compiled, or in the middle of a capture.
        """
        bindings = driver.ensure_context()
        with driver.beside_captures(bindings):
            return int(bindings.cuKernelGetFunction(kernel)[0])

    def layout(self, kernel: Foreign) -> list[tuple[int, int]] | None:
        """Offset and size of every parameter of a kernel, or None when the driver is too old to tell.

        Behind the last parameter cuKernelGetParamInfo gives CUDA_ERROR_INVALID_VALUE; no parameter has 0 bytes.

        Raises:
            LoadError: the image cannot be compiled or loaded.
            DriverError: a driver call failed.
        """
        if driver.driver_version() < PARAMETER_INFO_VERSION:
            return None
        bindings = driver.bindings()
        found: list[tuple[int, int]] = []
        while True:
            status, offset, size = bindings.cuKernelGetParamInfo(kernel, len(found))
            if int(status) == driver.INVALID_VALUE:
                return found
            if status:
                raise self._error("cuKernelGetParamInfo", int(status))
            if not size:
                return None
            found.append((int(offset), int(size)))

    def variable(self, name: str) -> tuple[int, int] | None:
        """Address and bytes of a variable on the current device, or None.

        Raises:
            LoadError: the image cannot be compiled or loaded.
            DriverError: a driver call failed.
        """
        found = self._ask("cuLibraryGetGlobal", name)
        return None if found is None else (int(found[0]), int(found[1]))

    def unload(self) -> None:
        """Unload now what would be unloaded once nobody needs it. May be repeated.

        Raises:
            DriverError: the driver refuses, for another reason than that its context is lost.
        """
        status = self._finalizer()  # None when it has been called before
        if status and not driver.is_lost(status):
            raise driver.driver_error("cuLibraryUnload", status)

    def explain(self, error: DriverError, more: str = "") -> LoadError:
        """The error for a status that came of loading this image, with advice and the compiler's log."""
        advice = ADVICE.get(error.code, "") + more
        if advice:
            version = ".".join(map(str, driver.driver_version()))
            advice = "; " + advice.replace("{arch}", driver.device_arch()).replace("{version}", f"CUDA {version}")
        log = "\n".join(text for text in map(_text, self._logs) if text)
        shown = f"\n{log}" if log else ""
        failure = LoadError(
            f"cannot load module of kind {self._kind!r}: {error}{advice}{shown}", kind=self._kind, log=log
        )
        failure.__cause__ = error
        return failure

    def _load(self, image: bytes) -> int:
        bindings = driver.ensure_context()
        option = bindings.CUjit_option
        options: list[tuple[Foreign, Foreign]] = []
        logs = bytearray(LOG_BYTES), bytearray(LOG_BYTES)
        if self._may_link:  # what is not compiled leaves no log
            options = [
                (option.CU_JIT_ERROR_LOG_BUFFER, logs[0]),
                (option.CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, LOG_BYTES),
                (option.CU_JIT_INFO_LOG_BUFFER, logs[1]),
                (option.CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, LOG_BYTES),
            ]
        self._logs = logs
        # The NUL is where the driver stops reading PTX; behind machine code it does no harm.
        code, names, values = image + b"\0", [name for name, _ in options], [value for _, value in options]
        with driver.beside_captures(bindings):
            status, handle = bindings.cuLibraryLoadData(code, names, values, len(options), [], [], 0)
        if not status:
            self._handle = handle
            self._finalizer = weakref.finalize(self, _unload, bindings, handle, logs, os.getpid())
            self._finalizer.atexit = False  # at exit the driver unloads everything itself, and may be gone
        return int(status)

    def _linked_instead(self, status: int) -> bool:
        """Whether nvJitLink compiled, for the current device, what the driver could not compile; if so it is loaded.

        Raises:
            LoadError: it cannot do it either, or the driver refuses what it made.
        """
        if status not in _NOT_COMPILED_HERE or not self._may_link:
            return False

        try:
            cubin = linker.link_image(self._kind, self._image, driver.device_arch())
        except LoadError as error:
            failure = self._error("cuLibraryLoadData", status, more=f"; {_WAYS_OUT}. Tried that: {error}")
            raise failure from error
        if self._finalizer is not None:
            self._finalizer()
        self._may_link = False
        if status := self._load(cubin):
            raise self._error("cuLibraryLoadData", status)
        return True

    def _ask(self, call: str, name: str) -> Sequence[Foreign] | None:
        """What a call gives for a name, or None when there is none of that name."""
        bindings = driver.ensure_context()
        with driver.beside_captures(bindings):
            status, *found = getattr(bindings, call)(self._handle, name.encode())
        code = int(status)
        if code == driver.NOT_FOUND:
            return None
        if code and self._linked_instead(code):
            return self._ask(call, name)
        if code:
            raise self._error(call, code, name)
        values: Sequence[Foreign] = found
        return values

    def _error(self, call: str, status: int, name: str = "", *, more: str = "") -> LoadError | DriverError:
        error = driver.driver_error(call, status, f"for {name!r}" if name else "")
        return error if driver.is_lost(status) else self.explain(error, more)


def _unload(bindings: ModuleType, handle: Foreign, _logs: object, process: int) -> int:
    """Unload a library of this process; its log buffers are needed until now. Waits for kernels that run.

    It may be called by the garbage collector, at any moment of any thread.
    """
    if os.getpid() != process:  # a forked child has no use of CUDA, and must leave its parent's alone
        return 0
    with driver.beside_captures(bindings):
        return int(bindings.cuLibraryUnload(handle)[0])


def _text(buffer: bytearray) -> str:
    return buffer.partition(b"\0")[0].decode(errors="replace").strip()
