"""The loader of kind "ptx" for machines without a GPU."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from jitload import forks
from jitload.compiler.symbol_types import with_symbol_types
from jitload.cpu.code.link import Linker
from jitload.cpu.faults import Refused, decode_fault
from jitload.cpu.function import CpuFunction
from jitload.cpu.kernel_code import KernelCode
from jitload.cpu.memory.arena import process_arena
from jitload.cpu.native.choice import NativeCode
from jitload.cpu.text.lines import Users
from jitload.cpu.text.program import read_program
from jitload.errors import LoadError, SymbolNotFoundError
from jitload.images.ptx.entries import kernel_of, parameter_offsets
from jitload.launch.kernel import Kernel
from jitload.lazy import lazy
from jitload.loader.module import Module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jitload.cpu.memory.arena import Arena
    from jitload.cpu.text.ir import Function
    from jitload.launch import device_global
    from jitload.launch.arrays import ArrayView
    from jitload.launch.device_global import DeviceGlobal
    from jitload.loader import variables as loader_variables
    from jitload.values import KernelInfo
else:
    device_global = lazy("jitload.launch.device_global")
    loader_variables = lazy("jitload.loader.variables")


class PtxModule(Module):
    """PTX that runs on the CPU.

    The text is read when the module is loaded; a kernel, and what it calls, is decoded when it is fetched. Variables
    live from their first use until the module is closed.

    Args:
        data: the PTX text as bytes, perhaps with a trailing NUL.
        arena: the memory to run in.

    Raises:
        LoadError: the bytes are not valid PTX.
    """

    names_lines = True

    def __init__(self, data: bytes, arena: Arena) -> None:
        program = read_program(data)
        super().__init__("ptx", data=data, source=program.source.text)
        self.memory = arena
        self._program = program
        self._linker = Linker(program, arena)
        self._code: dict[str, KernelCode] = {}
        self._native: dict[str, NativeCode] = {}
        self._lock = threading.RLock()
        forks.after_fork(self._renew_lock)

    def device_function(self, symbol: str, kernel: KernelInfo | None = None) -> CpuFunction:
        """The kernel below all argument checking.

        Raises:
            SymbolNotFoundError: there is none.
            CpuFault: the kernel holds an instruction that the executor does not know.
        """
        entry = self._program.functions.get(symbol)
        if entry is None or not entry.entry or entry.span is None:
            raise SymbolNotFoundError(f"no kernel {symbol!r} in this PTX", name=symbol, available=self._program.entries)
        with self._lock:
            code = self._code.get(symbol)
            if code is None:
                code = self._code[symbol] = KernelCode(self._linker, entry)
                self._native[symbol] = NativeCode(code)
        return CpuFunction(code, self._native[symbol], _checked_info(entry, kernel), self.memory)

    def attach_lines(
        self, program: str, users_file: str | None, line_in_file: Callable[[int], int], text: str = ""
    ) -> None:
        """Let faults of kernels that are fetched later show their lines; they and profiles name those of the file."""
        self._program.users = Users(program, text, users_file, line_in_file)

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()

    def _symbols(self) -> Iterable[str]:
        return self._program.entries

    def _load_global(self, name: str) -> tuple[DeviceGlobal | None, tuple[str, ...]]:
        variables = self._program.variables.values()
        known = tuple(one.name for one in variables if one.space in {"global", "const"})
        symbol = loader_variables.lowered_variable(name, known)
        if symbol is None or symbol not in known:
            return None, known
        variable = self._program.variables[symbol]
        try:
            address = self._linker.address(variable)
        except Refused as refusal:
            raise decode_fault(symbol, None, refusal.why) from refusal
        return device_global.DeviceGlobal(
            symbol, address, variable.size, VariableMemory(self.memory), lambda: self._closed
        ), known

    def _load_function(self, symbol: str, kernel: KernelInfo | None) -> Callable[..., Any] | None:
        if symbol not in self._program.entries:
            return None
        function = self.device_function(symbol, kernel)
        return Kernel(function.info, function)

    def _unload(self) -> None:
        self._code.clear()
        self._native.clear()
        self._linker.release()


class VariableMemory:
    """The executor's memory, as `jitload.launch.device_global.GlobalMemory`: its launches are over when they return."""

    device = "cpu"

    def __init__(self, arena: Arena) -> None:
        self._arena = arena

    def write(self, address: int, source: memoryview, _stream: int) -> None:
        """Copy host bytes to `address`."""
        self._arena.write(address, source)

    def read(self, address: int, target: memoryview, _stream: int) -> None:
        """Copy from `address` to host bytes."""
        self._arena.read(address, target)

    def move(self, target: int, source: int, nbytes: int, _stream: int, _view: ArrayView) -> None:
        """Copy from one address to another."""
        between = memoryview(bytearray(nbytes))
        self._arena.read(source, between)
        self._arena.write(target, between)


def _checked_info(entry: Function, kernel: KernelInfo | None) -> KernelInfo:
    """The layout that was handed along with the bytes, if it is the layout of these bytes."""
    if kernel is None:
        return with_symbol_types(kernel_of(entry))
    sizes = [parameter.size for parameter in entry.parameters]
    own = list(zip(parameter_offsets(entry), sizes, strict=True))
    given = [(parameter.offset, parameter.size) for parameter in kernel.params]
    if own != given:
        raise LoadError(f"kernel {entry.name} has parameters at {own}, but its description says {given}", kind="ptx")
    return with_symbol_types(kernel)


def load_ptx(data: bytes) -> PtxModule:
    """Load PTX for the CPU.

    Args:
        data: the text, perhaps with a trailing NUL.

    Raises:
        LoadError: it is not valid PTX.
    """
    try:
        return PtxModule(bytes(data), process_arena())
    except (MemoryError, RecursionError) as error:
        raise LoadError(f"PTX that takes too much to read: {type(error).__name__}", kind="ptx") from error
