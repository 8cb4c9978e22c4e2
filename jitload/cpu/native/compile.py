"""From a decoded kernel to machine code: what refuses it, its text, and LLVM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.cpu.code.draft import Reader
from jitload.cpu.code.layout import KernelLayout
from jitload.cpu.code.liveness import symbols_of
from jitload.cpu.faults import Refused, describe_place
from jitload.cpu.native.atomics import expect_order, sums_in_any_order
from jitload.cpu.native.column import emit
from jitload.cpu.native.functions import write_functions
from jitload.cpu.native.kernel import NativeKernel
from jitload.cpu.native.machine import generate
from jitload.cpu.native.meeting import arrive
from jitload.cpu.native.numbers import name_numbers
from jitload.cpu.native.operands import Resolved
from jitload.cpu.native.runtime import runtime_text
from jitload.cpu.native.waits import may_wait
from jitload.images.ptx.entries import align

if TYPE_CHECKING:
    from collections.abc import Callable

    from jitload.cpu.code.draft import Draft
    from jitload.cpu.kernel_code import KernelCode
    from jitload.cpu.text.ir import Symbol, Variable


def compile_native(code: KernelCode) -> NativeKernel:
    """The machine code of a kernel.

    Raises:
        Refused: something in it has no native form; it says what and where.
    """
    if code.spins or code.needs_grid or code.grid_traps or code.reserved_bytes:
        raise Refused("it waits for other threads in loops, or for its whole grid")
    draft = _read(code)
    name_numbers(draft.blocks, draft.carry)
    if may_wait(draft.blocks):
        raise Refused("a loop of it may wait for what other threads write")
    sites = {place.written: number for number, place in reversed(list(enumerate(code.places)))}
    variables: list[Variable] = []
    resolve = _resolver(draft, variables)
    places = expect_order(draft.blocks, resolve, fair=code.depends_on_others)
    found = write_functions(draft.blocks, sites, resolve, (emit, arrive), draft.carry)
    text = f"{found.text}\n{runtime_text(found.meets, found.common)}"
    return NativeKernel(
        generate(text),
        found.near,
        found.frame_bytes,
        tuple(one.number for one in found.meetings),
        tuple(found.meets),
        places,
        tuple(variables),
    )


def depends_on_order(code: KernelCode) -> bool:
    """Whether sums of floats by atomics may be rounded in another order than on lanes; no where it is refused."""
    try:
        draft = _read(code)
        return sums_in_any_order(draft.blocks, _resolver(draft, []), fair=code.depends_on_others)
    except Refused:
        return False


def _read(code: KernelCode) -> Draft:
    drafts = Reader(code.linker, code.name).read_all(code.linker.program.functions[code.name])
    if len(drafts) != 1:
        raise Refused("it calls functions that are not inlined")
    return drafts[code.name]


def _resolver(draft: Draft, variables: list[Variable]) -> Callable[[Symbol], Resolved]:
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


def why_refused(refusal: Refused) -> str:
    """A refusal, for people."""
    return f"{describe_place(refusal.place)}: {refusal.why}" if refusal.place is not None else refusal.why
