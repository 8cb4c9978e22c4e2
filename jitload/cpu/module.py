"""The loader of kind "ptx" for machines without a GPU."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from jitload import forks
from jitload.cpu.code.layout import kernel_info, parameter_offsets
from jitload.cpu.code.link import Linker
from jitload.cpu.faults import Refused, decode_fault
from jitload.cpu.function import CpuFunction
from jitload.cpu.kernel_code import KernelCode
from jitload.cpu.memory.arena import process_arena
from jitload.cpu.text.lines import spell_lines_of
from jitload.cpu.text.program import read_program
from jitload.errors import LoadError, SymbolNotFoundError
from jitload.loader.module import Module
from jitload.loader.types import with_symbol_types

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jitload.cpu.memory.arena import Arena
    from jitload.cpu.text.ir import Function
    from jitload.values import KernelInfo


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

    def __init__(self, data: bytes, arena: Arena) -> None:
        program = read_program(data)
        super().__init__("ptx", data=data, source=program.source.text)
        self.memory = arena
        self._program = program
        self._linker = Linker(program, arena)
        self._code: dict[str, KernelCode] = {}
        self._lock = threading.RLock()
        forks.after_fork(self._renew_lock)

    def get_function(self, name: str, query_imports: bool = False) -> Callable[..., Any]:
        """The kernel of that name.

        Raises:
            SymbolNotFoundError: there is none.
            CpuFault: the kernel holds an instruction that the executor does not know.
        """
        return super().get_function(name, query_imports)

    def get_global(self, name: str) -> tuple[int, int]:
        """(address, bytes) of a `.global` or `.const` variable, for reading and writing it through `memory`.

        Raises:
            SymbolNotFoundError: there is none.
            CpuFault: it is declared, but not defined here.
        """
        variable = self._program.variables.get(name)
        if variable is None or variable.space not in {"global", "const"}:
            names = tuple(one.name for one in self._program.variables.values() if one.space in {"global", "const"})
            raise SymbolNotFoundError(f"no variable {name!r} in this PTX", name=name, available=names)
        try:
            return self._linker.address(variable), variable.size
        except Refused as refusal:
            raise decode_fault(name, None, refusal.why) from refusal

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
        return CpuFunction(code, _checked_info(entry, kernel), self.memory)

    def attach_lines(self, program: str, users_file: str, line_in_file: Callable[[int], int]) -> None:
        """Let faults and profiles of kernels that are fetched later name the lines of the file around a source."""
        self._program.spell_line = spell_lines_of(program, users_file, line_in_file)

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()

    def _symbols(self) -> Iterable[str]:
        return self._program.entries

    def _load_function(self, symbol: str, kernel: KernelInfo | None) -> Callable[..., Any] | None:
        if symbol not in self._program.entries:
            return None
        from jitload.launch.kernel import Kernel

        function = self.device_function(symbol, kernel)
        return Kernel(function.info, function)

    def _unload(self) -> None:
        self._code.clear()
        self._linker.release()


def _checked_info(entry: Function, kernel: KernelInfo | None) -> KernelInfo:
    """The layout that was handed along with the bytes, if it is the layout of these bytes."""
    if kernel is None:
        return with_symbol_types(kernel_info(entry))
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
    return PtxModule(bytes(data), process_arena())
