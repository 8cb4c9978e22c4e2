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
from jitload.images.cubin import cubin_arch
from jitload.images.multiprocessor import launchable_threads
from jitload.images.ptx.entries import entry_names
from jitload.images.resources import read_resources
from jitload.values import Resources

from . import status
from .memory import Block
from .status import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.function import CpuFunction

    from .device import Context, Device

# CUfunction_attribute (cuda.h).
MAX_THREADS, SHARED_BYTES, LOCAL_BYTES, REGISTERS, PTX_VERSION, BINARY_VERSION = 0, 1, 3, 4, 5, 6
MAX_DYNAMIC_SHARED, CARVEOUT, NON_PORTABLE_CLUSTER = 8, 9, 14
DEFAULT_SHARED = 48 * 1024
#: CUDA version -> the newest PTX that its driver knows (PTX ISA, "Release Notes").
PTX_OF_VERSION = {12000: (8, 0), 12040: (8, 4), 12080: (8, 7), 12090: (8, 8), 13000: (9, 0)}
_ELF, _FATBIN = b"\x7fELF", b"\x50\xed\x55\xba"


def read_image(code: int) -> bytes:
    """The bytes of an image, as far as it says that it goes."""
    start = ctypes.string_at(code, 64)
    if start[:4] == _ELF:
        sections, count = int.from_bytes(start[40:48], "little"), int.from_bytes(start[60:62], "little")
        segments = int.from_bytes(start[32:40], "little") + 56 * int.from_bytes(start[56:58], "little")
        return ctypes.string_at(code, max(sections + 64 * count, segments))
    if start[:4] == _FATBIN:
        return ctypes.string_at(code, 16 + int.from_bytes(start[8:16], "little"))
    return ctypes.string_at(code)


def read_memory(address: int, nbytes: int) -> bytes:
    """Bytes of this process, or none where nothing is mapped."""
    try:
        with open("/proc/self/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            return memory.read(nbytes)
    except OSError:
        return b""


def check_ptx(text: bytes, version: int, capability: tuple[int, int]) -> None:
    """What the driver's compiler refuses at once: newer PTX than it knows, or for a later GPU."""
    said = re.search(rb"^\s*\.version\s+(\d+)\.(\d+)", text, re.MULTILINE)
    target = re.search(rb"^\s*\.target\s+sm_(\d+)", text, re.MULTILINE)
    if not said or not target:
        raise Refused(status.INVALID_PTX, "no .version or .target", expected=True)
    known = max((ptx for cuda, ptx in PTX_OF_VERSION.items() if cuda <= version), default=(7, 8))
    if (int(said[1]), int(said[2])) > known and version < max(PTX_OF_VERSION):
        raise Refused(status.UNSUPPORTED_PTX_VERSION, f"PTX {said[1].decode()}.{said[2].decode()}", expected=True)
    if int(target[1]) > 10 * capability[0] + capability[1]:
        raise Refused(status.NO_BINARY_FOR_GPU, f"PTX for sm_{target[1].decode()}", expected=True)


class LogBuffer:
    """A buffer of the caller's for what the compiler says; it must outlive the library, for that may be late.

    It begins as an empty text with a mark behind its NUL. What has given the memory back writes over the mark, be that
    the allocator or the next owner, and the driver would then write into what is no longer its to write.
    """

    def __init__(self, driver: Any, address: int, nbytes: int) -> None:
        self.driver = driver
        self.address = address
        self.nbytes = nbytes
        self.mark = b"\0a log buffer of the checking driver"[:nbytes]
        if address:
            driver.write_bytes(address, self.mark)

    def write(self, text: str) -> None:
        if not self.address:
            return
        if read_memory(self.address, len(self.mark)) != self.mark:
            raise Refused(
                status.INVALID_VALUE, f"a log buffer given to cuLibraryLoadData is gone, and {text!r} with it"
            )
        self.driver.write_bytes(self.address, text.encode()[: self.nbytes - 1] + b"\0")
        self.address = 0


class Library:
    """A loaded image.

    Attributes:
        kernels: symbol -> kernel, of those that were fetched.
        modules: device -> what is loaded there.
        log: the buffer that an error of the compiler goes into, whenever it shows.
    """

    def __init__(self, driver: Any, image: bytes, log: LogBuffer) -> None:
        self.driver = driver
        self.image = image
        self.log = log
        self.text = self._find_text()
        self.kernels: dict[str, int] = {}
        self.modules: dict[Device, PtxModule] = {}

    def on(self, device: Device) -> PtxModule:
        """What a device runs; loaded at the latest when it is wanted."""
        if device not in self.modules:
            self.driver.unsafe("loading a kernel")
            try:
                self._check(device)
                self.modules[device] = PtxModule(self.text, self.driver.arena)
            except (JitloadError, RecursionError) as error:
                raise self._logged(Refused(status.INVALID_PTX, str(error), expected=True)) from error
            except Refused as refused:
                raise self._logged(refused)  # noqa: B904 - the same exception
        return self.modules[device]

    def close(self) -> None:
        for module in self.modules.values():
            module.close()

    def _find_text(self) -> bytes:
        if self.image[:4] not in (_ELF, _FATBIN):
            if not self.image.lstrip().startswith((b"//", b".")):
                raise Refused(status.INVALID_IMAGE, f"neither ELF, fatbin nor PTX: {self.image[:16]!r}", expected=True)
            return self.image
        directory = self.driver.scenario.images
        place = Path(directory, hashlib.sha256(self.image).hexdigest())
        if not directory or not place.exists():
            raise Refused(status.INVALID_IMAGE, "machine code of which the checking driver does not know the PTX")
        return place.read_bytes()

    def _check(self, device: Device) -> None:
        if self.image[:4] == _ELF:
            verdict = judge_image("cubin", cubin_arch(self.image), f"sm_{device.capability[0]}{device.capability[1]}")
            if verdict.rank is None:
                raise Refused(status.NO_BINARY_FOR_GPU, str(verdict), expected=True)
        elif self.image[:4] != _FATBIN:
            check_ptx(self.text, self.driver.version, device.capability)

    def _logged(self, refused: Refused) -> Refused:
        self.log.write(f"ptxas error: {refused.why}")
        return refused


class Kernel:
    """A CUkernel, which is a CUfunction on every device."""

    def __init__(self, library: Library, symbol: str) -> None:
        self.library = library
        self.symbol = symbol
        self.dynamic: dict[int, int] = {}
        self.clusters: set[int] = set()
        self._functions: dict[Device, CpuFunction] = {}

    def on(self, device: Device) -> CpuFunction:
        """The kernel of a device, which is loaded there now if it was not."""
        if device not in self._functions:
            try:
                self._functions[device] = self.library.on(device).device_function(self.symbol)
            except JitloadError as error:
                raise self.library._logged(Refused(status.INVALID_PTX, str(error), expected=True)) from error
        return self._functions[device]

    def static_bytes(self, device: Device) -> int:
        return int(self.on(device).code.shared_bytes(0))

    def taken(self, device: Device) -> Resources:
        """What it takes of a multiprocessor: a cubin says it, of what the driver compiles the scenario does."""
        if self.library.image[:4] == _ELF:
            return read_resources(self.library.image)[self.symbol]
        bound, registers = self.on(device).info.max_threads, self.library.driver.scenario.registers
        return Resources(
            registers=registers,
            shared_bytes=self.static_bytes(device),
            max_threads=launchable_threads(registers, bound),
        )

    def versions(self, device: Device) -> tuple[int, int]:
        """For which compute capability its PTX was made and its machine code is, as 90 for 9.0."""
        target = re.search(rb"^\s*\.target\s+sm_(\d+)", self.library.text, re.MULTILINE)
        binary = 10 * device.capability[0] + device.capability[1]
        if self.library.image[:4] == _ELF:
            binary = int(cubin_arch(self.library.image).strip("sm_af"))
        return int(target[1]) if target else 0, binary

    def dynamic_limit(self, device: Device) -> int:
        return self.dynamic.get(device.ordinal, DEFAULT_SHARED - self.static_bytes(device))


def calls(driver: Any) -> dict[str, Callable[..., Any]]:
    """The functions of the API that this file models, by name."""
    handles = driver.handles

    def here() -> Device:
        context: Context | None = driver.current_or_none()
        found: Device = driver.devices[0] if context is None else context.device
        return found

    def load(out: int, code: int, strange: int, errors: int, errors_bytes: int, infos: int, infos_bytes: int) -> None:
        if not code or strange or (errors and not errors_bytes) or (infos and not infos_bytes):
            raise Refused(status.INVALID_VALUE, "no image, an unknown option, or a log buffer without a size")
        driver.must_be_sound()
        driver.unsafe("cuLibraryLoadData")
        library = Library(driver, read_image(code), LogBuffer(driver, errors, errors_bytes))
        if driver.scenario.loads == "library":
            library.on(here())
        driver.write(out, handles.add(library, "library"))

    def unload(handle: int) -> None:
        library = handles.get(handle, Library)
        driver.must_be_sound()
        driver.unsafe("cuLibraryUnload")
        for context in driver.contexts():
            context.finish()
        for kernel in library.kernels.values():
            handles.remove(kernel, Kernel)
        handles.remove(handle, Library)
        library.close()

    def get_kernel(out: int, handle: int, name: int) -> None:
        library = handles.get(handle, Library)
        symbol = driver.text(name)
        driver.must_be_sound()
        if symbol not in library.kernels:
            if driver.scenario.loads == "kernel":
                library.on(here())
            if symbol not in entry_names(library.text):
                raise Refused(status.NOT_FOUND, f"no kernel {symbol!r}", expected=True)
            library.kernels[symbol] = handles.add(Kernel(library, symbol), "kernel")
        driver.write(out, library.kernels[symbol])

    def get_global(out: int, nbytes: int, handle: int, name: int) -> None:
        library = handles.get(handle, Library)
        context = driver.current()
        context.raise_fault()
        try:
            address, size = library.on(context.device).get_global(driver.text(name))
        except (SymbolNotFoundError, CpuFault) as error:
            raise Refused(status.NOT_FOUND, str(error), expected=True) from error
        driver.memory.blocks.setdefault(address, Block(context, size))
        if out:
            driver.write(out, address)
        if nbytes:
            driver.write(nbytes, size)

    def parameter(handle: int, index: int, offset: int, size: int) -> None:
        params = handles.get(handle, Kernel).on(here()).info.params
        driver.must_be_sound()
        if index >= len(params):
            # The way to learn how many there are is to ask for one more.
            raise Refused(status.INVALID_VALUE, f"parameter {index} of {len(params)}", expected=index == len(params))
        driver.write(offset, params[index].offset)
        if size:
            driver.write(size, params[index].size)

    def get_attribute(out: int, attribute: int, handle: int, device: int) -> None:
        kernel, home = handles.get(handle, Kernel), driver.device_of(device)
        driver.must_be_sound()
        kernel.on(home)
        taken = kernel.taken(home)
        value = {
            MAX_THREADS: taken.max_threads,
            SHARED_BYTES: kernel.static_bytes(home),
            LOCAL_BYTES: taken.stack_bytes,
            REGISTERS: taken.registers,
            PTX_VERSION: kernel.versions(home)[0],
            BINARY_VERSION: kernel.versions(home)[1],
            MAX_DYNAMIC_SHARED: kernel.dynamic_limit(home),
            NON_PORTABLE_CLUSTER: int(home.ordinal in kernel.clusters),
        }
        if not 0 <= attribute <= 15:
            raise Refused(status.INVALID_VALUE, f"kernel attribute {attribute}")
        driver.write(out, value.get(attribute, 0), 4)

    def set_attribute(attribute: int, value: int, handle: int, device: int) -> None:
        kernel, home = handles.get(handle, Kernel), driver.device_of(device)
        driver.must_be_sound()
        value = ctypes.c_int(value).value
        if attribute == MAX_DYNAMIC_SHARED:
            if not 0 <= value <= home.shared_optin - kernel.static_bytes(home):
                raise Refused(status.INVALID_VALUE, f"{value} bytes of dynamic shared memory")
            kernel.dynamic[home.ordinal] = value
        elif attribute == NON_PORTABLE_CLUSTER:
            (kernel.clusters.add if value else kernel.clusters.discard)(home.ordinal)
        elif attribute != CARVEOUT or not -1 <= value <= 100:
            raise Refused(status.INVALID_VALUE, f"kernel attribute {attribute} cannot be {value}")

    def get_function(out: int, handle: int) -> None:
        kernel, context = handles.get(handle, Kernel), driver.current()
        context.raise_fault()
        kernel.on(context.device)
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
        "cuFuncGetAttribute": lambda out, number, handle: get_attribute(out, number, handle, here().ordinal),
        "cuFuncSetAttribute": lambda handle, number, value: set_attribute(number, value, handle, here().ordinal),
    }
