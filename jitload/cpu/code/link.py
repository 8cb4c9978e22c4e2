"""Addresses of a module's variables and functions; a variable gets memory and its initial value on first use."""

from __future__ import annotations

import struct
import threading
from typing import TYPE_CHECKING

import numpy as np

from jitload import forks
from jitload.cpu.faults import Refused
from jitload.cpu.lanes.convert import to_bf16
from jitload.cpu.memory.arena import CODE_WINDOW
from jitload.errors import LoadError
from jitload.images.ptx.tokens import is_instruction
from jitload.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.cpu.memory.arena import Arena
    from jitload.cpu.text import names
    from jitload.cpu.text.ir import InitialValue, Symbol, Variable
    from jitload.cpu.text.program import Program
else:
    names = lazy("jitload.cpu.text.names")

_FUNCTION_STRIDE = 16
_FLOATS = {"f32": "<f4", "f64": "<f8", "f16": "<f2", "bf16": ""}


class Linker:
    """Gives addresses to the symbols of one module.

    Args:
        program: the module.
        arena: where its variables live.
    """

    def __init__(self, program: Program, arena: Arena) -> None:
        self.program = program
        self.arena = arena
        self._addresses: dict[int, int] = {}
        self._kept: list[Variable] = []
        self._functions = {name: CODE_WINDOW + _FUNCTION_STRIDE * (k + 1) for k, name in enumerate(program.functions)}
        self._names = {address: name for name, address in self._functions.items()}
        self._given_out: set[str] | None = None
        self._unwritten: dict[int, Variable] = {}
        self._lock = threading.RLock()
        forks.after_fork(self._settle)

    def address(self, variable: Variable) -> int:
        """The address of a `.global` or `.const` variable.

        Raises:
            Refused: nothing defines it.
        """
        with self._lock:
            found = self._addresses.get(id(variable))
            if found is None:
                found = self._allocate(variable)
                waiting = [
                    variable
                ]  # what an initial value points to gets its memory first, and its own value after it
                for one in waiting:
                    waiting += self._allocate_named(one)
                for one in waiting:
                    self.arena.write(self._addresses[id(one)], memoryview(self._initial_bytes(one)))
                    del self._unwritten[id(one)]
            return found

    def _allocate(self, variable: Variable) -> int:
        """Memory for a variable, which holds nothing yet."""
        if variable.external or variable.count is None:
            raise Refused(f"variable {variable.name[:80]} is declared, but this PTX does not define it")
        constant = variable.space == "const"
        found = self.arena.allocate(variable.size, names.plain_name(variable.name), constant=constant)
        self._unwritten[id(variable)] = variable
        self._kept.append(variable)
        self._addresses[id(variable)] = found
        return found

    def _allocate_named(self, variable: Variable) -> list[Variable]:
        """The variables in a variable's initial value that had no memory."""
        found = []
        for name in dict.fromkeys(value.symbol for value in variable.initial if value.symbol):
            named = self.program.variables.get(name)
            if named is not None and named.space != "shared" and id(named) not in self._addresses:
                self._allocate(named)
                found.append(named)
        return found

    def _settle(self) -> None:
        """After a fork: another thread may have been giving variables their initial values."""
        self._lock = threading.RLock()
        for variable in list(self._unwritten.values()):
            address = self._addresses.get(id(variable))
            if address is not None:
                self.arena.write(address, memoryview(self._initial_bytes(variable)))
        self._unwritten.clear()

    def function_address(self, name: str) -> int:
        """The address that stands for a function.

        Raises:
            Refused: there is none of that name.
        """
        found = self._functions.get(name)
        if found is None:
            raise Refused(f"nothing is called {name[:80]!r}")
        return found

    def function_at(self, address: int) -> str | None:
        """The function behind an address."""
        return self._names.get(address)

    def functions_named(self, symbols: Iterable[Symbol]) -> set[str]:
        """The functions whose address is among these symbols, or in the initial value of a variable among them."""
        found: set[str] = set()
        seen: set[str] = set()
        waiting = [symbol.name for symbol in symbols]
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            if name in self.program.functions:
                found.add(name)
            elif name in self.program.variables:
                waiting += [value.symbol for value in self.program.variables[name].initial if value.symbol]
        return found

    def functions_given_out(self) -> set[str]:
        """Every function whose address some code or some variable of the module holds."""
        with self._lock:
            if self._given_out is None:
                self._given_out = self._named_in_code()
                for variable in self.program.variables.values():
                    self._given_out |= {one.symbol for one in variable.initial if one.symbol in self.program.functions}
            return self._given_out

    def _named_in_code(self) -> set[str]:
        """Functions that are an instruction's last operand: `mov.u64 %rd1, name;`, or a call, which does no harm."""
        tokens, functions = self.program.source.tokens, self.program.functions
        found: set[str] = set()
        for first, last in (function.span for function in functions.values() if function.span is not None):
            for index in range(first + 1, last):
                if is_instruction(tokens[index]):
                    found.add(tokens[index][:-1].rpartition(",")[2].strip())
                elif tokens[index] == ";" and tokens[index - 2] == ",":
                    found.add(tokens[index - 1])
        return found & functions.keys()

    def release(self) -> None:
        """Free the variables."""
        with self._lock:
            while self._addresses:
                self.arena.free(self._addresses.popitem()[1])
            self._kept.clear()

    def _initial_bytes(self, variable: Variable) -> bytearray:
        data = bytearray(variable.size)
        size = variable.type.size
        if len(variable.initial) > (variable.count or 0):
            raise Refused(f"variable {variable.name[:80]} has more initial values than elements")
        for position, value in enumerate(variable.initial):
            data[position * size : (position + 1) * size] = self._encode(variable, value)
        return data

    def _encode(self, variable: Variable, value: InitialValue) -> bytes:
        type_ = variable.type
        number = value.number
        if value.symbol:
            number = self._symbol_address(value.symbol) + int(number)
            if value.mask:
                shift = (value.mask & -value.mask).bit_length() - 1
                number = (number & value.mask) >> shift
        elif type_.name in _FLOATS and value.float_width != type_.bits:
            if value.float_width > 1:  # exact bits of the other width
                code = "<f" if value.float_width == 32 else "<d"
                (number,) = struct.unpack(code, int(number).to_bytes(value.float_width // 8, "little"))
            if type_.name == "bf16":
                return bytes(to_bf16(np.array([number], np.float64)).data)
            with np.errstate(all="ignore"):
                return bytes(np.array(number, np.float64).astype(_FLOATS[type_.name]).data)
        return (int(number) & ((1 << type_.bits) - 1)).to_bytes(type_.size, "little")

    def _symbol_address(self, name: str) -> int:
        variable = self.program.variables.get(name)
        if variable is None:
            return self.function_address(name)
        if variable.space == "shared":
            raise LoadError(f"invalid PTX: the address of shared variable {name[:80]} in an initialiser", kind="ptx")
        return self.address(variable)
