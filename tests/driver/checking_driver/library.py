"""Libraries and kernels: what an image must be, when its faults show, and what kernels remember per device."""

from __future__ import annotations

import ctypes
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jitload.bundles.choose import judge_image
from jitload.cpu.module import PtxModule
from jitload.errors import CpuFault, JitloadError, SymbolNotFoundError
from jitload.loader.cubin import cubin_arch

from . import status
from .status import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.function import CpuFunction

    from .device import Device

# CUfunction_attribute (cuda.h).
SHARED_BYTES, MAX_DYNAMIC_SHARED, CARVEOUT, NON_PORTABLE_CLUSTER = 1, 8, 9, 14
MAX_THREADS, REGISTERS, CONSTANT_BYTES, LOCAL_BYTES = 0, 4, 2, 3
DEFAULT_SHARED = 48 * 1024
PTX_OF_VERSION = {12000: (8, 0), 12040: (8, 4), 12080: (8, 7), 12090: (8, 8), 13000: (9, 0)}
_FATBIN = b"\x50\xed\x55\xba"


class Library:
    """A loaded image.

    Attributes:
        kernels: symbol -> kernel, of those that were fetched.
    """

    def __init__(self, driver: Any, image: bytes) -> None:
        self.driver = driver
        self.image = image
        self.text = b""
        self.log = (0, 0)
        self.module: PtxModule | None = None
        self.kernels: dict[str, int] = {}
        self.unloaded = False

    def prepare(self) -> PtxModule:
        """Compile, at the latest when a kernel is wanted."""
        if self.module is None:
            try:
                self.module = PtxModule(self.text, self.driver.arena)
            except (JitloadError, RecursionError) as error:
                raise Refused(status.INVALID_PTX, str(error)) from error
        return self.module


class Kernel:
    """A CUkernel, which is a CUfunction on every device."""

    def __init__(self, library: Library, symbol: str, function: CpuFunction) -> None:
        self.library = library
        self.symbol = symbol
        self.function = function
        self.dynamic: dict[int, int] = {}
        self.clusters: set[int] = set()

    @property
    def static_bytes(self) -> int:
        return int(self.function.code.shared_bytes(0))

    def dynamic_limit(self, device: Device) -> int:
        return self.dynamic.get(device.ordinal, DEFAULT_SHARED - self.static_bytes)


def check_ptx(text: bytes, version: int, capability: tuple[int, int]) -> None:
    """What the driver's compiler refuses at once: newer PTX than it knows, or for a later GPU."""
    said = re.search(rb"^\s*\.version\s+(\d+)\.(\d+)", text, re.MULTILINE)
    target = re.search(rb"^\s*\.target\s+sm_(\d+)", text, re.MULTILINE)
    if not said or not target:
        raise Refused(status.INVALID_PTX, "no .version or .target")
    known = max((ptx for cuda, ptx in PTX_OF_VERSION.items() if cuda <= version), default=(99, 9))
    if (int(said[1]), int(said[2])) > known and version < max(PTX_OF_VERSION):
        raise Refused(status.UNSUPPORTED_PTX_VERSION, f"PTX {said[1].decode()}.{said[2].decode()}")
    if int(target[1]) > 10 * capability[0] + capability[1]:
        raise Refused(status.NO_BINARY_FOR_GPU, f"PTX for sm_{target[1].decode()}")


def calls(driver: Any) -> dict[str, Callable[..., Any]]:
    """The functions of the API that this file models, by name."""
    handles = driver.handles

    def read_image(code: int) -> bytes:
        start = ctypes.string_at(code, 64)
        if start[:4] == b"\x7fELF":
            sections, count = int.from_bytes(start[40:48], "little"), int.from_bytes(start[60:62], "little")
            segments = int.from_bytes(start[32:40], "little") + 56 * int.from_bytes(start[56:58], "little")
            return ctypes.string_at(code, max(sections + 64 * count, segments))
        if start[:4] == _FATBIN:
            return ctypes.string_at(code, 16 + int.from_bytes(start[8:16], "little"))
        return ctypes.string_at(code)

    def text_of(image: bytes, device: Device) -> bytes:
        """The PTX behind an image, which must be one that the device can run."""
        if image[:4] == b"\x7fELF":
            try:
                arch = cubin_arch(image)
            except JitloadError as error:
                raise Refused(status.INVALID_IMAGE, str(error)) from error
            verdict = judge_image("cubin", arch, f"sm_{device.capability[0]}{device.capability[1]}")
            if verdict.rank is None:
                raise Refused(status.NO_BINARY_FOR_GPU, str(verdict))
        elif image[:4] != _FATBIN:
            if not image.lstrip().startswith((b"//", b".")):
                raise Refused(status.INVALID_IMAGE, f"neither ELF, fatbin nor PTX: {image[:16]!r}")
            check_ptx(image, driver.version, device.capability)
            return image
        place = Path(driver.scenario.images, hashlib.sha256(image).hexdigest())
        if not driver.scenario.images or not place.exists():
            raise Refused(status.INVALID_IMAGE, "machine code of which the checking driver does not know the PTX")
        return place.read_bytes()

    def load(out: int, code: int, strange: int, errors: int, errors_bytes: int, infos: int, infos_bytes: int) -> None:
        if not code or strange or (errors and not errors_bytes) or (infos and not infos_bytes):
            raise Refused(status.INVALID_VALUE, "no image, an unknown option, or a log buffer without a size")
        device = driver.devices[0] if not driver.threads_context() else driver.current().device
        driver.must_be_sound()
        library = Library(driver, read_image(code))
        library.log = (errors, errors_bytes)
        library.text = text_of(library.image, device)
        if not driver.scenario.lazy:
            compile_now(library)
        driver.write(out, handles.add(library, "library"))

    def compile_now(library: Library) -> PtxModule:
        try:
            return library.prepare()
        except Refused as refused:
            # The log goes into the buffers that were given when the library was loaded, whenever that was.
            buffer, nbytes = library.log
            if buffer:
                driver.write_bytes(buffer, f"ptxas error: {refused.why}".encode()[: nbytes - 1] + b"\0")
            raise

    def unload(handle: int) -> None:
        library = handles.get(handle, Library)
        driver.must_be_sound()
        for context in driver.contexts():
            context.finish()
        library.unloaded = True
        for kernel in library.kernels.values():
            handles.remove(kernel)
        handles.remove(handle)
        if library.module is not None:
            library.module.close()

    def get_kernel(out: int, handle: int, name: int) -> None:
        library = handles.get(handle, Library)
        symbol = driver.text(name)
        driver.must_be_sound()
        if symbol not in library.kernels:
            try:
                function = compile_now(library).device_function(symbol)
            except SymbolNotFoundError as error:
                raise Refused(status.NOT_FOUND, str(error)) from error
            except CpuFault as error:
                raise Refused(status.INVALID_PTX, str(error)) from error
            library.kernels[symbol] = handles.add(Kernel(library, symbol, function), "kernel")
        driver.write(out, library.kernels[symbol])

    def get_global(out: int, nbytes: int, handle: int, name: int) -> None:
        library = handles.get(handle, Library)
        driver.current()
        try:
            address, size = compile_now(library).get_global(driver.text(name))
        except (SymbolNotFoundError, CpuFault) as error:
            raise Refused(status.NOT_FOUND, str(error)) from error
        if out:
            driver.write(out, address)
        if nbytes:
            driver.write(nbytes, size)

    def parameter(handle: int, index: int, offset: int, size: int) -> None:
        params = handles.get(handle, Kernel).function.info.params
        driver.must_be_sound()
        if index >= len(params):
            raise Refused(status.INVALID_VALUE, f"parameter {index} of {len(params)}")
        driver.write(offset, params[index].offset)
        if size:
            driver.write(size, params[index].size)

    def get_attribute(out: int, attribute: int, handle: int, device: int) -> None:
        kernel, home = handles.get(handle, Kernel), driver.device_of(device)
        driver.must_be_sound()
        bound = kernel.function.info.max_threads
        value = {
            MAX_THREADS: 1024 if bound is None else bound,
            SHARED_BYTES: kernel.static_bytes,
            MAX_DYNAMIC_SHARED: kernel.dynamic_limit(home),
            NON_PORTABLE_CLUSTER: int(home.ordinal in kernel.clusters),
        }
        driver.write(out, value.get(attribute, 0), 4)

    def set_attribute(attribute: int, value: int, handle: int, device: int) -> None:
        kernel, home = handles.get(handle, Kernel), driver.device_of(device)
        driver.must_be_sound()
        value = ctypes.c_int(value).value
        if attribute == MAX_DYNAMIC_SHARED:
            if not 0 <= value <= home.shared_optin - kernel.static_bytes:
                raise Refused(status.INVALID_VALUE, f"{value} bytes of dynamic shared memory")
            kernel.dynamic[home.ordinal] = value
        elif attribute == NON_PORTABLE_CLUSTER:
            (kernel.clusters.add if value else kernel.clusters.discard)(home.ordinal)
        elif attribute != CARVEOUT or not -1 <= value <= 100:
            raise Refused(status.INVALID_VALUE, f"kernel attribute {attribute} cannot be {value}")

    def function_attribute(out: int, attribute: int, handle: int) -> None:
        get_attribute(out, attribute, handle, driver.current().device.ordinal)

    def set_function_attribute(handle: int, attribute: int, value: int) -> None:
        set_attribute(attribute, value, handle, driver.current().device.ordinal)

    def get_function(out: int, handle: int) -> None:
        driver.current()
        handles.get(handle, Kernel)
        driver.write(out, handle)

    return {
        "cuLibraryLoadData": load,
        "cuLibraryUnload": unload,
        "cuLibraryGetKernel": get_kernel,
        "cuLibraryGetGlobal": get_global,
        "cuKernelGetFunction": get_function,
        "cuKernelGetParamInfo": parameter,
        "cuKernelGetAttribute": get_attribute,
        "cuKernelSetAttribute": set_attribute,
        "cuFuncGetAttribute": function_attribute,
        "cuFuncSetAttribute": set_function_attribute,
    }
