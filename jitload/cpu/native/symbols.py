"""Where symbols lie, for machine code: from the start of their space, or of a variable of the module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.layout import KernelLayout
from jitload.cpu.native.operands import Resolved

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.native.inlined import Inlined
    from jitload.cpu.text.ir import Symbol, Variable


def resolver(inlined: Inlined, variables: list[Variable]) -> Callable[[Symbol], Resolved]:
    """Gives where a symbol lies, as for lanes; adds those of the module to a list."""
    layout = KernelLayout(inlined.function, inlined.symbols, reserved=False)

    def resolve(symbol: Symbol) -> Resolved:
        variable = symbol.variable
        if variable is None:  # counted along the functions of the text: the same in every process
            return Resolved("code", inlined.linker.function_address(symbol.name) + symbol.offset)
        frame = inlined.offsets.get(id(variable))
        if frame is not None:
            return Resolved("local", frame + symbol.offset)
        if variable.space not in {"global", "const"}:
            return Resolved(variable.space, layout.offset(variable) + symbol.offset)
        if not any(one is variable for one in variables):
            variables.append(variable)
        number = next(number for number, one in enumerate(variables) if one is variable)
        return Resolved(variable.space, symbol.offset, number)

    return resolve
