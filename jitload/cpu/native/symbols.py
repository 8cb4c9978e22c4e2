"""Where symbols lie, for machine code: from the start of their space, or of a variable of the module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.layout import KernelLayout
from jitload.cpu.code.liveness import symbols_of
from jitload.cpu.faults import Refused
from jitload.cpu.native.operands import Resolved
from jitload.images.ptx.entries import align

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.code.draft import Draft
    from jitload.cpu.text.ir import Symbol, Variable


def resolver(draft: Draft, variables: list[Variable]) -> Callable[[Symbol], Resolved]:
    """Gives where a symbol lies, as for lanes; adds those of the module to a list."""
    entry = draft.function
    layout = KernelLayout(entry, symbols_of(draft.blocks), reserved=False)
    offsets, end = {}, 0
    own = [one for one in draft.body.variables if one.space in {"local", "param"}]
    for variable in (*own, *draft.flow.slots):
        start = align(end, variable.alignment)
        offsets[id(variable)] = start
        end = start + variable.size

    def resolve(symbol: Symbol) -> Resolved:
        variable = symbol.variable
        if variable is None:
            raise Refused(f"the address of {symbol.name[:80]} has no native form")
        frame = offsets.get(id(variable))
        if frame is not None:
            return Resolved("local", frame + symbol.offset)
        if variable.space not in {"global", "const"}:
            return Resolved(variable.space, layout.offset(variable) + symbol.offset)
        if not any(one is variable for one in variables):
            variables.append(variable)
        number = next(number for number, one in enumerate(variables) if one is variable)
        return Resolved(variable.space, symbol.offset, number)

    return resolve
